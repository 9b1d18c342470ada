"""A slow, obvious twin of `stages.kernels_quality`: the same counts by Python strings."""

from __future__ import annotations

from stages.text.batch import TextBatch
from stages.text.kernels_words import HAS_LETTER, PUNCTUATION
from stages.text.unicode_tables import DIGIT, LOWER, TERMINAL, UPPER, classes

COMMAS, EXCLAMATIONS, QUESTIONS = ",;،؛、，；", "!！", "?؟？"
SYMBOLS = "*|_~<>=+\\#^"


def style(batch: TextBatch, d: int) -> dict[str, int]:
    """Counts of document `d`."""
    text = batch.table["text"][d].as_py().encode()
    words, lines = batch.words, batch.lines
    starts = [int(lines.start[k]) for k in range(lines.begin[d], lines.end[d])]
    by_line: dict[int, list[tuple[str, int, bytes]]] = {}
    for k in range(words.begin[d], words.end[d]):
        at = int(words.start[k])
        line = sum(start <= at for start in starts)
        rest = text[at:]
        by_line.setdefault(line, []).append((text[at : words.stop[k]].decode(), int(words.flags[k]), rest))
    counts: dict[str, int] = {}

    def add(name: str, number: int = 1) -> None:
        counts[name] = counts.get(name, 0) + number

    for tokens in by_line.values():
        num_words = sum(not flags & PUNCTUATION for _, flags, _ in tokens)
        add("long_line_words", num_words if num_words >= 10 else 0)
        segments: list[list[tuple[str, int]]] = [[]]
        for token, flags, rest in tokens:
            if flags & PUNCTUATION:
                _mark(token, rest, add)
                if classes()[ord(token[0])] & TERMINAL:
                    segments.append([])
            else:
                segments[-1].append((token, flags))
        for segment in segments:
            _segment(segment, add)
    return counts


def _mark(token: str, rest: bytes, add) -> None:  # type: ignore[no-untyped-def]
    add("marks")
    mark, code = token[0], ord(token[0])
    if mark in COMMAS:
        add("commas")
    elif mark in EXCLAMATIONS:
        add("exclamations")
    elif mark in QUESTIONS:
        add("questions")
    elif mark in "$¢£¥" or 0x20A0 <= code <= 0x20CF:
        add("currencies")
    elif mark == "@" or rest.startswith(b"://"):
        add("links")
    elif mark in SYMBOLS or not (
        code < 0x2020 or mark == "…" or 0x2030 <= code <= 0x203A or 0x3000 <= code <= 0x303F or 0xFF00 <= code <= 0xFF65
    ):
        add("symbols")


def _segment(segment: list[tuple[str, int]], add) -> None:  # type: ignore[no-untyped-def]
    add("segments", bool(segment))
    longer = []
    for place, (word, flags) in enumerate(segment):
        add("words")
        if not flags & HAS_LETTER:
            continue
        kinds = [int(classes()[ord(char)]) for char in word]
        is_cased, is_capital = bool(kinds[0] & (UPPER | LOWER)), bool(kinds[0] & UPPER)
        add("letter_words")
        add("letters", min(len(word), 12))
        add("short_words", len(word) <= 3)
        add("long_words", len(word) >= 7)
        add("mixed_words", any(kind & DIGIT for kind in kinds))
        add("apostrophe_words", any(char in "'’" for char in word))
        add("stretched_words", any(word[i] == word[i + 1] == word[i + 2] != "." for i in range(len(word) - 2)))
        add("upper_words", sum(bool(k & UPPER) for k in kinds) >= 2 and not any(k & LOWER for k in kinds))
        if place > 0:
            add("inner_words")
            add("capital_inner_words", is_capital)
            if len(word) > 3 or not is_cased:
                longer.append(is_capital)
    if len(longer) >= 2:
        add("segment_words", len(segment))
        add("title_words", len(segment) if 3 * sum(longer) > 2 * len(longer) else 0)
