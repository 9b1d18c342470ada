"""Simple lower-casing of Unicode: one code point becomes one code point, whatever stands around it.

The table is generated once (`python -m stages.text.unicode_lower`) from `str.lower`, wherever that gives a single code
point, and committed, so that a model sees the same tokens in every version of Python. The one letter that `str.lower`
makes two of (U+0130, a capital I with a dot) stays as it is, and a final sigma is an ordinary one.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stages.text.unicode_tables import load_table

TABLE_PATH = Path(__file__).with_name("unicode_lower.npz")
NUM_CODE_POINTS = 0x20000
"""Length of the table; code points past it have no case."""


@lru_cache(maxsize=1)
def lower() -> npt.NDArray[np.int32]:
    """Lower case of every code point below NUM_CODE_POINTS, `int32[0x20000]`, read only."""
    table: npt.NDArray[np.int32] = load_table(TABLE_PATH, "steps") + np.arange(NUM_CODE_POINTS, dtype=np.int32)
    table.setflags(write=False)
    return table


def generate() -> npt.NDArray[np.int32]:
    """The table as this Python's `str.lower` has it."""
    small = [chr(code).lower() for code in range(NUM_CODE_POINTS)]
    return np.array([ord(char) if len(char) == 1 else code for code, char in enumerate(small)], np.int32)


if __name__ == "__main__":
    steps = generate() - np.arange(NUM_CODE_POINTS, dtype=np.int32)
    np.savez_compressed(TABLE_PATH, steps=steps, unicode_version=unicodedata.unidata_version)
