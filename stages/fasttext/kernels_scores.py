"""Compiled inference: sums of token vectors, and what the output layer makes of them.

The sum of a token's rows is computed once and kept in a memo by the token's slot. When a model has no more labels than
dimensions, what is kept is already multiplied by the output matrix (the model is linear up to there), so that a token
costs a classifier of two labels two additions.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import boolean, float32, float64, int32, int64, njit, types, uint32, uint64, void

from stages.fasttext.kernels_rows import (
    INPUT,
    LABEL_PREFIX,
    MATRIX,
    MAX_GATHERED,
    add_rows,
    find_rows,
    find_word,
    gather_ngrams,
    gather_subwords,
    hash_token,
    starts_with,
)
from stages.fasttext.kernels_tokens import END_OF_LINE, MAX_TOKEN_BYTES, copy_token
from stages.text.kernels import BYTES, INT32S, INT64S, digest


class Output(NamedTuple):
    """A model's output layer as arrays, for kernels: `n` labels, `dim` columns."""

    loss: int
    columns: npt.NDArray[np.float32]
    """Transposed, `float32[dim, n]`. Under hierarchical softmax, column `i` is inner node `n + i` of the tree."""
    children: npt.NDArray[np.int32]
    """`int32[2 n - 1, 2]`: left and right child of every node of the tree: leaves first, the root last; -1 = none."""
    parent: npt.NDArray[np.int32]
    """`int32[2 n - 1]`."""


class TokenSlots(NamedTuple):
    """The tokens of some texts and what kernels need to read those without a slot; see `stages.fasttext.tokens`."""

    data: npt.NDArray[np.uint8]
    base: npt.NDArray[np.int64]
    """Byte in `data` that `own_start` and `own_stop` of each text count from."""
    begin: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    slot: npt.NDArray[np.int32]
    own_start: npt.NDArray[np.int32]
    own_stop: npt.NDArray[np.int32]
    lower: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int32]
    token_bytes: npt.NDArray[np.uint8]
    hashes: npt.NDArray[np.uint32]


OUTPUT = types.NamedTuple((int64, MATRIX, types.Array(int32, 2, "C", readonly=True), INT32S), Output)
SLOTS = types.NamedTuple(
    (
        BYTES, INT64S, INT64S, INT64S, INT32S, INT32S, INT32S, INT32S, INT32S, BYTES,
        types.Array(uint32, 1, "C", readonly=True),
    ),
    TokenSlots,
)  # fmt: skip

HIERARCHICAL, NEGATIVE, SOFTMAX, ONE_VS_ALL = 1, 2, 3, 4
LABEL_TOKEN = -1
"""In place of a count of rows: the token is a label and no word, not even in word n-grams."""
_TINY = 1e-5
"""fastText adds this to a probability before it takes the logarithm, and reports the sum."""


def _sigmoid_table():
    x = (np.arange(513, dtype=np.int64) * 16).astype(np.float32) / np.float32(512) - np.float32(8)
    return (1.0 / (1.0 + np.exp(-x.astype(np.float32)).astype(np.float32))).astype(np.float32)


_SIGMOID = _sigmoid_table()


@njit
def _longest(begin, end, own_start, own_stop):
    """Bytes of the longest token that may have to be looked at, and tokens of the longest text."""
    size, tokens = int64(MAX_TOKEN_BYTES), int64(0)
    for t in range(own_start.shape[0]):
        size = max(size, int64(own_stop[t] - own_start[t]))
    for d in range(begin.shape[0]):
        tokens = max(tokens, end[d] - begin[d])
    return size, tokens


