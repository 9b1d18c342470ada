"""A slow, obvious twin of the lexicon: lists of lower-cased words, compared at every place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stages.lexicon import in_lower_case
from stages.text import unicode_tables as u
from tests import naive


def split(text: str) -> list[str]:
    return [in_lower_case(span.text) for span in naive.words(text)]


def says_something(entry: str) -> bool:
    """Not a single letter, nor a single letter of a script without spaces with its marks."""
    letters = [char for char in entry.strip() if naive.has(char, u.LETTER)]
    others = [char for char in entry.strip() if not naive.has(char, u.LETTER | u.MARK)]
    return len(letters) > 1 or bool(others)


def match(words: list[str], k: int, entry: list[str]) -> int:
    """Where an entry that starts at word `k` ends, or -1. One hyphen may stand between its words."""
    for number, word in enumerate(entry):
        if number and k < len(words) and words[k] in naive_hyphens(words[k]):
            k += 1
        if k >= len(words) or words[k] != word:
            return -1
        k += 1
    return k


def naive_hyphens(word: str) -> set[str]:
    return {word} if set(word) == {"-"} else set()


def hits(text: str, entries: Mapping[str, Iterable[str]], allowed: Iterable[str], label: str | None) -> list[int]:
    """1 for the first word of a hit, 2 for its further words, 0 for others."""
    wanted = [e for language, own in entries.items() for e in own if label is None or language in (label, "*")]
    known = [([w for w in split(e) if w != "-"], False) for e in wanted if says_something(e)]
    known += [([w for w in split(e) if w != "-"], True) for e in allowed]
    words = split(text)
    k, out = 0, [0] * len(words)
    while k < len(words):
        ends = [(match(words, k, entry), harmless) for entry, harmless in known if entry]
        behind, harmless = max(ends, default=(-1, False))
        if behind > k and not harmless:
            out[k:behind] = [1, *[2] * (behind - k - 1)]
        k = max(behind, k + 1)
    return out
