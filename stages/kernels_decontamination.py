"""Compiled parts of decontamination: n-grams of benchmark items, and where documents have them."""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import int64, njit, types, uint64

from stages.dedup.kernels_passages import FACTOR, fill_prefixes, longest, power
from stages.text.kernels import INT64S, ONE, UINT64S, finish

INT64S_2D = types.Array(int64, 2, "C", readonly=True)
_6, _63 = np.uint64(6), np.uint64(63)


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


@njit(
    int64[:, ::1](UINT64S, INT64S, INT64S, UINT64S, uint64, UINT64S, INT64S, uint64),
    nogil=True,
    cache=True,
)
def find_ngrams(words, bounds, sizes, bitmap, bitmap_shift, listed, index, shift):
    """The n-grams of documents that are listed: rows of document, first word, words, place in the list, in this order.

    Args:
        sizes: words of the n-grams to look for.
        bitmap, bitmap_shift: a bit for every `h >> bitmap_shift`, set if there may be a listed hash `h`. It fits a
            cache that the list does not, and answers for nearly all n-grams of a clean document.
        listed, index, shift: those of `stages.dedup.lines.Listed`.
    """
    found = np.empty((1024, 4), np.int64)
    m = int64(0)
    prefixes = np.empty(longest(bounds) + 1, np.uint64)
    out_factors = np.array([power(FACTOR, size) for size in sizes], np.uint64)
    for d in range(bounds.shape[0] - 1):
        count = bounds[d + 1] - bounds[d]
        fill_prefixes(words, bounds[d], bounds[d + 1], FACTOR, prefixes)
        for i in range(count):
            for s in range(sizes.shape[0]):
                size = sizes[s]
                if i + size > count:
                    continue
                h = finish(prefixes[i + size] - prefixes[i] * out_factors[s])
                bit = h >> bitmap_shift
                if not (bitmap[bit >> _6] >> (bit & _63)) & ONE:
                    continue
                for at in range(index[h >> shift], index[(h >> shift) + ONE]):
                    if listed[at] == h:
                        if m == found.shape[0]:
                            more = np.empty((2 * m, 4), np.int64)
                            more[:m] = found
                            found = more
                        found[m, 0], found[m, 1], found[m, 2], found[m, 3] = d, i, size, at
                        m += 1
    return found[:m]
