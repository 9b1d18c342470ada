"""The compiled pass that splits text into pre-tokens, exactly as Llama 3's regular expression does.

    (?i:'s|'t|'re|'ve|'m|'ll|'d) | [^\\r\\n\\p{L}\\p{N}]?\\p{L}+ | \\p{N}{1,3} | ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*
    | \\s*[\\r\\n]+ | \\s+(?!\\S) | \\s+

The alternatives are tried in this order at every place, so the class of the first character, and sometimes of the
second, tells which one matches: this is a state machine without backtracking. A pre-token depends on nothing before
its start. Upper and lower case are one in the first alternative, and so is the long s (U+017F) with s; no other
letter outside ASCII folds to one of those.

Most pre-tokens are a space and some ASCII letters: those are found eight bytes at a time.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import int64, njit, types, uint8, uint64

from stages.text.kernels import BYTES, EACH_BYTE, ONE, S7, S56, TOP_BITS, load_block
from stages.tokens.unicode_split import LETTER, NEWLINE, NUMBER, OTHER, SPACE

SPLIT_CLASSES = types.Array(uint8, 1, "C", readonly=True)

_BLANK, _QUOTE = 0x20, 0x27
_S, _T, _M, _D, _R, _E, _V, _L = (ord(letter) for letter in "stmdrevl")
_LOW_BITS = EACH_BYTE * np.uint64(0x7F)
_CASE_BITS = EACH_BYTE * np.uint64(0x20)
_FROM_A, _PAST_Z = EACH_BYTE * np.uint64(0x80 - 0x61), EACH_BYTE * np.uint64(0x80 - 0x7B)
_FIRST_TOP, _EIGHT = np.uint64(0x80), np.uint64(3)


@njit
def _ascii_letters(block):
    """The top bit of every byte of a block that is an ASCII letter."""
    folded = (block & _LOW_BITS) | _CASE_BITS
    return (folded + _FROM_A) & ~(folded + _PAST_Z) & ~block & TOP_BITS


@njit(inline="always")
def _kind(data, i, classes):
    """Class of the code point at byte `i`, and its width."""
    first = int64(data[i])
    if first < 0x80:
        kind, width = classes[first], int64(1)
    elif first < 0xE0:
        kind, width = classes[(first & 0x1F) << 6 | int64(data[i + 1]) & 0x3F], int64(2)
    elif first < 0xF0:
        kind = classes[(first & 0x0F) << 12 | (int64(data[i + 1]) & 0x3F) << 6 | int64(data[i + 2]) & 0x3F]
        width = int64(3)
    else:
        code = (first & 0x07) << 18 | (int64(data[i + 1]) & 0x3F) << 12
        kind = classes[code | (int64(data[i + 2]) & 0x3F) << 6 | int64(data[i + 3]) & 0x3F]
        width = int64(4)
    return kind, width


@njit(inline="always")
def _run_end(data, i, high, classes, wanted):
    """End of the run of code points of one class from byte `i` on."""
    while i < high:
        kind, width = _kind(data, i, classes)
        if kind != wanted:
            break
        i += width
    return i


@njit(inline="always")
def _contraction(data, i, high):
    """Bytes of the contraction at the apostrophe at byte `i`, or 0."""
    length = int64(0)
    if i + 1 < high:
        second = data[i + 1] | 0x20
        if second == _S or second == _T or second == _M or second == _D:
            length = int64(2)
        elif i + 2 < high:
            third = data[i + 2] | 0x20
            if (
                (second == _R and third == _E)
                or (second == _V and third == _E)
                or (second == _L and third == _L)
                or (data[i + 1] == 0xC5 and data[i + 2] == 0xBF)
            ):
                length = int64(3)
    return length


@njit(inline="always")
def _space_end(data, i, high, classes):
    """End of the pre-token that white space at byte `i` is: up to the last line break of the run; or the whole run at
    the end of the text; or all of it but the last character; or that one."""
    first = before = after_break = i
    while i < high:
        kind, width = _kind(data, i, classes)
        if kind != SPACE and kind != NEWLINE:
            break
        before = i
        i += width
        if kind == NEWLINE:
            after_break = i
    if after_break > first:
        return after_break
    return before if i < high and before > first else i


@njit(inline="always")
def _pretoken_end(data, i, high, classes):
    """End of the pre-token that starts at byte `i`."""
    kind, width = _kind(data, i, classes)
    j = i + width
    if kind == LETTER:
        return _run_end(data, j, high, classes, LETTER)
    if kind == NUMBER:
        for _ in range(2):
            if j < high:
                kind, width = _kind(data, j, classes)
                if kind == NUMBER:
                    j += width
                else:
                    break
        return j
    if kind == NEWLINE:
        return _space_end(data, i, high, classes)
    length = _contraction(data, i, high) if data[i] == _QUOTE else int64(0)
    if length:
        return i + length
    following = uint8(NEWLINE)
    if j < high:
        following, width = _kind(data, j, classes)
    if following == LETTER:
        return _run_end(data, j + width, high, classes, LETTER)
    if kind == OTHER or (data[i] == _BLANK and following == OTHER):
        j = _run_end(data, j, high, classes, OTHER)
        return _run_end(data, j, high, classes, NEWLINE)
    return _space_end(data, i, high, classes)


@njit
def fill_leads(classes, leads):
    """What may stand before letters in one pre-token, for single bytes: 8 for ASCII that is no letter, number, line
    break or apostrophe, else 0."""
    for byte in range(256):
        kind = classes[byte]
        leads[byte] = 8 if byte < 0x80 and byte != _QUOTE and (kind == OTHER or kind == SPACE) else 0


@njit
def split_window(data, i, high, classes, leads, stops):
    """Write the ends of pre-tokens from byte `i` on into `stops` until it is full; returns how many, and where the
    last one ends."""
    size = stops.shape[0]
    m = int64(0)
    while m < size and i < high:
        if i + 8 <= high:
            block = load_block(data, i)
            letters = _ascii_letters(block)
            lead = uint64(leads[data[i]])
            if letters & (_FIRST_TOP << lead):
                stop = i
                others = ~(letters | (lead << np.uint64(4))) & TOP_BITS
                while not others and stop + 16 <= high:
                    stop += 8
                    others = ~_ascii_letters(load_block(data, stop)) & TOP_BITS
                if others:
                    before = ((others & (~others + ONE)) >> S7) - ONE
                    stop += int64(((before & EACH_BYTE) * EACH_BYTE) >> S56)
                    i = stop if data[stop] < 0x80 else _run_end(data, stop, high, classes, LETTER)
                    stops[m] = i
                    m += 1
                    continue
        i = _pretoken_end(data, i, high, classes)
        stops[m] = i
        m += 1
    return m, i


@njit(
    int64(BYTES, types.Array(int64, 1, "C", readonly=True), SPLIT_CLASSES, int64[::1], int64[::1]),
    nogil=True,
    cache=True,
)
def split_pretokens(data, offsets, classes, stops, counts):
    """Ends of all pre-tokens of some documents, relative to `data`, and how many each document has.

    `stops` has room for as many as there are bytes. Returns the number of all.
    """
    leads = np.empty(256, np.uint8)
    fill_leads(classes, leads)
    m = int64(0)
    for d in range(offsets.shape[0] - 1):
        counts[d], _ = split_window(data, offsets[d], offsets[d + 1], classes, leads, stops[m:])
        m += counts[d]
    return m
