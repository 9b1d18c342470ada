"""Which rows of a model's input matrix a token stands for, and their sum.

fastText represents a token by the row of the word, if the dictionary has it, and one row for each of its character
n-grams between `minn` and `maxn`, read from `<token>` and hashed into buckets (Bojanowski et al. 2017, section 3.2).
A pruned dictionary keeps only some words and some buckets.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from numba import float32, int32, int64, njit, types, uint8, uint32, uint64, void

from stages.text.kernels import BYTES, INT32S, INT64S, UINT64S, digest

AnyTuple = TypeVar("AnyTuple", bound=NamedTuple)


class Input(NamedTuple):
    """A model's dictionary and input matrix as arrays, for kernels.

    The matrix is either `dense` (and `codes` empty) or product-quantised (and `dense` empty): row `r` is then, for
    each part `m` of `dsub` columns, centroid `codes[r, m]` of 256, times the norm of the row if norms are kept apart.
    """

    word_keys: npt.NDArray[np.uint64]
    """Hash table of the dictionary's words and labels by their 64-bit hash, open addressing; a power of two long."""
    word_ids: npt.NDArray[np.int32]
    """Row of each entry of `word_keys`; labels from `num_words` on; -1 = empty."""
    bucket_keys: npt.NDArray[np.int32]
    """Hash table of the buckets that pruning has left; empty if the dictionary is not pruned; -1 = empty place."""
    bucket_rows: npt.NDArray[np.int32]
    num_words: int
    num_buckets: int
    minn: int
    maxn: int
    word_ngrams: int
    dense: npt.NDArray[np.float32]
    codes: npt.NDArray[np.uint8]
    centroids: npt.NDArray[np.float32]
    dsub: int
    norm_codes: npt.NDArray[np.uint8]
    norm_centroids: npt.NDArray[np.float32]


MATRIX = types.Array(float32, 2, "C", readonly=True)
CODES = types.Array(uint8, 2, "C", readonly=True)
FLOATS = types.Array(float32, 1, "C", readonly=True)
INPUT = types.NamedTuple(
    (UINT64S, INT32S, INT32S, INT32S, int64, int64, int64, int64, int64, MATRIX, CODES, FLOATS, int64, BYTES, FLOATS),
    Input,
)


def read_only(arrays: AnyTuple) -> AnyTuple:
    """The tuple with its arrays read-only, as kernels want it: Numba converts arguments, but not what is in a tuple."""
    views = {name: value.view() for name, value in arrays._asdict().items() if isinstance(value, np.ndarray)}
    for view in views.values():
        view.setflags(write=False)
    return arrays._replace(**views)


FNV_OFFSET, FNV_PRIME = np.uint32(2166136261), np.uint32(16777619)
LABEL_TOKEN = -1
"""Count of rows of a token that is a label: it is no word, not even in word n-grams."""
_NGRAM_FACTOR = np.uint64(116049371)
_OPEN, _CLOSE = 0x3C, 0x3E
_PREFIX = np.frombuffer(b"__label__", np.uint8)
_EOS = np.frombuffer(b"</s>", np.uint8)


@njit(forceinline=True)
def add_byte(h, byte):
    """One step of fastText's hash: FNV-1a on 32 bits, with bytes as signed characters."""
    return uint32((h ^ uint32(types.int8(byte))) * FNV_PRIME)


@njit(forceinline=True)
def hash_token(data, low, high):
    """fastText's own hash of a token: that of word n-grams and buckets."""
    h = FNV_OFFSET
    for i in range(low, high):
        h = add_byte(h, data[i])
    return h


@njit(forceinline=True)
def starts_with(data, low, high, prefix):
    if high - low < prefix.shape[0]:
        return False
    for i in range(prefix.shape[0]):
        if data[low + i] != prefix[i]:
            return False
    return True


@njit
def is_eos(data, low, high):
    """True for the token `</s>`, with which fastText marks the end of a line."""
    return high - low == 4 and starts_with(data, low, high, _EOS)


@njit(forceinline=True)
def _find_word(inp, key):
    mask = uint64(inp.word_keys.shape[0] - 1)
    p = key & mask
    while inp.word_ids[p] >= 0:
        if inp.word_keys[p] == key:
            return int64(inp.word_ids[p])
        p = (p + uint64(1)) & mask
    return int64(-1)


@njit(forceinline=True)
def _bucket_row(inp, bucket):
    """Row of a bucket of n-grams, or -1 if pruning has dropped it."""
    if inp.bucket_keys.shape[0] == 0:
        return inp.num_words + bucket
    mask = uint32(inp.bucket_keys.shape[0] - 1)
    p = (uint32(bucket) * uint32(0x9E3779B1)) >> uint32(7) & mask
    while inp.bucket_keys[p] >= 0:
        if inp.bucket_keys[p] == bucket:
            return inp.num_words + int64(inp.bucket_rows[p])
        p = (p + uint32(1)) & mask
    return int64(-1)


