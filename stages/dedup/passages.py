"""Passages: runs of words of a document, and texts without them.

Words are numbered as in `FoldedWords`, punctuation left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.dedup.lines import Removal
from stages.text.batch import TextBatch

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Passages:
    """Passages of `n` documents, all `int64`: those of document `d` are from `bounds[d]` to `bounds[d + 1]`.

    Each is the words from `first` up to, not including, `stop`; ascending, with at least one word between two.
    """

    bounds: Int64s
    first: Int64s
    stop: Int64s

    @classmethod
    def union(cls, num_rows: int, rows: Int64s, first: Int64s, stop: Int64s) -> Self:
        """The words in any of some spans, given in any order, that may overlap: `rows` names their documents."""
        order = np.lexsort([first, rows])
        low, high = (rows << 32) + first, (rows << 32) + stop  # one number line, on which no two documents meet
        low, reached = low[order], np.maximum.accumulate(high[order])
        opens = np.flatnonzero(np.append(True, low[1:] > reached[:-1])) if len(low) else np.zeros(0, np.int64)
        closes = np.append(opens[1:], len(low)) - 1 if len(low) else opens
        owners = rows[order][opens]
        bounds = np.searchsorted(owners, np.arange(num_rows + 1))
        base = owners << 32
        return cls(bounds, low[opens] - base, reached[closes] - base)

    @property
    def count(self) -> Int64s:
        """Passages of each document."""
        return np.diff(self.bounds)

    @property
    def rows(self) -> Int64s:
        """The document of each passage."""
        return np.repeat(np.arange(len(self.bounds) - 1), self.count)

    @property
    def num_words(self) -> Int64s:
        """Words in the passages of each document."""
        cumulated = np.append(0, np.cumsum(self.stop - self.first))
        return cumulated[self.bounds[1:]] - cumulated[self.bounds[:-1]]

    @property
    def longest(self) -> Int64s:
        """Words in the longest passage of each document; 0 if it has none."""
        out = np.zeros(len(self.bounds) - 1, np.int64)
        np.maximum.at(out, self.rows, self.stop - self.first)
        return out

    def widened(self, margin: int, num_words: Int64s) -> Passages:
        """With so many more words on both sides, in documents of so many words."""
        rows = self.rows
        first, stop = np.maximum(self.first - margin, 0), np.minimum(self.stop + margin, num_words[rows])
        return Passages.union(len(self.bounds) - 1, rows, first, stop)


def cut_passages(batch: TextBatch, passages: Passages) -> Removal:
    """The texts without the passages, and how much went: `removed_count` passages, `removed_chars` code points.

    Punctuation goes along that follows a passage up to white space or the next word, or that leads to it from white
    space. Of the white space on both sides the one with more line breaks stays (the one in front if they have as many);
    none stays at the start or the end of a text. What stays keeps its bytes.
    """
    from stages.dedup import kernels_passages as kernels
    from stages.text.unicode_tables import classes

    utf8, n = batch.utf8, batch.num_rows
    rows = np.flatnonzero(passages.count)
    part = TextBatch(batch.table.select(["text"]).take(rows))
    words = batch.words.take(rows) if "words" in batch.__dict__ else part.words
    bounds = np.append(passages.bounds[rows], len(passages.first))
    lows, highs = np.empty(len(passages.first), np.int64), np.empty(len(passages.first), np.int64)
    kernels.find_edges(
        part.utf8.data, part.utf8.offsets, classes(), words.begin, words.end, words.start, words.stop, words.flags,
        bounds, passages.first, passages.stop, lows, highs,
    )  # fmt: skip
    out, offsets = np.empty(int(utf8.offsets[-1] - utf8.offsets[0]), np.uint8), np.empty(n + 1, np.int64)
    chars = np.empty(n, np.int64)
    kernels.write_without(utf8.data, utf8.offsets, passages.bounds, lows, highs, out, offsets, chars)
    text = pa.LargeStringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(out[: offsets[-1]]))
    return Removal(text, passages.count, chars)
