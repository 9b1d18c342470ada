"""Compiled counting behind the heuristics: symbols, repetition, the lines of C4.

Free functions on the arrays of a batch (see `stages.text.views`), one document after the other; `out` arrays have a row per
document. Scratch tables live as long as a call, so calls may run in parallel. Twins: `tests/naive.py`.
"""

from __future__ import annotations

import numpy as np
from numba import int64, njit, types, uint8, uint64, void

from stages.text.kernels import (
    BYTES,
    CLASSES,
    HAS_LETTER,
    INT64S,
    PUNCTUATION,
    decode,
    finish,
    sentence_end,
    skip_space,
    trim_space,
)
from stages.text.unicode_tables import SPACE

INT32S = types.Array(types.int32, 1, "C", readonly=True)
UINT64S = types.Array(uint64, 1, "C", readonly=True)
FLAGS = types.Array(uint8, 1, "C", readonly=True)

MAX_STOP_WORDS = 64
TOP_SIZES = (2, 3, 4)
DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)
_LAST_SIZE = DUPLICATE_SIZES[-1]
_NUM_TOP = len(TOP_SIZES)
_PAIR = np.uint64(0x9FB21C651E98DF25)
_SHIFT = np.uint64(32)
_ONE = np.uint64(1)
_HASH, _DOT, _NEWLINE = 0x23, 0x2E, 0x0A


@njit(void(BYTES, INT64S, int64[::1], int64[::1]), nogil=True, cache=True)
def count_symbols(data, offsets, hashes, ellipses):
    """`#`, and `...` (not overlapping) or `…`, in every document."""
    for d in range(offsets.shape[0] - 1):
        marks = dots = 0
        i, high = offsets[d], offsets[d + 1]
        while i < high:
            byte = data[i]
            i += 1
            if byte == _HASH:
                marks += 1
            elif byte == _DOT and i + 1 < high and data[i] == _DOT and data[i + 1] == _DOT:
                dots += 1
                i += 2
            elif byte == 0xE2 and data[i] == 0x80 and data[i + 1] == 0xA6:
                dots += 1
                i += 2
        hashes[d] = marks
        ellipses[d] = dots


@njit(void(INT64S, INT64S, INT32S, FLAGS, int64[:, ::1]), nogil=True, cache=True)
def count_words(begin, end, num_chars, flags, out):
    """Columns of `out`: words, their code points (both without punctuation), words with a letter."""
    for d in range(begin.shape[0]):
        words = chars = letters = 0
        for k in range(begin[d], end[d]):
            if not flags[k] & PUNCTUATION:
                words += 1
                chars += num_chars[k]
            letters += (flags[k] & HAS_LETTER) != 0
        out[d, 0], out[d, 1], out[d, 2] = words, chars, letters


@njit(void(INT64S, INT64S, UINT64S, INT64S, uint64[:, ::1], INT64S, int64[::1]), nogil=True, cache=True)
def count_stop_words(begin, end, hashes, list_of, lists, sizes, out):
    """Distinct stop words in each document; -1 where `list_of` names no list.

    Args:
        list_of: row of `lists` that goes with each document, or -1.
        lists: hashes of the stop words, one list a row.
        sizes: length of each list, at most `MAX_STOP_WORDS`.
    """
    sieve = np.zeros((lists.shape[0], 1024), np.uint8)
    for which in range(lists.shape[0]):
        for j in range(sizes[which]):
            sieve[which, lists[which, j] & uint64(1023)] = 1
    for d in range(begin.shape[0]):
        which = list_of[d]
        if which < 0:
            out[d] = -1
            continue
        found = uint64(0)
        for k in range(begin[d], end[d]):
            if sieve[which, hashes[k] & uint64(1023)]:
                for j in range(sizes[which]):
                    if lists[which, j] == hashes[k]:
                        found |= _ONE << uint64(j)
        count = 0
        while found:
            found &= found - _ONE
            count += 1
        out[d] = count


@njit(inline="always")
def table_size(num_items):  # type: ignore[no-untyped-def]
    """Slots of an open-addressing table: a power of two, at most half full."""
    size = 16
    while size < 2 * num_items:
        size *= 2
    return size


@njit(inline="always")
def find_slot(keys, ids, mask, key):  # type: ignore[no-untyped-def]
    """Slot of a key, or the free one where it belongs (`ids` -1)."""
    slot = key & mask
    while ids[slot] >= 0 and keys[slot] != key:
        slot = (slot + _ONE) & mask
    return slot


@njit(void(INT64S, INT64S, UINT64S, INT32S, FLAGS, uint8, int64[:, ::1]), nogil=True, cache=True)
def count_duplicates(begin, end, hashes, num_chars, flags, skip, out):
    """Columns of `out`: spans, those equal to an earlier one of the document, and the latter's code points.

    Spans with a flag of `skip` are left out.
    """
    room = 16
    for d in range(begin.shape[0]):
        room = max(room, table_size(end[d] - begin[d]))
    keys, ids = np.empty(room, np.uint64), np.empty(room, np.int32)
    for d in range(begin.shape[0]):
        size = table_size(end[d] - begin[d])
        ids[:size] = -1
        mask = uint64(size - 1)
        spans = repeated = chars = 0
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


