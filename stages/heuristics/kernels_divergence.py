"""The compiled divergence of a document's words from those of a corpus, behind `llama3`.

Words are counted in buckets: the top bits of their hash. Twins: `tests/naive.py`.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import float64, int64, njit, void

from stages.text.kernels import INT64S, UINT64S

BUCKET_BITS = 15
NUM_BUCKETS = 1 << BUCKET_BITS
_SHIFT = np.uint64(64 - BUCKET_BITS)


@njit
def _count(hashes, low, high, counts, touched):
    """Count the words of one document; returns the number of buckets that are not empty, listed in `touched`."""
    used = 0
    for k in range(low, high):
        bucket = int64(hashes[k] >> _SHIFT)
        if counts[bucket] == 0:
            touched[used] = bucket
            used += 1
        counts[bucket] += 1
    return used


@njit(void(INT64S, INT64S, UINT64S, INT64S, int64[:, ::1]), nogil=True, cache=True)
def count_words(begin, end, hashes, rows, counts):
    """Add the words of every document `d` to the row `rows[d]` of `counts`, a column a bucket; -1 is no row."""
    for d in range(begin.shape[0]):
        if rows[d] >= 0:
            for k in range(begin[d], end[d]):
                counts[rows[d], int64(hashes[k] >> _SHIFT)] += 1


@njit(
    void(INT64S, INT64S, UINT64S, INT64S, int64[:, ::1], int64, float64[::1]),
    nogil=True,
    cache=True,
)
def divergence(begin, end, hashes, rows, reference, own, out):
    """Kullback-Leibler divergence of every document's words from a row of reference counts, in nats.

    The sum over buckets of p ln(p / q); p is the bucket's share of the document's words, q its share of the reference's
    with one added to every bucket. With `own` = 1 the document is part of the reference and is taken out of it first.
    NaN for a document without words or without a row.
    """
    counts, touched = np.zeros(NUM_BUCKETS, np.int64), np.empty(NUM_BUCKETS, np.int64)
    totals = np.zeros(reference.shape[0], np.int64)
    for row in range(reference.shape[0]):
        totals[row] = reference[row].sum()
    for d in range(begin.shape[0]):
        row, num_words = rows[d], end[d] - begin[d]
        if row < 0 or num_words == 0:
            out[d] = np.nan
            continue
        used = _count(hashes, begin[d], end[d], counts, touched)
        total = totals[row] - own * num_words + NUM_BUCKETS
        sum_ = 0.0
        for j in range(used):
            bucket = touched[j]
            count = counts[bucket]
            counts[bucket] = 0
            share = (reference[row, bucket] - own * count + 1) / total
            p = count / num_words
            sum_ += p * np.log(p / share)
        out[d] = sum_
