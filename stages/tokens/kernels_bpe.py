"""Documents to token ids and back, with a memo of pre-tokens met before.

The memo has two parts of fixed size, both with two places in each set: a new entry pushes the older one of its set
out. Keys are the bytes themselves, so an answer is never wrong.

`short_memo`: `uint64[sets, 2, 4]`, for pre-tokens of at most 15 bytes and 6 ids: two words of key (the bytes, zeros,
the length in the last byte), two of ids, three of 20 bits in each, and how many there are in the top four bits of the
first. A set is one line of the processor's cache.
`long_memo`: `uint64[sets, 2, 8]`, alike, for those of 16 to 31 bytes and at most 12 ids: four words of key and four of
ids.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import int32, int64, njit, types, uint8, uint32, uint64, void

from stages.text.kernels import BYTES, INT64S, ONE, add_block, load_block, load_rest
from stages.tokens.kernels_borders import BORDERS, is_three, next_border
from stages.tokens.kernels_merges import ROOM, SHORT, find_token, merge_long, merge_short
from stages.tokens.kernels_pretokens import SPLIT_CLASSES, fill_leads, split_window

SHORT_BYTES, SHORT_IDS = 15, 6
LONG_BYTES, LONG_IDS = 31, 12
WINDOW = 1024
"""Pre-tokens that are split before they are encoded."""
ID_BITS = 20
_PIECE = 0x80
"""Set in the length of a piece, which is no pre-token: other ids may belong to the same bytes."""

_LOW_MASKS = np.array([(1 << 8 * min(n, 8)) - 1 for n in range(16)], np.uint64)
_HIGH_MASKS = np.array([(1 << 8 * max(n - 8, 0)) - 1 for n in range(16)], np.uint64)
_ID_MASK, _S20, _S40, _S60 = (np.uint64(value) for value in ((1 << ID_BITS) - 1, ID_BITS, 2 * ID_BITS, 60))
_S56 = np.uint64(56)
_PRIME_1, _PRIME_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC4CEB9FE1A85EC53)
_S32 = np.uint64(32)

_WORDS = types.Array(uint64, 1, "C", readonly=True)
TABLES = types.Tuple(
    (
        int32[::1],  # byte_ids
        int32[::1],  # byte_pairs
        uint64[::1],  # pairs
        uint64[::1],  # bits
        uint64[:, ::1],  # words
        int32[::1],  # slots
        BYTES,  # token_bytes
        INT64S,  # token_starts
        BORDERS,
    )
)
MEMO = types.Tuple((uint64[:, :, ::1], uint64[:, :, ::1]))


@njit(inline="always")
def _pack(ids, first, last):
    """Up to SHORT_IDS ids in the two words of an entry of the short memo."""
    ids_0, ids_1 = uint64(last - first) << _S60, uint64(0)
    for i in range(last - first):
        if i < 3:
            ids_0 |= uint64(ids[first + i]) << uint64(ID_BITS * i)
        else:
            ids_1 |= uint64(ids[first + i]) << uint64(ID_BITS * (i - 3))
    return ids_0, ids_1


@njit(inline="always")
def _remember(memo, slot, key_0, key_1, ids_0, ids_1):
    """A new entry of the short memo; the older one of its set goes."""
    for i in range(4):
        memo[slot, 1, i] = memo[slot, 0, i]
    memo[slot, 0, 0], memo[slot, 0, 1], memo[slot, 0, 2], memo[slot, 0, 3] = key_0, key_1, ids_0, ids_1


@njit
def _encode_new(data, low, high, tables, scratch, out, o):
    """Ids of a pre-token that no memo knows; returns where they end."""
    byte_ids, byte_pairs, pairs, bits, _, slots, token_bytes, token_starts, _ = tables
    token = find_token(data, low, high, slots, token_bytes, token_starts)
    if token >= 0:
        out[o] = token
        o += 1
    elif high - low <= SHORT:
        o = merge_short(data, low, high, byte_ids, byte_pairs, pairs, bits, scratch, out, o)
    else:
        o = merge_long(data, low, high, byte_ids, byte_pairs, pairs, bits, out, o)
    return o


@njit(inline="always")
def _encode_pieces(data, low, border, high, tables, memo, scratch, out, o):
    """Ids of a pre-token in pieces, the first of which ends at `border`, through the short memo; returns where they
    end."""
    byte_ids, byte_pairs, pairs, bits, _, _, _, _, borders = tables
    mask = uint64(memo.shape[0] - 1)
    safe = data.shape[0] - 16
    while low < high:
        n = border - low
        key_0 = key_1 = ids_0 = ids_1 = uint64(0)
        slot = uint64(0)
        if n <= SHORT_BYTES and low <= safe:
            key_0 = load_block(data, low) & _LOW_MASKS[n]
            key_1 = load_block(data, low + 8) & _HIGH_MASKS[n] | uint64(n | _PIECE) << _S56
            slot = _word_slot(key_0, key_1) & mask
            if memo[slot, 0, 0] == key_0 and memo[slot, 0, 1] == key_1:
                ids_0, ids_1 = memo[slot, 0, 2], memo[slot, 0, 3]
            elif memo[slot, 1, 0] == key_0 and memo[slot, 1, 1] == key_1:
                ids_0, ids_1 = memo[slot, 1, 2], memo[slot, 1, 3]
        if ids_0:
            out[o] = uint32(ids_0 & _ID_MASK)
            out[o + 1] = uint32((ids_0 >> _S20) & _ID_MASK)
            out[o + 2] = uint32((ids_0 >> _S40) & _ID_MASK)
            count = int64(ids_0 >> _S60)
            for i in range(3, count):
                out[o + i] = uint32((ids_1 >> uint64(ID_BITS * (i - 3))) & _ID_MASK)
            o += count
        else:
            first = o
            if n <= SHORT:
                o = merge_short(data, low, border, byte_ids, byte_pairs, pairs, bits, scratch, out, o)
            else:
                o = merge_long(data, low, border, byte_ids, byte_pairs, pairs, bits, out, o)
            if key_1 and o - first <= SHORT_IDS:
                ids_0, ids_1 = _pack(out, first, o)
                _remember(memo, slot, key_0, key_1, ids_0, ids_1)
        low = border
        border = next_border(data, low, high, borders)
    return o


@njit(inline="always")
def _long_key(data, low, high):
    """Four words of key of a pre-token of 16 to LONG_BYTES bytes, and their hash. Reads 32 bytes."""
    n = high - low
    key_0, key_1 = load_block(data, low), load_block(data, low + 8)
    key_2 = load_block(data, low + 16) & _LOW_MASKS[n - 16]
    key_3 = load_block(data, low + 24) & _HIGH_MASKS[n - 16] | uint64(n) << _S56
    h = add_block(add_block(_word_slot(key_0, key_1), key_2), key_3)
    return key_0, key_1, key_2, key_3, h >> _S32


@njit(inline="always")
def _encode_long(data, low, high, tables, memos, scratch, out, o):
    """Ids of a pre-token that the short memo does not hold, in pieces if it has borders, else through the long memo;
    returns where they end."""
    n = high - low
    short_memo, memo = memos
    if n > SHORT_BYTES and (is_three(data[low]) or is_three(data[low + 1])):
        border = next_border(data, low, high, tables[8])
        if border < high:
            return _encode_pieces(data, low, border, high, tables, short_memo, scratch, out, o)
    if n > LONG_BYTES or n <= SHORT_BYTES or low + LONG_BYTES >= data.shape[0]:
        return _encode_new(data, low, high, tables, scratch, out, o)
    key_0, key_1, key_2, key_3, h = _long_key(data, low, high)
    slot = h & uint64(memo.shape[0] - 1)
    for place in range(2):
        row = memo[slot, place]
        if row[0] == key_0 and row[1] == key_1 and row[2] == key_2 and row[3] == key_3:
            count = int64(row[4] >> _S60)
            for i in range(count):
                out[o + i] = uint32((row[4 + i // 3] >> uint64(ID_BITS * (i % 3))) & _ID_MASK)
            return o + count
    first = o
    o = _encode_new(data, low, high, tables, scratch, out, o)
    if o - first <= LONG_IDS:
        for k in range(8):
            memo[slot, 1, k] = memo[slot, 0, k]
            memo[slot, 0, k] = uint64(0)
        memo[slot, 0, 0], memo[slot, 0, 1], memo[slot, 0, 2], memo[slot, 0, 3] = key_0, key_1, key_2, key_3
        memo[slot, 0, 4] = uint64(o - first) << _S60
        for i in range(o - first):
            memo[slot, 0, 4 + i // 3] |= uint64(out[first + i]) << uint64(ID_BITS * (i % 3))
    return o


@njit
def _word_slot(key_0, key_1):
    """Where a short pre-token's row is looked for, before it is cut to the size of a table."""
    h = key_0 * _PRIME_1 ^ key_1 * _PRIME_2
    h ^= h >> _S32
    return (h * _PRIME_1) >> _S32


