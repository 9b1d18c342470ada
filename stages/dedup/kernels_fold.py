"""The compiled pass from text to the hashes of its folded words, which exact keys and sketches are made of.

Words are those of `stages.text.views.Words` without punctuation; folding is that of `stages.text.unicode_fold`. Nothing
but the hashes is written, so the pass costs less than splitting the text into words that other stages can use.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import int64, njit, types, uint64, void

from stages.text.kernels import (
    BYTES,
    CLASSES,
    DOT,
    EACH_BYTE,
    INT32S,
    INT64S,
    ONE,
    add_block,
    ascii_classes,
    decode,
    finish,
    load_block,
    skip_space,
)
from stages.text.kernels_words import IN_WORD, word_end
from stages.text.unicode_tables import IGNORED, SPACE

TABLE = types.Array(types.int32, 2, "C", readonly=True)

_QUOTE, _COMMA, _UNDERSCORE = 0x27, 0x2C, 0x5F
_IN_RUN, _INNER_MARK, _NOT_ASCII = 1, 2, 4
_NUM_EDGES = 8192
_7, _8, _64 = (np.uint64(number) for number in (7, 8, 64))
_ALL_BITS = np.uint64(0xFFFFFFFFFFFFFFFF)
_CASE_BITS = EACH_BYTE * np.uint64(0x20)


@njit
def _encode(code):
    """A code point as UTF-8: its bytes as one little-endian number, and how many they are."""
    if code < 0x80:
        return uint64(code), uint64(1)
    if code < 0x800:
        return uint64(0xC0 | code >> 6 | (0x80 | code & 0x3F) << 8), uint64(2)
    if code < 0x10000:
        return uint64(0xE0 | code >> 12 | (0x80 | code >> 6 & 0x3F) << 8 | (0x80 | code & 0x3F) << 16), uint64(3)
    low = (0x80 | code >> 6 & 0x3F) << 16 | (0x80 | code & 0x3F) << 24
    return uint64(0xF0 | code >> 18 | (0x80 | code >> 12 & 0x3F) << 8 | low), uint64(4)


@njit
def _push(h, block, size, code):
    """Another code point on a hash chain over blocks of eight bytes; `block` holds the `size % 8` bytes left over."""
    bits, width = _encode(code)
    used = (size & _7) * _8
    block |= bits << used
    used += width * _8
    if used >= _64:
        h = add_block(h, block)
        over = used - _64
        block = bits >> (width * _8 - over) if over else uint64(0)
    return h, block, size + width


@njit
def _folded_hash(data, i, high, single, several):
    """Hash of `data[i:high]` folded: that of `stages.text.kernels.digest` for the folded bytes."""
    h, block, size = ONE, uint64(0), uint64(0)
    while i < high:
        code, width = decode(data, i)
        i += width
        if code < single.shape[0]:
            code = int64(single[code])
        if code >= 0:
            h, block, size = _push(h, block, size, code)
        else:
            row = -1 - code
            k = 0
            while k < several.shape[1] and several[row, k] != 0:
                h, block, size = _push(h, block, size, int64(several[row, k]))
                k += 1
    return finish(add_block(h, block) ^ size)


@njit
def _lowered(block):
    """Eight ASCII letters and digits in lower case: letters are those with bit 6, small ones have bit 5 as well."""
    return block | (block >> ONE & _CASE_BITS)


@njit
def _short_hash(data, i, size):
    """Lower-case hash of 1 to 15 ASCII letters and digits from `i` on; 16 bytes can be read there."""
    low = _lowered(load_block(data, i)) & (_ALL_BITS >> (_64 - _8 * min(size, _8)))
    rest = _lowered(load_block(data, i + 8)) & ((ONE << (_8 * (size & _7))) - ONE)
    short = add_block(ONE, low)
    long = add_block(short, rest)  # computed in any case: cheaper than a branch that is mispredicted
    return finish((long if size >= _8 else short) ^ size)


@njit
def _find_runs(data, i, high, kinds, edges):
    """Find the runs that words are in, from `i` on until `edges` might not hold more; returns their edges and the end.

    A run is letters and digits of ASCII, bytes of other code points, and marks that may stand inside a word, if such
    bytes are on both sides. No word crosses the end of a run; one without other code points and marks is one word.
    The loop has no branches that depend on the text: on ordinary text those cost more than the rest of the work.

    Args:
        kinds: for every byte, IN_RUN, INNER_MARK, or IN_RUN | NOT_ASCII, or 0.
        edges: out; where each run starts and ends, times 4, plus a number that is 0 at the end of a run of plain ASCII.
    """
    k = before = inside = special = int64(0)
    kind = int64(kinds[data[i]])
    stop = min(high, i + edges.shape[0] - 2)
    while i < high and (i < stop or inside):
        after = int64(kinds[data[i + 1]]) if i + 1 < high else int64(0)
        now = (kind | (kind >> 1 & before & after)) & 1
        special |= (kind >> 1) & -now
        edges[k] = i << 2 | special
        k += now ^ inside
        special &= -now
        inside = now
        before = kind
        kind = after
        i += 1
    edges[k] = i << 2 | special
    return k + inside, i


@njit
def _hash_run(data, i, high, classes, ascii_table, single, several, hashes, m):
    """Append the hashes of the words in any piece of text at whose ends no word goes on; returns the new length."""
    while i < high:
        code, width = decode(data, i)
        if classes[code] & IN_WORD:
            stop, _ = word_end(data, i, high, classes, ascii_table)
            hashes[m] = _folded_hash(data, i, stop, single, several)
            m += 1
            i = stop
        else:
            i += width
    return m


@njit
def _byte_kinds(ascii_table):
    """The table `kinds` of `_find_runs`."""
    kinds = np.full(256, _IN_RUN | _NOT_ASCII, np.uint8)
    for byte in range(128):
        kinds[byte] = _IN_RUN if ascii_table[byte] & IN_WORD else 0
    for byte in (DOT, _COMMA, _QUOTE, _UNDERSCORE):
        kinds[byte] = _INNER_MARK
    return kinds


@njit(
    int64(BYTES, INT64S, CLASSES, INT32S, TABLE, int64[::1], uint64[::1]),
    nogil=True,
    cache=True,
)
def hash_words(data, offsets, classes, single, several, bounds, hashes):
    """Fill the hashes of the folded words of every document; returns how many there are.

    Args:
        single, several: the tables of `stages.text.unicode_fold.Folding`.
        bounds: out, `n + 1`: the words of document `d` are `hashes[bounds[d]:bounds[d + 1]]`.
        hashes: out; must hold one for every byte.
    """
    ascii_table = ascii_classes(classes, 0xFF)
    kinds = _byte_kinds(ascii_table)
    edges = np.empty(_NUM_EDGES, np.int64)
    m = 0
    bounds[0] = 0
    for d in range(offsets.shape[0] - 1):
        at, high = offsets[d], offsets[d + 1]
        while at < high:
            num_edges, at = _find_runs(data, at, high, kinds, edges)
            for k in range(0, num_edges, 2):
                first, stop = edges[k] >> 2, edges[k + 1] >> 2
                if edges[k + 1] & 3 == 0 and stop - first < 16 and first + 16 <= data.shape[0]:
                    hashes[m] = _short_hash(data, first, uint64(stop - first))
                    m += 1
                else:
                    m = _hash_run(data, first, stop, classes, ascii_table, single, several, hashes, m)
        bounds[d + 1] = m
    return m


@njit(void(BYTES, INT64S, CLASSES, types.boolean[::1]), nogil=True, cache=True)
def find_blank(data, offsets, classes, out):
    """Which documents have nothing but white space and control characters, or nothing at all."""
    for d in range(offsets.shape[0] - 1):
        i, high = skip_space(data, offsets[d], offsets[d + 1], classes), offsets[d + 1]
        while i < high:
            code, width = decode(data, i)
            if not classes[code] & (SPACE | IGNORED):
                break
            i += width
        out[d] = i == high
