"""Classes of the 128 ASCII characters, for kernels that look for addresses, numbers and keys."""

from __future__ import annotations

import string

import numpy as np
import numpy.typing as npt

DIGIT, LETTER, UPPER, HEX, TOKEN, LOCAL = 1, 2, 4, 8, 16, 32
"""0-9; A-Z a-z; A-Z; 0-9 A-F a-f; what keys are made of (letters, digits, `_`, `-`); the local part of an address."""
WORD = 64
"""Letters, digits and `_`: a match has none of them right before or after it."""
ALNUM = DIGIT | LETTER


def _table() -> npt.NDArray[np.uint8]:
    members = {
        DIGIT: string.digits,
        LETTER: string.ascii_letters,
        UPPER: string.ascii_uppercase,
        HEX: string.hexdigits,
        TOKEN: string.ascii_letters + string.digits + "_-",
        LOCAL: string.ascii_letters + string.digits + "._%+-'",
        WORD: string.ascii_letters + string.digits + "_",
    }
    table = np.zeros(256, np.uint8)
    for flag, chars in members.items():
        for char in chars:
            table[ord(char)] |= flag
    return table


ASCII = _table()
"""Flags of every byte, `uint8[256]`; 0 for bytes of other code points."""


def padded(entries: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    """The UTF-8 of some strings as the rows of a matrix, each behind its length, filled with zeros."""
    encoded = [entry.encode() for entry in entries]
    rows = np.zeros((len(encoded), 1 + max(map(len, encoded))), np.uint8)
    for row, entry in zip(rows, encoded, strict=True):
        row[0] = len(entry)
        row[1 : 1 + len(entry)] = np.frombuffer(entry, np.uint8)
    return rows
