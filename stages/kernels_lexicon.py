"""The compiled matcher of `stages.lexicon`: a trie over hashes of lower-cased words. Twin: `tests/naive_lexicon.py`.

Nodes are numbers, the root is 0. All edges of the trie are in one open-addressing table, keyed by a mix of node and
word; a bit set of the root's edges in 8 KB answers "no entry starts with this word" for nearly every word.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import int64, njit, types, uint8, uint64, void

from stages.text.kernels import (
    BYTES,
    EACH_BYTE,
    FLAGS,
    INT32S,
    INT64S,
    ONE,
    TOP_BITS,
    UINT64S,
    add_block,
    decode,
    finish,
    load_block,
    load_rest,
)
from stages.text.kernels_words import PUNCTUATION

ALLOWED = 1
"""Flag of a node: an entry that is no hit ends here."""
INNER = 2
"""Flag of a node: longer entries go on from here."""
FIRST, FURTHER = 1, 2
"""Marks of words: the first of a hit, and the others of its phrase."""

FILTER_BITS = 1 << 16
_HYPHEN = 0x2D
_LOW_BITS = EACH_BYTE * np.uint64(0x7F)
_FROM_UPPER_A, _PAST_UPPER_Z = EACH_BYTE * np.uint64(0x80 - 0x41), EACH_BYTE * np.uint64(0x80 - 0x5B)
_TO_CASE = np.uint64(2)  # from the top bit of a byte to the bit that tells lower from upper case
_WORD_BITS, _LAST_BIT = np.uint64(6), np.uint64(63)


@njit
def _upper_letters(block):
    """The top bit of every byte of a block that is an upper-case ASCII letter."""
    low = block & _LOW_BITS
    return (low + _FROM_UPPER_A) & ~(low + _PAST_UPPER_Z) & ~block & TOP_BITS


@njit
def _push(h, block, filled, byte):
    """One more byte for a hash chain: the chain, the block that is being filled, and its bytes so far."""
    block |= uint64(byte) << uint64(8 * (filled & 7))
    filled += 1
    if filled & 7 == 0:
        return add_block(h, block), uint64(0), filled
    return h, block, filled


@njit
def _lower_hash_any(data, low, high, lower):
    """Hash of `data[low:high]` in lower case, one code point after the other."""
    h, block, filled = ONE, uint64(0), int64(0)
    i = low
    while i < high:
        code, width = decode(data, i)
        i += width
        if code < lower.shape[0]:
            code = int64(lower[code])
        if code < 0x80:
            h, block, filled = _push(h, block, filled, code)
        elif code < 0x800:
            h, block, filled = _push(h, block, filled, 0xC0 | code >> 6)
            h, block, filled = _push(h, block, filled, 0x80 | code & 0x3F)
        elif code < 0x10000:
            h, block, filled = _push(h, block, filled, 0xE0 | code >> 12)
            h, block, filled = _push(h, block, filled, 0x80 | code >> 6 & 0x3F)
            h, block, filled = _push(h, block, filled, 0x80 | code & 0x3F)
        else:
            h, block, filled = _push(h, block, filled, 0xF0 | code >> 18)
            h, block, filled = _push(h, block, filled, 0x80 | code >> 12 & 0x3F)
            h, block, filled = _push(h, block, filled, 0x80 | code >> 6 & 0x3F)
            h, block, filled = _push(h, block, filled, 0x80 | code & 0x3F)
    return finish(add_block(h, block) ^ uint64(filled))


@njit
def lower_hash(data, low, high, known, lower):
    """Hash of the word `data[low:high]` in lower case, equal to `hash_word(word.lower())`; `known` is its own hash."""
    h = ONE
    i = low
    changed = uint64(0)
    while i < high:
        block = load_block(data, i) if i + 8 <= high else load_rest(data, i, high)
        if block & TOP_BITS:
            return _lower_hash_any(data, low, high, lower)
        upper = _upper_letters(block)
        changed |= upper
        h = add_block(h, block | upper >> _TO_CASE)
        i += 8
    if changed == 0:
        return known
    if (high - low) & 7 == 0:
        h = add_block(h, uint64(0))
    return finish(h ^ uint64(high - low))


@njit
def edge_key(node, word):
    """Key of the edge from a node along a word."""
    return finish(word ^ uint64(node) * EACH_BYTE) if node else word


@njit
def _child(keys, children, node, word):
    """Node at the end of an edge, or -1."""
    mask = uint64(keys.shape[0] - 1)
    key = edge_key(node, word)
    slot = key & mask
    while children[slot] >= 0:
        if keys[slot] == key:
            return int64(children[slot])
        slot = (slot + ONE) & mask
    return int64(-1)


@njit(
    void(UINT64S, INT64S, uint64[::1], types.int32[::1], uint64[::1], uint8[::1], types.int32[::1]),
    nogil=True,
    cache=True,
)
def build_trie(words, ends, keys, children, starts, kinds, leaf):
    """Make the trie of some entries.

    Args:
        words: hashes of the words of all entries, one entry after the other.
        ends: where each entry ends in `words`.
        keys, children: the table of edges to fill; `children` is -1 everywhere. A power of two of slots.
        starts: bit set of the root's edges to fill; zeros.
        kinds: for each node, gets INNER; one more than there are words.
        leaf: to fill with the node at which each entry ends.
    """
    mask = uint64(keys.shape[0] - 1)
    num_nodes = 1
    first = int64(0)
    for e in range(ends.shape[0]):
        node = int64(0)
        for k in range(first, ends[e]):
            if node == 0:
                bit = words[k] & uint64(FILTER_BITS - 1)
                starts[bit >> _WORD_BITS] |= ONE << (bit & _LAST_BIT)
            else:
                kinds[node] |= INNER
            key = edge_key(node, words[k])
            slot = key & mask
            while children[slot] >= 0 and keys[slot] != key:
                slot = (slot + ONE) & mask
            if children[slot] < 0:
                keys[slot] = key
                children[slot] = num_nodes
                num_nodes += 1
            node = int64(children[slot])
        leaf[e] = node
        first = ends[e]


@njit(
    void(
        BYTES, INT64S, INT64S, INT64S, INT32S, INT32S, UINT64S, FLAGS, INT32S,
        UINT64S, INT32S, UINT64S, UINT64S, FLAGS, UINT64S, uint8[::1],
    ),
    nogil=True,
    cache=True,
)  # fmt: skip
def find_entries(
    data, offsets, begin, end, start, stop, hashes, flags, lower,
    keys, children, starts, lists, kinds, wanted, hit,
):  # fmt: skip
    """Mark the words of every hit, the first one FIRST. At each word the longest entry counts, and matching goes on
    behind it.

    Args:
        keys, children, starts: the trie, see `build_trie`.
        lists: for each node, the bit set of the lists that have an entry which ends there.
        kinds: for each node, ALLOWED and INNER.
        wanted: for each document, the bit set of the lists that count.
        hit: one value a word; to be filled, 0 everywhere.
    """
    for d in range(begin.shape[0]):
        base = offsets[d]
        k = begin[d]
        while k < end[d]:
            word = lower_hash(data, base + start[k], base + stop[k], hashes[k], lower)
            bit = word & uint64(FILTER_BITS - 1)
            if not starts[bit >> _WORD_BITS] >> (bit & _LAST_BIT) & ONE:
                k += 1
                continue
            node = _child(keys, children, 0, word)
            behind, allowed = k, False
            j = k
            while node >= 0:
                j += 1
                if lists[node] & wanted[d]:
                    behind, allowed = j, kinds[node] & ALLOWED != 0
                if not kinds[node] & INNER:
                    break
                if j < end[d] and flags[j] & PUNCTUATION and data[base + start[j]] == _HYPHEN:
                    j += 1
                if j >= end[d]:
                    break
                word = lower_hash(data, base + start[j], base + stop[j], hashes[j], lower)
                node = _child(keys, children, node, word)
            if behind > k and not allowed:
                hit[k] = FIRST
                hit[k + 1 : behind] = FURTHER
            k = max(behind, k + 1)
