"""Folding of words: what makes two spellings of a word the same word to deduplication.

Each code point is replaced by none, one or up to four others, whatever stands around it:

- canonical decomposition, so that NFC and NFD agree (Unicode's NFD, but for the order of several marks on one letter,
  which stays as it is);
- simple lower case (`stages.text.unicode_lower`), a final sigma as any other;
- full- and half-width forms become ordinary ones (a half-width Kana and its separate voicing mark stay two);
- a typographic apostrophe becomes a plain one; joiners and soft hyphens vanish.

Accents stay (`má` and `mà` are two words of Vietnamese), and so do ligatures, superscripts and `ß`. The table is
generated once (`python -m stages.text.unicode_fold`) and committed, so that hashes do not change with Python's version.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stages.text.unicode_lower import lower
from stages.text.unicode_tables import APOSTROPHES, JOINERS, load_table

TABLE_PATH = Path(__file__).with_name("unicode_fold.npz")
NUM_CODE_POINTS = 0x30000
"""Length of the table; code points past it stay as they are."""
MAX_LENGTH = 4
"""Most code points that one becomes."""
_SIGMA, _FINAL_SIGMA = 0x3C3, 0x3C2
_HANGUL, _NUM_HANGUL, _NUM_TRAILING = 0xAC00, 11172, 28


@dataclass(frozen=True)
class Folding:
    """`single`: `int32[0x30000]`, what a code point becomes, or `-1 - row` of `several`; `-1` = nothing at all.

    `several`: `int32[rows, 4]`, code points, then zeros.
    """

    single: npt.NDArray[np.int32]
    several: npt.NDArray[np.int32]


@lru_cache(maxsize=1)
def folding() -> Folding:
    """The committed table, read only."""
    single = load_table(TABLE_PATH, "steps") + np.arange(NUM_CODE_POINTS, dtype=np.int32)
    tables = _with_hangul(Folding(single, load_table(TABLE_PATH, "several")))
    tables.single.setflags(write=False)
    tables.several.setflags(write=False)
    return tables


def fold(text: str) -> str:
    """The text folded, code point by code point: for tests, and for words that come from elsewhere."""
    tables = folding()
    return "".join(
        char if ord(char) >= NUM_CODE_POINTS
        else chr(code) if (code := int(tables.single[ord(char)])) >= 0
        else "".join(chr(part) for part in tables.several[-1 - code] if part)
        for char in text
    )  # fmt: skip


def generate() -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """`single` and `several` as this Python's `unicodedata` has them, without the syllables of Hangul."""
    single = np.arange(NUM_CODE_POINTS, dtype=np.int32)
    several = [[0] * MAX_LENGTH]
    for code in range(NUM_CODE_POINTS):
        if 0xD800 <= code < 0xE000 or _HANGUL <= code < _HANGUL + _NUM_HANGUL:
            continue
        parts = [_fold_part(part) for part in unicodedata.normalize("NFD", _ordinary_width(chr(code)))]
        parts = [] if chr(code) in JOINERS else parts
        if len(parts) == 1:
            single[code] = parts[0]
        elif parts:
            single[code] = -1 - len(several)
            several.append(parts + [0] * (MAX_LENGTH - len(parts)))
        else:
            single[code] = -1
    return single, np.array(several, np.int32)


def _ordinary_width(char: str) -> str:
    kind, _, rest = unicodedata.decomposition(char).partition(" ")
    return chr(int(rest, 16)) if kind in ("<wide>", "<narrow>") else char


def _fold_part(char: str) -> int:
    code = ord(char)
    code = int(lower()[code]) if code < len(lower()) else code
    if char in APOSTROPHES:
        return ord(APOSTROPHES[0])
    return _SIGMA if code == _FINAL_SIGMA else code


def _with_hangul(tables: Folding) -> Folding:
    """Syllables are decomposed by arithmetic (Unicode Standard, section 3.12): the file need not list them."""
    index = np.arange(_NUM_HANGUL, dtype=np.int32)
    parts = np.zeros((_NUM_HANGUL, MAX_LENGTH), np.int32)
    parts[:, 0] = 0x1100 + index // (21 * _NUM_TRAILING)
    parts[:, 1] = 0x1161 + index // _NUM_TRAILING % 21
    parts[:, 2] = np.where(index % _NUM_TRAILING, 0x11A7 + index % _NUM_TRAILING, 0)
    single = tables.single.copy()
    single[_HANGUL : _HANGUL + _NUM_HANGUL] = -1 - (len(tables.several) + index)
    return Folding(single, np.concatenate([tables.several, parts]))


if __name__ == "__main__":
    single, several = generate()
    steps = single - np.arange(NUM_CODE_POINTS, dtype=np.int32)
    np.savez_compressed(TABLE_PATH, steps=steps, several=several, unicode_version=unicodedata.unidata_version)
