"""The compiled pass from word hashes to sketches: n-grams, then Fast Similarity Sketching.

Fast Similarity Sketching (Dahlgaard, Knudsen, Thorup 2017, arXiv 1704.04370) throws every n-gram into one of the slots,
where the smallest value stays. Slots that no n-gram has hit are filled in further rounds, whose values are larger than
those of all rounds before. So for every slot each n-gram has a value of its own, independent of the rest of the set,
and the smallest one wins, exactly as with one hash function a slot: two sets agree in a slot with a probability equal
to their Jaccard similarity. The cost is one throw per n-gram and round instead of one hash per n-gram and slot.

After `NUM_ROUNDS` rounds the few slots still empty are filled with one hash function each (only sets smaller than about
four times the slots have any). A value is two bits of round and 30 bits of hash.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import int64, njit, types, uint32, uint64, void

from stages.text.kernels import INT64S, UINT64S, add_block, finish

SIGNATURES = types.Array(uint32, 2, "C", readonly=True)

EMPTY = np.uint32(0xFFFFFFFF)
"""Every slot of a document without words."""
NUM_ROUNDS = 3
"""Rounds of throws; two bits hold their number and that of the fallback."""

_FACTOR = np.uint64(0xD6E8FEB86659FD93)
_ROUND_STEP = np.uint64(0x9E3779B97F4A7C15)
_RANK = np.uint64(0x3FFFFFFF)
_2, _30, _32, _34 = (np.uint64(bits) for bits in (2, 30, 32, 34))


@njit
def _hash_ngrams(words, low, high, n, out_factor, out):
    """Hashes of the n-grams of `words[low:high]`; one of everything if there are fewer words. Returns their number.

    A polynomial over the word hashes modulo 2^64, which rolls, finished so that all its bits are good.

    Args:
        out_factor: `_FACTOR ** n`, what the word that leaves the window has been multiplied with.
    """
    chain = uint64(0)
    if high - low < n:
        for k in range(low, high):
            chain = chain * _FACTOR + words[k]
        out[0] = finish(chain ^ uint64(high - low))
        return 1 if high > low else 0
    for k in range(low, low + n):
        chain = chain * _FACTOR + words[k]
    out[0] = finish(chain)
    for k in range(low + n, high):
        chain = chain * _FACTOR + words[k] - words[k - n] * out_factor
        out[k - low - n + 1] = finish(chain)
    return high - low - n + 1


@njit
def _throw(ngrams, m, number, slots):
    """One round: every n-gram into a slot, unless an earlier round's value is there. Returns how many stay empty."""
    size = uint64(slots.shape[0])
    base = uint32(number) << uint32(30)
    shift = uint64(number) * _ROUND_STEP
    for i in range(m):
        value = ngrams[i] if number == 0 else finish(ngrams[i] + shift)
        k = int64(((value >> _32) * size) >> _32)
        rank = base | uint32(value & _RANK)
        if rank < slots[k]:  # values of earlier rounds are smaller than any of this one
            slots[k] = rank
    empty = 0
    for k in range(slots.shape[0]):
        empty += slots[k] == EMPTY
    return empty


@njit
def _fill(ngrams, m, slots):
    """The smallest value of one multiply-shift hash function for every slot still empty."""
    for k in range(slots.shape[0]):
        if slots[k] == EMPTY:
            factor, addend = finish(uint64(2 * k + 1)) | uint64(1), finish(uint64(2 * k + 2))
            smallest = _RANK
            for i in range(m):
                smallest = min(smallest, (ngrams[i] * factor + addend) >> _34)
            slots[k] = uint32(0xC0000000) | uint32(min(smallest, _RANK - uint64(1)))


@njit(void(UINT64S, INT64S, int64, uint32[:, ::1]), nogil=True, cache=True)
def sketch(words, bounds, n, out):
    """Fill the signature of every document.

    Args:
        words, bounds: hashes of words; those of document `d` are `words[bounds[d]:bounds[d + 1]]`.
        n: words in an n-gram.
        out: signatures; as many slots as `out` has columns. All EMPTY for a document without words.
    """
    out_factor = uint64(1)
    for _ in range(n):
        out_factor *= _FACTOR
    longest = 1
    for d in range(bounds.shape[0] - 1):
        longest = max(longest, bounds[d + 1] - bounds[d])
    ngrams = np.empty(longest, np.uint64)
    for d in range(bounds.shape[0] - 1):
        slots = out[d]
        slots[:] = EMPTY
        m = _hash_ngrams(words, bounds[d], bounds[d + 1], n, out_factor, ngrams)
        if m == 0:
            continue
        number = 0
        while number < NUM_ROUNDS and _throw(ngrams, m, number, slots) > 0:
            number += 1
        if number == NUM_ROUNDS:
            _fill(ngrams, m, slots)


@njit(void(SIGNATURES, int64, uint64[:, ::1]), nogil=True, cache=True)
def hash_bands(signatures, num_rows, out):
    """Fill a key for every band of every document: a hash chain over its rows that starts with its number.

    Documents whose slots are all EMPTY have the key 0, and no others.
    """
    for d in range(signatures.shape[0]):
        empty = True
        for k in range(signatures.shape[1]):
            empty &= signatures[d, k] == EMPTY
        for band in range(out.shape[1]):
            h = finish(uint64(band + 1))
            for k in range(band * num_rows, (band + 1) * num_rows):
                h = add_block(h, uint64(signatures[d, k]))
            out[d, band] = uint64(0) if empty else max(finish(h), uint64(1))
