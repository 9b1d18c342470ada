"""What the compiled text passes share: reading UTF-8, hashing, skipping white space.

Kernels are free functions on arrays, compiled when their module is imported and cached on disk. `data` is `uint8[]`,
`offsets` `int64[n + 1]` (not necessarily from 0), `classes` the table of `unicode_tables`. Positions that go out are
relative to the start of their document. Text is valid UTF-8: readers see to it. Every kernel has a slow, obvious twin
in `tests/naive.py`.

Hashes are 64 bits: a multiply-xor chain over blocks of eight bytes, finished with MurmurHash3's fmix64. That any two
of 5,000 different words of a document collide has a probability of about 1e-12.

A function with a loop or an early return that takes arrays is not for the hot loop of another: Numba counts a reference
to each array before the call and one less after it, atomic operations that cost more than hashing a word. Straight-line
functions, and functions of numbers, are free.

Numba's cache looks at the time stamp of the file that a kernel is in, and not at those of the files it calls into:
after a change here, touch the other kernel modules or delete their `__pycache__`.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import int64, njit, types, uint8, uint16, uint64, void

from stages.text.unicode_tables import SPACE

BYTES = types.Array(uint8, 1, "C", readonly=True)
CLASSES = types.Array(uint16, 1, "C", readonly=True)
INT32S = types.Array(types.int32, 1, "C", readonly=True)
INT64S = types.Array(int64, 1, "C", readonly=True)
UINT64S = types.Array(uint64, 1, "C", readonly=True)
FLAGS = types.Array(uint8, 1, "C", readonly=True)

_PRIME = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_1, _2, _3, _4, _5, _6, _7 = (np.uint64(byte) for byte in range(1, 8))
_S6, S7, _S8, _S16, _S24, _S29, _S32, _S33, S56 = (np.uint64(bits) for bits in (6, 7, 8, 16, 24, 29, 32, 33, 56))
ONE = np.uint64(1)
EACH_BYTE = np.uint64(0x0101010101010101)
TOP_BITS = np.uint64(0x8080808080808080)
NEWLINE, RETURN, DOT = 0x0A, 0x0D, 0x2E


@njit
def finish(h):
    """MurmurHash3's 64-bit finaliser: every input bit changes every output bit with probability 1/2."""
    h ^= h >> _S33
    h *= _MIX_1
    h ^= h >> _S33
    h *= _MIX_2
    return h ^ (h >> _S33)


@njit
def add_block(h, block):
    """Another 64 bits on a hash chain."""
    h = (h ^ block) * _PRIME
    return h ^ (h >> _S29)


@njit
def load_block(data, i):
    """Eight bytes from `i` on as one little-endian number.

    LLVM makes one load of it, because the index is unsigned: a signed one might count from the end.
    """
    j = uint64(i)
    low = uint64(data[j]) | uint64(data[j + _1]) << _S8 | uint64(data[j + _2]) << _S16 | uint64(data[j + _3]) << _S24
    high = (
        uint64(data[j + _4]) | uint64(data[j + _5]) << _S8 | uint64(data[j + _6]) << _S16 | uint64(data[j + _7]) << _S24
    )
    return low | high << _S32


@njit
def load_rest(data, i, high):
    """The fewer than eight bytes from `i` to `high` as one little-endian number."""
    bits = uint64(high - i) * _S8
    if i + 8 <= data.shape[0]:
        return load_block(data, i) & ((ONE << bits) - ONE)
    block = uint64(0)
    for k in range(high - i):
        block |= uint64(data[i + k]) << (uint64(k) * _S8)
    return block


@njit
def count_starts(block):
    """Bytes of a block that continue no code point (are not 10xxxxxx), so that each starts one."""
    continuing = (block >> S7) & ~(block >> _S6) & EACH_BYTE
    return int64(8) - int64((continuing * EACH_BYTE) >> S56)


@njit
def count_chars_between(data, low, high):
    """Code points in `data[low:high]`."""
    chars = int64(0)
    i = low
    while i + 8 <= high:
        chars += count_starts(load_block(data, i))
        i += 8
    while i < high:
        chars += (data[i] & 0xC0) != 0x80
        i += 1
    return chars


@njit
def digest(data, low, high):
    """Hash and code points of `data[low:high]`."""
    h = ONE
    chars = int64(0)
    i = low
    while i + 8 <= high:
        block = load_block(data, i)
        h = add_block(h, block)
        chars += count_starts(block)
        i += 8
    rest = load_rest(data, i, high)
    chars += count_starts(rest) - 8 + high - i
    return finish(add_block(h, rest) ^ uint64(high - low)), chars


@njit
def find_byte(data, i, high, byte):
    """First position at or after `i` that holds `byte`, or `high`."""
    pattern = uint64(byte) * EACH_BYTE
    while i + 8 <= high:
        differences = load_block(data, i) ^ pattern
        if (differences - EACH_BYTE) & ~differences & TOP_BITS:
            break
        i += 8
    while i < high and data[i] != byte:
        i += 1
    return i


@njit
def decode(data, i):
    """Code point at byte `i`, and its width in bytes."""
    first = int64(data[i])
    if first < 0x80:
        return first, int64(1)
    if first < 0xE0:
        return (first & 0x1F) << 6 | int64(data[i + 1]) & 0x3F, int64(2)
    if first < 0xF0:
        return (first & 0x0F) << 12 | (int64(data[i + 1]) & 0x3F) << 6 | int64(data[i + 2]) & 0x3F, int64(3)
    high = (first & 0x07) << 18 | (int64(data[i + 1]) & 0x3F) << 12
    return high | (int64(data[i + 2]) & 0x3F) << 6 | int64(data[i + 3]) & 0x3F, int64(4)


@njit
def decode_before(data, low, i):
    """Code point that ends right before byte `i`, and its first byte; `i > low`."""
    i -= 1
    while i > low and (data[i] & 0xC0) == 0x80:
        i -= 1
    code, _ = decode(data, i)
    return code, i


@njit
def skip_space(data, low, high, classes):
    """First byte at or after `low` that is no white space."""
    while low < high:
        code, width = decode(data, low)
        if not classes[code] & SPACE:
            break
        low += width
    return low


@njit
def trim_space(data, low, high, classes):
    """End of `data[low:high]` without its trailing white space."""
    while high > low:
        code, i = decode_before(data, low, high)
        if not classes[code] & SPACE:
            break
        high = i
    return high


@njit
def ascii_classes(classes, flags):
    """Classes of single bytes as `uint8[256]`, reduced to some flags; 0 for the bytes of other code points."""
    table = np.zeros(256, np.uint8)
    for code in range(128):
        table[code] = classes[code] & flags
    return table


@njit(uint64(BYTES), nogil=True, cache=True)
def hash_bytes(data):
    """Hash of one word, given as its bytes."""
    return digest(data, 0, data.shape[0])[0]


@njit(void(BYTES, INT64S, int64[::1]), nogil=True, cache=True)
def count_chars(data, offsets, out):
    """Code points of each document."""
    for d in range(offsets.shape[0] - 1):
        out[d] = count_chars_between(data, offsets[d], offsets[d + 1])
