"""Compiled parts of decontamination: n-grams of benchmark items, and where documents have them."""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import int64, njit, uint64, void

from stages.dedup.kernels_passages import FACTOR, fill_prefixes, longest, power
from stages.text.kernels import INT64S, ONE, UINT64S, finish

_6, _12, _63 = np.uint64(6), np.uint64(12), np.uint64(63)


@njit(int64(UINT64S, INT64S, int64, int64, uint64[::1], int64[::1], int64[::1]), nogil=True, cache=True)
def hash_items(words, bounds, n, min_words, hashes, items, places):
    """Fill the n-grams of every item; returns how many. An item of fewer words, but `min_words`, is one n-gram.

    Args:
        hashes, items, places: out; hash, item and first word of each n-gram; must hold one for every word.
    """
    prefixes = np.empty(longest(bounds) + 1, np.uint64)
    m = int64(0)
    for d in range(bounds.shape[0] - 1):
        count = bounds[d + 1] - bounds[d]
        size = min(n, count)
        if size < min_words or size == 0:
            continue
        fill_prefixes(words, bounds[d], bounds[d + 1], FACTOR, prefixes)
        out_factor = power(FACTOR, size)
        for i in range(count - size + 1):
            hashes[m] = finish(prefixes[i + size] - prefixes[i] * out_factor)
            items[m], places[m] = d, i
            m += 1
    return m


@njit
def _mask(h):
    """The three bits of a filter's word that stand for a hash."""
    return ONE << (h & _63) | ONE << (h >> _6 & _63) | ONE << (h >> _12 & _63)


@njit(void(UINT64S, uint64, uint64[::1]), nogil=True, cache=True)
def fill_filter(hashes, shift, out):
    """Set the bits of every hash: three in the word `h >> shift` (a Bloom filter of blocks of 64 bits)."""
    for h in hashes:
        out[h >> shift] |= _mask(h)


@njit
def _candidates(prefixes, count, size, out_factor, filter_, shift, hashes, out):
    """Hashes of all n-grams of `size` words, and those that may be listed; returns how many.

    No branch depends on the text, so that the processor waits for many words of the filter at a time.
    """
    for i in range(count - size + 1):
        hashes[i] = finish(prefixes[i + size] - prefixes[i] * out_factor)
    m = 0
    for i in range(count - size + 1):
        mask = _mask(hashes[i])
        out[m] = i
        m += (filter_[hashes[i] >> shift] & mask) == mask
    return m


@njit
def _place(h, listed, index, shift):
    """Where a hash is in the list, or -1."""
    for at in range(index[h >> shift], index[(h >> shift) + ONE]):
        if listed[at] == h:
            return at
    return -1


@njit
def _grown(found, m):
    """`found`, with room for another row."""
    if m < found.shape[0]:
        return found
    more = np.empty((2 * m, 4), np.int64)
    more[:m] = found
    return more


@njit(
    int64[:, ::1](
        UINT64S, INT64S, int64, UINT64S, uint64, INT64S, UINT64S, uint64, UINT64S, INT64S, uint64,
    ),
    nogil=True,
    cache=True,
)  # fmt: skip
def find_ngrams(words, bounds, n, filter_, filter_shift, sizes, starts, starts_shift, listed, index, shift):
    """The n-grams of documents that are listed: rows of document, first word, words, place in the list, by document.

    Args:
        n, filter_, filter_shift: words of an n-gram, and the filter of those listed. It fits a cache that the list does
            not, and answers for nearly all n-grams of a clean document.
        sizes, starts, starts_shift: words of the shorter ones, ascending, and the filter of the first `sizes[0]` words
            of each; if there are any.
        listed, index, shift: those of `stages.dedup.lines.Listed`.
    """
    found = np.empty((1024, 4), np.int64)
    m = 0
    most = longest(bounds) + 1
    prefixes, hashes, candidates = np.empty(most, np.uint64), np.empty(most, np.uint64), np.empty(most, np.int64)
    out_factor = power(FACTOR, n)
    out_factors = np.array([power(FACTOR, size) for size in sizes], np.uint64)
    for d in range(bounds.shape[0] - 1):
        count = bounds[d + 1] - bounds[d]
        fill_prefixes(words, bounds[d], bounds[d + 1], FACTOR, prefixes)
        for c in range(_candidates(prefixes, count, n, out_factor, filter_, filter_shift, hashes, candidates)):
            at = _place(hashes[candidates[c]], listed, index, shift)
            if at >= 0:
                found = _grown(found, m)
                found[m, 0], found[m, 1], found[m, 2], found[m, 3] = d, candidates[c], n, at
                m += 1
        if sizes.shape[0] == 0:
            continue
        for c in range(
            _candidates(prefixes, count, sizes[0], out_factors[0], starts, starts_shift, hashes, candidates)
        ):
            i = candidates[c]
            for s in range(sizes.shape[0]):
                if i + sizes[s] > count:
                    break
                h = finish(prefixes[i + sizes[s]] - prefixes[i] * out_factors[s])
                at = _place(h, listed, index, shift)
                if at >= 0:
                    found = _grown(found, m)
                    found[m, 0], found[m, 1], found[m, 2], found[m, 3] = d, i, sizes[s], at
                    m += 1
    return found[:m]
