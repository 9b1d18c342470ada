"""Slow, obvious twins of what looks for passages of words: repeats anywhere in a corpus, and texts without them."""

from __future__ import annotations

from collections.abc import Callable

from stages.text import unicode_tables as u
from tests import naive
from tests.naive_dedup import folded_words

Window = tuple[str, ...]
Place = tuple[int, int]
"""A document and a word of it."""


def windows(words: list[str], size: int) -> list[Window]:
    return [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]


def winnow(hashes: list[int], num_windows: int) -> list[int]:
    """Places selected by robust winnowing, one run of windows after the other."""
    selected: list[int] = []
    for low in range(max(1, len(hashes) - num_windows + 1) if hashes else 0):
        run = range(low, min(low + num_windows, len(hashes)))
        smallest = min(hashes[i] for i in run)
        if selected and selected[-1] in run and hashes[selected[-1]] == smallest:
            continue
        selected.append(max(i for i in run if hashes[i] == smallest))
    return selected


def repeated(
    texts: list[str], order: list[int], size: int, num_windows: int, hash_of: Callable[[Window], int]
) -> list[set[int]]:
    """Words of each text that lie in a selected window which stands elsewhere before, in the given order of texts."""
    gone: list[set[int]] = [set() for _ in texts]
    first: dict[Window, Place] = {}
    for d in order:
        found = windows(folded_words(texts[d]), size)
        for at in winnow([hash_of(window) for window in found], num_windows):
            document, word = first.setdefault(found[at], (d, at))
            if (document, word) == (d, at):
                continue
            kept = set(range(word, word + size)) if document == d else set()
            gone[d] |= set(range(at, at + size)) - kept
    return gone


def repeats(texts: list[str], size: int) -> list[set[int]]:
    """Brute force: words in a run of so many that stands elsewhere before."""
    return repeated(texts, list(range(len(texts))), size, 1, lambda window: 0)


def later_copies(texts: list[str], size: int) -> list[Place]:
    """Every run of so many words that stands elsewhere before, apart from it."""
    out: list[Place] = []
    first: dict[Window, Place] = {}
    for d, text in enumerate(texts):
        for at, window in enumerate(windows(folded_words(text), size)):
            document, word = first.setdefault(window, (d, at))
            if document != d or word + size <= at:
                out.append((d, at))
    return out


def runs(words: set[int]) -> list[tuple[int, int]]:
    """Consecutive numbers as `(first, stop)`."""
    out: list[tuple[int, int]] = []
    for word in sorted(words):
        if out and out[-1][1] == word:
            out[-1] = (out[-1][0], word + 1)
        else:
            out.append((word, word + 1))
    return out


def cut(text: str, words: set[int]) -> tuple[str, int, int]:
    """The text without some of its words, how many runs they are, and the characters that went."""
    tokens = [token for token in naive.words(text) if not naive.is_punctuation(token.text)]
    at = {0: 0}
    for i, char in enumerate(text):
        at[len(text[:i].encode()) + len(char.encode())] = i + 1
    out, low = "", 0
    spans = [edges(text, at[tokens[a].start], at[tokens[b - 1].stop]) for a, b in runs(words)]
    for start, stop in spans:
        out += text[low:start]
        low = stop
    return out + text[low:], len(spans), len(text) - len(out + text[low:])


def edges(text: str, start: int, stop: int) -> tuple[int, int]:
    """What goes along with `text[start:stop]`: marks up to white space, and the lesser of two white spaces."""
    before = start
    while before and not naive.has(text[before - 1], u.SPACE | u.LETTER | u.MARK | u.DIGIT | u.JOINER):
        before -= 1
    if before == 0 or naive.is_space(text[before - 1]):
        start = before
    while stop < len(text) and not naive.has(text[stop], u.SPACE | u.LETTER | u.MARK | u.DIGIT):
        stop += 1
    left = start - len(text[:start]) + len(rstrip(text[:start]))
    right = len(text) - len(naive.strip(text[stop:] + "x")[:-1])
    if left == 0:
        return 0, right
    if right == len(text):
        return left, right
    if left == start or right == stop:
        return start, stop
    if text[left:start].count("\n") < text[stop:right].count("\n"):
        return left, stop
    return start, right


def rstrip(text: str) -> str:
    while text and naive.is_space(text[-1]):
        text = text[:-1]
    return text
