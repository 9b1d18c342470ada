"""Compiled passes over UTF-8 bytes: words, lines, sentences, code points.

Free functions on arrays. `data` is `uint8[]`, `offsets` `int64[n + 1]` (not necessarily from 0), `classes` the table of
`unicode_tables`. Positions that go out are relative to the start of their document. Text is valid UTF-8: readers see to it.
Every function has a slow, obvious twin in `tests/naive.py`.

Hashes are 64 bits: a multiply-xor chain over code points (words) or bytes (lines), finished with MurmurHash3's fmix64.
Two different words among the 5,000 of a document collide with a probability of about 1e-12.
"""

from __future__ import annotations

import numpy as np
from numba import int64, njit, types, uint8, uint16, uint64, void

from stages.text.unicode_tables import (
    APOSTROPHE,
    CLOSER,
    DIGIT,
    IGNORED,
    JOINER,
    LETTER,
    MARK,
    SPACE,
    TERMINAL,
    UNSPACED,
)

BYTES = types.Array(uint8, 1, "C", readonly=True)
CLASSES = types.Array(uint16, 1, "C", readonly=True)
INT64S = types.Array(int64, 1, "C", readonly=True)

PUNCTUATION = 1
HAS_LETTER = 2
"""Flags of a word."""
BLANK = 1
BULLET = 2
ELLIPSIS = 4
TERMINATED = 8
"""Flags of a line: nothing but white space; starts with • or -; ends with … or ...; its very last character ends a sentence."""

_IN_WORD = LETTER | MARK | DIGIT
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_S29, _S33 = np.uint64(29), np.uint64(33)
_ONE = np.uint64(1)
_NEWLINE, _RETURN, _DOT, _COMMA, _UNDERSCORE = 10, 13, 46, 44, 95
_CHAR_BULLET, _CHAR_HYPHEN, _CHAR_ELLIPSIS = 0x2022, 0x2D, 0x2026


@njit(inline="always")
def finish(h):  # type: ignore[no-untyped-def]
    """MurmurHash3's 64-bit finaliser: every input bit changes every output bit with probability 1/2."""
    h ^= h >> _S33
    h *= _MIX_1
    h ^= h >> _S33
    h *= _MIX_2
    return h ^ (h >> _S33)


@njit(inline="always")
def extend(h, unit):  # type: ignore[no-untyped-def]
    """One more code point or byte on a hash chain."""
    h = (h ^ np.uint64(unit)) * _PRIME
    return h ^ (h >> _S29)


@njit(inline="always")
def decode(data, i):  # type: ignore[no-untyped-def]
    """Code point at byte `i`, and its width in bytes."""
    first = int64(data[i])
    if first < 0x80:
        return first, int64(1)
    if first < 0xE0:
        return (first & 0x1F) << 6 | int64(data[i + 1]) & 0x3F, int64(2)
    if first < 0xF0:
        return (first & 0x0F) << 12 | (int64(data[i + 1]) & 0x3F) << 6 | int64(data[i + 2]) & 0x3F, int64(3)
    high = (first & 0x07) << 18 | (int64(data[i + 1]) & 0x3F) << 12
    return high | (int64(data[i + 2]) & 0x3F) << 6 | int64(data[i + 3]) & 0x3F, int64(4)


@njit(inline="always")
def decode_before(data, low, i):  # type: ignore[no-untyped-def]
    """Code point that ends right before byte `i`, and its first byte; `i > low`."""
    i -= 1
    while i > low and (data[i] & 0xC0) == 0x80:
        i -= 1
    code, _ = decode(data, i)
    return code, i


@njit(inline="always")
def skip_space(data, low, high, classes):  # type: ignore[no-untyped-def]
    """First byte at or after `low` that is no white space."""
    while low < high:
        code, width = decode(data, low)
        if not classes[code] & SPACE:
            break
        low += width
    return low


@njit(inline="always")
def trim_space(data, low, high, classes):  # type: ignore[no-untyped-def]
    """End of `data[low:high]` without its trailing white space."""
    while high > low:
        code, i = decode_before(data, low, high)
        if not classes[code] & SPACE:
            break
        high = i
    return high


@njit(uint64(types.Array(int64, 1, "C", readonly=True)), nogil=True, cache=True)
def hash_code_points(codes):
    """Hash of one word, given as its code points."""
    h = _ONE
    for code in codes:
        h = extend(h, code)
    return finish(h)


@njit(void(BYTES, INT64S, int64[::1]), nogil=True, cache=True)
def count_chars(data, offsets, out):
    """Code points of each document: bytes that do not continue one."""
    for d in range(offsets.shape[0] - 1):
        count = 0
        for i in range(offsets[d], offsets[d + 1]):
            count += (data[i] & 0xC0) != 0x80
        out[d] = count


