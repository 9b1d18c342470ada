"""Documents made of random words in several scripts, and edits of known kinds: near-duplicates to be found."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

Rng = np.random.Generator
LATIN = "etaoinsrhldcumfpgwybvkéöçñàüş"
HAN = [chr(code) for code in range(0x4E00, 0x4E00 + 1500)]
THAI = [consonant + vowel for consonant in "กขคงจชดตนบปพมยรลวสหอ" for vowel in ("", "า", "ิ", "ี", "ุ", "ั", "่")]
ARABIC = "ابتثجحخدذرزسشصضطظعغفقكلمنهويآأؤئ"


@dataclass(frozen=True)
class Script:
    """How documents of a script look."""

    vocabulary: tuple[str, ...]
    space: str
    stop: str


@dataclass(frozen=True)
class Planted:
    """An edit, and whether it leaves all n-grams as they are."""

    edit: Callable[[list[str], Script, Rng], str]
    script: str = "latin"
    harmless: bool = False


def words_of(letters: str, count: int) -> tuple[str, ...]:
    rng = np.random.default_rng(len(letters))
    return tuple("".join(rng.choice(list(letters), rng.integers(2, 10))) for _ in range(count))


SCRIPTS = {
    "latin": Script(words_of(LATIN, 4000), " ", "."),
    "han": Script(tuple(HAN), "", "。"),
    "thai": Script(tuple(THAI), "", " "),
    "arabic": Script(words_of(ARABIC, 4000), " ", "؟"),
}


def document(script: Script, size: int, rng: Rng) -> list[str]:
    """The words of a document."""
    return [script.vocabulary[i] for i in rng.integers(0, len(script.vocabulary), size)]


def write(words: list[str], script: Script) -> str:
    """Sentences of eight words, each on a line of its own and with a capital letter."""
    sentences = [words[i : i + 8] for i in range(0, len(words), 8)]
    return "\n".join(script.space.join([part[0].capitalize(), *part[1:]]) + script.stop for part in sentences)


def substitute(words: list[str], script: Script, rng: Rng, share: float) -> str:
    """Some words replaced by others."""
    edited = list(words)
    for i in np.flatnonzero(rng.random(len(words)) < share):
        edited[i] = script.vocabulary[rng.integers(len(script.vocabulary))]
    return write(edited, script)


def shuffle_lines(words: list[str], script: Script, rng: Rng) -> str:
    return "\n".join(rng.permutation(np.array(write(words, script).split("\n"), object)))


def wrap(words: list[str], script: Script, rng: Rng) -> str:
    """A menu of ten words in front, a footer of ten words behind, the same in all documents."""
    menu, footer = script.vocabulary[:10], script.vocabulary[10:20]
    return write([*menu], script) + "\n" + write(words, script) + "\n" + write([*footer], script)


def widen(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "a" <= char <= "z" or "A" <= char <= "Z" else char for char in text)


def spread(text: str) -> str:
    return text.replace(" ", "\u00a0\t").replace("\n", "\r\n\n")


def rewritten(change: Callable[[str], str]) -> Callable[[list[str], Script, Rng], str]:
    return lambda words, script, rng: change(write(words, script))


def with_prefix(words: list[str], script: Script, rng: Rng) -> str:
    return write(document(script, 12, rng) + words, script)


def with_suffix(words: list[str], script: Script, rng: Rng) -> str:
    return write(words + document(script, 12, rng), script)


def truncated(words: list[str], script: Script, rng: Rng) -> str:
    return write(words[: len(words) * 9 // 10], script)


EDITS = {
    "none": Planted(rewritten(str), harmless=True),
    "upper case": Planted(rewritten(str.upper), harmless=True),
    "punctuation": Planted(rewritten(lambda text: text.replace(".", " !").replace(" ", ", ")), harmless=True),
    "white space": Planted(rewritten(spread), harmless=True),
    "prefix of 12 words": Planted(with_prefix),
    "suffix of 12 words": Planted(with_suffix),
    "last tenth cut": Planted(truncated),
    **{f"{share} % of words": Planted(partial(substitute, share=share / 100)) for share in (1, 2, 4, 8)},
    "lines shuffled": Planted(shuffle_lines),
    "boilerplate around": Planted(wrap),
    "NFD": Planted(rewritten(partial(unicodedata.normalize, "NFD")), harmless=True),
    "full width": Planted(rewritten(widen), harmless=True),
    "Chinese, 2 % of letters": Planted(partial(substitute, share=0.02), "han"),
    "Chinese, prefix": Planted(with_prefix, "han"),
    "Chinese, spaced": Planted(rewritten(" ".join), "han", harmless=True),
    "Thai, 2 % of letters": Planted(partial(substitute, share=0.02), "thai"),
    "Thai, last tenth cut": Planted(truncated, "thai"),
    "Arabic, 2 % of words": Planted(partial(substitute, share=0.02), "arabic"),
    "Arabic, NFD": Planted(rewritten(partial(unicodedata.normalize, "NFD")), "arabic", harmless=True),
}


def pairs(name: str, count: int, size: int = 200) -> Iterator[tuple[str, str]]:
    """So many documents of `size` words, each with its edited copy."""
    planted, rng = EDITS[name], np.random.default_rng(sorted(EDITS).index(name))
    script = SCRIPTS[planted.script]
    for _ in range(count):
        words = document(script, size, rng)
        yield write(words, script), planted.edit(words, script, rng)
