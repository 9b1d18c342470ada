"""Compiled parts of training: fastText's hashed features, and logistic regression on them.

Hashes are those of fastText (Bojanowski et al. 2017, section 3.2; its dictionary.cc), so that what is trained here is
what `stages.fasttext` and the library compute from the file.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import boolean, float64, int32, int64, njit, uint32, uint64, void

from stages.fasttext.kernels_rows import FNV_OFFSET, add_byte
from stages.text.kernels import BYTES, INT32S, INT64S

_NGRAM_FACTOR = np.uint64(116049371)


@njit(int64(BYTES, INT64S, int64, int64, int64, int32[::1], int64[::1], int32[::1]), nogil=True, cache=True)
def hash_tokens(data, offsets, minn, maxn, num_buckets, buckets, ends, hashes):
    """Buckets of the character n-grams of every token, and the hash of the token; returns how many buckets.

    Args:
        data, offsets: tokens, each between "<" and ">".
        buckets, ends: to fill; where the buckets of each token end.
    """
    m = 0
    for t in range(offsets.shape[0] - 1):
        low, high = offsets[t], offsets[t + 1]
        h = FNV_OFFSET
        for i in range(low + 1, high - 1):
            h = add_byte(h, data[i])
        hashes[t] = int32(h)
        for i in range(low, high):
            if (data[i] & 0xC0) == 0x80:
                continue
            h = FNV_OFFSET
            j, n = i, 1
            while j < high and n <= maxn:
                h = add_byte(h, data[j])
                j += 1
                while j < high and (data[j] & 0xC0) == 0x80:
                    h = add_byte(h, data[j])
                    j += 1
                if n >= minn and not (n == 1 and (i == low or j == high)):
                    buckets[m] = int64(h % uint32(num_buckets))
                    m += 1
                n += 1
        ends[t] = m
    return m


@njit(
    int64(INT32S, INT64S, INT64S, INT32S, INT32S, INT64S, INT32S, int64, int64, int64, int32[::1], int64[::1], boolean),
    nogil=True,
    cache=True,
)
def fill_rows(
    tokens, begin, end, word_rows, buckets, bucket_ends, hashes, num_words, num_buckets, word_ngrams, rows, ends, is_dry
):
    """Rows of every text: its words, their character n-grams, word n-grams. Returns how many; a dry run only counts."""
    m = int64(0)
    for d in range(begin.shape[0]):
        for k in range(begin[d], end[d]):
            t = tokens[k]
            first = bucket_ends[t - 1] if t > 0 else int64(0)
            if is_dry:
                m += int64(word_rows[t] >= 0) + bucket_ends[t] - first + min(end[d], k + word_ngrams) - k - 1
                continue
            if word_rows[t] >= 0:
                rows[m] = word_rows[t]
                m += 1
            for b in range(first, bucket_ends[t]):
                rows[m] = num_words + buckets[b]
                m += 1
            h = uint64(int64(hashes[t]))
            for j in range(k + 1, min(end[d], k + word_ngrams)):
                h = h * _NGRAM_FACTOR + uint64(int64(hashes[tokens[j]]))
                rows[m] = num_words + int64(h % uint64(num_buckets))
                m += 1
        if not is_dry:
            ends[d] = m
    return m


@njit(void(INT32S, INT64S, INT64S, float64[::1], float64[::1]), nogil=True, cache=True)
def mean_of_rows(rows, begin, end, values, out):
    """Mean value of the rows of each text, 0 for a text without rows: fastText's hidden layer of width 1."""
    for d in range(begin.shape[0]):
        total = 0.0
        for k in range(begin[d], end[d]):
            total += values[rows[k]]
        out[d] = total / max(end[d] - begin[d], 1)


@njit(
    void(INT32S, INT64S, INT64S, INT64S, boolean[::1], float64[::1], float64, float64[::1], float64[::1]),
    nogil=True,
    cache=True,
)
def fit_pass(rows, begin, end, order, labels, weights, step, values, squares):
    """One pass of logistic regression over the texts in `order`, by AdaGrad (Duchi et al. 2011).

    The logit of a text is the mean of its rows' values. `squares` are the sums of squared gradients so far.
    """
    for d in order:
        size = end[d] - begin[d]
        if size == 0 or weights[d] == 0.0:
            continue
        logit = 0.0
        for k in range(begin[d], end[d]):
            logit += values[rows[k]]
        logit /= size
        gradient = (1.0 / (1.0 + np.exp(-logit)) - float64(labels[d])) * weights[d] / size
        for k in range(begin[d], end[d]):
            row = rows[k]
            squares[row] += gradient * gradient
            values[row] -= step * gradient / np.sqrt(squares[row])
