"""What stages see of a text: its words, lines, paragraphs and sentences, as arrays.

A view of `n` documents with `m` spans in all has `begin` and `end` (`int64[n]`: the spans of document `d` are those
from `begin[d]` to `end[d]`) and columns of `m` values: `start` and `stop` (`int32`, bytes relative to the start of the
document), `hash` (`uint64`), `num_chars` (`int32`, code points) and, for words and lines, `flags` (`uint8`). Taking
some of the documents takes `begin` and `end` alone; no span is copied or computed again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from stages.text import kernels, kernels_lines, kernels_sentences, kernels_words
from stages.text.batch import Utf8
from stages.text.unicode_tables import classes

Int64s: TypeAlias = npt.NDArray[np.int64]
Int32s: TypeAlias = npt.NDArray[np.int32]
UInt64s: TypeAlias = npt.NDArray[np.uint64]
Columns: TypeAlias = tuple[Int64s, Int64s, Int32s, Int32s, UInt64s, Int32s]


@dataclass(frozen=True)
class Spans:
    """Spans of text, document after document."""

    begin: Int64s
    end: Int64s
    start: Int32s
    stop: Int32s
    hash: UInt64s
    num_chars: Int32s

    def take(self, rows: Int64s) -> Self:
        """The spans of some of the documents."""
        return replace(self, begin=self.begin[rows], end=self.end[rows])

    @property
    def count(self) -> Int64s:
        """Spans in each document."""
        return self.end - self.begin


@dataclass(frozen=True)
class Words(Spans):
    """Words and punctuation.

    A word is a maximal run of letters, marks, digits and joiners (U+200C, U+200D, soft hyphen, U+2060) that starts
    with none of the latter. Single marks inside it belong to it, much as in Unicode's UAX #29: an apostrophe (' or ’)
    or `_` between two letters, marks or digits, a `.` between two letters or two digits, a `,` between two digits:
    "don't", "snake_case", "example.com", "3.14" and "1,000" are one word each. Each letter of a script written without
    spaces (Han, Kana, Thai, Lao, Khmer, Burmese) is a word of its own, with the marks that follow it: not each code
    point, because a lone vowel mark is no letter. Every other visible character is a token of its own, flagged
    PUNCTUATION, but a run of dots or of hyphens is one token; white space, control and format characters separate and
    are no tokens. Case is kept.

    `flags`: PUNCTUATION, HAS_LETTER (at least one `str.isalpha`).

    Inner marks and runs are kept whole because tokenizers of published recipes keep them so. With every mark on its
    own, Gopher's share of words with a letter sinks below its bound on pages with addresses, numbers and rulers, and
    2.3 % of real web pages change sides; see docs/decisions.md.
    """

    flags: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, utf8: Utf8) -> Self:
        columns, flags = _columns(utf8, _num_bytes(utf8)), np.empty(_num_bytes(utf8), np.uint8)
        m = kernels_words.split_words(utf8.data, utf8.offsets, classes(), *columns, flags)
        return cls(*_cut(columns, m), flags[:m])


@dataclass(frozen=True)
class Lines(Spans):
    """Lines: the text split at every "\\n", as `str.split` does, so that a text ending in "\\n" has a last, empty line.

    A "\\r" right before a "\\n" belongs to the break. No other character breaks a line (`str.splitlines` knows eight
    more).

    `flags`: BLANK, BULLET, ELLIPSIS, TERMINATED; see `stages.text.kernels_lines`.
    """

    flags: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, utf8: Utf8) -> Self:
        size = int(np.count_nonzero(utf8.data[utf8.offsets[0] : utf8.offsets[-1]] == ord("\n"))) + len(utf8.offsets)
        columns, flags = _columns(utf8, size), np.empty(size, np.uint8)
        m = kernels_lines.split_lines(utf8.data, utf8.offsets, classes(), *columns, flags)
        return cls(*_cut(columns, m), flags[:m])


@dataclass(frozen=True)
class Paragraphs(Spans):
    """Paragraphs: the text without white space at its ends, split where two or more newlines follow each other."""

    @classmethod
    def of(cls, utf8: Utf8, lines: Lines) -> Self:
        columns = _columns(utf8, len(lines.start))
        m = kernels_lines.split_paragraphs(
            utf8.data, utf8.offsets, classes(), lines.begin, lines.end, lines.start, lines.stop, lines.hash,
            lines.num_chars, *columns,
        )  # fmt: skip
        return cls(*_cut(columns, m))


@dataclass(frozen=True)
class Sentences(Spans):
    """Sentences of every line; none crosses a line break, and every line that is not blank has at least one.

    A sentence ends after a run of terminal punctuation (Unicode Sentence_Terminal) and the closing quotes and brackets
    behind it, if white space or the end of the line follows, or if the run has a terminator of another script (。？！
    need no space). Dots in a row ("...") end nothing, nor does one dot after a single letter ("J. Doe", "e.g.",
    "U.S."). A dot between a word and an upper-case ASCII letter does ("end.Next"). Abbreviations such as "Mr." are not
    known and count as ends.
    """

    @classmethod
    def of(cls, utf8: Utf8, lines: Lines) -> Self:
        columns = _columns(utf8, _num_bytes(utf8))
        m = kernels_sentences.split_sentences(
            utf8.data, utf8.offsets, classes(), lines.begin, lines.end, lines.start, lines.stop, *columns
        )
        return cls(*_cut(columns, m))


def count_chars(utf8: Utf8) -> Int64s:
    """Code points of each document."""
    out = np.empty(len(utf8.offsets) - 1, np.int64)
    kernels.count_chars(utf8.data, utf8.offsets, out)
    return out


def hash_word(word: str) -> int:
    """The hash that views give to a span: for stop words and lists. The string is one word, whatever is in it."""
    return int(kernels.hash_bytes(np.frombuffer(word.encode(), np.uint8)))


def _num_bytes(utf8: Utf8) -> int:
    return int(utf8.offsets[-1] - utf8.offsets[0])


def _columns(utf8: Utf8, size: int) -> Columns:
    """Uninitialised columns for the documents of a batch and at most `size` spans."""
    n = len(utf8.offsets) - 1
    return (
        np.empty(n, np.int64), np.empty(n, np.int64), np.empty(size, np.int32), np.empty(size, np.int32),
        np.empty(size, np.uint64), np.empty(size, np.int32),
    )  # fmt: skip


def _cut(columns: Columns, m: int) -> Columns:
    """The columns as long as they were filled."""
    begin, end, start, stop, hashes, num_chars = columns
    return begin, end, start[:m], stop[:m], hashes[:m], num_chars[:m]
