"""Lower case, code point by code point.

The table covers what the committed Unicode classes call letters and is made from `str.lower`: Unicode never changes the
case of a character that it has, so the table is the same in every version of Python. One letter stays one letter: "İ"
becomes "i" (Python: "i" and a combining dot), and a sigma at the end of a word "σ".
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from stages.text.unicode_tables import LETTER, NUM_CODE_POINTS, classes


@lru_cache(maxsize=1)
def lower_codes() -> npt.NDArray[np.int32]:
    """Lower case of every code point, `int32[0x110000]`, read only; itself where there is none."""
    table = np.arange(NUM_CODE_POINTS, dtype=np.int32)
    letters = np.flatnonzero(classes() & LETTER)
    table[letters] = [ord(chr(code).lower()[0]) for code in letters.tolist()]
    table.setflags(write=False)
    return table


def lower(text: str) -> str:
    """The text in lower case, by the same table."""
    return text.translate(_changes())


@lru_cache(maxsize=1)
def _changes() -> dict[int, int]:
    table = lower_codes()
    changed = np.flatnonzero(table != np.arange(NUM_CODE_POINTS))
    return dict(zip(changed.tolist(), table[changed].tolist(), strict=True))
