"""Compiled passes that turn tokens into slots of the vocabulary; see `stages.fasttext.tokens`.

A vocabulary is four arrays:

- `table`, `uint64[2 N]`: open addressing; the upper 44 bits of a token's hash and, in the lower 20, its slot. The place
  in the table says the rest of the hash, so that two tokens are as good as never taken for one.
- `starts`, `int32[N + 1]`, and `token_bytes`: slot `s` is `token_bytes[starts[s]:starts[s + 1]]`, as models see it.
- `hashes`, `uint32[N]`: fastText's own hash.

A token that is long, or for which there is no room, gets no slot: it is the text's own, and `-1 - j` stands for the
`j`-th of those.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import int32, int64, njit, uint8, uint32, uint64, void

from stages.fasttext.kernels_rows import hash_token
from stages.text.kernels import (
    BYTES,
    EACH_BYTE,
    INT32S,
    INT64S,
    ONE,
    S7,
    S56,
    TOP_BITS,
    UINT64S,
    add_block,
    decode,
    digest,
    finish,
    load_block,
)

MAX_TOKEN_BYTES = 64
END_OF_LINE = 0
"""Slot of the token `</s>` in every vocabulary: the first that is ever made."""
SLOT_BITS = np.uint64(20)
SLOT_MASK = np.uint64((1 << 20) - 1)
_END_OF_LINE = np.frombuffer(b"</s>", np.uint8)
_SEPARATORS = np.zeros(256, np.bool_)
_SEPARATORS[[0x00, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x20]] = True
_PAST_SPACE = EACH_BYTE * np.uint64(0x21)


@njit
def _encode(code, out, at):
    """Write a code point as UTF-8; returns the byte behind it."""
    if code < 0x80:
        out[at] = code
        return at + 1
    if code < 0x800:
        out[at] = 0xC0 | code >> 6
        out[at + 1] = 0x80 | code & 0x3F
        return at + 2
    if code < 0x10000:
        out[at] = 0xE0 | code >> 12
        out[at + 1] = 0x80 | code >> 6 & 0x3F
        out[at + 2] = 0x80 | code & 0x3F
        return at + 3
    out[at] = 0xF0 | code >> 18
    out[at + 1] = 0x80 | code >> 12 & 0x3F
    out[at + 2] = 0x80 | code >> 6 & 0x3F
    out[at + 3] = 0x80 | code & 0x3F
    return at + 4


@njit(inline="always")
def copy_token(data, low, high, lower, out, at):
    """Write `data[low:high]` to `out`, lower-cased unless the table `lower` is empty; returns the byte behind it.

    Lower case takes at most half as many bytes again.
    """
    if lower.shape[0] == 0:
        for i in range(low, high):
            out[at] = data[i]
            at += 1
        return at
    i = low
    while i < high:
        byte = data[i]
        if byte < 0x80:
            out[at] = lower[byte]
            at += 1
            i += 1
            continue
        code, width = decode(data, i)
        if code < lower.shape[0]:
            code = int64(lower[code])
        at = _encode(code, out, at)
        i += width
    return at


@njit(inline="always")
def _find(table, h):
    """Row of the table where the token with this hash is, or would be."""
    mask = uint64(table.shape[0] - 1)
    p = h & mask
    while table[p] != 0 and (table[p] ^ h) >> SLOT_BITS:
        p = (p + ONE) & mask
    return p


@njit
def _add(table, p, h, data, first, end, lower, starts, token_bytes, hashes, fill):
    """Give a token a slot, at row `p` of the table; returns -1 if it is too long or there is no room."""
    slot = int64(fill[0])
    low = int64(starts[slot])
    if end - first > MAX_TOKEN_BYTES or slot >= hashes.shape[0] or low + 2 * MAX_TOKEN_BYTES > token_bytes.shape[0]:
        return int64(-1)
    high = copy_token(data, first, end, lower, token_bytes, low)
    starts[slot + 1] = high
    hashes[slot] = hash_token(token_bytes, low, high)
    table[p] = (h & ~SLOT_MASK) | uint64(slot)
    fill[0] = slot + 1
    return slot


@njit(inline="always")
def _token_end(data, first, high):
    """End and hash of the whitespace token that starts at byte `first`."""
    i = first
    h = ONE
    while i + 8 <= data.shape[0]:
        block = load_block(data, i)
        found = (block - _PAST_SPACE) & ~block & TOP_BITS
        if found == 0 and i + 8 <= high:
            h = add_block(h, block)
            i += 8
            continue
        inside = ~uint64(0)
        size = int64(8)
        if found:
            inside = ((found & (~found + ONE)) >> S7) - ONE  # all bits of the bytes before the first found one
            size = int64(((inside & EACH_BYTE) * EACH_BYTE) >> S56)
        if i + size > high:
            break
        if i + size < high and not _SEPARATORS[data[i + size]]:
            break
        if size == 8:
            break
        return i + size, finish(add_block(h, block & inside) ^ uint64(i + size - first))
    while i < high and not _SEPARATORS[data[i]]:
        i += 1
    return i, digest(data, first, i)[0]


@njit(int64(BYTES, INT64S, int64[::1], int64[::1], int32[::1], int32[::1], uint64[::1]), nogil=True, cache=True)
def split_spaced(data, offsets, begin, end, start, stop, hashes):
    """Find the tokens between white space, document after document; returns how many there are.

    A token `</s>` ends its document, as it ends a line for fastText. Columns must hold as many rows as there may be
    tokens: half of the bytes, and one for each document.
    """
    end_of_line = digest(_END_OF_LINE, 0, 4)[0]
    m = 0
    for d in range(offsets.shape[0] - 1):
        low, high = offsets[d], offsets[d + 1]
        begin[d] = m
        i = low
        while True:
            while i < high and _SEPARATORS[data[i]]:
                i += 1
            if i >= high:
                break
            start[m] = i - low
            i, hashes[m] = _token_end(data, i, high)
            stop[m] = i - low
            m += 1
            if hashes[m - 1] == end_of_line:
                break
        end[d] = m
    return m


@njit(
    void(
        BYTES, INT64S, INT64S, INT64S, INT32S, INT32S, UINT64S,
        INT32S, uint64[::1], int32[::1], uint8[::1], uint32[::1], int64[::1],
        int32[::1], int32[::1], int32[::1], int64[::1],
    ),
    nogil=True,
    cache=True,
)  # fmt: skip
def intern(
    data, offsets, begin, end, start, stop, token_hashes,
    lower, table, starts, token_bytes, hashes, fill,
    slot, own_start, own_stop, num_own,
):  # fmt: skip
    """Slots of tokens, by their hashes; bytes are read only of those that are new.

    `num_own` gets the number of tokens without a slot, and how many of them are for want of room.
    """
    own = unplaced = 0
    for d in range(offsets.shape[0] - 1):
        low = offsets[d]
        for t in range(begin[d], end[d]):
            h = token_hashes[t]
            p = _find(table, h)
            found = int64(table[p] & SLOT_MASK)
            if table[p] == 0:
                first, last = low + start[t], low + stop[t]
                found = _add(table, p, h, data, first, last, lower, starts, token_bytes, hashes, fill)
                if found < 0:
                    own_start[own] = start[t]
                    own_stop[own] = stop[t]
                    found = -1 - own
                    own += 1
                    unplaced += last - first <= MAX_TOKEN_BYTES
            slot[t] = found
    num_own[0] = own
    num_own[1] = unplaced


@njit(int64(BYTES, INT64S, INT64S, INT64S, INT32S, INT32S, INT32S, uint8[::1], int64[::1]), nogil=True, cache=True)
def join_words(data, offsets, begin, end, start, stop, lower, out, out_offsets):
    """Write the words of each document, lower-cased and with one space between; returns the bytes written."""
    at = int64(0)
    for d in range(begin.shape[0]):
        out_offsets[d] = at
        for w in range(begin[d], end[d]):
            if w > begin[d]:
                out[at] = 0x20
                at += 1
            at = copy_token(data, offsets[d] + start[w], offsets[d] + stop[w], lower, out, at)
    out_offsets[begin.shape[0]] = at
    return at
