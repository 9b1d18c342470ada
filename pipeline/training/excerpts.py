"""Parts and damaged copies of labelled documents: what a judge of pages needs beside whole documents.

An excerpt of a few words to a few lines has the document's label: without them, high quality is what is long. A *menu*
is made of a good document's own words, scattered over short lines in title case, as the navigation of a page is:
neither topic nor language tells it from the document, only its shape. Both are drawn by a hash of the text.
"""

from __future__ import annotations

import hashlib
import re

import numpy as np

LENGTHS = (6, 9, 12, 20, 40, 80, 150)
"""Words of an excerpt."""
NUM_EXCERPTS = 3
MIN_WORDS = 60
"""Texts with fewer are short enough as they are."""
MENU_LINES = (2, 4, 8, 15, 30, 60)
ENTRY_WORDS = (1, 1, 2, 2, 3, 4, 6)
BULLETS = ("", "", "* ", "- ", "+ ", "• ")

_START = re.compile(r"(?<=[.!?])\s+|\n+")
_END = re.compile(r"[.!?](?=\s)|\n")
_WORD = re.compile(r"[^\W_]+(?:['’-]\w+)*")
MAX_OVERRUN = 80
"""Characters that an excerpt may run on for the sake of an end of a sentence or line."""


def excerpts(text: str) -> list[str]:
    """A few parts of a text, each from the start of a sentence or line; none of a short text."""
    spans = [match.span() for match in re.finditer(r"\S+", text)]
    if len(spans) < MIN_WORDS:
        return []
    rng = _generator(text, "excerpts")
    starts = [0, *(match.end() for match in _START.finditer(text))]
    found = []
    for _ in range(NUM_EXCERPTS):
        start, length = int(rng.choice(starts)), int(rng.choice(LENGTHS))
        first = next((i for i, (low, _) in enumerate(spans) if low >= start), len(spans) - 1)
        end = spans[min(first + length, len(spans) - 1)][1]
        stop = _END.search(text, end, min(end + MAX_OVERRUN, len(text)))
        if stop is not None and rng.random() < 0.7:
            end = stop.end()
        found.append(text[spans[first][0] : end].strip())
    return found


def menu(text: str) -> str | None:
    """The words of a text as entries of a menu; None for a short text."""
    words = _WORD.findall(text)
    if len(words) < MIN_WORDS:
        return None
    rng = _generator(text, "menu")
    bullet, in_title_case = str(rng.choice(BULLETS)), rng.random() < 0.75
    entries = []
    for _ in range(int(rng.choice(MENU_LINES))):
        size = int(rng.choice(ENTRY_WORDS))
        start = int(rng.integers(0, len(words) - size))
        entry = words[start : start + size]
        entries.append(" ".join(_title(word) if in_title_case or i == 0 else word for i, word in enumerate(entry)))
    return "\n".join(bullet + entry for entry in entries) if rng.random() < 0.8 else " | ".join(entries)


def _title(word: str) -> str:
    return word[:1].upper() + word[1:]


def _generator(text: str, purpose: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{purpose}:{text}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))
