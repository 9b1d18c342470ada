"""Byte-pair merges of one pre-token (Sennrich et al. 2016; over bytes as in GPT-2, Radford et al. 2019).

A pre-token starts as its bytes. Of all neighbours that may merge, the pair of the lowest rank does, the leftmost of
equals, until none is left. Which pairs merge, into what, and at which rank is looked up by the two ids, so bytes are
never compared. Short pre-tokens look for the lowest rank by a plain scan, long ones with a heap, so that a text of 1 MB
without a space takes n log n steps.

Tables, all made by `stages.tokens.vocabulary`:
  `byte_ids`: `int32[256]`, the id of each single byte.
  `byte_pairs`: `uint64[65536]`, what two bytes merge into, as in `pairs`.
  `pairs`: `uint64[2, 2^k]`, open addressing: row 0 the key `left << 32 | right`, row 1 `rank << 32 | id`. A key of
  all ones is free, an entry of all ones says that the two do not merge.
  `slots`: `int32[2^k]`, open addressing over the hash of a token's bytes: an id, or -1.
  `token_bytes`, `token_starts`: bytes of all tokens one after the other, `int64[n + 1]` where each starts.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import int32, int64, njit, uint64, void

from stages.text.kernels import BYTES, INT64S, ONE, digest

NONE = np.uint64(0xFFFFFFFFFFFFFFFF)
SHORT = 128
"""Bytes from which on a pre-token is merged with a heap."""
_ABSENT = 0x7FFFFFFF
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_S32, _S40 = np.uint64(32), np.uint64(40)
_LOW_32, _LOW_40 = np.uint64(0xFFFFFFFF), np.uint64((1 << 40) - 1)


@njit
def find_pair(pairs, left, right):
    """`rank << 32 | id` of what two ids merge into, or NONE."""
    key = uint64(left) << _S32 | uint64(right)
    mask = uint64(pairs.shape[1] - 1)
    slot = (key * _PRIME) >> _S32 & mask
    while pairs[0, slot] != key:
        if pairs[0, slot] == NONE:
            return NONE
        slot = (slot + ONE) & mask
    return pairs[1, slot]


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


@njit
def merge_short(data, low, high, byte_ids, byte_pairs, pairs, out, o):
    """Ids of a pre-token of at most SHORT bytes into `out` from `o` on; returns where they end.

    `keys[i]`: rank and place of the pair that starts at symbol `i`, as `rank * SHORT + i`, so that the least of them
    all, found without a branch, is the pair to merge. A symbol that was merged away keeps _ABSENT.
    """
    n = high - low
    ids, merged, keys = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    following, before = np.empty(n, np.int32), np.empty(n, np.int32)
    for i in range(n):
        ids[i] = byte_ids[data[low + i]]
        following[i], before[i] = i + 1, i - 1
        found = byte_pairs[int64(data[low + i]) << 8 | int64(data[low + i + 1])] if i + 1 < n else NONE
        merged[i] = int32(found & _LOW_32)
        keys[i] = _ABSENT if found == NONE else int32(found >> _S32) * SHORT + i
    while True:
        least = int32(_ABSENT)
        for i in range(n):
            least = min(least, keys[i])
        if least == _ABSENT:
            break
        i = least % SHORT
        j = following[i]
        after = following[j]
        ids[i], following[i], keys[j] = merged[i], after, _ABSENT
        found = NONE
        if after < n:
            before[after] = i
            found = find_pair(pairs, ids[i], ids[after])
        merged[i] = int32(found & _LOW_32)
        keys[i] = _ABSENT if found == NONE else int32(found >> _S32) * SHORT + i
        if i > 0:
            j = before[i]
            found = find_pair(pairs, ids[j], ids[i])
            merged[j] = int32(found & _LOW_32)
            keys[j] = _ABSENT if found == NONE else int32(found >> _S32) * SHORT + j
    i = 0
    while i < n:
        out[o] = ids[i]
        o += 1
        i = following[i]
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

    The heap holds `rank << 40 | place`, so the leftmost of equal ranks comes first. An entry whose rank is no longer
    that of the pair at its place is stale and passed over. Takes 32 bytes of memory for each byte.
    """
    n = high - low
    ids, ranks = np.empty(n, np.int32), np.empty(n, np.int32)
    following, before = np.empty(n, np.int32), np.empty(n, np.int32)
    heap = np.empty(2 * n, np.uint64)
    size = int64(0)
    for i in range(n):
        ids[i] = byte_ids[data[low + i]]
        following[i], before[i] = i + 1, i - 1
        found = byte_pairs[int64(data[low + i]) << 8 | int64(data[low + i + 1])] if i + 1 < n else NONE
        ranks[i] = -1 if found == NONE else int32(found >> _S32)
        if found != NONE:
            _push(heap, size, (found >> _S32) << _S40 | uint64(i))
            size += 1
    while size > 0:
        least = _pop(heap, size)
        size -= 1
        i = int64(least & _LOW_40)
        if ranks[i] != int64(least >> _S40):
            continue
        j = following[i]
        after = following[j]
        ids[i] = int32(find_pair(pairs, ids[i], ids[j]) & _LOW_32)
        following[i], ranks[j], ranks[i] = after, -1, -1
        if after < n:
            before[after] = i
            found = find_pair(pairs, ids[i], ids[after])
            if found != NONE:
                ranks[i] = int32(found >> _S32)
                _push(heap, size, (found >> _S32) << _S40 | uint64(i))
                size += 1
        if i > 0:
            j = before[i]
            found = find_pair(pairs, ids[j], ids[i])
            ranks[j] = -1 if found == NONE else int32(found >> _S32)
            if found != NONE:
                _push(heap, size, (found >> _S32) << _S40 | uint64(j))
                size += 1
    i = int64(0)
    while i < n:
        out[o] = ids[i]
        o += 1
        i = following[i]
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