@njit(inline="always")
def joins(code, before, after):  # type: ignore[no-untyped-def]
    """Whether a mark inside a word belongs to it, by the classes of its neighbours; see `Words`."""
    if not after & _IN_WORD or after & UNSPACED:
        return False
    if code == _COMMA:
        return before & DIGIT and after & DIGIT
    if code == _DOT:
        return (before & DIGIT and after & DIGIT) or (not before & DIGIT and after & LETTER)
    return True


@njit(inline="always")
def word_end(data, i, high, classes):  # type: ignore[no-untyped-def]
    """End, hash, code points and class union of the word that starts at byte `i`."""
    code, width = decode(data, i)
    seen = last = classes[code]
    unspaced = seen & UNSPACED
    h = extend(_ONE, code)
    count = 1
    i += width
    while i < high:
        code, width = decode(data, i)
        flags = classes[code]
        if flags & _IN_WORD:
            if flags & UNSPACED or (unspaced and not flags & MARK):
                break
        elif unspaced:
            break
        elif flags & APOSTROPHE or code == _DOT or code == _COMMA or code == _UNDERSCORE:
            if i + width >= high:
                break
            after, _ = decode(data, i + width)
            if not joins(code, last, classes[after]):
                break
        elif not flags & JOINER:
            break
        h = extend(h, code)
        seen |= flags
        last = flags
        count += 1
        i += width
    return i, finish(h), count, seen


@njit(inline="always")
def run_end(data, i, high, code, width):  # type: ignore[no-untyped-def]
    """End, hash and code points of the run of one mark that starts at byte `i`."""
    h = _ONE
    count = 0
    while i < high:
        other, _ = decode(data, i)
        if other != code:
            break
        h = extend(h, code)
        count += 1
        i += width
    return i, finish(h), count


@njit(
    int64(BYTES, INT64S, CLASSES, int64[::1], int64[::1], types.int32[::1], types.int32[::1], uint64[::1], types.int32[::1], uint8[::1]),
    nogil=True,
    cache=True,
)
def split_words(data, offsets, classes, begin, end, start, stop, hashes, num_chars, flags):
    """Fill the columns of `Words`; returns their length. Columns must hold as many rows as there are bytes."""
    m = 0
    for d in range(offsets.shape[0] - 1):
        low, high = offsets[d], offsets[d + 1]
        begin[d] = m
        i = low
        while i < high:
            code, width = decode(data, i)
            kind = classes[code]
            if kind & (SPACE | IGNORED):
                i += width
                continue
            start[m] = i - low
            if kind & _IN_WORD:
                i, hashes[m], num_chars[m], seen = word_end(data, i, high, classes)
                flags[m] = HAS_LETTER if seen & LETTER else 0
            else:
                i, hashes[m], num_chars[m] = run_end(data, i, high, code, width)
                flags[m] = PUNCTUATION
            stop[m] = i - low
            m += 1
        end[d] = m
    return m


@njit(inline="always")
def hash_bytes(data, low, high):  # type: ignore[no-untyped-def]
    h = _ONE
    for i in range(low, high):
        h = extend(h, data[i])
    return finish(h)


@njit(inline="always")
def chars_between(data, low, high):  # type: ignore[no-untyped-def]
    count = 0
    for i in range(low, high):
        count += (data[i] & 0xC0) != 0x80
    return count


@njit(inline="always")
def ends_with_dots(data, low, high):  # type: ignore[no-untyped-def]
    return high - low >= 3 and data[high - 1] == _DOT and data[high - 2] == _DOT and data[high - 3] == _DOT


@njit(inline="always")
def line_flags(data, low, high, classes):  # type: ignore[no-untyped-def]
    first = skip_space(data, low, high, classes)
    if first == high:
        return BLANK
    flags = 0
    code, _ = decode(data, first)
    if code == _CHAR_BULLET or code == _CHAR_HYPHEN:
        flags |= BULLET
    last = trim_space(data, low, high, classes)
    code, _ = decode_before(data, low, last)
    if code == _CHAR_ELLIPSIS or ends_with_dots(data, low, last):
        flags |= ELLIPSIS
    code, _ = decode_before(data, low, high)
    if classes[code] & TERMINAL:
        flags |= TERMINATED
    return flags


