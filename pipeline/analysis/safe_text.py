"""Crawled text as people may look at it: nothing in it acts, nothing in it hides.

Templates escape markup; this makes visible what escaping leaves: control characters, marks that turn the direction of
writing (the "Trojan source" of Boucher and Anderson 2021), characters without width, private and unassigned ones.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence

from stages.evidence import Span

_PLAIN = {"\n", "\t"}
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_BLANK = set("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")
"""Letters and marks that no font draws."""
_JOINERS = {"\u200c", "\u200d"}
"""Letters of Persian, Hindi and emoji are joined by these; they stay between two visible characters."""
_EMOJI = set("#*0123456789\u203c\u2049\u2139\u3030")
"""Characters that are no symbols and have a form as an emoji."""
_SELECTORS: tuple[tuple[frozenset[str], Callable[[str], bool]], ...] = (
    (frozenset(map(chr, range(0xFE00, 0xFE10))), lambda before: before in _EMOJI or _is_symbol(before)),
    (frozenset("\u180b\u180c\u180d\u180f"), lambda before: "\u1820" <= before <= "\u18aa"),
    (frozenset(map(chr, range(0xE0100, 0xE01F0))), lambda before: False),
)
"""Marks that choose a form of the character before them, and after which ones they stay: a symbol, a letter of
Mongolian. Others could carry a text that nobody sees, a byte each."""
LIMIT = 4000
_CONTEXT = 200


def visible(text: str) -> str:
    """The text with every character that cannot be seen written out: `⟦U+202E⟧`. Not HTML: `<` stays `<`."""
    if text.isascii() and text.isprintable():
        return text
    shown = [_is_shown(character, before) for before, character in zip(f" {text}", text, strict=False)]
    return "".join(
        character if shown[place] or _joins(character, shown[place - 1 : place + 2 : 2], place) else _written(character)
        for place, character in enumerate(text)
    )


def _is_shown(character: str, before: str) -> bool:
    for selectors, selects in _SELECTORS:
        if character in selectors:
            return selects(before)
    hidden = unicodedata.category(character) in _HIDDEN or character in _BLANK
    return character in _PLAIN or not hidden


def _is_symbol(character: str) -> bool:
    return unicodedata.category(character)[0] == "S"


def _joins(character: str, sides: Sequence[bool], place: int) -> bool:
    """Whether a joiner stands between two characters that can be seen."""
    return character in _JOINERS and place > 0 and len(sides) == 2 and all(sides)


def _written(character: str) -> str:
    return f"⟦U+{ord(character):04X}⟧"


def redact(text: str) -> str:
    """The shape of a text without what it says: letters and marks become x, digits and other numbers 0. As long as
    the text, so that spans lie where they lay."""
    return "".join(_hidden(character) for character in text)


def _hidden(character: str) -> str:
    kind = unicodedata.category(character)[0]
    return "x" if kind in "LM" else "0" if kind == "N" else character


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
    context = min(_CONTEXT, limit // 4)
    for span in marks:
        low, high = max(span.start - context, 0), min(span.end + context, length)
        if found and low <= found[-1][1]:
            low = max(low, found[-1][1])
            found[-1] = (found[-1][0], min(max(high, low), low + limit - shown))
        else:
            found.append((low, min(high, low + limit - shown)))
        shown = sum(stop - start for start, stop in found)
        if shown >= limit:
            break
    return found
