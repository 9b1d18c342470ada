"""The compiled pass that tells code, comments and strings apart, byte by byte."""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import njit, types, uint8, void

from stages.heuristics.code_languages import (
    AT_START,
    BLOCK_TOKEN,
    BRACKET,
    DOCSTRINGS,
    ESCAPED,
    LINE_TOKEN,
    NESTED,
    PLAIN,
    QUOTE,
    SPACED,
    TRIPLE,
    WIDE_QUOTE,
)
from stages.text.kernels import BYTES, INT64S, NEWLINE, find_byte

TABLE = types.Array(uint8, 2, "C", readonly=True)
TOKENS = types.Array(uint8, 3, "C", readonly=True)

CODE, COMMENT, STRING, MARK = range(4)
"""Parts: code; comments and docstrings with their marks; what is in strings; the quotes around it."""
_BACKSLASH, _COLON, _SPACE, _TAB, _RETURN = 0x5C, 0x3A, 0x20, 0x09, 0x0D


@njit
def _token_at(data, i, high, tokens):
    """Index of the first token that `data[i:high]` starts with, or -1."""
    for t in range(tokens.shape[0]):
        size = np.int64(tokens[t, 0])
        if size == 0:
            break
        if i + size <= high:
            k = 0
            while k < size and data[i + k] == tokens[t, k + 1]:
                k += 1
            if k == size:
                return t
    return -1


@njit
def _is_blank(byte):
    return byte == _SPACE or byte == _TAB or byte == NEWLINE or byte == _RETURN


@njit
def _line_is_blank_before(data, low, i):
    """Nothing but spaces and tabs between the start of the line and byte `i`."""
    while i > low and (data[i - 1] == _SPACE or data[i - 1] == _TAB):
        i -= 1
    return i == low or data[i - 1] == NEWLINE


@njit
def _may_comment(data, low, i, flags):
    """Whether a line comment may begin at byte `i`."""
    if flags & SPACED and i > low and not _is_blank(data[i - 1]):
        return False
    if flags & AT_START and not _line_is_blank_before(data, low, i):
        return False
    return not (flags & ESCAPED and i > low and data[i - 1] == _BACKSLASH)


@njit
def _block_end(data, i, high, opening, closing, nested):
    """End of the block comment whose opening token ends at byte `i`; the document's if it is never closed."""
    depth = 1
    while i < high:
        if data[i] == closing[1] and _token_at(data, i, high, closing.reshape(1, -1)) == 0:
            i += np.int64(closing[0])
            depth -= 1
            if depth == 0:
                return i
        elif nested and data[i] == opening[1] and _token_at(data, i, high, opening.reshape(1, -1)) == 0:
            i += np.int64(opening[0])
            depth += 1
        else:
            i += 1
    return high


@njit
def _string_end(data, i, high, quote, size, wide):
    """First byte of the `size` quotes that close a string whose content begins at byte `i`, or -1."""
    while i < high:
        if data[i] == _BACKSLASH:
            i += 2
            continue
        if data[i] == NEWLINE and not wide:
            return -1
        if data[i] == quote:
            if size == 1:
                return i
            if i + 2 < high and data[i + 1] == quote and data[i + 2] == quote:
                return i
        i += 1
    return -1


@njit
def _begins_line(data, low, quote):
    """Whether a string is the first thing on its line, a prefix of up to two letters (`r`, `u`) aside."""
    i = quote
    while i > low and quote - i < 2 and (data[i - 1] | 0x20 == 0x72 or data[i - 1] | 0x20 == 0x75):
        i -= 1
    return _line_is_blank_before(data, low, i)


@njit
def _find_string(data, i, high, start, triple, dead, dead_triple):
    """First byte of the quotes that close the string that begins at byte `i`, or -1, and how many quotes there are.

    Args:
        dead: for every kind of quote, up to where one is known not to be closed.
        dead_triple: the same for three of them.
    """
    quote = data[i]
    if triple and i >= dead_triple[quote] and i + 2 < high and data[i + 1] == quote and data[i + 2] == quote:
        close = _string_end(data, i + 3, high, quote, 3, True)
        if close >= 0:
            return close, 3
        dead_triple[quote] = high
    if i < dead[quote]:
        return np.int64(-1), 1
    wide = start & WIDE_QUOTE != 0
    close = _string_end(data, i + 1, high, quote, 1, wide)
    if close < 0:
        dead[quote] = high if wide else find_byte(data, i, high, NEWLINE)
    return close, 1


@njit
def _comment_end(data, low, high, i, start, flags, line, opening, closing):
    """End of the comment that begins at byte `i`, or -1."""
    if start & BLOCK_TOKEN:
        block = _token_at(data, i, high, opening)
        if block >= 0:
            first = i + np.int64(opening[block, 0])
            return _block_end(data, first, high, opening[block], closing[block], flags & NESTED != 0)
    if start & LINE_TOKEN and _token_at(data, i, high, line) >= 0 and _may_comment(data, low, i, flags):
        return find_byte(data, i, high, NEWLINE)
    return np.int64(-1)


@njit
def _mark_document(data, low, high, starts, flags, line, opening, closing, dead, dead_triple, parts):
    last = before_line = np.uint8(0)  # the last byte of code that is not blank: so far, and before this line
    depth = np.int64(0)
    dead[:] = 0
    dead_triple[:] = 0
    parts[low:high] = CODE
    i = low
    while i < high:
        byte = data[i]
        start = starts[byte]
        if start == PLAIN and byte > _SPACE:
            last = byte
            i += 1
            continue
        if start & (BLOCK_TOKEN | LINE_TOKEN):
            end = _comment_end(data, low, high, i, start, flags, line, opening, closing)
            if end >= 0:
                parts[i:end] = COMMENT
                i = end
                continue
        if start & (QUOTE | WIDE_QUOTE):
            close, size = _find_string(data, i, high, start, flags & TRIPLE != 0, dead, dead_triple)
            if close >= 0:
                documents = depth == 0 and (before_line == 0 or before_line == _COLON) and _begins_line(data, low, i)
                if flags & DOCSTRINGS and documents:
                    parts[i : close + size] = COMMENT
                else:
                    parts[i : i + size] = MARK
                    parts[i + size : close] = STRING
                    parts[close : close + size] = MARK
                last = byte
                i = close + size
                continue
        if start & BRACKET:
            if byte == 0x28 or byte == 0x5B or byte == 0x7B:
                depth += 1
            elif depth > 0:
                depth -= 1
        if byte == NEWLINE:
            before_line = last
        elif not _is_blank(byte):
            last = byte
        i += 1


@njit(void(BYTES, INT64S, INT64S, TABLE, BYTES, TOKENS, TOKENS, TOKENS, uint8[::1]), nogil=True, cache=True)
def mark_parts(data, offsets, languages, starts, flags, line, opening, closing, parts):
    """The part that every byte of the documents belongs to: CODE, COMMENT, STRING or MARK.

    Args:
        languages: index of each document's language; one that is unknown is all code.
        starts, flags, line, opening, closing: see `code_languages.syntax_tables`.
        parts: `uint8[offsets[-1]]`, filled.
    """
    dead, dead_triple = np.empty(256, np.int64), np.empty(256, np.int64)
    for d in range(offsets.shape[0] - 1):
        language = languages[d]
        low, high = offsets[d], offsets[d + 1]
        if language < 0:
            parts[low:high] = CODE
        else:
            _mark_document(
                data, low, high, starts[language], flags[language], line[language], opening[language],
                closing[language], dead, dead_triple, parts,
            )  # fmt: skip
