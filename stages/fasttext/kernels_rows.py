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

from stages.text.kernels import BYTES, EACH_BYTE, INT32S, INT64S, UINT64S, digest

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
    bucket_bits: npt.NDArray[np.uint64]
    """A bit for each bucket that pruning has left; empty if the dictionary is not pruned."""
    bucket_ranks: npt.NDArray[np.int32]
    """Bits set before each element of `bucket_bits`."""
    bucket_rows: npt.NDArray[np.int32]
    """Row behind the words' rows of each bucket left, in the order of buckets."""
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
    (
        UINT64S,
        INT32S,
        UINT64S,
        INT32S,
        INT32S,
        int64,
        int64,
        int64,
        int64,
        int64,
        MATRIX,
        CODES,
        FLOATS,
        int64,
        BYTES,
        FLOATS,
    ),
    Input,
)


def read_only(arrays: AnyTuple) -> AnyTuple:
    """The tuple with its arrays read-only, as kernels want it: Numba converts arguments, but not what is in a tuple."""
    views = {name: value.view() for name, value in arrays._asdict().items() if isinstance(value, np.ndarray)}
    for view in views.values():
        view.setflags(write=False)
    return arrays._replace(**views)


MAX_GATHERED = 64
"""Buckets that are looked up at a time; a scratch array for them has room for `maxn + word_ngrams` more."""
FNV_OFFSET, FNV_PRIME = np.uint32(2166136261), np.uint32(16777619)
_ONE, _SIX, _LOW_SIX = np.uint64(1), np.uint64(6), np.uint64(63)
_NGRAM_FACTOR = np.uint64(116049371)
_ODD_BITS, _PAIRS, _NIBBLES = EACH_BYTE * np.uint64(0x55), EACH_BYTE * np.uint64(0x33), EACH_BYTE * np.uint64(0x0F)
LABEL_PREFIX = np.frombuffer(b"__label__", np.uint8)


@njit(inline="always")
def add_byte(h, byte):
    """One step of fastText's hash: FNV-1a on 32 bits, with bytes as signed characters."""
    return uint32((h ^ uint32(types.int8(byte))) * FNV_PRIME)


@njit(inline="always")
def hash_token(data, low, high):
    """fastText's own hash of a token: that of word n-grams and buckets."""
    h = FNV_OFFSET
    for i in range(low, high):
        h = add_byte(h, data[i])
    return h


@njit(inline="always")
def starts_with(data, low, high, prefix):
    if high - low < prefix.shape[0]:
        return False
    for i in range(prefix.shape[0]):
        if data[low + i] != prefix[i]:
            return False
    return True


@njit(inline="always")
def find_word(word_keys, word_ids, key):
    """Entry of the dictionary by its hash, or -1."""
    mask = uint64(word_keys.shape[0] - 1)
    p = key & mask
    while word_ids[p] >= 0 and word_keys[p] != key:
        p = (p + _ONE) & mask
    return int64(word_ids[p])


@njit
def gather_subwords(token, size, i, minn, maxn, num_buckets, bucket_bits, out, count):
    """Buckets of the n-grams of `token[:size]`, with its brackets, that start at byte `i` or later.

    Stops at MAX_GATHERED in `out`, or at the end of the token; returns the byte to go on from and the new count. There
    is no branch on whether pruning has left a bucket: that would be a coin toss.
    """
    is_pruned = bucket_bits.shape[0] > 0
    while i < size and count < MAX_GATHERED:
        h = FNV_OFFSET
        j, n = i, int64(1)
        while j < size and n <= maxn:
            h = add_byte(h, token[j])
            j += 1
            while j < size and (token[j] & 0xC0) == 0x80:
                h = add_byte(h, token[j])
                j += 1
            if n >= minn and not (n == 1 and (i == 0 or j == size)):
                bucket = h % num_buckets
                out[count] = bucket
                count += int64((bucket_bits[bucket >> 6] >> uint64(bucket & 63)) & _ONE) if is_pruned else 1
            n += 1
        i += 1
        while i < size and (token[i] & 0xC0) == 0x80:
            i += 1
    return i, count


@njit
def gather_ngrams(hashes, size, i, word_ngrams, num_buckets, bucket_bits, out):
    """Buckets of the n-grams of words that start at token `i` or later, given the tokens' hashes; see
    `gather_subwords`."""
    is_pruned = bucket_bits.shape[0] > 0
    count = int64(0)
    while i < size and count < MAX_GATHERED:
        h = uint64(int64(hashes[i]))
        for j in range(i + 1, min(size, i + word_ngrams)):
            h = h * _NGRAM_FACTOR + uint64(int64(hashes[j]))
            bucket = h % num_buckets
            out[count] = bucket
            count += int64((bucket_bits[bucket >> _SIX] >> (bucket & _LOW_SIX)) & _ONE) if is_pruned else 1
        i += 1
    return i, count


@njit
def find_rows(bucket_bits, bucket_ranks, bucket_rows, num_words, out, first, last):
    """Put rows of the input matrix in the place of buckets."""
    if bucket_bits.shape[0] == 0:
        for g in range(first, last):
            out[g] += num_words
        return
    for g in range(first, last):
        place, bit = out[g] >> 6, uint64(out[g] & 63)
        x = bucket_bits[place] & ((_ONE << bit) - _ONE)  # the bits below; their number is the bucket's rank
        x -= (x >> _ONE) & _ODD_BITS
        x = (x & _PAIRS) + ((x >> uint64(2)) & _PAIRS)
        x = (x + (x >> uint64(4))) & _NIBBLES
        out[g] = num_words + bucket_rows[bucket_ranks[place] + int64((x * EACH_BYTE) >> uint64(56))]


@njit
def add_rows(dense, codes, centroids, dsub, norm_codes, norm_centroids, rows, count, total):
    """Add rows of the input matrix to `total`."""
    dim = total.shape[0]
    if codes.shape[0] == 0:
        for g in range(count):
            row = int64(rows[g])
            for k in range(dim):
                total[k] += dense[row, k]
        return
    for g in range(count):
        row = int64(rows[g])
        norm = norm_centroids[norm_codes[row]] if norm_codes.shape[0] else float32(1)
        if dsub == 2 and dim % 2 == 0:  # the usual case
            for m in range(dim // 2):
                centroid = 512 * m + 2 * int64(codes[row, m])
                total[2 * m] += norm * centroids[centroid]
                total[2 * m + 1] += norm * centroids[centroid + 1]
            continue
        for m in range(codes.shape[1]):
            first = m * dsub
            width = min(dsub, dim - first)
            centroid = first * 256 + int64(codes[row, m]) * width
            for k in range(width):
                total[first + k] += norm * centroids[centroid + k]


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
