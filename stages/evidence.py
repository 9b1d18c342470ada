"""Where in a text the evidence for a signal stands, for people who look at a decision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

MOST = 200
"""Spans that are told at most; a text of nothing but evidence needs no more to be believed."""


class Span(NamedTuple):
    """Code points `start` to `end` of a text, and what they are evidence of."""

    start: int
    end: int
    note: str


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """Every line with the place where it starts."""
    place = 0
    for line in text.split("\n"):
        yield place, line
        place += len(line) + 1


def repeated(pieces: Iterable[tuple[int, str]], note: str) -> list[Span]:
    """Pieces (place, text) that stand at an earlier place already."""
    seen: set[str] = set()
    found = []
    for place, piece in pieces:
        stripped = piece.strip()
        if stripped and stripped in seen:
            start = place + piece.index(stripped)
            found.append(Span(start, start + len(stripped), note))
        seen.add(stripped)
    return found[:MOST]
