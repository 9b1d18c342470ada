"""Crawled text as people may look at it: nothing in it acts, nothing in it hides.

Templates escape markup; this makes visible what escaping leaves: control characters, marks that turn the direction of
writing (the "Trojan source" of Boucher and Anderson 2021), characters without width, private and unassigned ones.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from stages.evidence import Span

_PLAIN = {"\n", "\t"}
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_JOINERS = {"\u200c", "\u200d"}
"""Letters of Persian, Hindi and emoji are joined by these; they stay between two visible characters."""
LIMIT = 4000
_CONTEXT = 200


def visible(text: str) -> str:
    """The text with every character that cannot be seen written out: `⟦U+202E⟧`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(text, place, character) for place, character in enumerate(text))


def _shown(text: str, place: int, character: str) -> str:
    if character in _PLAIN or unicodedata.category(character) not in _HIDDEN:
        return character
    if character in _JOINERS and 0 < place < len(text) - 1 and text[place - 1].isprintable():
        return character
    return f"⟦U+{ord(character):04X}⟧"


def redact(text: str) -> str:
    """The shape of a text without what it says: letters become x, digits 0."""
    return re.sub(r"[^\W\d_]", "x", re.sub(r"\d", "0", text))


def segments(text: str, spans: Iterable[Span] = (), limit: int = LIMIT) -> list[tuple[str, str | None]]:
    """A text in pieces, each with the note of the span that marks it, or None; at most about `limit` characters, those
    around the marks if there are any. What is left out is `…`."""
    marks = _disjoint(spans, len(text))
    found: list[tuple[str, str | None]] = []
    place = 0
    for low, high in _windows(marks, len(text), limit):
        if low > place:
            found.append(("…", None))
        place = low
        for span in marks:
            if span.end <= place or span.start >= high:
                continue
            if span.start > place:
                found.append((visible(text[place : span.start]), None))
            stop = min(span.end, high)
            found.append((visible(text[max(span.start, place) : stop]), span.note))
            place = stop
        if place < high:
            found.append((visible(text[place:high]), None))
        place = high
    if place < len(text):
        found.append(("…", None))
    return found


def _disjoint(spans: Iterable[Span], length: int) -> list[Span]:
    """Spans in order, cut where they overlap."""
    found: list[Span] = []
    place = 0
    for span in sorted(spans):
        start, end = max(span.start, place), min(span.end, length)
        if start < end:
            found.append(Span(start, end, span.note))
            place = end
    return found


def _windows(marks: Sequence[Span], length: int, limit: int) -> list[tuple[int, int]]:
    """The parts of a text that are shown."""
    if length <= limit:
        return [(0, length)]
    if not marks:
        return [(0, limit)]
    found: list[tuple[int, int]] = []
    shown = 0
    for span in marks:
        low, high = max(span.start - _CONTEXT, 0), min(span.end + _CONTEXT, length)
        if found and low <= found[-1][1]:
            low = max(low, found[-1][1])
            found[-1] = (found[-1][0], min(max(high, low), low + limit - shown))
        else:
            found.append((low, min(high, low + limit - shown)))
        shown = sum(stop - start for start, stop in found)
        if shown >= limit:
            break
    return found