@njit(inline="always")
def number_ngrams(first, second, positions, num_positions, keys, ids, counts, firsts, numbers):  # type: ignore[no-untyped-def]
    """Give equal pairs `(first[j], second[j])` one number, count them; returns how many numbers there are."""
    size = table_size(num_positions)
    ids[:size] = -1
    mask = uint64(size - 1)
    used = 0
    for j in range(num_positions):
        key = finish(first[j] * _PAIR + second[j])
        slot = find_slot(keys, ids, mask, key)
        if ids[slot] < 0:
            ids[slot] = used
            keys[slot] = key
            counts[used] = 0
            firsts[used] = positions[j]
            used += 1
        numbers[j] = ids[slot]
        counts[ids[slot]] += 1
    return used


@njit(inline="always")
def top_ngram(counts, firsts, used, cumulated, n):  # type: ignore[no-untyped-def]
    """Code points that the most frequent n-gram covers, words joined by a space; the first seen wins a tie."""
    best, where = 1, int64(0)
    for j in range(used):
        if counts[j] > best:
            best, where = counts[j], firsts[j]
    return best * (cumulated[where + n] - cumulated[where] + n - 1)


@njit(inline="always")
def jump_scan(positions, numbers, counts, num_positions, used, seen, cumulated, n):  # type: ignore[no-untyped-def]
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


@njit(void(INT64S, INT64S, UINT64S, INT32S, int64[:, ::1]), nogil=True, cache=True)
def count_ngrams(begin, end, hashes, num_chars, out):
    """Code points of every document in its most frequent n-gram (n = 2, 3, 4) and in duplicated n-grams (n = 5 … 10).

    An n-gram can only be repeated where both of its (n-1)-grams are, so each size looks at what the one before left over:
    after the first pass that is little, in ordinary text. N-grams are numbered, which makes comparison exact.
    """
    most = int64(0)
    for d in range(begin.shape[0]):
        most = max(most, end[d] - begin[d])
    room = table_size(most)
    keys, ids = np.empty(room, np.uint64), np.empty(room, np.int32)
    counts, firsts = np.empty(most + 1, np.int64), np.empty(most + 1, np.int64)
    numbers, positions = np.empty(most + 1, np.int64), np.empty(most + 1, np.int64)
    first, second = np.empty(most + 1, np.uint64), np.empty(most + 1, np.uint64)
    seen, cumulated = np.empty(most + 1, np.uint8), np.empty(most + 2, np.int64)
    for d in range(begin.shape[0]):
        low, num_words = begin[d], end[d] - begin[d]
        out[d, :] = 0
        cumulated[0] = 0
        for k in range(num_words):
            cumulated[k + 1] = cumulated[k] + num_chars[low + k]
        num_positions = max(num_words - 1, 0)
        for k in range(num_positions):
            positions[k] = k
            first[k] = hashes[low + k]
            second[k] = hashes[low + k + 1]
        for n in range(2, _LAST_SIZE + 1):
            if num_words < n:
                break
            used = number_ngrams(first, second, positions, num_positions, keys, ids, counts, firsts, numbers)
            if n < 2 + _NUM_TOP:
                out[d, n - 2] = top_ngram(counts, firsts, used, cumulated, n)
            else:
                out[d, n - 2] = jump_scan(positions, numbers, counts, num_positions, used, seen, cumulated, n)
            left = 0
            for j in range(num_positions - 1):
                if (
                    positions[j + 1] == positions[j] + 1
                    and counts[numbers[j]] > 1
                    and counts[numbers[j + 1]] > 1
                ):
                    first[left] = uint64(numbers[j])
                    second[left] = uint64(numbers[j + 1])
                    positions[left] = positions[j]
                    left += 1
            num_positions = left


@njit(inline="always")
def lowered(byte):  # type: ignore[no-untyped-def]
    return byte + 32 if 65 <= byte <= 90 else byte


@njit(inline="always")
def find_phrases(data, low, high, phrases, sizes, starters):  # type: ignore[no-untyped-def]
    """Bit mask of the phrases that occur in `data[low:high]`, ASCII case folded."""
    found = int64(0)
    for i in range(low, high):
        candidates = starters[data[i]]
        if candidates == 0:
            continue
        for p in range(phrases.shape[0]):
            if candidates >> p & 1 and i + sizes[p] <= high:
                k = 1
                while k < sizes[p] and lowered(data[i + k]) == phrases[p, k]:
                    k += 1
                if k == sizes[p]:
                    found |= int64(1) << p
    return found


@njit(inline="always")
def equals_at(data, i, high, phrase):  # type: ignore[no-untyped-def]
    if i + phrase.shape[0] > high:
        return False
    for k in range(phrase.shape[0]):
        if data[i + k] != phrase[k]:
            return False
    return True


