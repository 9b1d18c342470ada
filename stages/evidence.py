"""Where in a text the evidence for a signal stands, for people who look at a decision.

Evidence is made again from the text, by the views and kernels that measured it, so what is marked is what was counted.
Notes say what a span is in words of ours, never in the text's: they may be shown where the text is hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from stages.text.batch import TextBatch

if TYPE_CHECKING:
    from stages.text.views import Spans

MOST = 200
"""Spans that are told at most; a text of nothing but evidence needs no more to be believed."""

Int64s = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_ODD = np.uint64(0x9FB21C651E98DF25)


class Span(NamedTuple):
    """Code points `start` to `end` of a text, and what they are evidence of."""

    start: int
    end: int
    note: str


class Located:
    """One text as stages see it, whose bytes are told as the code points that people see."""

    def __init__(self, text: str) -> None:
        self.batch = TextBatch.from_texts([text])
        utf8 = self.batch.utf8
        data = utf8.data[utf8.offsets[0] : utf8.offsets[1]]
        self._places = np.append(0, np.cumsum(data & 0xC0 != 0x80))

    def spans(self, starts: npt.ArrayLike, stops: npt.ArrayLike, note: str, most: int = MOST) -> list[Span]:
        """Spans from byte to byte; empty ones are left out, and those past the first `most`."""
        low, high = (self._places[np.asarray(ends, np.int64)] for ends in (starts, stops))
        some = np.flatnonzero(low < high)[:most]
        return [Span(int(a), int(b), note) for a, b in zip(low[some], high[some], strict=True)]

    def of(self, view: Spans, chosen: Mask, note: str) -> list[Span]:
        """Those of its words, lines or paragraphs that are chosen."""
        return self.spans(view.start[chosen], view.stop[chosen], note)


def matches(pattern: str, text: str, note: str, flags: int = 0) -> list[Span]:
    """Where a regular expression matches."""
    found = [Span(*match.span(), note) for match in re.finditer(pattern, text, flags)]
    return [span for span in found if span.start < span.end][:MOST]


def repeats(hashes: npt.NDArray[np.uint64], counted: Mask | None = None) -> Mask:
    """Which of some hashes stand at an earlier place already; those that are not `counted` are none."""
    places = np.arange(len(hashes)) if counted is None else np.flatnonzero(counted)
    _, first = np.unique(hashes[places], return_index=True)
    found = np.zeros(len(hashes), np.bool_)
    found[places] = True
    found[places[first]] = False
    return found


class Ngrams:
    """Every sequence of `size` words of a text: how often it comes, and where it came first."""

    def __init__(self, hashes: npt.NDArray[np.uint64], size: int) -> None:
        self.size = size
        rows = max(len(hashes) - size + 1, 0)
        mixed = np.zeros(rows, np.uint64)
        for place in range(size):
            mixed = (mixed + hashes[place : place + rows]) * _ODD
        _, first, number, counts = np.unique(mixed, return_index=True, return_inverse=True, return_counts=True)
        self.count: Int64s = counts[number]
        self.first: Int64s = first[number]

    @property
    def top(self) -> list[int]:
        """Where the most frequent one begins, the first of several; copies that overlap one before are left out."""
        if not len(self.count):
            return []
        best = self.first[self.count == self.count.max()].min()
        return self._apart(np.flatnonzero(self.first == best).tolist())

    @property
    def seen_before(self) -> list[int]:
        """Where those begin that were seen before, from left to right, jumping over each one found."""
        found: list[int] = []
        seen: set[int] = set()
        at = 0
        for place in np.flatnonzero(self.count > 1).tolist():
            if place < at:
                continue
            if self.first[place] in seen:
                found.append(place)
                at = place + self.size
            seen.add(int(self.first[place]))
        return found

    @property
    def repeated(self) -> list[tuple[int, int]]:
        """Words from, to (exclusive) that lie in one that comes more than once; runs that touch are one."""
        found: list[tuple[int, int]] = []
        for place in np.flatnonzero(self.count > 1).tolist():
            if found and place <= found[-1][1]:
                found[-1] = (found[-1][0], place + self.size)
            else:
                found.append((place, place + self.size))
        return found

    def _apart(self, places: Iterable[int]) -> list[int]:
        found: list[int] = []
        for place in places:
            if not found or place >= found[-1] + self.size:
                found.append(place)
        return found


def lines_of(text: str) -> list[Span]:
    """Every line without its break, as a span without a note."""
    ends = [-1, *(found.start() for found in re.finditer("\n", text)), len(text)]
    return [Span(before + 1, end, "") for before, end in pairwise(ends)]