@njit(
    int64(BYTES, INT64S, CLASSES, int64[::1], int64[::1], types.int32[::1], types.int32[::1], uint64[::1], types.int32[::1], uint8[::1]),
    nogil=True,
    cache=True,
)
def split_lines(data, offsets, classes, begin, end, start, stop, hashes, num_chars, flags):
    """Fill the columns of `Lines`; returns their length. Columns must hold a row per document and per newline."""
    m = 0
    for d in range(offsets.shape[0] - 1):
        low, high = offsets[d], offsets[d + 1]
        begin[d] = m
        line = low
        for i in range(low, high + 1):
            if i < high and data[i] != _NEWLINE:
                continue
            close = i
            if i < high and close > line and data[close - 1] == _RETURN:
                close -= 1
            start[m] = line - low
            stop[m] = close - low
            hashes[m] = hash_bytes(data, line, close)
            num_chars[m] = chars_between(data, line, close)
            flags[m] = line_flags(data, line, close, classes)
            m += 1
            line = i + 1
        end[d] = m
    return m


@njit(
    int64(
        BYTES, INT64S, CLASSES, INT64S, INT64S, types.int32[::1], types.int32[::1],
        int64[::1], int64[::1], types.int32[::1], types.int32[::1], uint64[::1], types.int32[::1],
    ),
    nogil=True,
    cache=True,
)  # fmt: skip
def split_paragraphs(
    data, offsets, classes, line_begin, line_end, line_start, line_stop, begin, end, start, stop, hashes, num_chars
):
    """Fill the columns of `Paragraphs` from those of `Lines`; returns their length, at most that of the lines."""
    m = 0
    for d in range(offsets.shape[0] - 1):
        base = offsets[d]
        low = skip_space(data, base, offsets[d + 1], classes)
        high = trim_space(data, low, offsets[d + 1], classes)
        begin[d] = m
        opened = int64(-1)
        for k in range(line_begin[d], line_end[d]):
            line_low, line_high = base + line_start[k], base + line_stop[k]
            if line_high <= low or line_low >= high:
                continue
            if line_low == line_high:
                opened = -1
                continue
            if opened < 0:
                opened = max(line_low, low)
                m += 1
                start[m - 1] = opened - base
            close = min(line_high, high)
            stop[m - 1] = close - base
        end[d] = m
        for k in range(begin[d], m):
            hashes[k] = hash_bytes(data, base + start[k], base + stop[k])
            num_chars[k] = chars_between(data, base + start[k], base + stop[k])
    return m


@njit(inline="always")
def sentence_end(data, i, high, classes):  # type: ignore[no-untyped-def]
    """End of the first sentence in `data[i:high]`, white space excluded: at most `high`.

    See `Sentences` for the rule.
    """
    letters = 0  # code points of the word right before, or -1 after anything but letters
    while i < high:
        code, width = decode(data, i)
        kind = classes[code]
        if not kind & TERMINAL:
            letters = letters + 1 if kind & LETTER else (0 if kind & SPACE or not kind & _IN_WORD else 99)
            i += width
            continue
        dots = 0
        others = 0
        wide = False
        while i < high:
            code, width = decode(data, i)
            if not classes[code] & TERMINAL:
                break
            wide |= code > 0x7F
            if code == _DOT:
                dots += 1
            else:
                others += 1
            i += width
        ends = others > 0 or (dots == 1 and letters != 1)
        letters_after = i
        while i < high:
            code, width = decode(data, i)
            if not classes[code] & CLOSER:
                break
            i += width
        if i >= high:
            return high
        code, width = decode(data, i)
        if ends and (wide or classes[code] & SPACE):
            return i
        if ends and i == letters_after and letters > 1 and 65 <= code <= 90:
            return i  # "end.Next"
        letters = 0
    return high


@njit(
    int64(
        BYTES, INT64S, CLASSES, INT64S, INT64S, types.int32[::1], types.int32[::1],
        int64[::1], int64[::1], types.int32[::1], types.int32[::1], uint64[::1], types.int32[::1],
    ),
    nogil=True,
    cache=True,
)  # fmt: skip
def split_sentences(
    data, offsets, classes, line_begin, line_end, line_start, line_stop, begin, end, start, stop, hashes, num_chars
):
    """Fill the columns of `Sentences` from those of `Lines`; returns their length."""
    m = 0
    for d in range(offsets.shape[0] - 1):
        base = offsets[d]
        begin[d] = m
        for k in range(line_begin[d], line_end[d]):
            high = trim_space(data, base + line_start[k], base + line_stop[k], classes)
            i = skip_space(data, base + line_start[k], high, classes)
            while i < high:
                close = sentence_end(data, i, high, classes)
                start[m] = i - base
                stop[m] = close - base
                hashes[m] = hash_bytes(data, i, close)
                num_chars[m] = chars_between(data, i, close)
                m += 1
                i = skip_space(data, close, high, classes)
        end[d] = m
    return m
