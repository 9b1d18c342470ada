"""Compiled parts of line deduplication: hashes of stripped lines, and texts without listed ones."""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

from numba import int64, njit, types, uint8, uint64, void

from stages.text.kernels import (
    BYTES,
    CLASSES,
    INT32S,
    INT64S,
    ONE,
    UINT64S,
    count_chars_between,
    digest,
    skip_space,
    trim_space,
)

MASK = types.Array(types.boolean, 1, "C", readonly=True)


@njit(
    void(BYTES, INT64S, CLASSES, INT64S, INT64S, INT32S, INT32S, int64, uint64[::1]),
    nogil=True,
    cache=True,
)
def hash_stripped(data, offsets, classes, begin, end, start, stop, min_chars, hashes):
    """Hash of every span without the white space at its ends; 0 for those of fewer than `min_chars` code points."""
    for d in range(offsets.shape[0] - 1):
        for k in range(begin[d], end[d]):
            low = skip_space(data, offsets[d] + start[k], offsets[d] + stop[k], classes)
            high = trim_space(data, low, offsets[d] + stop[k], classes)
            h, chars = digest(data, low, high)
            hashes[k] = max(h, uint64(1)) if chars >= min_chars and high > low else uint64(0)


@njit(void(UINT64S, UINT64S, INT64S, uint64, types.boolean[::1]), nogil=True, cache=True)
def find_listed(hashes, listed, index, shift, out):
    """Which hashes are among the listed ones.

    Args:
        listed, index, shift: sorted hashes, and where to look for `h`: from `index[h >> shift]` on. The index leaves
            one or two places to look at, where a binary search would miss the cache twenty times.
    """
    for k in range(hashes.shape[0]):
        h = hashes[k]
        out[k] = False
        if h != 0:
            for at in range(index[h >> shift], index[(h >> shift) + ONE]):
                if listed[at] >= h:
                    out[k] = listed[at] == h
                    break


@njit(
    void(
        BYTES, INT64S, INT64S, INT64S, INT32S, INT32S, MASK,
        uint8[::1], int64[::1], int64[::1], int64[::1],
    ),
    nogil=True,
    cache=True,
)  # fmt: skip
def remove_spans(data, offsets, begin, end, start, stop, drop, out, out_offsets, count, chars):
    """Write the texts without the spans to drop.

    A span that stays, unless it is the first to do so, keeps the text between it and the span before. A text that loses
    nothing stays as it is.

    Args:
        out, out_offsets: the new texts and where each starts; no longer than the old ones.
        count, chars: out, removed spans of each document, and their code points.
    """
    at = int64(0)
    for d in range(offsets.shape[0] - 1):
        base = offsets[d]
        out_offsets[d] = first = at
        count[d] = chars[d] = 0
        for k in range(begin[d], end[d]):
            low, high = base + start[k], base + stop[k]
            if drop[k]:
                count[d] += 1
                chars[d] += count_chars_between(data, low, high)
                continue
            if k > begin[d] + count[d]:
                low = base + stop[k - 1]
            out[at : at + high - low] = data[low:high]
            at += high - low
        if count[d] == 0:
            at = first + offsets[d + 1] - base
            out[first:at] = data[base : offsets[d + 1]]
    out_offsets[offsets.shape[0] - 1] = at