@njit(inline="always")
def citation_end(data, i, high, edit, needed):  # type: ignore[no-untyped-def]
    """End of the citation mark that starts at byte `i` (`[`), or `i` if there is none."""
    if equals_at(data, i, high, edit):
        return i + edit.shape[0]
    if equals_at(data, i, high, needed):
        return i + needed.shape[0]
    j = i + 1
    while j < high and 48 <= data[j] <= 57:
        j += 1
    return j + 1 if j < high and data[j] == 0x5D else i


@njit(inline="always")
def copy_line(data, low, high, out, at, citations, edit, needed):  # type: ignore[no-untyped-def]
    """Copy a line to `out[at:]`, without citation marks if so asked; returns the end and the marks left out."""
    marks = 0
    i = low
    while i < high:
        if citations and data[i] == 0x5B:
            close = citation_end(data, i, high, edit, needed)
            if close > i:
                marks += 1
                i = close
                continue
        out[at] = data[i]
        at += 1
        i += 1
    return at, marks


@njit(inline="always")
def count_spaced_words(data, low, high, classes):  # type: ignore[no-untyped-def]
    """Words between white space, and the code points of the longest."""
    words = longest = length = 0
    i = low
    while i < high:
        code, width = decode(data, i)
        if classes[code] & SPACE:
            length = 0
        else:
            words += length == 0
            length += 1
            longest = max(longest, length)
        i += width
    return words, longest


@njit(inline="always")
def is_finished(out, low, high):  # type: ignore[no-untyped-def]
    """A line that ends in . ? ! " or ' and not in three dots."""
    if high == low:
        return False
    last = out[high - 1]
    if last == _DOT:
        return not (high - low >= 3 and out[high - 2] == _DOT and out[high - 3] == _DOT)
    return last == 0x3F or last == 0x21 or last == 0x22 or last == 0x27


@njit(inline="always")
def count_sentences(out, low, high, classes):  # type: ignore[no-untyped-def]
    count = 0
    high = trim_space(out, low, high, classes)
    i = skip_space(out, low, high, classes)
    while i < high:
        i = skip_space(out, sentence_end(out, i, high, classes), high, classes)
        count += 1
    return count


@njit(
    void(
        BYTES, INT64S, CLASSES, INT64S, INT64S, INT32S, INT32S, types.Array(uint8, 2, "C", readonly=True), INT64S, FLAGS,
        FLAGS, FLAGS, INT64S, uint8[::1], int64[::1], int64[:, ::1],
    ),
    nogil=True,
    cache=True,
)  # fmt: skip
def clean_lines(
    data, offsets, classes, begin, end, start, stop, phrases, sizes, starters, edit, needed, options, out, out_offsets, counts
):
    """C4's pass over the lines: writes the text that is left, and counts why lines went.

    Args:
        begin, end, start, stop: the lines of the documents.
        phrases, sizes, starters: lower-case phrases; bit 0 is "lorem ipsum", bit 1 "javascript", the others name a policy.
            `starters[byte]` is the mask of the phrases that may start with that byte, in either case.
        edit, needed: the bytes of "[edit]" and "[citation needed]".
        options: most code points of a word, fewest words of a line, and 0 or 1 for: citations, terminal punctuation,
            javascript, policy.
        out, out_offsets: the new text and where each document starts in it.
        counts: sentences, lorem ipsum, curly bracket, then the lines removed for a long word, no punctuation, few words,
            javascript, policy, and the citation marks left out.
    """
    max_chars, min_words = options[0], options[1]
    at = int64(0)
    for d in range(offsets.shape[0] - 1):
        out_offsets[d] = at
        counts[d, :] = 0
        first = at
        for k in range(begin[d], end[d]):
            low = skip_space(data, offsets[d] + start[k], offsets[d] + stop[k], classes)
            high = trim_space(data, low, offsets[d] + stop[k], classes)
            words, longest = count_spaced_words(data, low, high, classes)
            if max_chars >= 0 and longest > max_chars:
                counts[d, 3] += 1
                continue
            line = at + (at > first)
            close, marks = copy_line(data, low, high, out, line, options[2], edit, needed)
            if options[3] and not is_finished(out, line, close):
                counts[d, 4] += 1
                continue
            if words < min_words:
                counts[d, 5] += 1
                continue
            found = find_phrases(out, line, close, phrases, sizes, starters)
            counts[d, 1] |= found & 1
            if options[4] and found & 2:
                counts[d, 6] += 1
                continue
            for i in range(line, close):
                counts[d, 2] |= out[i] == 0x7B
            if options[5] and found >> 2:
                counts[d, 7] += 1
                continue
            counts[d, 0] += count_sentences(out, line, close, classes)
            counts[d, 8] += marks
            if line > at:
                out[at] = _NEWLINE
            at = close
        low = skip_space(out, first, at, classes)
        high = trim_space(out, low, at, classes)
        for i in range(low, high):
            out[first + i - low] = out[i]
        at = first + high - low
    out_offsets[offsets.shape[0] - 1] = at
