"""Spherical k-means on a sample of vectors, and the nearest centroids of any vector.

Lloyd's algorithm with cosine similarity (Dhillon and Modha 2001). It begins with the first rows of the sample, which
comes in the order of the vectors' hashes: a random choice that is always the same. A centroid that no vector is nearest
to is put where the vector farthest from its own centroid is. Centroids are rounded to float16 and sums are exact, so
the result depends on the set of vectors alone: not on their order, threads or machine.

Many centroids are made in two levels, the square root of their number first and then some within each: k-means of a
million vectors and 10,000 centroids takes a fiftieth of the time, and so does finding the nearest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from stages.dedup.products import NumpyProducts, Products
from stages.dedup.vectors import Halves, Int64s, Singles, plain_matrix, to_column

MAX_FLAT = 2048
"""Centroids up to which there is one level."""
MAX_ITERATIONS = 15
SAMPLE_PER_CENTROID = 256
MAX_SAMPLE = 1 << 20
MIN_PER_CENTROID = 8
"""Vectors of a sample below which there are fewer centroids."""
UPPER_PROBES = 6
"""Centroids of the upper level below which the nearest ones are looked for."""
SPARE = 2
"""Candidates beyond those wanted, for ties that products in float32 cannot tell apart."""


@dataclass(frozen=True)
class Centroids:
    """Centroids, `float16[k, d]`, grouped by their centroid of the upper level, of which there may be none.

    Those of upper centroid `u` are `lower[starts[u]:starts[u + 1]]`.
    """

    lower: Halves
    upper: Halves
    starts: Int64s

    @classmethod
    def of(cls, sample: Halves, k: int, products: Products | None = None) -> Centroids:
        """At most `k` centroids of a sample, in two levels if that is past `MAX_FLAT`.

        Args:
            sample: distinct vectors in the order of their hashes.
        """
        products = products or NumpyProducts()
        none = sample[:0]
        if k <= MAX_FLAT or len(sample) <= MAX_FLAT:
            return cls(kmeans(sample, k, products), none, np.zeros(1, np.int64))
        upper = kmeans(sample, math.isqrt(k - 1) + 1, products)
        group = nearest(sample, upper, 1, products)[0][:, 0]
        parts = []
        for number in range(len(upper)):
            own = sample[group == number]
            parts.append(kmeans(own, max(1, round(k * len(own) / len(sample))), products))
        starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
        return cls(np.concatenate(parts), upper, starts)

    @classmethod
    def from_table(cls, table: pa.Table) -> Centroids:
        """The inverse of `to_table`."""
        column, parent = table["centroid"].combine_chunks(), table["parent"].to_numpy()
        matrix = plain_matrix(column)
        upper, lower = matrix[parent == -2], matrix[parent != -2]
        starts = np.searchsorted(parent[parent != -2], np.arange(len(upper) + 1)).astype(np.int64)
        return cls(lower, upper, starts)

    def to_table(self) -> pa.Table:
        """`centroid` (fixed-size list of float16) and `parent` (int32): the upper centroid's number, -1 if there is but
        one level; -2 marks upper centroids, which come first."""
        parent = np.repeat(np.arange(len(self.upper)), np.diff(self.starts)) if len(self.upper) else -1
        parents = np.empty(len(self.upper) + len(self.lower), np.int32)
        parents[: len(self.upper)], parents[len(self.upper) :] = -2, parent
        return pa.table({"centroid": to_column(np.concatenate([self.upper, self.lower])), "parent": parents})

    def __len__(self) -> int:
        return len(self.lower)

    def nearest(self, vectors: Halves, count: int, products: Products) -> tuple[Int64s, Singles]:
        """The nearest centroids of each vector in order, `int64[n, count]`, and their cosine similarities, `float32`.

        -1 where there are fewer than `count`. In two levels those below the `UPPER_PROBES` nearest upper centroids are
        looked at.
        """
        if not len(self.upper):
            return nearest(vectors, self.lower, count, products)
        above, _ = nearest(vectors, self.upper, UPPER_PROBES, products)
        candidates = np.full((len(vectors), UPPER_PROBES, count + SPARE), -1, np.int64)
        blocks = self._blocks
        for number in np.unique(above[above >= 0]).tolist():
            rows, probe = np.nonzero(above == number)
            found = products.largest(products.block(vectors[rows]), products.block(blocks[number]), count + SPARE)
            candidates[rows, probe] = np.where(found >= 0, found + self.starts[number], -1)
        return _ranked(vectors, self.lower, candidates.reshape(len(vectors), -1), count)

    @cached_property
    def _blocks(self) -> list[Any]:
        return [self.lower[low:high] for low, high in zip(self.starts[:-1], self.starts[1:], strict=True)]


def sample_size(k: int) -> int:
    """Vectors wanted for `k` centroids."""
    return min(k * SAMPLE_PER_CENTROID, MAX_SAMPLE)


def nearest(vectors: Halves, centroids: Halves, count: int, products: Products) -> tuple[Int64s, Singles]:
    """The nearest of all centroids, as `Centroids.nearest` gives them."""
    starts = range(0, max(1, len(centroids)), MAX_FLAT)
    blocks = [products.block(centroids[start : start + MAX_FLAT]) for start in starts]
    index = np.empty((len(vectors), count), np.int64)
    similarity = np.empty((len(vectors), count), np.float32)
    for start in range(0, len(vectors), products.tile):
        rows = slice(start, start + products.tile)
        own = products.block(vectors[rows])
        found = [products.largest(own, block, count + SPARE) for block in blocks]
        candidates = np.hstack(
            [np.where(part < 0, -1, part + first) for part, first in zip(found, starts, strict=True)]
        )
        index[rows], similarity[rows] = _ranked(vectors[rows], centroids, candidates, count)
    return index, similarity


def _ranked(vectors: Halves, centroids: Halves, candidates: Int64s, count: int) -> tuple[Int64s, Singles]:
    from stages.dedup import kernels_semantic as kernels

    index = np.empty((len(vectors), count), np.int64)
    similarity = np.empty((len(vectors), count), np.float32)
    kernels.rank_exactly(
        vectors.astype(np.float32), centroids.astype(np.float32), np.ascontiguousarray(candidates), index, similarity
    )
    return index, similarity


def kmeans(sample: Halves, k: int, products: Products) -> Halves:
    """At most `k` distinct centroids of unit length. The sample's rows are distinct, in the order of their hashes."""
    from stages.dedup import kernels_semantic as kernels

    centroids = sample[:k].copy()
    if len(sample) <= k:
        return centroids
    before = np.empty(0, np.int64)
    for _ in range(MAX_ITERATIONS):
        index, similarity = nearest(sample, centroids, 1, products)
        if np.array_equal(index[:, 0], before):
            break
        before = index[:, 0].copy()
        sums, counts = np.zeros(centroids.shape), np.zeros(len(centroids), np.int64)
        for start in range(0, len(sample), products.tile):
            rows = slice(start, start + products.tile)
            kernels.add_rows(sample[rows].astype(np.float32), before[rows], sums, counts)
        lost = ~kernels.make_unit(sums)
        centroids = sums.astype(np.float16)
        farthest = np.lexsort((np.arange(len(sample)), similarity[:, 0]))[: lost.sum()]
        centroids[lost] = sample[farthest]
    _, first = np.unique(centroids, axis=0, return_index=True)
    return centroids[np.sort(first)]
