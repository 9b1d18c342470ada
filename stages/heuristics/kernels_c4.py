"""C4's compiled pass over the lines of a text: removes some, and writes what is left."""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

from numba import int64, njit, types, uint8, void

from stages.text.kernels import (
    BYTES,
    CLASSES,
    DOT,
    INT32S,
    INT64S,
    NEWLINE,
    ascii_classes,
    decode,
    find_byte,
    skip_space,
    trim_space,
)
from stages.text.kernels_lines import ends_with_dots
from stages.text.kernels_sentences import ascii_terminals, sentence_end
from stages.text.unicode_tables import SPACE

PHRASES = types.Array(uint8, 2, "C", readonly=True)

SENTENCES, LOREM_IPSUM, CURLY_BRACKET, LONG_WORD, UNFINISHED, SHORT, JAVASCRIPT, POLICY, CITATIONS = range(9)
"""Columns of the counts that `clean_lines` fills."""
NUM_COUNTS = 9

_OPENING_BRACKET, _CLOSING_BRACKET, _CURLY_BRACKET = 0x5B, 0x5D, 0x7B
_QUESTION, _EXCLAMATION, _QUOTE, _APOSTROPHE = 0x3F, 0x21, 0x22, 0x27


@njit
def _lowered(byte):
    return byte + 32 if 65 <= byte <= 90 else byte


@njit
def _find_phrases(data, low, high, phrases, sizes, anchors, anchored):
    """Bit mask of the phrases that occur in `data[low:high]`, ASCII case folded; bit 0 is a curly bracket."""
    found = int64(0)
    for i in range(low, high):
        candidates = int64(anchored[data[i]])
        if candidates == 0:
            continue
        found |= candidates & 1
        for p in range(phrases.shape[0]):
            first = i - anchors[p]
            if candidates >> (p + 1) & 1 and first >= low and first + sizes[p] <= high:
                k = 0
                while k < sizes[p] and _lowered(data[first + k]) == phrases[p, k]:
                    k += 1
                if k == sizes[p]:
                    found |= int64(2) << p
    return found


@njit
def _equals_at(data, i, high, phrase):
    if i + phrase.shape[0] > high:
        return False
    k = 0
    while k < phrase.shape[0] and data[i + k] == phrase[k]:
        k += 1
    return k == phrase.shape[0]


@njit
def _citation_end(data, i, high, edit, needed):
    """End of the citation mark that starts at byte `i` (`[`), or `i` if there is none."""
    if _equals_at(data, i, high, edit):
        return i + edit.shape[0]
    if _equals_at(data, i, high, needed):
        return i + needed.shape[0]
    j = i + 1
    while j < high and 48 <= data[j] <= 57:
        j += 1
    return j + 1 if j < high and data[j] == _CLOSING_BRACKET else i


@njit
def _copy_line(data, low, high, out, at, citations, edit, needed):
    """Copy a line to `out[at:]`, without citation marks if so asked; returns the end and the marks left out."""
    marks = 0
    i = low
    while i < high:
        stop = find_byte(data, i, high, _OPENING_BRACKET) if citations else high
        out[at : at + stop - i] = data[i:stop]
        at += stop - i
        i = stop
        if i < high:
            close = _citation_end(data, i, high, edit, needed)
            if close > i:
                marks += 1
                i = close
            else:
                out[at] = _OPENING_BRACKET
                at += 1
                i += 1
    return at, marks


@njit
def _spaced_words(data, low, high, classes, ascii_spaces, enough, limit):
    """Words between white space (counted up to `enough`), and whether one has more than `limit` code points."""
    look_for_long = limit >= 0 and high - low > limit
    words = length = 0
    i = low
    while i < high and (look_for_long or words < enough):
        width = int64(1)
        space = ascii_spaces[data[i]] != 0
        if data[i] > 0x7F:
            code, width = decode(data, i)
            space = classes[code] & SPACE != 0
        if space:
            length = 0
        else:
            words += length == 0
            length += 1
            if look_for_long and length > limit:
                return words, True
        i += width
    return words, False