@njit
def _enter(pairs, left, right, value):
    """Enter a pair where there is none yet; returns whether it was new."""
    key = uint64(left) << _S32 | uint64(right)
    mask = uint64(pairs.shape[1] - 1)
    slot = (key * _PRIME) >> _S32 & mask
    while pairs[0, slot] != NONE:
        if pairs[0, slot] == key:
            return False
        slot = (slot + ONE) & mask
    pairs[0, slot] = key
    pairs[1, slot] = value
    return True


@njit(int64(BYTES, INT64S, int32[::1], int32[::1], uint64[:, ::1]), nogil=True, cache=True)
def fill_pairs(token_bytes, token_starts, slots, ranks, pairs):
    """Enter every way to cut a token into two tokens; returns how many there are.

    In a vocabulary of ranks, two neighbours merge whenever their bytes together are a token, however that token was
    found in training. `pairs` comes in filled with NONE; with no columns the ways are only counted.
    """
    count = int64(0)
    for token in range(token_starts.shape[0] - 1):
        low, high = token_starts[token], token_starts[token + 1]
        for middle in range(low + 1, high):
            left = find_token(token_bytes, low, middle, slots, token_bytes, token_starts)
            if left < 0:
                continue
            right = find_token(token_bytes, middle, high, slots, token_bytes, token_starts)
            if right >= 0:
                count += 1
                if pairs.shape[1] > 0:
                    _enter(pairs, left, right, uint64(ranks[token]) << _S32 | uint64(token))
    return count


@njit(void(int32[::1], int32[::1], int32[::1], uint64[:, ::1]), nogil=True, cache=True)
def fill_merges(lefts, rights, tokens, pairs):
    """Enter merges in the order of their ranks: `lefts[k]` and `rights[k]` become `tokens[k]` at rank `k`."""
    for rank in range(lefts.shape[0]):
        _enter(pairs, lefts[rank], rights[rank], uint64(rank) << _S32 | uint64(tokens[rank]))


@njit(void(int32[::1], uint64[:, ::1], uint64[::1]), nogil=True, cache=True)
def fill_byte_pairs(byte_ids, pairs, byte_pairs):
    """What each two bytes merge into, for a lookup without hashing."""
    for first in range(256):
        for second in range(256):
            byte_pairs[first << 8 | second] = find_pair(pairs, byte_ids[first], byte_ids[second])
