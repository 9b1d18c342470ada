"""The compiled pass that splits text into words; the rule is in `stages.text.views.Words`.

Most words are at most seven ASCII letters or digits and end at a space or a mark: those are found and hashed eight
bytes at a time, without a loop (SIMD within a register). Everything else goes the general way, one code point after
the other.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import int64, njit, types, uint8, uint64

from stages.text.kernels import (
    BYTES,
    CLASSES,
    DOT,
    EACH_BYTE,
    INT64S,
    ONE,
    S7,
    S56,
    TOP_BITS,
    add_block,
    ascii_classes,
    decode,
    digest,
    finish,
    load_block,
)
from stages.text.unicode_tables import APOSTROPHE, DIGIT, IGNORED, JOINER, LETTER, MARK, SPACE, UNSPACED

PUNCTUATION = 1
"""Flag of a word: a mark, not a word."""
HAS_LETTER = 2
"""Flag of a word: at least one letter."""

IN_WORD = LETTER | MARK | DIGIT
"""Classes of the characters that a word may start with."""
_SPACE, _QUOTE, _COMMA, _HYPHEN, _UNDERSCORE = 0x20, 0x27, 0x2C, 0x2D, 0x5F
_LOW_BITS = EACH_BYTE * np.uint64(0x7F)
_CASE_BITS = EACH_BYTE * np.uint64(0x20)
_FROM_A, _PAST_Z = EACH_BYTE * np.uint64(0x80 - 0x61), EACH_BYTE * np.uint64(0x80 - 0x7B)
_FROM_0, _PAST_9 = EACH_BYTE * np.uint64(0x80 - 0x30), EACH_BYTE * np.uint64(0x80 - 0x3A)


@njit
def ascii_letters(block):
    """The top bit of every byte of a block that is an ASCII letter."""
    folded = (block & _LOW_BITS) | _CASE_BITS
    return (folded + _FROM_A) & ~(folded + _PAST_Z) & ~block & TOP_BITS


@njit
def ascii_digits(block):
    """The top bit of every byte of a block that is an ASCII digit."""
    low = block & _LOW_BITS
    return (low + _FROM_0) & ~(low + _PAST_9) & ~block & TOP_BITS


@njit
def _goes_on(data, i, high, classes, needed):
    """Whether byte `i` starts a code point of a class in `needed`, in a script with spaces."""
    if i >= high:
        return False
    code, _ = decode(data, i)
    return (classes[code] & needed) != 0 and not classes[code] & UNSPACED


@njit
def word_end(data, i, high, classes, ascii_table):
    """End of the word that starts at byte `i`, and the union of its classes."""
    first = i
    seen = last = int64(0)
    while True:
        while i < high and ascii_table[data[i]] & IN_WORD:
            last = int64(ascii_table[data[i]])
            seen |= last
            i += 1
        if i >= high or ascii_table[data[i]] & SPACE:
            break
        code, width = decode(data, i)
        kind = int64(classes[code])
        if kind & IN_WORD:
            if kind & UNSPACED and i > first:
                break
        elif kind & APOSTROPHE or code == _UNDERSCORE:
            if not (last & IN_WORD and _goes_on(data, i + width, high, classes, IN_WORD)):
                break
        elif code in (DOT, _COMMA):
            needed = DIGIT if last & DIGIT else LETTER if code == DOT and last & (LETTER | MARK) else 0
            if not _goes_on(data, i + width, high, classes, needed):
                break
        elif not kind & JOINER:
            break
        seen |= kind
        last = kind
        i += width
        if kind & UNSPACED:
            while i < high:
                code, width = decode(data, i)
                if not classes[code] & MARK:
                    break
                i += width
            break
    return i, seen


@njit
def _ascii_word(data, i, high, ascii_table, ends_word):
    """End, hash and letters of the word at `i` if it is ASCII and clearly ends; else its end is `i`."""
    first = i
    h = ONE
    letters = uint64(0)
    while i + 9 <= high:
        block = load_block(data, i)
        found = ascii_letters(block)
        others = (found | ascii_digits(block)) ^ TOP_BITS
        if others == 0:
            h = add_block(h, block)
            letters |= found
            i += 8
            continue
        inside = ((others & (~others + ONE)) >> S7) - ONE  # all bits of the bytes before the first other one
        i += int64(((inside & EACH_BYTE) * EACH_BYTE) >> S56)
        if not (ends_word[data[i]] or ascii_table[data[i + 1]] & SPACE):
            break
        return i, finish(add_block(h, block & inside) ^ uint64(i - first)), letters | found & inside
    return first, h, letters


@njit(
    int64(
        BYTES, INT64S, CLASSES,
        int64[::1], int64[::1], types.int32[::1], types.int32[::1], uint64[::1], types.int32[::1], uint8[::1],
    ),
    nogil=True,
    cache=True,
)  # fmt: skip
def split_words(data, offsets, classes, begin, end, start, stop, hashes, num_chars, flags):
    """Fill the columns of `Words`; returns their length. Columns must hold as many rows as there are bytes."""
    ascii_table = ascii_classes(classes, 0xFF)
    ends_word = np.zeros(256, np.uint8)
    for byte in range(128):
        ends_word[byte] = not (ascii_table[byte] & IN_WORD or byte in (DOT, _COMMA, _QUOTE, _UNDERSCORE))
    mark_hash = np.empty(128, np.uint64)
    for byte in range(128):
        mark_hash[byte] = finish(add_block(ONE, uint64(byte)) ^ ONE)
    m = 0
    for d in range(offsets.shape[0] - 1):
        low, high = offsets[d], offsets[d + 1]
        begin[d] = m
        i = low
        while i < high:
            byte = data[i]
            kind = int64(ascii_table[byte])
            if kind & (SPACE | IGNORED):
                i += 1
                continue
            first = i
            if kind & IN_WORD:
                i, h, letters = _ascii_word(data, i, high, ascii_table, ends_word)
                if i > first:
                    start[m] = first - low
                    stop[m] = i - low
                    hashes[m] = h
                    num_chars[m] = i - first
                    flags[m] = HAS_LETTER if letters else 0
                    m += 1
                    if data[i] == _SPACE:
                        i += 1
                    continue
            elif byte < 0x80 and byte not in (DOT, _HYPHEN):
                start[m] = i - low
                i += 1
                stop[m] = i - low
                hashes[m] = mark_hash[byte]
                num_chars[m] = 1
                flags[m] = PUNCTUATION
                m += 1
                continue
            code, width = decode(data, i)
            kind = int64(classes[code])
            if kind & (SPACE | IGNORED):
                i += width
                continue
            start[m] = i - low
            if kind & IN_WORD:
                i, seen = word_end(data, i, high, classes, ascii_table)
                flags[m] = HAS_LETTER if seen & LETTER else 0
            else:
                i += width
                while code in (DOT, _HYPHEN) and i < high and data[i] == code:
                    i += 1
                flags[m] = PUNCTUATION
            hashes[m], num_chars[m] = digest(data, first, i)
            stop[m] = i - low
            m += 1
        end[d] = m
    return m