@njit(forceinline=True)
def add_row(inp, row, total):
    """Add a row of the input matrix to `total`."""
    if inp.codes.shape[0] == 0:
        for k in range(total.shape[0]):
            total[k] += inp.dense[row, k]
        return
    norm = float32(1)
    if inp.norm_codes.shape[0]:
        norm = inp.norm_centroids[inp.norm_codes[row]]
    dim, dsub = total.shape[0], inp.dsub
    if dsub == 2 and dim % 2 == 0:
        for m in range(inp.codes.shape[1]):
            centroid = 512 * m + 2 * int64(inp.codes[row, m])
            total[2 * m] += norm * inp.centroids[centroid]
            total[2 * m + 1] += norm * inp.centroids[centroid + 1]
        return
    for m in range(inp.codes.shape[1]):
        first = m * dsub
        width = min(dsub, dim - first)
        centroid = first * 256 + int64(inp.codes[row, m]) * width
        for k in range(width):
            total[first + k] += norm * inp.centroids[centroid + k]


@njit(forceinline=True)
def _add_subwords(inp, data, size, total):
    """Add the rows of the n-grams of `data[:size]`, a token between its brackets; returns how many there are."""
    count = int64(0)
    num_buckets = uint32(inp.num_buckets)
    for i in range(size):
        if (data[i] & 0xC0) == 0x80:
            continue
        h = FNV_OFFSET
        j, n = i, int64(1)
        while j < size and n <= inp.maxn:
            h = add_byte(h, data[j])
            j += 1
            while j < size and (data[j] & 0xC0) == 0x80:
                h = add_byte(h, data[j])
                j += 1
            if n >= inp.minn and not (n == 1 and (i == 0 or j == size)):
                row = _bucket_row(inp, int64(h % num_buckets))
                if row >= 0:
                    add_row(inp, row, total)
                    count += 1
            n += 1
    return count


@njit(forceinline=True)
def sum_token(inp, token, size, total):
    """Sum of the rows of a token into `total`; returns how many rows, or LABEL_TOKEN.

    Args:
        token: scratch with the token in `token[1:size + 1]`; gets its brackets here.
    """
    total[:] = 0
    word = _find_word(inp, digest(token, 1, size + 1)[0])
    if word >= inp.num_words or (word < 0 and starts_with(token, 1, size + 1, _PREFIX)):
        return int64(LABEL_TOKEN)
    count = int64(0)
    if word >= 0:
        add_row(inp, word, total)
        count += 1
    if inp.maxn > 0 and not is_eos(token, 1, size + 1):
        token[0] = _OPEN
        token[size + 1] = _CLOSE
        count += _add_subwords(inp, token, size + 2, total)
    return count


@njit(forceinline=True)
def add_word_ngrams(inp, hashes, size, total):
    """Add the rows of the word n-grams of a text, given its tokens' hashes, to `total`; returns how many."""
    count = int64(0)
    if inp.num_buckets == 0:
        return count
    num_buckets = uint64(inp.num_buckets)
    for i in range(size):
        h = uint64(int64(hashes[i]))
        for j in range(i + 1, min(size, i + inp.word_ngrams)):
            h = h * _NGRAM_FACTOR + uint64(int64(hashes[j]))
            row = _bucket_row(inp, int64(h % num_buckets))
            if row >= 0:
                add_row(inp, row, total)
                count += 1
    return count


@njit(int64(BYTES, int64, int64[::1], int64[::1], int64[::1], uint8[::1]), nogil=True, cache=True)
def read_entries(data, at, start, stop, count, kind):
    """Find the entries of a model file's dictionary from byte `at` on; returns the byte behind them, or -1 if the file
    ends before."""
    for e in range(start.shape[0]):
        start[e] = at
        while at < data.shape[0] and data[at] != 0:
            at += 1
        stop[e] = at
        at += 1
        if at + 9 > data.shape[0]:
            return int64(-1)
        number = uint64(0)
        for k in range(8):
            number |= uint64(data[at + k]) << uint64(8 * k)
        count[e] = int64(number)
        kind[e] = data[at + 8]
        at += 9
    return at


@njit(void(BYTES, INT64S, INT64S, uint64[::1], int32[::1]), nogil=True, cache=True)
def index_words(data, start, stop, keys, ids):
    """Fill the hash table of a dictionary; of equal entries the last one counts."""
    mask = uint64(keys.shape[0] - 1)
    for e in range(start.shape[0]):
        key = digest(data, start[e], stop[e])[0]
        p = key & mask
        while ids[p] >= 0 and keys[p] != key:
            p = (p + uint64(1)) & mask
        keys[p] = key
        ids[p] = e


@njit(void(INT32S, INT32S, int32[::1], int32[::1]), nogil=True, cache=True)
def index_buckets(buckets, rows, keys, out):
    """Fill the hash table of the buckets that pruning has left."""
    mask = uint32(keys.shape[0] - 1)
    for e in range(buckets.shape[0]):
        p = (uint32(buckets[e]) * uint32(0x9E3779B1)) >> uint32(7) & mask
        while keys[p] >= 0 and keys[p] != buckets[e]:
            p = (p + uint32(1)) & mask
        keys[p] = buckets[e]
        out[p] = rows[e]
