"""The slow, obvious twin of decontamination: n-grams as tuples of strings, one document at a time."""

from __future__ import annotations

from dataclasses import dataclass

from tests.naive_dedup import folded_words
from tests.naive_passages import runs, windows


@dataclass(frozen=True)
class Found:
    """What is to be said of one document."""

    words: set[int]
    """Words in contaminated n-grams."""
    ngram_count: int
    shares: dict[int, float]
    """The share of each item found."""

    @property
    def best(self) -> list[tuple[int, float]]:
        return sorted(self.shares.items(), key=lambda pair: (-pair[1], pair[0]))

    @property
    def longest_run(self) -> int:
        return max((stop - first for first, stop in runs(self.words)), default=0)


def decontaminate(text: str, items: list[str], ngram_size: int, min_words: int) -> Found:
    own = folded_words(text)
    covered: set[int] = set()
    starts: set[int] = set()
    shares = {}
    for number, item in enumerate(items):
        asked = folded_words(item)
        size = min(ngram_size, len(asked))
        if size < min_words or size == 0:
            continue
        here, there = windows(own, size), windows(asked, size)
        both = set(here) & set(there)
        if not both:
            continue
        for at in (i for i, window in enumerate(here) if window in both):
            covered |= set(range(at, at + size))
            starts.add(at)
        of_item = {word for i, window in enumerate(there) if window in both for word in range(i, i + size)}
        shares[number] = len(of_item) / len(asked)
    return Found(covered, len(starts), shares)
