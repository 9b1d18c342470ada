"""The compiled pass behind `quality`'s feature model: counts of how a text is written, not of what it says.

One walk over the shared words, beside the shared lines. A *segment* is a run of words up to a mark that ends a sentence
(Unicode Sentence_Terminal) or to the end of the line: a sentence, a heading, an entry of a menu. Twin:
`tests/naive_quality.py`.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import int64, njit, types, uint64, void

from stages.text.kernels import (
    BYTES,
    CLASSES,
    EACH_BYTE,
    FLAGS,
    INT32S,
    INT64S,
    ONE,
    TOP_BITS,
    decode,
    load_block,
)
from stages.text.kernels_words import HAS_LETTER, PUNCTUATION, ascii_digits, ascii_letters
from stages.text.unicode_tables import DIGIT, LOWER, TERMINAL, UPPER

COUNTS = (
    "words", "marks", "letter_words", "letters", "short_words", "long_words", "upper_words",
    "mixed_words", "stretched_words", "apostrophe_words", "inner_words", "capital_inner_words", "segment_words",
    "title_words", "segments", "long_line_words", "commas", "exclamations", "questions", "currencies", "links",
    "symbols",
)  # fmt: skip
"""Columns of `count_style`; see `stages.quality_features` for what they are counts of."""
(
    WORDS, MARKS, LETTER_WORDS, LETTERS, SHORT_WORDS, LONG_WORDS, UPPER_WORDS,
    MIXED_WORDS, STRETCHED_WORDS, APOSTROPHE_WORDS, INNER_WORDS, CAPITAL_INNER_WORDS, SEGMENT_WORDS,
    TITLE_WORDS, SEGMENTS, LONG_LINE_WORDS, COMMAS, EXCLAMATIONS, QUESTIONS, CURRENCIES, LINKS,
    SYMBOLS,
) = range(len(COUNTS))  # fmt: skip

MAX_SHORT_CHARS, MIN_LONG_CHARS = 3, 7
MAX_WORD_CHARS = 12
"""A longer word counts with so many letters: an address or a blob is no long word."""
MIN_LINE_WORDS = 10
"""A line of so many words is prose, not an entry of a list."""
MIN_RUN = 3
"""A letter that often in a row stretches a word: sooo."""

ALL_UPPER, WITH_DIGIT, WITH_APOSTROPHE, STRETCHED = 1, 2, 4, 8

_COLON, _SLASH, _APOSTROPHE, _RIGHT_QUOTE = 0x3A, 0x2F, 0x27, 0x2019
_LOW_BITS = EACH_BYTE * np.uint64(0x7F)
_APOSTROPHES = EACH_BYTE * np.uint64(_APOSTROPHE)
_ALL_BITS = EACH_BYTE * np.uint64(0xFF)
_TO_TOP, _TO_BITS, _BYTE, _BLOCK = (np.uint64(bits) for bits in (2, 3, 8, 64))
_OTHER_MARKS = 255


def _kinds_of_marks():
    """The column that each ASCII mark counts in, or `_OTHER_MARKS`."""
    kinds = np.full(128, _OTHER_MARKS, np.uint8)
    for marks, column in ((",;", COMMAS), ("!", EXCLAMATIONS), ("?", QUESTIONS), ("$", CURRENCIES), ("@", LINKS)):
        for mark in marks:
            kinds[ord(mark)] = column
    for mark in "*|_~<>=+\\#^":
        kinds[ord(mark)] = SYMBOLS
    return kinds


_MARKS = _kinds_of_marks()


@njit
def _kind_of_mark(code):
    """The column that a mark counts in, or `_OTHER_MARKS`."""
    if code < 0x80:
        return int64(_MARKS[code])
    if code in (0x060C, 0x061B, 0x3001, 0xFF0C, 0xFF1B):
        return COMMAS
    if code == 0xFF01:
        return EXCLAMATIONS
    if code in (0x061F, 0xFF1F):
        return QUESTIONS
    if code in (0xA2, 0xA3, 0xA5) or 0x20A0 <= code <= 0x20CF:
        return CURRENCIES
    if code == 0x2026 or code < 0x2020 or 0x2030 <= code <= 0x203A:
        return _OTHER_MARKS
    if 0x3000 <= code <= 0x303F or 0xFF00 <= code <= 0xFF65:
        return _OTHER_MARKS
    return SYMBOLS


@njit
def _is_zero(block):
    """The top bit of every byte of a block that is 0."""
    return ~(((block & _LOW_BITS) + _LOW_BITS) | block | _LOW_BITS)


@njit
def _read_block(block, size):
    """As `_read_word`, for a word of at most eight ASCII characters, all at once: a block whose other bytes are 0."""
    letters = ascii_letters(block)
    lower = letters & (block << _TO_TOP)
    upper = letters ^ lower
    found = int64(0)
    if lower == 0 and upper & (upper - ONE):
        found |= ALL_UPPER
    if ascii_digits(block):
        found |= WITH_DIGIT
    if _is_zero(block ^ _APOSTROPHES):
        found |= WITH_APOSTROPHE
    twins = _is_zero(block ^ (block >> _BYTE)) & ~(TOP_BITS << ((uint64(size) - ONE) << _TO_BITS))
    if twins & (twins >> _BYTE):
        found |= STRETCHED
    return found


@njit
def _read_word(data, i, high, classes, ascii_table):
    """What is in a word: flags ALL_UPPER, WITH_DIGIT, WITH_APOSTROPHE, STRETCHED."""
    upper = lower = found = int64(0)
    run, last = int64(0), int64(-1)
    while i < high:
        code = int64(data[i])
        if code < 0x80:
            kind = int64(ascii_table[code])
            i += 1
        else:
            code, width = decode(data, i)
            kind = int64(classes[code])
            i += width
        upper += (kind & UPPER) != 0
        lower += (kind & LOWER) != 0
        if kind & DIGIT:
            found |= WITH_DIGIT
        if code == _APOSTROPHE or code == _RIGHT_QUOTE:
            found |= WITH_APOSTROPHE
        run = run + 1 if code == last else int64(1)
        last = code
        if run >= MIN_RUN:
            found |= STRETCHED
    if upper >= 2 and lower == 0:
        found |= ALL_UPPER
    return found


@njit
def _close_segment(counts, words, inner, capitals):
    """Count a segment of so many words; `inner` words come after the first, without short ones such as *of* and *the*,
    and `capitals` of them start with a capital. Words of scripts without case are never short, so that a few Latin
    names make no title of a Japanese sentence."""
    if words == 0:
        return
    counts[SEGMENTS] += 1
    if inner >= 2:
        counts[SEGMENT_WORDS] += words
        if 3 * capitals > 2 * inner:
            counts[TITLE_WORDS] += words


@njit(
    void(
        BYTES, INT64S, CLASSES, INT64S, INT64S, INT32S, INT32S, INT32S, FLAGS, INT64S, INT64S, INT32S,
        types.int64[:, ::1],
    ),
    nogil=True,
    cache=True,
)  # fmt: skip
def count_style(
    data, offsets, classes, begin, end, start, stop, num_chars, flags, line_begin, line_end, line_start, out
):
    """Counts of each document, in the columns that `COUNTS` names; the other arguments are of `Words` and `Lines`."""
    ascii_table = classes[:128].copy()
    for d in range(begin.shape[0]):
        base, high = offsets[d], offsets[d + 1]
        counts = out[d]
        counts[:] = 0
        line = line_begin[d]
        next_line = base + line_start[line + 1] if line + 1 < line_end[d] else high
        words = letter_words = letters = short = long = inner_words = capital_words = int64(0)
        line_words = segment = inner = capitals = int64(0)
        for k in range(begin[d], end[d]):
            i = base + start[k]
            if i >= next_line:
                while i >= next_line:
                    line += 1
                    next_line = base + line_start[line + 1] if line + 1 < line_end[d] else high
                counts[LONG_LINE_WORDS] += line_words if line_words >= MIN_LINE_WORDS else 0
                _close_segment(counts, segment, inner, capitals)
                line_words = segment = inner = capitals = int64(0)
            code = int64(data[i])
            if code < 0x80:
                kind = int64(ascii_table[code])
            else:
                code, _ = decode(data, i)
                kind = int64(classes[code])
            if flags[k] & PUNCTUATION:
                counts[MARKS] += 1
                column = _kind_of_mark(code)
                if column != _OTHER_MARKS:
                    counts[column] += 1
                elif code == _COLON and i + 2 < high and data[i + 1] == _SLASH and data[i + 2] == _SLASH:
                    counts[LINKS] += 1
                if kind & TERMINAL:
                    _close_segment(counts, segment, inner, capitals)
                    segment = inner = capitals = int64(0)
                continue
            words += 1
            line_words += 1
            segment += 1
            if not flags[k] & HAS_LETTER:
                continue
            chars, size = int64(num_chars[k]), int64(stop[k] - start[k])
            block = TOP_BITS
            if size <= 8 and i + 8 <= data.shape[0]:
                block = load_block(data, i) & (_ALL_BITS >> (_BLOCK - (uint64(size) << _TO_BITS)))
            if block & TOP_BITS:
                found = _read_word(data, i, i + size, classes, ascii_table)
            else:
                found = _read_block(block, size)
            if found:
                counts[UPPER_WORDS] += (found & ALL_UPPER) != 0
                counts[MIXED_WORDS] += (found & WITH_DIGIT) != 0
                counts[APOSTROPHE_WORDS] += (found & WITH_APOSTROPHE) != 0
                counts[STRETCHED_WORDS] += (found & STRETCHED) != 0
            letter_words += 1
            letters += min(chars, MAX_WORD_CHARS)
            short += chars <= MAX_SHORT_CHARS
            long += chars >= MIN_LONG_CHARS
            if segment > 1:
                is_capital = int64((kind & UPPER) != 0)
                counted = int64(chars > MAX_SHORT_CHARS or not kind & (UPPER | LOWER))
                inner_words += 1
                capital_words += is_capital
                inner += counted
                capitals += counted & is_capital
        counts[LONG_LINE_WORDS] += line_words if line_words >= MIN_LINE_WORDS else 0
        _close_segment(counts, segment, inner, capitals)
        counts[WORDS], counts[LETTER_WORDS], counts[LETTERS] = words, letter_words, letters
        counts[SHORT_WORDS], counts[LONG_WORDS] = short, long
        counts[INNER_WORDS], counts[CAPITAL_INNER_WORDS] = inner_words, capital_words
