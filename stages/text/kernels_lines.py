"""The compiled passes that split text into lines, and lines into paragraphs; the rules are in `stages.text.views`."""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

from numba import int64, njit, types, uint8, uint64

from stages.text.kernels import (
    BYTES,
    CLASSES,
    DOT,
    INT32S,
    INT64S,
    NEWLINE,
    ONE,
    RETURN,
    UINT64S,
    add_block,
    decode,
    decode_before,
    digest,
    find_byte,
    finish,
    skip_space,
    trim_space,
)
from stages.text.unicode_tables import TERMINAL

BLANK = 1
"""Flag of a line: nothing but white space."""
BULLET = 2
"""Flag of a line: its first visible character is `•` or `-`."""
ELLIPSIS = 4
"""Flag of a line: its visible part ends in `...` or `…`."""
TERMINATED = 8
"""Flag of a line: its very last character, white space included, ends a sentence."""

_CHAR_BULLET, _CHAR_HYPHEN, _CHAR_ELLIPSIS = 0x2022, 0x2D, 0x2026


@njit
def ends_with_dots(data, low, high):
    return high - low >= 3 and data[high - 1] == DOT and data[high - 2] == DOT and data[high - 3] == DOT


@njit
def _line_flags(data, low, high, classes):
    first = skip_space(data, low, high, classes)
    if first == high:
        return BLANK
    flags = 0
    code, _ = decode(data, first)
    if code in (_CHAR_BULLET, _CHAR_HYPHEN):
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
    int64(
        BYTES, INT64S, CLASSES,
        int64[::1], int64[::1], types.int32[::1], types.int32[::1], uint64[::1], types.int32[::1], uint8[::1],
    ),
    nogil=True,
    cache=True,
)  # fmt: skip
def split_lines(data, offsets, classes, begin, end, start, stop, hashes, num_chars, flags):
    """Fill the columns of `Lines`; returns their length. Columns must hold a row per document and per newline."""
    m = 0
    for d in range(offsets.shape[0] - 1):
        low, high = offsets[d], offsets[d + 1]
        begin[d] = m
        line = low
        while line <= high:
            newline = find_byte(data, line, high, NEWLINE)
            close = newline
            if newline < high and close > line and data[close - 1] == RETURN:
                close -= 1
            start[m] = line - low
            stop[m] = close - low
            hashes[m], num_chars[m] = digest(data, line, close)
            flags[m] = _line_flags(data, line, close, classes)
            m += 1
            line = newline + 1
        end[d] = m
    return m


@njit(
    int64(
        BYTES, INT64S, CLASSES, INT64S, INT64S, INT32S, INT32S, UINT64S, INT32S,
        int64[::1], int64[::1], types.int32[::1], types.int32[::1], uint64[::1], types.int32[::1],
    ),
    nogil=True,
    cache=True,
)  # fmt: skip
def split_paragraphs(
    data, offsets, classes, line_begin, line_end, line_start, line_stop, line_hash, line_chars,
    begin, end, start, stop, hashes, num_chars,
):  # fmt: skip
    """Fill the columns of `Paragraphs` from those of `Lines`; returns their length, at most that of the lines.

    The hash of a paragraph is a chain over those of its lines, so that "\\r\\n" and "\\n" inside make no difference.
    """
    m = 0
    for d in range(offsets.shape[0] - 1):
        base = offsets[d]
        low = skip_space(data, base, offsets[d + 1], classes)
        high = trim_space(data, low, offsets[d + 1], classes)
        begin[d] = m
        inside = False
        for k in range(line_begin[d], line_end[d]):
            line_low, line_high = base + line_start[k], base + line_stop[k]
            if line_high <= low or line_low >= high:
                continue
            if line_low == line_high:
                inside = False
                continue
            h, chars = line_hash[k], int64(line_chars[k])
            if line_low < low or line_high > high:
                line_low, line_high = max(line_low, low), min(line_high, high)
                h, chars = digest(data, line_low, line_high)
            if inside:
                hashes[m - 1] = finish(add_block(hashes[m - 1], h))
                num_chars[m - 1] += chars + 1
            else:
                start[m] = line_low - base
                hashes[m] = finish(add_block(ONE, h))
                num_chars[m] = chars
                m += 1
                inside = True
            stop[m - 1] = line_high - base
        end[d] = m
    return m