@njit(
    void(INPUT, OUTPUT, SLOTS, boolean, float32[:, ::1], int32[::1], float32[:, ::1], int64[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def sum_tokens(inp, output, slots, is_projected, memo, memo_counts, sums, counts):
    """Sum the tokens' rows of each text, with the end of the line that fastText reads behind it.

    Arrays are taken out of their tuples first: Numba counts references to every array of a tuple that is handed on,
    and for a few additions that would take longer than all the rest.

    Args:
        is_projected: the memo holds label space (`width` labels), not the hidden layer (`width` dimensions).
        memo: `float32[r + 1, width]`: the first `r` slots; the last row serves tokens that are not kept.
        memo_counts: `int32[r + 1]`: 0 = not computed yet, else the count of rows plus one, or LABEL_TOKEN.
        sums: `float32[texts, width]`, zeros.
        counts: `int64[texts]`, how many rows each text has.
    """
    (
        word_keys, word_ids, bucket_bits, bucket_ranks, bucket_rows, num_words, bucket_count, minn, maxn, word_ngrams,
        dense, codes, centroids, dsub, norm_codes, norm_centroids,
    ) = inp  # fmt: skip
    data, base, begins, ends, slot, own_start, own_stop, lower, starts, token_bytes, token_hashes = slots
    columns = output.columns
    num_buckets = uint32(bucket_count)
    width, spare, as_it_is = memo.shape[1], memo.shape[0] - 1, lower[:0]
    longest, most_tokens = _longest(begins, ends, own_start, own_stop)
    vector = np.empty(columns.shape[0], np.float32)
    scratch, rows = np.empty(2 * longest + 2, np.uint8), np.empty(MAX_GATHERED + maxn + word_ngrams + 1, np.int32)
    hashes = np.empty(most_tokens + 1 if word_ngrams > 1 else 0, np.int32)
    for d in range(begins.shape[0]):
        begin, end = begins[d], ends[d]
        num_rows = num_hashes = int64(0)
        if not (end > begin and slot[end - 1] == END_OF_LINE):
            end += 1
        for t in range(begin, end):
            s = int64(slot[t]) if t < ends[d] else int64(END_OF_LINE)
            r = s if 0 <= s < spare else spare
            size = int64(0)
            if r == spare or memo_counts[r] == 0:
                if s >= 0:
                    size = copy_token(token_bytes, starts[s], starts[s + 1], as_it_is, scratch, 1) - 1
                else:
                    low, high = base[d] + own_start[-1 - s], base[d] + own_stop[-1 - s]
                    size = copy_token(data, low, high, lower, scratch, 1) - 1
                word = find_word(word_keys, word_ids, digest(scratch, 1, size + 1)[0])
                count = int64(0)
                for k in range(vector.shape[0]):
                    vector[k] = 0
                if word >= num_words or (word < 0 and starts_with(scratch, 1, size + 1, LABEL_PREFIX)):
                    count = int64(LABEL_TOKEN)
                else:
                    if word >= 0:
                        rows[0] = word
                    i, n = int64(0), int64(word >= 0)
                    subwords = maxn > 0 and s != END_OF_LINE
                    scratch[0], scratch[size + 1] = 0x3C, 0x3E
                    while True:
                        first = n
                        if subwords:
                            i, n = gather_subwords(scratch, size + 2, i, minn, maxn, num_buckets, bucket_bits, rows, n)
                            if n > first:
                                find_rows(bucket_bits, bucket_ranks, bucket_rows, num_words, rows, first, n)
                        if n:
                            add_rows(dense, codes, centroids, dsub, norm_codes, norm_centroids, rows, n, vector)
                        count += n
                        n = int64(0)
                        if not subwords or i >= size + 2:
                            break
                memo_counts[r] = count if count == LABEL_TOKEN else count + 1
                if is_projected:
                    for k in range(width):
                        memo[r, k] = 0
                    for j in range(vector.shape[0]):
                        for k in range(width):
                            memo[r, k] += vector[j] * columns[j, k]
                else:
                    for k in range(width):
                        memo[r, k] = vector[k]
            if memo_counts[r] == LABEL_TOKEN:
                continue
            for k in range(width):
                sums[d, k] += memo[r, k]
            num_rows += memo_counts[r] - 1
            if word_ngrams > 1:
                hashes[num_hashes] = token_hashes[s] if s >= 0 else hash_token(scratch, 1, size + 1)
                num_hashes += 1
        if word_ngrams > 1:
            i = int64(0)
            while i < num_hashes:
                i, n = gather_ngrams(hashes, num_hashes, i, word_ngrams, uint64(num_buckets), bucket_bits, rows)
                find_rows(bucket_bits, bucket_ranks, bucket_rows, num_words, rows, 0, n)
                add_rows(dense, codes, centroids, dsub, norm_codes, norm_centroids, rows, n, sums[d])
                num_rows += n
        counts[d] = num_rows


@njit
def _sigmoid(x):
    """fastText reads the logistic function from a table of 512 steps between -8 and 8."""
    if x != x:
        return x
    if x < float32(-8):
        return float32(0)
    if x > float32(8):
        return float32(1)
    return _SIGMOID[int64((x + float32(8)) * float32(512) / float32(8) / float32(2))]


@njit
def _fill_logits(sums, count, columns, is_projected, out):
    """Values of the output layer for the mean of `count` rows, given their sum; False if they are no numbers."""
    scale = float32(1.0 / count)
    if is_projected:
        for k in range(out.shape[0]):
            out[k] = sums[k] * scale
    else:
        out[:] = 0
        for k in range(sums.shape[0]):
            x = sums[k] * scale
            for label in range(out.shape[0]):
                out[label] += x * columns[k, label]
    whole = float32(0)
    for k in range(out.shape[0]):
        whole += out[k]
    return whole == whole


@njit
def _activate(loss, out):
    """Turn the output layer's values into the probability of every label; not for hierarchical softmax."""
    if loss != SOFTMAX:
        for label in range(out.shape[0]):
            out[label] = _sigmoid(out[label])
        return
    most = out.max()
    whole = float32(0)
    for label in range(out.shape[0]):
        out[label] = np.exp(out[label] - most)
        whole += out[label]
    for label in range(out.shape[0]):
        out[label] /= whole


@njit(inline="always")
def _branch(logits, node):
    """Probability of the right child of an inner node."""
    return float32(1.0 / (1.0 + np.exp(-float64(logits[node - logits.shape[0]]))))


@njit
def _push(scores, labels, size, score, label):
    """Add to a heap whose front is its lowest score, as libstdc++ does, so that ties fall as they do in the library."""
    hole = size
    while hole > 0 and scores[(hole - 1) // 2] > score:
        scores[hole], labels[hole] = scores[(hole - 1) // 2], labels[(hole - 1) // 2]
        hole = (hole - 1) // 2
    scores[hole], labels[hole] = score, label
    return size + 1


@njit
def _pop(scores, labels, size):
    """Move the front of the heap behind its end, as libstdc++ does."""
    size -= 1
    score, label = scores[size], labels[size]
    scores[size], labels[size] = scores[0], labels[0]
    hole = child = int64(0)
    while child < (size - 1) // 2:
        child = 2 * (child + 1)
        if scores[child] > scores[child - 1]:
            child -= 1
        scores[hole], labels[hole] = scores[child], labels[child]
        hole = child
    if size % 2 == 0 and child == (size - 2) // 2 and size > 0:
        child = 2 * (child + 1)
        scores[hole], labels[hole] = scores[child - 1], labels[child - 1]
        hole = child - 1
    while hole > 0 and scores[(hole - 1) // 2] > score:
        scores[hole], labels[hole] = scores[(hole - 1) // 2], labels[(hole - 1) // 2]
        hole = (hole - 1) // 2
    if size > 0:
        scores[hole], labels[hole] = score, label
    return size


@njit
def _best_of_all(probabilities, k, scores, labels):
    """The `k` best labels as a heap of logarithms; returns its size."""
    size = int64(0)
    clearly_less = 0.0
    for label in range(probabilities.shape[0]):
        p = float64(probabilities[label]) + _TINY
        if p < clearly_less:
            continue
        score = np.float64(float32(np.log(p)))
        if size == k and score < scores[0]:
            continue
        size = _push(scores, labels, size, score, label)
        if size > k:
            size = _pop(scores, labels, size)
        if size == k:
            clearly_less = np.exp(scores[0]) * (1 - 1e-4)
    return size


@njit
def _best_of_tree(children, logits, k, scores, labels, stack, stack_scores):
    """The `k` best leaves of the tree as a heap of probabilities, left before right; returns its size.

    Branches that fall below fastText's smallest probability, or below the `k`-th best leaf so far, are not followed.
    """
    size, top = int64(0), int64(1)
    stack[0], stack_scores[0] = children.shape[0] - 1, 1.0
    while top > 0:
        top -= 1
        node, score = stack[top], stack_scores[top]
        if score < _TINY or (size == k and score < scores[0]):
            continue
        if node < logits.shape[0]:
            size = _push(scores, labels, size, score, node)
            if size > k:
                size = _pop(scores, labels, size)
            continue
        right = _branch(logits, node)
        stack[top], stack_scores[top] = children[node, 1], score * (float64(right) + _TINY)
        left = float64(float32(1.0 - float64(right)))
        stack[top + 1], stack_scores[top + 1] = children[node, 0], score * (left + _TINY)
        top += 2
    return size


@njit(
    void(OUTPUT, boolean, float32[:, ::1], int64[::1], int32[:, ::1], float32[:, ::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def find_top_labels(output, is_projected, sums, counts, out_labels, out_scores):
    """The best labels of each text, best first, and their probabilities; -1 and NaN where there is none."""
    n, k, tree = output.columns.shape[1], out_labels.shape[1], output.children.shape[0]
    scores, labels = np.empty(k + 1, np.float64), np.empty(k + 1, np.int64)
    stack, stack_scores = np.empty(tree + 2, np.int64), np.empty(tree + 2, np.float64)
    values = np.empty(n, np.float32)
    out_labels[:] = -1
    out_scores[:] = np.nan
    for d in range(sums.shape[0]):
        if counts[d] == 0 or not _fill_logits(sums[d], counts[d], output.columns, is_projected, values):
            continue
        if output.loss == HIERARCHICAL:
            size = _best_of_tree(output.children, values, k, scores, labels, stack, stack_scores)
        else:
            _activate(output.loss, values)
            size = _best_of_all(values, k, scores, labels)
        left = size
        while left > 1:
            left = _pop(scores, labels, left)
        for rank in range(size):
            score = scores[rank] if output.loss == HIERARCHICAL else np.exp(scores[rank])
            out_labels[d, rank] = labels[rank]
            out_scores[d, rank] = min(score, 1.0)


@njit
def _leaf_score(output, logits, node):
    """Probability of a leaf: that of every turn on the way to it."""
    score = 1.0
    while output.parent[node] >= 0:
        above = int64(output.parent[node])
        right = _branch(logits, above)
        side = right if output.children[above, 1] == node else float32(1.0 - float64(right))
        score *= float64(side) + _TINY
        node = above
    return score


@njit(
    void(OUTPUT, boolean, float32[:, ::1], int64[::1], INT32S, float32[:, ::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def find_label_scores(output, is_projected, sums, counts, wanted, out):
    """Probability of some labels in each text; NaN where there is none."""
    values = np.empty(output.columns.shape[1], np.float32)
    out[:] = np.nan
    for d in range(sums.shape[0]):
        if counts[d] == 0 or not _fill_logits(sums[d], counts[d], output.columns, is_projected, values):
            continue
        if output.loss != HIERARCHICAL:
            _activate(output.loss, values)
        for w in range(wanted.shape[0]):
            if output.loss != HIERARCHICAL:
                score = float64(values[wanted[w]]) + _TINY
            else:
                score = _leaf_score(output, values, int64(wanted[w]))
            out[d, w] = min(score, 1.0)
