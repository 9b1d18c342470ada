"""Compiled comparison of compact signatures: pairs of documents, and who is kept of a cluster."""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import int32, int64, njit, types, uint8, uint32, uint64, void

from stages.text.kernels import INT64S, finish

COMPACT = types.Array(uint8, 2, "C", readonly=True)
KEYS = types.Array(uint32, 2, "C", readonly=True)
FLAGS = types.Array(types.boolean, 1, "C", readonly=True)

MAX_LISTED = 64
"""Kept documents of one band key that a document is compared with, those kept first; so the time is linear in the size
of a cluster, whatever the documents have in common."""


@njit
def _num_equal(signatures, a, b):
    count = 0
    for k in range(signatures.shape[1]):
        count += signatures[a, k] == signatures[b, k]
    return count


@njit(void(COMPACT, INT64S, INT64S, int64[::1]), nogil=True, cache=True)
def count_equal(signatures, first, second, out):
    """Slots in which the signatures of each pair agree."""
    for i in range(first.shape[0]):
        out[i] = _num_equal(signatures, first[i], second[i])


@njit
def _slot_of(cluster, tags, clusters, tag):
    """The place of a tag in the table, or the free one where it belongs. Entries of other clusters count as free."""
    mask = tags.shape[0] - 1
    slot = int64(finish(tag)) & mask
    while clusters[slot] == cluster and tags[slot] != tag:
        slot = (slot + 1) & mask
    return slot


@njit(void(INT64S, COMPACT, KEYS, FLAGS, FLAGS, int64, int64[::1]), nogil=True, cache=True)
def keep_greedily(starts, signatures, bands, settled, kept_before, min_equal, out):
    """The kept document of each document, itself if it is kept: the first one, in order, that shares a band with it and
    agrees in `min_equal` slots or more.

    Args:
        starts: cluster `c` is the documents `starts[c]` to `starts[c + 1] - 1`, in the order in which they are kept.
        bands: a key for every band of a document.
        settled: documents that were kept or dropped before, as `kept_before` says, whatever they resemble.
        out: -1 for those that were dropped before.
    """
    num_bands, longest = bands.shape[1], 1
    for c in range(starts.shape[0] - 1):
        longest = max(longest, starts[c + 1] - starts[c])
    size = 1
    while size < 2 * longest * num_bands:
        size *= 2
    tags, clusters = np.zeros(size, np.uint64), np.full(size, -1, np.int64)
    heads, tails, counts = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int32)
    following = np.empty(longest * num_bands, np.int64)
    for c in range(starts.shape[0] - 1):
        first = starts[c]
        for d in range(first, starts[c + 1]):
            best = int64(-1)
            if not settled[d]:
                for band in range(num_bands):
                    slot = _slot_of(c, tags, clusters, (uint64(band) << uint64(32)) | uint64(bands[d, band]))
                    entry = heads[slot] if clusters[slot] == c else int64(-1)
                    while entry >= 0:
                        other = first + entry // num_bands
                        if best >= 0 and other >= best:
                            break
                        if _num_equal(signatures, d, other) >= min_equal:
                            best = other
                            break
                        entry = following[entry]
            elif not kept_before[d]:
                out[d] = -1
                continue
            if best >= 0:
                out[d] = best
                continue
            out[d] = d
            for band in range(num_bands):
                tag = (uint64(band) << uint64(32)) | uint64(bands[d, band])
                slot = _slot_of(c, tags, clusters, tag)
                entry = (d - first) * num_bands + band
                following[entry] = -1
                if clusters[slot] != c:
                    clusters[slot], tags[slot] = c, tag
                    heads[slot] = tails[slot] = entry
                    counts[slot] = int32(1)
                elif counts[slot] < MAX_LISTED:
                    following[tails[slot]] = entry
                    tails[slot] = entry
                    counts[slot] += int32(1)
