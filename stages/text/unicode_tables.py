"""Classes of all Unicode code points: what is a letter, a space, the end of a sentence.

The table is generated once (`python -m stages.text.unicode_tables`) from `unicodedata` and, for the Sentence_Terminal
property, the `regex` package. It is committed, so that signals do not change with the version of Python. It holds one
uint16 of flags for each of the 1,114,112 code points.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

LETTER = 1
"""`str.isalpha`."""
MARK = 2
"""Combining marks: vowel signs, accents (general category M)."""
DIGIT = 4
"""Numbers of any kind (general category N)."""
SPACE = 8
"""`str.isspace`."""
UNSPACED = 16
"""Letters of scripts that are written without spaces: Han, Kana, Thai, Lao, Khmer, Burmese."""
TERMINAL = 32
"""Ends a sentence (Unicode property Sentence_Terminal)."""
IGNORED = 64
"""Control and format characters: they separate, and are nothing by themselves."""
JOINER = 128
"""Format characters that belong to the word around them: zero-width joiners, soft hyphen, word joiner."""
APOSTROPHE = 256
"""Belongs to a word when it stands inside one."""
CLOSER = 512
"""Quotes and brackets that may follow the end of a sentence and still belong to it."""

UPPER = 1024
"""`str.isupper`, or a title-case letter (general category Lt)."""
LOWER = 2048
"""`str.islower`."""

TABLE_PATH = Path(__file__).with_name("unicode_classes.npz")
NUM_CODE_POINTS = 0x110000
UNSPACED_NAMES = (
    "CJK UNIFIED IDEOGRAPH",
    "CJK COMPATIBILITY IDEOGRAPH",
    "HALFWIDTH KATAKANA",
    "HIRAGANA",
    "IDEOGRAPHIC",
    "KATAKANA",
    "KHMER",
    "LAO",
    "MYANMAR",
    "THAI",
    "VERTICAL IDEOGRAPHIC",
    "VERTICAL KANA",
)
JOINERS = "\u00ad\u200c\u200d\u2060"
APOSTROPHES = "'\u2019"


def load_table(path: Path, name: str) -> npt.NDArray[Any]:
    """An array of a committed table, read only."""
    with np.load(path) as archive:
        table: npt.NDArray[Any] = archive[name]
    table.setflags(write=False)
    return table


@lru_cache(maxsize=1)
def classes() -> npt.NDArray[np.uint16]:
    """Flags of every code point, `uint16[0x110000]`, read only."""
    return load_table(TABLE_PATH, "classes")


def unicode_version(path: Path = TABLE_PATH) -> str:
    """The version of Unicode that a committed table is of."""
    return str(load_table(path, "unicode_version"))


def generate() -> npt.NDArray[np.uint16]:
    """The table as this Python's `unicodedata` has it."""
    import regex  # type: ignore[import-untyped]

    terminal = regex.compile(r"\p{Sentence_Terminal}")
    table = np.zeros(NUM_CODE_POINTS, np.uint16)
    for code in range(NUM_CODE_POINTS):
        char = chr(code)
        table[code] = _flags(char) | (TERMINAL if terminal.match(char) else 0)
    return table


def _flags(char: str) -> int:
    category = unicodedata.category(char)
    if char.isspace():
        return SPACE
    if char in JOINERS:
        return JOINER | IGNORED
    if char.isalpha():
        case = UPPER if char.isupper() or category == "Lt" else LOWER if char.islower() else 0
        return LETTER | case | (UNSPACED if unicodedata.name(char, "").startswith(UNSPACED_NAMES) else 0)
    if char in APOSTROPHES:
        return APOSTROPHE | CLOSER
    if category in ("Pe", "Pf", "Pi") or char == '"':
        return CLOSER
    by_group = {"M": MARK, "N": DIGIT}
    return by_group.get(category[0], IGNORED if category in ("Cc", "Cf", "Cs") else 0)


if __name__ == "__main__":
    np.savez_compressed(TABLE_PATH, classes=generate(), unicode_version=unicodedata.unidata_version)
