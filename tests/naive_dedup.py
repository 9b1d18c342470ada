"""Slow, obvious twins of the compiled passes of deduplication, on Python strings, sets and dictionaries."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Hashable, Iterable

from stages.text.views import hash_word
from tests import naive

WIDTHS = ("<wide>", "<narrow>")
MASK = 2**64 - 1
FACTOR, ROUND_STEP = 0xD6E8FEB86659FD93, 0x9E3779B97F4A7C15
RANK = 2**30 - 1
EMPTY = 2**32 - 1


def fold(word: str) -> str:
    """Canonical decomposition, lower case, ordinary width, plain apostrophes, no joiners; one character at a time."""
    out = ""
    for char in word:
        kind, _, rest = unicodedata.decomposition(char).partition(" ")
        if kind in WIDTHS:
            char = chr(int(rest, 16))
        for part in unicodedata.normalize("NFD", char):
            lower = part.lower() if len(part.lower()) == 1 else part
            out += {"ς": "σ", "’": "'"}.get(lower, "" if naive.has(part, naive.u.JOINER) else lower)
    return out


def folded_words(text: str) -> list[str]:
    return [fold(word.text) for word in naive.words(text) if not naive.is_punctuation(word.text)]


def ngrams(words: list[str], n: int) -> set[tuple[str, ...]]:
    """The document as MinHash sees it."""
    if len(words) < n:
        return {tuple(words)} if words else set()
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def jaccard(a: set[tuple[str, ...]], b: set[tuple[str, ...]]) -> float:
    return len(a & b) / len(a | b) if a and b else 0.0


def similarity(a: str, b: str, n: int) -> float:
    """Exact Jaccard similarity of two texts."""
    return jaccard(ngrams(folded_words(a), n), ngrams(folded_words(b), n))


def finish(h: int) -> int:
    h ^= h >> 33
    h = h * 0xFF51AFD7ED558CCD & MASK
    h ^= h >> 33
    h = h * 0xC4CEB9FE1A85EC53 & MASK
    return h ^ h >> 33


def ngram_hash(ngram: tuple[str, ...], n: int) -> int:
    chain = 0
    for word in ngram:
        chain = (chain * FACTOR + hash_word(word)) & MASK
    return finish(chain if len(ngram) == n else chain ^ len(ngram))


def slot_values(ngram: int, num_perm: int) -> list[int]:
    """The value that one n-gram has in each slot, whatever else is in the set."""
    values = []
    for k in range(num_perm):
        factor, addend = finish(2 * k + 1) | 1, finish(2 * k + 2)
        values.append(3 << 30 | min((ngram * factor + addend & MASK) >> 34, RANK - 1))
    for number in (2, 1, 0):
        value = finish((ngram + number * ROUND_STEP) & MASK) if number else ngram
        values[(value >> 32) * num_perm >> 32] = number << 30 | value & RANK
    return values


def signature(text: str, n: int, num_perm: int) -> list[int]:
    """Slot by slot the smallest value of any n-gram: MinHash with one hash function a slot."""
    slots = [EMPTY] * num_perm
    for ngram in ngrams(folded_words(text), n):
        slots = [min(pair) for pair in zip(slots, slot_values(ngram_hash(ngram, n), num_perm), strict=True)]
    return slots


def link_equal(pairs: Iterable[tuple[Hashable, int]]) -> list[tuple[int, int]]:
    """Sorted star edges for pairs of key and id; the key 0 links nothing."""
    groups = defaultdict(list)
    for key, id_ in pairs:
        groups[key].append(id_)
    groups.pop(0, None)
    return sorted((min(ids), id_) for ids in groups.values() for id_ in ids if id_ != min(ids))


def components(edges: Iterable[tuple[int, ...]]) -> dict[int, int]:
    """For every node the smallest node that can be reached from it."""
    neighbours = defaultdict(set)
    for a, b in edges:
        neighbours[a].add(b)
        neighbours[b].add(a)
    smallest: dict[int, int] = {}
    for start in sorted(neighbours):
        todo = [start]
        while todo:
            node = todo.pop()
            if node not in smallest:
                smallest[node] = start
                todo.extend(neighbours[node])
    return smallest


def remove(text: str, spans: list[naive.Span], listed: set[str], min_chars: int) -> tuple[str, int, int]:
    """The text without the spans whose stripped text is listed, how many they are, and their code points."""
    gone = [span for span in spans if len(naive.strip(span.text)) >= min_chars and naive.strip(span.text) in listed]
    if not gone:
        return text, 0, 0
    raw, out = text.encode(), b""
    kept = [i for i, span in enumerate(spans) if span not in gone]
    for i in kept:
        gap = raw[spans[i - 1].stop : spans[i].start] if i != kept[0] else b""
        out += gap + raw[spans[i].start : spans[i].stop]
    return out.decode(), len(gone), sum(len(span.text) for span in gone)


def keep_greedily(
    clusters: list[list[int]],
    signatures: list[list[int]],
    bands: list[list[int]],
    before: list[bool | None],
    min_equal: int,
    max_listed: int,
) -> list[int]:
    """The kept document of each document: itself, another one, or -1 if an earlier run dropped it."""
    out = [-1] * len(signatures)
    for members in clusters:
        kept: list[int] = []
        for d in members:
            if before[d] is not None:
                if before[d]:
                    out[d] = d
                    kept.append(d)
                continue
            listed = set()
            for band, key in enumerate(bands[d]):
                listed |= set([k for k in kept if bands[k][band] == key][:max_listed])
            near = [
                k for k in sorted(listed, key=members.index) if equal_slots(signatures[k], signatures[d]) >= min_equal
            ]
            out[d] = near[0] if near else d
            if not near:
                kept.append(d)
    return out


def equal_slots(a: list[int], b: list[int]) -> int:
    return sum(x == y for x, y in zip(a, b, strict=True))