@njit
def _is_finished(data, low, high):
    """A line that ends in . ? ! " or ' and not in three dots."""
    if high == low:
        return False
    last = data[high - 1]
    if last == DOT:
        return not ends_with_dots(data, low, high)
    return last in (_QUESTION, _EXCLAMATION, _QUOTE, _APOSTROPHE)


@njit
def _count_sentences(data, low, high, classes, terminals):
    high = trim_space(data, low, high, classes)
    i = skip_space(data, low, high, classes)
    count = 0
    while i < high:
        i = skip_space(data, sentence_end(data, i, high, classes, terminals), high, classes)
        count += 1
    return count


@njit(
    void(
        BYTES, INT64S, CLASSES, INT64S, INT64S, INT32S, INT32S, PHRASES, INT64S, INT64S, CLASSES, BYTES, BYTES, INT64S,
        uint8[::1], int64[::1], int64[:, ::1],
    ),
    nogil=True,
    cache=True,
)  # fmt: skip
def clean_lines(
    data, offsets, classes, begin, end, start, stop, phrases, sizes, anchors, anchored, edit, needed, options,
    out, out_offsets, counts,
):  # fmt: skip
    """Write the text that C4's rules leave, and count why lines went.

    Args:
        begin, end, start, stop: the lines of the documents.
        phrases, sizes: lower-case phrases; the first is "lorem ipsum", the second "javascript", the rest name policies.
        anchors: where the rarest letter of each phrase stands in it.
        anchored: for every byte, bit p + 1 if it is that letter of phrase p in either case; bit 0 for the bracket `{`.
        edit, needed: the bytes of "[edit]" and "[citation needed]".
        options: most code points of a word (-1 = no limit), fewest words of a line, and 0 or 1 for: take citations out,
            remove lines without terminal punctuation, with JavaScript, with a policy.
        out, out_offsets: the new text and where each document starts in it.
        counts: see `SENTENCES` and its siblings.
    """
    max_chars, min_words, citations, terminal, javascript, policy = options
    ascii_spaces, terminals = ascii_classes(classes, SPACE), ascii_terminals(classes)
    at = int64(0)
    for d in range(offsets.shape[0] - 1):
        out_offsets[d] = at
        counts[d, :] = 0
        first = at
        for k in range(begin[d], end[d]):
            low = skip_space(data, offsets[d] + start[k], offsets[d] + stop[k], classes)
            high = trim_space(data, low, offsets[d] + stop[k], classes)
            words, too_long = _spaced_words(data, low, high, classes, ascii_spaces, min_words, max_chars)
            if too_long:
                counts[d, LONG_WORD] += 1
                continue
            line = at + (at > first)
            close, marks = _copy_line(data, low, high, out, line, citations, edit, needed)
            if terminal and not _is_finished(out, line, close):
                counts[d, UNFINISHED] += 1
                continue
            if words < min_words:
                counts[d, SHORT] += 1
                continue
            found = _find_phrases(out, line, close, phrases, sizes, anchors, anchored)
            counts[d, LOREM_IPSUM] |= found >> 1 & 1
            if javascript and found & 4:
                counts[d, JAVASCRIPT] += 1
                continue
            counts[d, CURLY_BRACKET] |= found & 1
            if policy and found >> 3:
                counts[d, POLICY] += 1
                continue
            counts[d, SENTENCES] += _count_sentences(out, line, close, classes, terminals)
            counts[d, CITATIONS] += marks
            if line > at:
                out[at] = NEWLINE
            at = close
        low = skip_space(out, first, at, classes)
        high = trim_space(out, low, at, classes)
        if low > first:
            for i in range(low, high):
                out[first + i - low] = out[i]
        at = first + high - low
    out_offsets[offsets.shape[0] - 1] = at
