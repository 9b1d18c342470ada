"""Byte-pair merges of one pre-token (Sennrich et al. 2016; over bytes as in GPT-2, Radford et al. 2019).

A pre-token starts as its bytes. Of all neighbours that may merge, the pair of the lowest rank does, the leftmost of
equals, until none is left. Which pairs merge, into what, and at which rank is looked up by the two ids, so bytes are
never compared. Short pre-tokens look for the lowest rank by a plain scan, long ones with a heap, so that a text of 1 MB
without a space takes n log n steps.

Tables, all made by `stages.tokens.vocabulary`. The rank of a token is its id.
  `byte_ids`: `int32[256]`, the id of each single byte.
  `byte_pairs`: `int32[65536]`, what two bytes merge into, or ABSENT.
  `pairs`: `uint64[2^k]`, open addressing: `left << 40 | right << 20 | id` says that `left` and `right` merge into `id`;
    an entry a token, with few exceptions (`fill_pairs`).
  `bits`: `uint64[2^16]`, a bit for each hash of 22 bits, set where a pair of `pairs` has it: most pairs merge into
  nothing, and this small table says so without a look at the large one.
  `slots`: `int32[2^k]`, open addressing over the hash of a token's bytes: an id, or -1.
  `token_bytes`, `token_starts`: bytes of all tokens one after the other, `int64[n + 1]` where each starts.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import int32, int64, njit, uint64, void

from stages.text.kernels import BYTES, INT64S, ONE, digest

SHORT = 64
"""Bytes from which on a pre-token is merged with a heap."""
ROOM = 128
"""Places for so many symbols, the two beside them, and as many as a scan reads at a time."""
NO_ID = (1 << 20) - 1
"""In place of an id that merges with none."""
ABSENT = 0x7FFFFFFF
"""In place of an id: the two do not merge."""
FREE = np.uint64(0xFFFFFFFFFFFFFFFF)
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_S20, _S32, _S42, _S48 = (np.uint64(bits) for bits in (20, 32, 42, 48))
_LOW_6, _LOW_20, _LOW_32 = np.uint64(63), np.uint64((1 << 20) - 1), np.uint64(0xFFFFFFFF)


@njit(inline="always")
def find_pair(pairs, bits, left, right):
    """The id that two ids merge into, or ABSENT."""
    key = uint64(left) << _S20 | uint64(right)
    h = key * _PRIME
    token = int32(ABSENT)
    if (bits[h >> _S48] >> ((h >> _S42) & _LOW_6)) & ONE:
        mask = uint64(pairs.shape[0] - 1)
        slot = (h >> _S32) & mask
        entry = pairs[slot]
        while entry >> _S20 != key and entry != FREE:
            slot = (slot + ONE) & mask
            entry = pairs[slot]
        if entry != FREE:
            token = int32(entry & _LOW_20)
    return token


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
def merge_short(data, low, high, byte_ids, byte_pairs, pairs, bits, scratch, out, o):
    """Ids of a pre-token of at most SHORT bytes into `out` from `o` on; returns where they end.

    `scratch` is `int32[4, ROOM]`: the ids of the symbols; the symbol after each and the one before it; and, for what
    each merges into with the one after it, `id * ROOM + place`, or ABSENT. The least of the last row is the next merge;
    it is found sixteen at a time. The first and the last place hold no symbol, so that every symbol has neighbours.
    """
    n = high - low
    size = (n + 17) & ~15
    for k in range(n):
        byte = int64(data[low + k])
        scratch[0, k + 1], scratch[1, k + 1], scratch[2, k + 1], scratch[3, k + 1] = byte_ids[byte], k + 2, k, ABSENT
        if k + 1 < n:
            token = byte_pairs[byte << 8 | int64(data[low + k + 1])]
            if token != ABSENT:
                scratch[3, k + 1] = token * ROOM + k + 1
    scratch[0, 0], scratch[3, 0], scratch[0, n + 1] = NO_ID, ABSENT, NO_ID
    for k in range(n + 1, size):
        scratch[3, k] = ABSENT
    while True:
        least = int32(ABSENT)
        for block in range(0, size, 16):
            for k in range(16):
                least = min(least, scratch[3, block + k])
        if least == ABSENT:
            break
        i, token = int64(least % ROOM), least // ROOM
        j, before = int64(scratch[1, i]), int64(scratch[2, i])
        after = int64(scratch[1, j])
        scratch[0, i], scratch[1, i], scratch[2, after], scratch[3, j] = token, after, i, ABSENT
        merged = find_pair(pairs, bits, token, scratch[0, after])
        scratch[3, i] = ABSENT if merged == ABSENT else merged * ROOM + i
        merged = find_pair(pairs, bits, scratch[0, before], token)
        scratch[3, before] = ABSENT if merged == ABSENT else merged * ROOM + before
    i = int64(1)
    while i <= n:
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
def merge_long(data, low, high, byte_ids, byte_pairs, pairs, bits, out, o):
    """Ids of a pre-token of any length into `out` from `o` on; returns where they end.

    The heap holds `id << 32 | place` of what may be merged, so the leftmost of equal ids comes first. An entry that is
    no longer what the pair at its place merges into is stale and passed over. Takes 32 bytes of memory for each byte.
    """
    n = high - low
    ids, merged = np.empty(n, np.int32), np.empty(n, np.int32)
    following, before = np.empty(n, np.int32), np.empty(n, np.int32)
    heap = np.empty(2 * n, np.uint64)
    size = int64(0)
    for k in range(n):
        byte = int64(data[low + k])
        ids[k], following[k], before[k] = byte_ids[byte], k + 1, k - 1
        merged[k] = byte_pairs[byte << 8 | int64(data[low + k + 1])] if k + 1 < n else ABSENT
        if merged[k] != ABSENT:
            _push(heap, size, uint64(merged[k]) << _S32 | uint64(k))
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
            merged[i] = find_pair(pairs, bits, ids[i], ids[after])
            if merged[i] != ABSENT:
                _push(heap, size, uint64(merged[i]) << _S32 | uint64(i))
                size += 1
        if i > 0:
            j = int64(before[i])
            merged[j] = find_pair(pairs, bits, ids[j], ids[i])
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


@njit
def _enter_pair(left, right, token, pairs, bits):
    key = uint64(left) << _S20 | uint64(right)
    h = key * _PRIME
    bits[h >> _S48] |= ONE << ((h >> _S42) & _LOW_6)
    mask = uint64(pairs.shape[0] - 1)
    slot = (h >> _S32) & mask
    while pairs[slot] != FREE:
        slot = (slot + ONE) & mask
    pairs[slot] = key << _S20 | uint64(token)


@njit(int64(BYTES, INT64S, int32[::1], int32[::1], int32[::1], uint64[::1], uint64[::1]), nogil=True, cache=True)
def fill_pairs(token_bytes, token_starts, byte_ids, slots, byte_pairs, pairs, bits):
    """Enter what merges into each token; returns how many pairs that are, or -1 if `pairs` has not twice the room.

    Two neighbours merge whenever their bytes together are a token. What happens between the ends of a token that is to
    be depends on its bytes alone, as long as nothing merges across them. So if merges of lower rank leave two symbols
    of its bytes, it is those two that it is merged from, wherever it stands. Of tokens that they leave more symbols of
    (ids of another training, appended), every way to cut them into two tokens is entered. `pairs` comes in filled with
    FREE, `byte_pairs` with ABSENT, `bits` with zeros.
    """
    count = int64(0)
    scratch, out = np.empty((4, ROOM), np.int32), np.empty(SHORT, np.uint32)
    for token in range(token_starts.shape[0] - 1):
        low, high = token_starts[token], token_starts[token + 1]
        if high - low < 2:
            continue
        if out.shape[0] < high - low:
            out = np.empty(2 * (high - low), np.uint32)
        if high - low <= SHORT:
            n = merge_short(token_bytes, low, high, byte_ids, byte_pairs, pairs, bits, scratch, out, int64(0))
        else:
            n = merge_long(token_bytes, low, high, byte_ids, byte_pairs, pairs, bits, out, int64(0))
        for middle in range(low + 1, high if n != 2 else low + 2):
            left, right = int32(out[0]), int32(out[1])
            if n != 2:
                left = find_token(token_bytes, low, middle, slots, token_bytes, token_starts)
                right = find_token(token_bytes, middle, high, slots, token_bytes, token_starts)
            if left >= 0 and right >= 0:
                count += 1
                if 2 * count > pairs.shape[0]:
                    return int64(-1)
                _enter_pair(left, right, token, pairs, bits)
        if high - low == 2:
            byte_pairs[int64(token_bytes[low]) << 8 | int64(token_bytes[low + 1])] = token
    return count
