"""What stages see of a text: its words, lines, paragraphs and sentences, as arrays.

A view of `n` documents with `m` spans in all has `begin` and `end` (`int64[n]`: the spans of document `d` are those from
`begin[d]` to `end[d]`) and columns of `m` values: `start` and `stop` (`int32`, bytes relative to the start of the document),
`hash` (`uint64`), `num_chars` (`int32`, code points) and, for words and lines, `flags` (`uint8`). Taking some of the documents
takes `begin` and `end` alone; no span is copied or computed again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from stages.text import kernels
from stages.text.batch import Utf8
from stages.text.unicode_tables import classes


@dataclass(frozen=True)
class Spans:
    """Spans of text, document after document."""

    begin: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    start: npt.NDArray[np.int32]
    stop: npt.NDArray[np.int32]
    hash: npt.NDArray[np.uint64]
    num_chars: npt.NDArray[np.int32]

    def take(self, rows: npt.NDArray[np.int64]) -> Self:
        """The spans of some of the documents."""
        return replace(self, begin=self.begin[rows], end=self.end[rows])

    @property
    def count(self) -> npt.NDArray[np.int64]:
        """Spans in each document."""
        return self.end - self.begin


@dataclass(frozen=True)
class Words(Spans):
    """Words and punctuation.

    A word is a maximal run of letters, marks, digits and joiners (U+200C, U+200D, soft hyphen, U+2060), held together by single
    marks inside it as in Unicode's UAX #29: an apostrophe (' or ’) or `_` with a letter, mark or digit on both sides, a dot
    between letters or between digits ("example.com", "3.14"), a comma between digits ("1,000"). Each letter of a script written without spaces (Han, Kana, Thai, Lao,
    Khmer, Burmese) is a word of its own, with the marks that follow it. Every other visible character, or run of the same
    one ("...", "-----"), is a token of its own, flagged PUNCTUATION; white space, control and format characters separate and are no tokens. Case is kept.

    `flags`: PUNCTUATION, HAS_LETTER (at least one `str.isalpha`).
    """

    flags: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, utf8: Utf8) -> Self:
        begin, end, columns = _columns(utf8, _num_bytes(utf8))
        flags = np.empty(_num_bytes(utf8), np.uint8)
        m = kernels.split_words(utf8.data, utf8.offsets, classes(), begin, end, *columns, flags)
        return cls(begin, end, *(column[:m] for column in columns), flags[:m])


@dataclass(frozen=True)
class Lines(Spans):
    """Lines: the text split at every "\\n", as `str.split` does, so that a text ending in "\\n" has a last, empty line.

    A "\\r" right before a "\\n" belongs to the break. No other character breaks a line (`str.splitlines` knows eight more).

    `flags`: BLANK, BULLET, ELLIPSIS, TERMINATED; see `stages.text.kernels`.
    """

    flags: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, utf8: Utf8) -> Self:
        size = int(np.count_nonzero(utf8.data[utf8.offsets[0] : utf8.offsets[-1]] == ord("\n"))) + len(utf8.offsets)
        begin, end, columns = _columns(utf8, size)
        flags = np.empty(size, np.uint8)
        m = kernels.split_lines(utf8.data, utf8.offsets, classes(), begin, end, *columns, flags)
        return cls(begin, end, *(column[:m] for column in columns), flags[:m])


@dataclass(frozen=True)
class Paragraphs(Spans):
    """Paragraphs: the text without white space at its ends, split where two or more newlines follow each other."""

    @classmethod
    def of(cls, utf8: Utf8, lines: Lines) -> Self:
        begin, end, columns = _columns(utf8, len(lines.start))
        m = kernels.split_paragraphs(
            utf8.data, utf8.offsets, classes(), lines.begin, lines.end, lines.start, lines.stop, begin, end, *columns
        )
        return cls(begin, end, *(column[:m] for column in columns))


@dataclass(frozen=True)
class Sentences(Spans):
    """Sentences of every line; none crosses a line break, and every line that is not blank has at least one.

    A sentence ends after a run of terminal punctuation (Unicode Sentence_Terminal) and the closing quotes and brackets behind
    it, if white space or the end of the line follows, or if the run has a terminator of another script (。？！ need no space).
    Dots in a row ("...") end nothing, nor does one dot after a single letter ("J. Doe", "e.g.", "U.S."). A dot between a word and
    an upper-case ASCII letter does ("end.Next"). Abbreviations such as "Mr." are not known and count as ends.
    """

    @classmethod
    def of(cls, utf8: Utf8, lines: Lines) -> Self:
        begin, end, columns = _columns(utf8, _num_bytes(utf8))
        m = kernels.split_sentences(
            utf8.data, utf8.offsets, classes(), lines.begin, lines.end, lines.start, lines.stop, begin, end, *columns
        )
        return cls(begin, end, *(column[:m] for column in columns))


def count_chars(utf8: Utf8) -> npt.NDArray[np.int64]:
    """Code points of each document."""
    out = np.empty(len(utf8.offsets) - 1, np.int64)
    kernels.count_chars(utf8.data, utf8.offsets, out)
    return out


def hash_word(word: str) -> int:
    """The hash that `Words` gives to a word: for stop words and lists. The string is taken as one word, whatever is in it."""
    return int(kernels.hash_code_points(np.array([ord(char) for char in word], np.int64)))


def _num_bytes(utf8: Utf8) -> int:
    return int(utf8.offsets[-1] - utf8.offsets[0])


def _columns(
    utf8: Utf8, size: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], tuple[npt.NDArray[np.int32], ...]]:
    """`begin` and `end`, and uninitialised columns `start`, `stop`, `hash`, `num_chars` for at most `size` spans."""
    num_documents = len(utf8.offsets) - 1
    begin, end = np.empty(num_documents, np.int64), np.empty(num_documents, np.int64)
    types = (np.int32, np.int32, np.uint64, np.int32)
    return begin, end, tuple(np.empty(size, type_) for type_ in types)
