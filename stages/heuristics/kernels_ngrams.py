"""The compiled count of repeated word n-grams behind `repetition` and `llama3`.

An n-gram can only be repeated where both of its (n-1)-grams are, so each size looks only at the positions that the one
before left over: after pairs and triples that is little, in ordinary text. N-grams are numbered by pairs of numbers of
(n-1)-grams, so two are equal exactly when their words are.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import int64, njit, uint64, void

from stages.heuristics.kernels_counts import find_slot, table_size
from stages.text.kernels import INT32S, INT64S, UINT64S, finish

TOP_SIZES = (2, 3, 4)
"""Sizes whose most frequent n-gram is measured."""
DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)
"""Sizes whose repeated n-grams are measured."""

_LAST_SIZE = DUPLICATE_SIZES[-1]
_FIRST_DUPLICATE_SIZE = DUPLICATE_SIZES[0]
_PAIR = np.uint64(0x9FB21C651E98DF25)


@njit
def _number(first, second, num_positions, keys, ids, counts, members, numbers):
    """Give equal pairs `(first[j], second[j])` one number, in order of appearance; returns how many there are.

    `counts` is filled with the copies of each, `members` with the first j of each.
    """
    size = table_size(num_positions)
    ids[:size] = -1
    mask = uint64(size - 1)
    used = 0
    for j in range(num_positions):
        key = finish(first[j] * _PAIR + second[j])
        slot = find_slot(keys, ids, mask, key)
        number = ids[slot]
        if number < 0:
            number = used
            ids[slot] = used
            keys[slot] = key
            counts[used] = 0
            members[used] = j
            used += 1
        numbers[j] = number
        counts[number] += 1
    return used


@njit
def _top(counts, members, used, positions, cumulated, n):
    """Code points that the most frequent n-gram covers, words joined by a space; the first seen wins a tie."""
    best, where = 1, int64(0)
    for j in range(used):
        if counts[j] > best:
            best, where = counts[j], positions[members[j]]
    return best * (cumulated[where + n] - cumulated[where] + n - 1)


@njit
def _covered(positions, numbers, counts, num_positions, used, seen, cumulated, n):
    """Code points in n-grams seen before, scanning left to right and jumping over each one found."""
    seen[:used] = 0
    covered = int64(0)
    at = int64(0)
    for j in range(num_positions):
        position = positions[j]
        if position < at or counts[numbers[j]] < 2:
            continue
        if seen[numbers[j]]:
            covered += cumulated[position + n] - cumulated[position]
            at = position + n
        else:
            seen[numbers[j]] = 1
    return covered


@njit
def _survivors(positions, numbers, counts, num_positions, first, second):
    """Keep the positions where this n-gram and the next one are repeated, as pairs of numbers; returns how many."""
    left = 0
    for j in range(num_positions - 1):
        if counts[numbers[j]] > 1 and counts[numbers[j + 1]] > 1 and positions[j + 1] == positions[j] + 1:
            first[left] = uint64(numbers[j])
            second[left] = uint64(numbers[j + 1])
            positions[left] = positions[j]
            left += 1
    return left


@njit
def _most_words(begin, end):
    """Words of the longest document, at least 1."""
    most = int64(1)
    for d in range(begin.shape[0]):
        most = max(most, end[d] - begin[d])
    return most


@njit
def _scratch(most):
    """Arrays for numbering the n-grams of a document of at most so many words."""
    room = table_size(most)
    return (
        np.empty(room, np.uint64), np.empty(room, np.int32),
        np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.int32),
        np.empty(most, np.int64), np.empty(most, np.uint64), np.empty(most, np.uint64),
    )  # fmt: skip


@njit
def _pairs(hashes, low, num_words, positions, first, second):
    """All pairs of words of a document; returns how many."""
    left = max(num_words - 1, 0)
    for k in range(left):
        positions[k] = k
        first[k] = hashes[low + k]
        second[k] = hashes[low + k + 1]
    return left


@njit(void(INT64S, INT64S, UINT64S, INT32S, int64[:, ::1]), nogil=True, cache=True)
def count_ngrams(begin, end, hashes, num_chars, out):
    """Code points of every document in its most frequent n-gram (n = 2, 3, 4) and in duplicated n-grams (n = 5 … 10).

    Columns of `out`: 2, 3, … 10; 0 where a document has fewer than n words.
    """
    most = _most_words(begin, end)
    keys, ids, counts, members, numbers, positions, first, second = _scratch(most)
    cumulated, seen = np.empty(most + 1, np.int64), np.empty(most, np.uint8)
    for d in range(begin.shape[0]):
        low, num_words = begin[d], end[d] - begin[d]
        cumulated[0] = 0
        for k in range(num_words):
            cumulated[k + 1] = cumulated[k] + num_chars[low + k]
        left = _pairs(hashes, low, num_words, positions, first, second)
        for n in range(2, _LAST_SIZE + 1):
            if num_words < n:
                out[d, n - 2] = 0
                continue
            used = _number(first, second, left, keys, ids, counts, members, numbers)
            if n < _FIRST_DUPLICATE_SIZE:
                out[d, n - 2] = _top(counts, members, used, positions, cumulated, n)
            else:
                out[d, n - 2] = _covered(positions, numbers, counts, left, used, seen, cumulated, n)
            left = _survivors(positions, numbers, counts, left, first, second)


@njit(void(INT64S, INT64S, UINT64S, INT32S, int64, int64[:, ::1]), nogil=True, cache=True)
def cover_repeated(begin, end, hashes, num_chars, size, out):
    """Code points of every document in words that some repeated n-gram of `size >= 2` words covers, and in all words.

    Every copy counts, the first one too; where copies overlap, each word counts once. A column of `out` each.
    """
    most = _most_words(begin, end)
    keys, ids, counts, members, numbers, positions, first, second = _scratch(most)
    for d in range(begin.shape[0]):
        low, num_words = begin[d], end[d] - begin[d]
        left = _pairs(hashes, low, num_words, positions, first, second)
        _number(first, second, left, keys, ids, counts, members, numbers)
        for _ in range(size - 2):
            left = _survivors(positions, numbers, counts, left, first, second)
            _number(first, second, left, keys, ids, counts, members, numbers)
        covered = total = int64(0)
        for k in range(low, end[d]):
            total += num_chars[k]
        at = int64(0)
        for j in range(left):
            if counts[numbers[j]] > 1:
                for k in range(max(at, positions[j]), positions[j] + size):
                    covered += num_chars[low + k]
                at = max(at, positions[j] + size)
        out[d, 0], out[d, 1] = covered, total