@njit(inline="always")
def _read_keys(data, start, stops, m, memos, window):
    """Keys and hashes of the window's pre-tokens, and a first touch of their sets in the memos.

    Nothing waits for what it reads from the memo here, so many of its lines are on their way at once. A pre-token that
    is too long has a key of zeros, which none in the memo has.
    """
    memo, long_memo = memos
    mask, long_mask = uint64(memo.shape[0] - 1), uint64(long_memo.shape[0] - 1)
    safe = data.shape[0] - 16
    touched = uint64(0)
    for k in range(m):
        stop = stops[k]
        n = stop - start
        key_0 = key_1 = uint64(0)
        if n <= SHORT_BYTES:
            if start <= safe:
                key_0 = load_block(data, start) & _LOW_MASKS[n]
                key_1 = load_block(data, start + 8) & _HIGH_MASKS[n]
            elif n >= 8:
                key_0 = load_block(data, start)
                key_1 = load_rest(data, start + 8, stop)
            else:
                key_0 = load_rest(data, start, stop)
            key_1 |= uint64(n) << _S56
        h = _word_slot(key_0, key_1)
        window[0, k], window[1, k], window[2, k] = key_0, key_1, h
        if n <= SHORT_BYTES:
            touched |= memo[h & mask, 0, 0]
        elif n <= LONG_BYTES and start + LONG_BYTES < data.shape[0]:
            touched |= long_memo[_long_key(data, start, stop)[4] & long_mask, 0, 0]
        start = stop
    window[5, 0] = touched


