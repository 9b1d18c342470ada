"""The compiled pass that splits lines into sentences; the rule is in `stages.text.views.Sentences`."""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

from numba import int64, njit, types, uint64

from stages.text.kernels import (
    BYTES,
    CLASSES,
    DOT,
    INT32S,
    INT64S,
    ascii_classes,
    decode,
    decode_before,
    digest,
    skip_space,
    trim_space,
)
from stages.text.unicode_tables import CLOSER, DIGIT, LETTER, MARK, SPACE, TERMINAL

_IN_WORD = LETTER | MARK | DIGIT


@njit
def ascii_terminals(classes):
    """`uint8[256]`: not 0 for the bytes that end a sentence, or start a code point that may."""
    table = ascii_classes(classes, TERMINAL)
    table[128:] = 1
    return table


@njit
def _letters_before(data, low, i, classes):
    """1 if a word of a single letter ends at byte `i`, 2 if a longer one whose last character is a letter, else 0."""
    if i == low:
        return 0
    code, before = decode_before(data, low, i)
    if not classes[code] & LETTER:
        return 0
    if before == low:
        return 1
    code, _ = decode_before(data, low, before)
    return 2 if classes[code] & _IN_WORD else 1


@njit
def sentence_end(data, low, high, classes, terminals):
    """End of the first sentence in `data[low:high]`, a part of a line without white space around it."""
    i = low
    while i < high:
        if not terminals[data[i]]:
            i += 1
            continue
        code, width = decode(data, i)
        if not classes[code] & TERMINAL:
            i += width
            continue
        letters = _letters_before(data, low, i, classes)
        dots = others = 0
        wide = False
        while i < high:
            code, width = decode(data, i)
            if not classes[code] & TERMINAL:
                break
            wide |= code > 0x7F
            dots += code == DOT
            others += code != DOT
            i += width
        close = i
        while close < high:
            code, width = decode(data, close)
            if not classes[code] & CLOSER:
                break
            close += width
        if close >= high:
            return high
        code, _ = decode(data, close)
        if others > 0 or (dots == 1 and letters != 1):
            if wide or classes[code] & SPACE:
                return close
            if close == i and letters == 2 and 65 <= code <= 90:
                return close
        i = close
    return high


@njit(
    int64(
        BYTES, INT64S, CLASSES, INT64S, INT64S, INT32S, INT32S,
        int64[::1], int64[::1], types.int32[::1], types.int32[::1], uint64[::1], types.int32[::1],
    ),
    nogil=True,
    cache=True,
)  # fmt: skip
def split_sentences(
    data, offsets, classes, line_begin, line_end, line_start, line_stop, begin, end, start, stop, hashes, num_chars
):
    """Fill the columns of `Sentences` from those of `Lines`; returns their length, at most the number of bytes."""
    terminals = ascii_terminals(classes)
    m = 0
    for d in range(offsets.shape[0] - 1):
        base = offsets[d]
        begin[d] = m
        for k in range(line_begin[d], line_end[d]):
            high = trim_space(data, base + line_start[k], base + line_stop[k], classes)
            i = skip_space(data, base + line_start[k], high, classes)
            while i < high:
                close = sentence_end(data, i, high, classes, terminals)
                start[m] = i - base
                stop[m] = close - base
                hashes[m], num_chars[m] = digest(data, i, close)
                m += 1
                i = skip_space(data, close, high, classes)
        end[d] = m
    return m
