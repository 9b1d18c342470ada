"""Byte-pair merges of one pre-token (Sennrich et al. 2016; over bytes as in GPT-2, Radford et al. 2019).

A pre-token starts as its bytes. Of all neighbours that may merge, the pair of the lowest rank does, the leftmost of
equals, until none is left. Which pairs merge, into what, and at which rank is looked up by the two ids, so bytes are
never compared. Short pre-tokens look for the lowest rank by a plain scan, long ones with a heap, so that a text of 1 MB
without a space takes n log n steps.

Tables, all made by `stages.tokens.vocabulary`. The rank of a token is its id.
  `byte_ids`: `int32[256]`, the id of each single byte.
  `byte_pairs`: `int32[65536]`, what two bytes merge into, or ABSENT.
  `pairs`: `uint64[2^k]`, open addressing: `left << 40 | right << 20 | id` says that `left` and `right` merge into `id`.
  `slots`: `int32[2^k]`, open addressing over the hash of a token's bytes: an id, or -1.
  `token_bytes`, `token_starts`: bytes of all tokens one after the other, `int64[n + 1]` where each starts.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import int32, int64, njit, uint64, void

from stages.text.kernels import BYTES, INT64S, ONE, digest

SHORT = 128
"""Bytes from which on a pre-token is merged with a heap."""
ABSENT = 0x7FFFFFFF
"""In place of an id: the two do not merge."""
FREE = np.uint64(0xFFFFFFFFFFFFFFFF)
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_S20, _S32 = np.uint64(20), np.uint64(32)
_LOW_20, _LOW_32 = np.uint64((1 << 20) - 1), np.uint64(0xFFFFFFFF)


@njit(inline="always")
def find_pair(pairs, left, right):
    """The id that two ids merge into, or ABSENT."""
    key = uint64(left) << _S20 | uint64(right)
    mask = uint64(pairs.shape[0] - 1)
    slot = (key * _PRIME) >> _S32 & mask
    entry = pairs[slot]
    while entry >> _S20 != key and entry != FREE:
        slot = (slot + ONE) & mask
        entry = pairs[slot]
    return int32(ABSENT) if entry == FREE else int32(entry & _LOW_20)


@njit
def find_token(data, low, high, slots, token_bytes, token_starts):
    """Id of the token with the bytes `data[low:high]`, or -1."""
    mask = uint64(slots.shape[0] - 1)
    slot = digest(data, low, high)[0] & mask
    while slots[slot] >= 0:
        token = slots[slot]
        start = token_starts[token]
        if token_starts[token + 1] - start == high - low:
            k = 0
            while k < high - low and data[low + k] == token_bytes[start + k]:
                k += 1
            if k == high - low:
                return token
        slot = (slot + ONE) & mask
    return int32(-1)


@njit(inline="always")
def merge_short(data, low, high, byte_ids, byte_pairs, pairs, scratch, out, o):
    """Ids of a pre-token of at most SHORT bytes into `out` from `o` on; returns where they end.

    `scratch` is `int32[4, SHORT + 1]`: the ids of the symbols; the symbol after each and the one before it; and what
    each merges into with the one after it, ABSENT for nothing and for a symbol that was merged away. The least of the
    last row is the next merge, and the first place that holds it the leftmost.
    """
    n = high - low
    for i in range(n):
        byte = int64(data[low + i])
        scratch[0, i], scratch[1, i], scratch[2, i] = byte_ids[byte], i + 1, i - 1
        scratch[3, i] = byte_pairs[byte << 8 | int64(data[low + i + 1])] if i + 1 < n else ABSENT
    while True:
        least = int32(ABSENT)
        for i in range(n):
            least = min(least, scratch[3, i])
        if least == ABSENT:
            break
        i = int64(0)
        while scratch[3, i] != least:
            i += 1
        j = int64(scratch[1, i])
        after = int64(scratch[1, j])
        scratch[0, i], scratch[1, i], scratch[3, i], scratch[3, j] = least, after, ABSENT, ABSENT
        if after < n:
            scratch[2, after] = i
            scratch[3, i] = find_pair(pairs, least, scratch[0, after])
        if i > 0:
            j = int64(scratch[2, i])
            scratch[3, j] = find_pair(pairs, scratch[0, j], least)
    i = int64(0)
    while i < n:
        out[o] = scratch[0, i]
        o += 1
        i = int64(scratch[1, i])
    return o


@njit
def _push(heap, size, value):
    """Another value on a binary heap of `size`, the least first."""
    i = size
    while i > 0 and heap[(i - 1) >> 1] > value:
        heap[i] = heap[(i - 1) >> 1]
        i = (i - 1) >> 1
    heap[i] = value


@njit
def _pop(heap, size):
    """The least value of a heap of `size`, which is one shorter afterwards."""
    least, value = heap[0], heap[size - 1]
    size -= 1
    i = 0
    while 2 * i + 1 < size:
        child = 2 * i + 1
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= value:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = value
    return least


@njit
def merge_long(data, low, high, byte_ids, byte_pairs, pairs, out, o):
    """Ids of a pre-token of any length into `out` from `o` on; returns where they end.

    The heap holds `id << 32 | place` of what may be merged, so the leftmost of equal ids comes first. An entry that is
    no longer what the pair at its place merges into is stale and passed over. Takes 32 bytes of memory for each byte.
    """
    n = high - low
    ids, merged = np.empty(n, np.int32), np.empty(n, np.int32)
    following, before = np.empty(n, np.int32), np.empty(n, np.int32)
    heap = np.empty(2 * n, np.uint64)
    size = int64(0)
    for i in range(n):
        byte = int64(data[low + i])
        ids[i], following[i], before[i] = byte_ids[byte], i + 1, i - 1
        merged[i] = byte_pairs[byte << 8 | int64(data[low + i + 1])] if i + 1 < n else ABSENT
        if merged[i] != ABSENT:
            _push(heap, size, uint64(merged[i]) << _S32 | uint64(i))
            size += 1
    while size > 0:
        least = _pop(heap, size)
        size -= 1
        i = int64(least & _LOW_32)
        if merged[i] != int64(least >> _S32):
            continue
        j = int64(following[i])
        after = int64(following[j])
        ids[i], following[i], merged[i], merged[j] = merged[i], after, ABSENT, ABSENT
        if after < n:
            before[after] = i
            merged[i] = find_pair(pairs, ids[i], ids[after])
            if merged[i] != ABSENT:
                _push(heap, size, uint64(merged[i]) << _S32 | uint64(i))
                size += 1
        if i > 0:
            j = int64(before[i])
            merged[j] = find_pair(pairs, ids[j], ids[i])
            if merged[j] != ABSENT:
                _push(heap, size, uint64(merged[j]) << _S32 | uint64(j))
                size += 1
    i = int64(0)
    while i < n:
        out[o] = ids[i]
        o += 1
        i = int64(following[i])
    return o


@njit(void(BYTES, INT64S, int32[::1]), nogil=True, cache=True)
def fill_slots(token_bytes, token_starts, slots):
    """Enter every token that has bytes into the table that `find_token` looks up; `slots` comes in filled with -1."""
    mask = uint64(slots.shape[0] - 1)
    for token in range(token_starts.shape[0] - 1):
        if token_starts[token + 1] > token_starts[token]:
            slot = digest(token_bytes, token_starts[token], token_starts[token + 1])[0] & mask
            while slots[slot] >= 0:
                slot = (slot + ONE) & mask
            slots[slot] = token


@njit(int64(BYTES, INT64S, int32[::1], uint64[::1]), nogil=True, cache=True)
def fill_pairs(token_bytes, token_starts, slots, pairs):
    """Enter every way to cut a token into two tokens; returns how many there are.

    Two neighbours merge whenever their bytes together are a token, however that token was found in training. `pairs`
    comes in filled with FREE; without any room the ways are only counted.
    """
    count = int64(0)
    mask = uint64(pairs.shape[0] - 1)
    for token in range(token_starts.shape[0] - 1):
        low, high = token_starts[token], token_starts[token + 1]
        for middle in range(low + 1, high):
            left = find_token(token_bytes, low, middle, slots, token_bytes, token_starts)
            if left < 0:
                continue
            right = find_token(token_bytes, middle, high, slots, token_bytes, token_starts)
            if right >= 0:
                count += 1
                if pairs.shape[0] > 0:
                    key = uint64(left) << _S20 | uint64(right)
                    slot = (key * _PRIME) >> _S32 & mask
                    while pairs[slot] != FREE:
                        slot = (slot + ONE) & mask
                    pairs[slot] = key << _S20 | uint64(token)
    return count


@njit(void(int32[::1], uint64[::1], int32[::1]), nogil=True, cache=True)
def fill_byte_pairs(byte_ids, pairs, byte_pairs):
    """What each two bytes merge into, for a lookup without hashing."""
    for first in range(256):
        for second in range(256):
            byte_pairs[first << 8 | second] = find_pair(pairs, byte_ids[first], byte_ids[second])