@njit(inline="always")
def _recall(m, memo, words, window, misses):
    """Ids of those that the memo holds; lists the others and touches their rows of `words`. Returns how many."""
    mask, word_mask = uint64(memo.shape[0] - 1), uint64(words.shape[0] - 1)
    touched = uint64(0)
    count = int64(0)
    for k in range(m):
        key_0, key_1, h = window[0, k], window[1, k], window[2, k]
        slot = h & mask
        if memo[slot, 0, 0] == key_0 and memo[slot, 0, 1] == key_1:
            window[3, k], window[4, k] = memo[slot, 0, 2], memo[slot, 0, 3]
        elif memo[slot, 1, 0] == key_0 and memo[slot, 1, 1] == key_1:
            window[3, k], window[4, k] = memo[slot, 1, 2], memo[slot, 1, 3]
        else:
            window[3, k] = window[4, k] = uint64(0)
            misses[count] = k
            count += int64(key_1 != uint64(0))
            touched |= words[h & word_mask, 0]
    window[5, 1] = touched
    return count


@njit(inline="always")
def _encode_misses(data, stops, tables, memo, window, misses, num_misses, scratch, ids):
    """Look up or merge what the memo did not hold, and remember it unless it has more than SHORT_IDS ids."""
    byte_ids, byte_pairs, pairs, bits, words, _, _, _, _ = tables
    mask, word_mask = uint64(memo.shape[0] - 1), uint64(words.shape[0] - 1)
    for j in range(num_misses):
        k = misses[j]
        key_0, key_1, h = window[0, k], window[1, k], window[2, k]
        word = h & word_mask
        while words[word, 1] and (words[word, 0] != key_0 or words[word, 1] != key_1):
            word = (word + ONE) & word_mask
        ids_0, ids_1 = words[word, 2], uint64(0)
        if not ids_0:
            stop = stops[k]
            n = merge_short(
                data, stop - int64(key_1 >> _S56), stop, byte_ids, byte_pairs, pairs, bits, scratch, ids, int64(0)
            )
            if n > SHORT_IDS:
                continue
            ids_0, ids_1 = _pack(ids, 0, n)
        window[3, k], window[4, k] = ids_0, ids_1
        _remember(memo, h & mask, key_0, key_1, ids_0, ids_1)


