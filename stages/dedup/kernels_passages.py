"""Compiled parts of what looks for passages of words: hashes of windows, their selection, and texts without passages.

The hash of a window of `n` words is a polynomial over their hashes modulo 2^64, finished so that all its bits are good.
`P[i]` being that of the first `i` words of a document, a window is `P[i + n] - P[i] * F^n`: any size costs the same.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import int64, njit, types, uint8, uint32, uint64, void

from stages.text.kernels import (
    BYTES,
    CLASSES,
    FLAGS,
    INT32S,
    INT64S,
    NEWLINE,
    UINT64S,
    count_chars_between,
    decode,
    decode_before,
    finish,
)
from stages.text.kernels_words import IN_WORD, PUNCTUATION
from stages.text.unicode_tables import JOINER, SPACE

FACTOR = np.uint64(0xC6A4A7935BD1E995)
_OTHER_FACTOR = np.uint64(0xA0761D6478BD642F)
_32 = np.uint64(32)


@njit
def power(factor, n):
    """`factor ** n` modulo 2^64."""
    out = uint64(1)
    for _ in range(n):
        out *= factor
    return out


@njit
def fill_prefixes(words, low, high, factor, out):
    """Polynomials of the first 0, 1, … words of `words[low:high]`."""
    chain = uint64(0)
    out[0] = chain
    for k in range(low, high):
        chain = chain * factor + words[k]
        out[k - low + 1] = chain


@njit
def longest(bounds):
    """Words of the longest document."""
    size = int64(0)
    for d in range(bounds.shape[0] - 1):
        size = max(size, bounds[d + 1] - bounds[d])
    return size


@njit(
    int64(UINT64S, INT64S, int64, int64, int64[::1], uint64[::1], uint32[::1], types.int32[::1]),
    nogil=True,
    cache=True,
)
def winnow(words, bounds, size, num_windows, rows, keys, checks, firsts):
    """Select windows of `size` words by robust winnowing (Schleimer, Wilkerson, Aiken 2003); returns how many.

    Of any `num_windows` windows in a row the one with the smallest hash is selected; among equals the one that is
    selected already, else the last. A document of fewer windows has one selected.

    Args:
        rows, keys, checks, firsts: out; document, hash, second hash and first word of each window, in order; must hold
            one for every word.
    """
    most = longest(bounds)
    prefixes, others = np.empty(most + 1, np.uint64), np.empty(most + 1, np.uint64)
    hashes = np.empty(most + 1, np.uint64)
    out_factor, other_out_factor = power(FACTOR, size), power(_OTHER_FACTOR, size)
    m = int64(0)
    for d in range(bounds.shape[0] - 1):
        count = bounds[d + 1] - bounds[d] - size + 1
        if count <= 0:
            continue
        fill_prefixes(words, bounds[d], bounds[d + 1], FACTOR, prefixes)
        fill_prefixes(words, bounds[d], bounds[d + 1], _OTHER_FACTOR, others)
        for i in range(count):
            hashes[i] = finish(prefixes[i + size] - prefixes[i] * out_factor)
        best = -1
        for last in range(min(num_windows, count) - 1, count):
            first = max(0, last - num_windows + 1)
            selected = best
            if best < first:
                best = first
                for i in range(first + 1, last + 1):
                    if hashes[i] <= hashes[best]:
                        best = i
            elif hashes[last] < hashes[best]:
                best = last
            if best != selected:
                rows[m], keys[m], firsts[m] = d, hashes[best], best
                checks[m] = uint32(finish(others[best + size] - others[best] * other_out_factor) >> _32)
                m += 1
    return m


@njit
def _low_edge(data, low, i, classes):
    """Where the cut starts: before punctuation that follows white space, or the start of the text, and leads to `i`."""
    at = i
    while at > low:
        code, before = decode_before(data, low, at)
        if classes[code] & SPACE:
            return at
        if classes[code] & (IN_WORD | JOINER):
            return i
        at = before
    return at


@njit
def _high_edge(data, i, high, classes):
    """Where the cut ends: after what follows up to white space or the next word."""
    while i < high:
        code, width = decode(data, i)
        if classes[code] & (SPACE | IN_WORD):
            break
        i += width
    return i


@njit
def _space_before(data, low, i, classes):
    """First byte of the white space that ends at `i`, and its line breaks."""
    breaks = int64(0)
    while i > low:
        code, before = decode_before(data, low, i)
        if not classes[code] & SPACE:
            break
        breaks += code == NEWLINE
        i = before
    return i, breaks


@njit
def _space_after(data, i, high, classes):
    """End of the white space that starts at `i`, and its line breaks."""
    breaks = int64(0)
    while i < high:
        code, width = decode(data, i)
        if not classes[code] & SPACE:
            break
        breaks += code == NEWLINE
        i += width
    return i, breaks


@njit
def _widen(data, low, high, start, stop, classes):
    """The bytes to cut for the words from `start` to `stop` of the text `data[low:high]`."""
    start, stop = _low_edge(data, low, start, classes), _high_edge(data, stop, high, classes)
    before, breaks_before = _space_before(data, low, start, classes)
    after, breaks_after = _space_after(data, stop, high, classes)
    if before == low:
        return low, after
    if after == high:
        return before, high
    if before == start or after == stop:
        return start, stop
    return (before, stop) if breaks_before < breaks_after else (start, after)


@njit(
    void(
        BYTES, INT64S, CLASSES, INT64S, INT64S, INT32S, INT32S, FLAGS, INT64S, INT64S, INT64S, int64[::1], int64[::1],
    ),
    nogil=True,
    cache=True,
)  # fmt: skip
def find_edges(data, offsets, classes, begin, end, start, stop, flags, bounds, firsts, stops, lows, highs):
    """Find the bytes to cut for passages of words.

    Args:
        begin, end, start, stop, flags: the columns of `Words`.
        bounds, firsts, stops: the passages of document `d` are those from `bounds[d]` to `bounds[d + 1]`; each is the
            words from `firsts` up to, not including, `stops`, punctuation not counted. Ascending, with at least one
            word between two.
        lows, highs: out; relative to the start of the document.
    """
    for d in range(offsets.shape[0] - 1):
        base = offsets[d]
        word = 0
        k = bounds[d]
        first_byte = int64(0)
        for token in range(begin[d], end[d]):
            if k == bounds[d + 1]:
                break
            if flags[token] & PUNCTUATION:
                continue
            if word == firsts[k]:
                first_byte = base + start[token]
            word += 1
            if word == stops[k]:
                low, high = _widen(data, base, offsets[d + 1], first_byte, base + stop[token], classes)
                lows[k], highs[k] = low - base, high - base
                k += 1


@njit(void(BYTES, INT64S, INT64S, INT64S, INT64S, uint8[::1], int64[::1], int64[::1]), nogil=True, cache=True)
def write_without(data, offsets, bounds, lows, highs, out, out_offsets, chars):
    """Write the texts without the bytes from `lows` to `highs` of each passage.

    Args:
        out, out_offsets: the new texts and where each starts; no longer than the old ones.
        chars: out, code points left out of each document.
    """
    at = int64(0)
    for d in range(offsets.shape[0] - 1):
        base = offsets[d]
        out_offsets[d] = at
        chars[d] = 0
        low = base
        for k in range(bounds[d], bounds[d + 1] + 1):
            last = k == bounds[d + 1]
            high = offsets[d + 1] if last else base + lows[k]
            out[at : at + high - low] = data[low:high]
            at += high - low
            if not last:
                low = base + highs[k]
                chars[d] += count_chars_between(data, high, low)
    out_offsets[offsets.shape[0] - 1] = at
