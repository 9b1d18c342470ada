"""Text of the web for people: what cannot be seen, or turns the line around, is written out. Never HTML."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

PLAIN = frozenset("\n\t\u200c\u200d")
"""Of the characters that cannot be seen, those that texts of many scripts need."""


def visible(text: str) -> str:
    """The text with control, direction, private-use and unassigned characters as ⟦U+202E⟧."""
    return "".join(f"⟦U+{ord(char):04X}⟧" if _is_hidden(char) else char for char in text)


def _is_hidden(char: str) -> bool:
    return char not in PLAIN and unicodedata.category(char) in {"Cc", "Cf", "Co", "Cs", "Cn"}


def segments(text: str, spans: Sequence[Any], limit: int = 4000) -> list[tuple[str, str | None]]:
    """The text in pieces, each with the note of the span that it lies in, or None; about `limit` characters."""
    found: list[tuple[str, str | None]] = []
    first = min((span.start for span in spans), default=0)
    begin = max(0, first - limit // 4) if first > limit // 2 else 0
    end = min(len(text), begin + limit)
    place = begin
    if begin:
        found.append(("… ", None))
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        start, stop = max(span.start, place), min(span.end, end)
        if start >= stop:
            continue
        if start > place:
            found.append((visible(text[place:start]), None))
        found.append((visible(text[start:stop]), span.note))
        place = stop
    if place < end:
        found.append((visible(text[place:end]), None))
    if end < len(text):
        found.append((" …", None))
    return found