@njit
def _encode_window(data, start, stops, m, tables, memo, window, misses, scratch, out, o):
    """Ids of the pre-tokens that end at `stops[:m]`; returns where they end."""
    short_memo, words = memo[0], tables[4]
    _read_keys(data, start, stops, m, memo, window)
    num_misses = _recall(m, short_memo, words, window, misses)
    _encode_misses(data, stops, tables, short_memo, window, misses, num_misses, scratch, out[o:])
    for k in range(m):
        ids = window[3, k]
        count = int64(ids >> _S60)
        if count == 0:
            o = _encode_long(data, start, stops[k], tables, memo, scratch, out, o)
        else:
            out[o] = uint32(ids & _ID_MASK)
            out[o + 1] = uint32((ids >> _S20) & _ID_MASK)
            out[o + 2] = uint32((ids >> _S40) & _ID_MASK)
            if count > 3:
                ids = window[4, k]
                out[o + 3] = uint32(ids & _ID_MASK)
                out[o + 4] = uint32((ids >> _S20) & _ID_MASK)
                out[o + 5] = uint32((ids >> _S40) & _ID_MASK)
            o += count
        start = stops[k]
    return o


@njit(int64(BYTES, INT64S, SPLIT_CLASSES, TABLES, MEMO, uint32[::1], int64[::1]), nogil=True, cache=True)
def encode(data, offsets, classes, tables, memo, out, out_offsets):
    """Ids of every document, one after the other.

    Args:
        data, offsets: UTF-8 of `n` documents.
        out: `uint32[]`, room for as many ids as there are bytes, and 8 more.
        out_offsets: `int64[n + 1]`, written: the ids of document `d` are `out[out_offsets[d]:out_offsets[d + 1]]`.

    Returns the number of ids.
    """
    scratch, misses = np.empty((4, ROOM), np.int32), np.empty(WINDOW + 1, np.int64)
    window = np.empty((6, WINDOW), np.uint64)
    stops, leads = np.empty(WINDOW, np.int64), np.empty(256, np.uint8)
    fill_leads(classes, leads)
    o = out_offsets[0] = int64(0)
    for d in range(offsets.shape[0] - 1):
        i, high = offsets[d], offsets[d + 1]
        while i < high:
            start = i
            m, i = split_window(data, i, high, classes, leads, stops)
            o = _encode_window(data, start, stops, m, tables, memo, window, misses, scratch, out, o)
        out_offsets[d + 1] = o
    return o


@njit(void(types.Array(uint32, 1, "C", readonly=True), BYTES, INT64S, uint8[::1]), nogil=True, cache=True)
def decode(ids, token_bytes, token_starts, out):
    """Bytes of ids, one after the other; `out` is as long as they are together."""
    o = int64(0)
    for k in range(ids.shape[0]):
        for i in range(token_starts[ids[k]], token_starts[ids[k] + uint32(1)]):
            out[o] = token_bytes[i]
            o += 1


@njit(void(BYTES, INT64S, uint64[:, ::1]), nogil=True, cache=True)
def fill_words(token_bytes, token_starts, words):
    """Enter every token of at most 15 bytes into the table of `words`, which has rows like those of the short memo and
    comes in filled with zeros."""
    mask = uint64(words.shape[0] - 1)
    for token in range(token_starts.shape[0] - 1):
        low, high = token_starts[token], token_starts[token + 1]
        if high - low <= SHORT_BYTES:
            key_0 = load_rest(token_bytes, low, min(high, low + 8)) if high - low < 8 else load_block(token_bytes, low)
            key_1 = uint64(high - low) << _S56
            if high - low > 8:
                key_1 |= load_rest(token_bytes, low + 8, high)
            slot = _word_slot(key_0, key_1) & mask
            while words[slot, 1]:
                slot = (slot + uint64(1)) & mask
            words[slot, 0], words[slot, 1] = key_0, key_1
            words[slot, 2] = uint64(1) << _S60 | uint64(token)
