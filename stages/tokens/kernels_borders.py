"""Places where text may be cut before it is merged: between two characters that no token spans.

In scripts without spaces a pre-token is a whole clause, hardly ever met twice. But a symbol is a token at every step of
merging, so nothing ever merges across two characters that stand side by side in no token, not even in part, and what
lies on both sides is merged by itself: pieces of a word or two, which come again and again. Of Llama 3's 128,000 tokens
4,600 pairs of neighbours are made, so most neighbours are such a border.

Only borders between characters of three bytes are looked for, from U+0800 to U+FFFF.
  `lefts`, `rights`: `uint8[65536]`, for tokens with a part of a character at their end or start. Bit 1: a token has all
    of the left character and a part of the right one; bit 0: it has a part of the left one. A border where both have a
    bit is none; that may be too careful.
  `pairs`: `uint64[4096]`, a bit for each hash of two characters that stand side by side in a token.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import int64, njit, types, uint8, uint64, void

from stages.text.kernels import BYTES, INT64S, ONE

BORDERS = types.Tuple((uint8[::1], uint8[::1], uint64[::1]))
NUM_PAIR_WORDS = 1 << 12
_CUT_RIGHT, _CUT_LEFT = uint8(2), uint8(1)
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_S16, _S46, _S52, _LOW_6 = (np.uint64(value) for value in (16, 46, 52, 63))


@njit(inline="always")
def is_three(byte):
    """Whether a character of three bytes starts with this one."""
    return byte >= 0xE0 and byte < 0xF0


@njit(inline="always")
def _code(data, i):
    """Code point of the three bytes from `i` on."""
    return (int64(data[i]) & 0x0F) << 12 | (int64(data[i + 1]) & 0x3F) << 6 | int64(data[i + 2]) & 0x3F


@njit(inline="always")
def _hash(left, right):
    return (uint64(left) << _S16 | uint64(right)) * _PRIME


@njit(inline="always")
def _is_border(data, i, borders):
    """Whether no token spans byte `i`, which is between two characters of three bytes."""
    lefts, rights, pairs = borders
    left, right = _code(data, i - 3), _code(data, i)
    h = _hash(left, right)
    return not (lefts[left] & rights[right]) and not (pairs[h >> _S52] >> ((h >> _S46) & _LOW_6)) & ONE


@njit(inline="always")
def next_border(data, i, high, borders):
    """The first border behind byte `i`, where a character starts; `high` if there is none before."""
    after_three = False
    while i < high:
        byte = data[i]
        three = is_three(byte)
        if three and after_three and _is_border(data, i, borders):
            break
        after_three = three
        i += 3 if three else 1 if byte < 0x80 else 2 if byte < 0xE0 else 4
    return i


@njit
def _mark(table, data, low, high, at_end, bit):
    """Mark all characters of three bytes that end (or start) with `data[low:high]`."""
    for code in range(0x800, 0x10000):
        bytes_ = (0xE0 | code >> 12, 0x80 | code >> 6 & 0x3F, 0x80 | code & 0x3F)
        first = 3 - (high - low) if at_end else 0
        same = True
        for k in range(high - low):
            same &= int64(data[low + k]) == bytes_[first + k]
        if same:
            table[code] |= bit


@njit(void(BYTES, INT64S, uint8[::1], uint8[::1], uint64[::1]), nogil=True, cache=True)
def fill_borders(token_bytes, token_starts, lefts, rights, pairs):
    """Enter every two neighbours of every token; the tables come in filled with zeros."""
    for token in range(token_starts.shape[0] - 1):
        low, high = token_starts[token], token_starts[token + 1]
        inside = True  # of a character that began before the token
        for i in range(low + 1, high):
            inside &= token_bytes[i - 1] & 0xC0 == 0x80
            if not is_three(token_bytes[i]):
                continue
            end = min(high, i + 3)
            if i - low >= 3 and is_three(token_bytes[i - 3]):
                left = _code(token_bytes, i - 3)
                if end == i + 3:
                    h = _hash(left, _code(token_bytes, i))
                    pairs[h >> _S52] |= ONE << ((h >> _S46) & _LOW_6)
                else:
                    lefts[left] |= _CUT_RIGHT
                    _mark(rights, token_bytes, i, end, False, _CUT_RIGHT)
            elif inside and i - low <= 2:
                _mark(lefts, token_bytes, low, i, True, _CUT_LEFT)
                _mark(rights, token_bytes, i, end, False, _CUT_LEFT)


@njit(int64(BYTES, BORDERS, int64[::1]), nogil=True, cache=True)
def find_borders(data, borders, out):
    """All borders of a text, into `out`; returns how many. For tests."""
    m = int64(0)
    i = next_border(data, int64(0), int64(data.shape[0]), borders)
    while i < data.shape[0]:
        out[m] = i
        m += 1
        i = next_border(data, i, int64(data.shape[0]), borders)
    return m
