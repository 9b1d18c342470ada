"""The script of every code point, by its ISO 15924 code: `Latn`, `Cyrl`, `Hani`.

The table is generated once (`python -m stages.text.unicode_scripts`) from the Script property as the `regex` package
has it, and committed. It holds one uint8 for each of the 1,114,112 code points: the row of its script in `names()`.
Row 0 is every code point that tells nothing: unassigned, Common (`Zyyy`: digits, marks, the long vowel sign of Kana) or
Inherited (`Zinh`: accents).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stages.text.unicode_tables import load_table

TABLE_PATH = Path(__file__).with_name("unicode_scripts.npz")
NUM_CODE_POINTS = 0x110000
NO_SCRIPT = ("ZYYY", "ZINH", "ZZZZ")


@lru_cache(maxsize=1)
def scripts() -> npt.NDArray[np.uint8]:
    """Row of every code point's script in `names()`, `uint8[0x110000]`, read only."""
    return load_table(TABLE_PATH, "scripts")


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    """ISO 15924 codes of the scripts, in alphabetical order; the first is empty: no script."""
    return tuple(map(str, load_table(TABLE_PATH, "names")))


def generate() -> tuple[npt.NDArray[np.uint8], list[str]]:
    """The table and the codes, as the installed `regex` has them."""
    import regex  # type: ignore[import-untyped]

    codes = sorted(_codes() - set(NO_SCRIPT))
    table = np.zeros(NUM_CODE_POINTS, np.uint8)
    text = "".join(chr(code) for code in range(NUM_CODE_POINTS) if not 0xD800 <= code < 0xE000)
    for row, name in enumerate(codes, start=1):
        for found in regex.finditer(rf"\p{{Script={name}}}+", text):
            table[ord(found[0][0]) : ord(found[0][-1]) + 1] = row
    table[0xD800:0xE000] = 0
    return table, ["", *(name.capitalize() for name in codes)]


def _codes() -> set[str]:
    """The four-letter code of every value of the Script property (a value has a long name, too, and may have a private
    code of old, `Qaai`)."""
    from regex import _regex_core

    _, values = _regex_core.PROPERTIES["SCRIPT"]
    short = {value: name for name, value in values.items() if len(name) == 4 and not name.startswith("QA")}
    return set(short.values())  # of two names of four letters (Miao, Plrd) the code comes last


if __name__ == "__main__":
    table, codes = generate()
    np.savez_compressed(TABLE_PATH, scripts=table, names=np.array(codes))
