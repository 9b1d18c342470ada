"""Compiled counting of words, symbols, stop words and repeated spans, document by document.

Free functions on the arrays of a batch (see `stages.text.views`); `out` arrays have a row per document. Scratch memory
lives as long as a call, so calls may run in parallel. Twins: `tests/naive.py`.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import int64, njit, uint8, uint64, void

from stages.text.kernels import BYTES, DOT, FLAGS, INT32S, INT64S, ONE, UINT64S
from stages.text.kernels_words import HAS_LETTER, PUNCTUATION

_HASH, _ELLIPSIS_LEAD = 0x23, 0xE2


@njit(void(BYTES, INT64S, int64[::1], int64[::1]), nogil=True, cache=True)
def count_symbols(data, offsets, hashes, ellipses):
    """`#`, and `...` (not overlapping) or `…`, in every document."""
    candidates = np.zeros(256, np.uint8)
    candidates[_HASH] = candidates[DOT] = candidates[_ELLIPSIS_LEAD] = 1
    for d in range(offsets.shape[0] - 1):
        marks = dots = 0
        i, high = offsets[d], offsets[d + 1]
        while i < high:
            byte = data[i]
            i += 1
            if not candidates[byte]:
                continue
            if byte == _HASH:
                marks += 1
            elif byte == DOT:
                if i + 1 < high and data[i] == DOT and data[i + 1] == DOT:
                    dots += 1
                    i += 2
            elif data[i] == 0x80 and data[i + 1] == 0xA6:
                dots += 1
                i += 2
        hashes[d] = marks
        ellipses[d] = dots


@njit(void(INT64S, INT64S, INT32S, FLAGS, int64[:, ::1]), nogil=True, cache=True)
def count_words(begin, end, num_chars, flags, out):
    """Columns of `out`: words, their code points (both without punctuation), words with a letter."""
    for d in range(begin.shape[0]):
        words = chars = letters = int64(0)
        for k in range(begin[d], end[d]):
            is_word = int64((flags[k] & PUNCTUATION) == 0)
            words += is_word
            chars += is_word * num_chars[k]
            letters += (flags[k] & HAS_LETTER) != 0
        out[d, 0], out[d, 1], out[d, 2] = words, chars, letters


@njit
def table_size(num_items):
    """Slots of an open-addressing table: a power of two, at most half full."""
    size = 16
    while size < 2 * num_items:
        size *= 2
    return size


@njit
def find_slot(keys, ids, mask, key):
    """Slot of a key, or the free one where it belongs (`ids` -1)."""
    slot = key & mask
    while ids[slot] >= 0 and keys[slot] != key:
        slot = (slot + ONE) & mask
    return slot


@njit(void(INT64S, INT64S, UINT64S, INT64S, UINT64S, INT64S, int64[::1]), nogil=True, cache=True)
def count_listed(begin, end, hashes, list_of, listed, list_ends, out):
    """Distinct words of a list in each document; -1 where `list_of` names no list.

    Args:
        list_of: the list that goes with each document, or -1.
        listed: word hashes of all lists, one list after the other, none twice in a list.
        list_ends: where each list ends in `listed`.
    """
    sizes = [0]
    room = 0
    first = int64(0)
    for which in range(list_ends.shape[0]):
        sizes.append(4 * table_size(list_ends[which] - first))
        room = max(room, sizes[-1])
        first = list_ends[which]
    keys = np.empty((max(list_ends.shape[0], 1), room), np.uint64)
    ids = np.full((max(list_ends.shape[0], 1), room), np.int32(-1))
    first = int64(0)
    for which in range(list_ends.shape[0]):
        for j in range(first, list_ends[which]):
            slot = find_slot(keys[which], ids[which], uint64(sizes[which + 1] - 1), listed[j])
            keys[which, slot] = listed[j]
            ids[which, slot] = j
        first = list_ends[which]
    last_seen = np.full(max(listed.shape[0], 1), -1)
    for d in range(begin.shape[0]):
        which = list_of[d]
        if which < 0:
            out[d] = -1
            continue
        own_keys, own_ids, mask = keys[which], ids[which], uint64(sizes[which + 1] - 1)
        count = 0
        for k in range(begin[d], end[d]):
            found = own_ids[find_slot(own_keys, own_ids, mask, hashes[k])]
            if found >= 0 and last_seen[found] != d:
                last_seen[found] = d
                count += 1
        out[d] = count


@njit(void(INT64S, INT64S, UINT64S, INT32S, FLAGS, uint8, int64[:, ::1]), nogil=True, cache=True)
def count_duplicates(begin, end, hashes, num_chars, flags, skip, out):
    """Columns of `out`: spans, those equal to an earlier one of the document, and the latter's code points.

    Spans with a flag of `skip` are left out.
    """
    room = 16
    for d in range(begin.shape[0]):
        room = max(room, table_size(end[d] - begin[d]))
    keys, ids = np.empty(room, np.uint64), np.empty(room, np.int8)
    for d in range(begin.shape[0]):
        size = table_size(end[d] - begin[d])
        ids[:size] = -1
        mask = uint64(size - 1)
        spans = repeated = chars = int64(0)
        for k in range(begin[d], end[d]):
            if flags[k] & skip:
                continue
            spans += 1
            slot = find_slot(keys, ids, mask, hashes[k])
            if ids[slot] >= 0:
                repeated += 1
                chars += num_chars[k]
            else:
                ids[slot] = 0
                keys[slot] = hashes[k]
        out[d, 0], out[d, 1], out[d, 2] = spans, repeated, chars
