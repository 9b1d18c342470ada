"""All near pairs among the vectors of one cluster, in memory that does not grow with their square.

Products are computed tile by tile, above the diagonal only, and a tile leaves no more than the pairs that greedy keep
may need (`kernels_semantic.record_pairs`): those whose earlier document is kept as far as the cluster knows, and the
first few others. A cluster of more vectors than `max_cluster` is clustered again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stages.dedup.centroids import kmeans, nearest, sample_size
from stages.dedup.products import Products
from stages.dedup.vectors import Halves, Int64s, Mask, Singles, hashes

MAX_BLOCKS = 16
"""Blocks of a cluster that are kept; of larger clusters the others are made again when they are needed."""
MAX_DEPTH = 4
"""How often a cluster is clustered again."""


class Links(NamedTuple):
    """Pairs of near documents by their places in the order in which documents are kept."""

    later: Int64s
    earlier: Int64s
    similarity: Singles


@dataclass(frozen=True)
class Search:
    """How near pairs are looked for.

    `bounds` are least similarities, the tightest (largest) first; `max_links` pairs are recorded of each document and
    bound beyond those with a document that is kept as far as is known; `num_probes` clusters are looked in.
    """

    bounds: Singles
    max_links: int = 32
    num_probes: int = 2
    max_cluster: int = 1 << 15

    def links(self, vectors: Halves, stored: Mask, products: Products, depth: int = 0) -> Links:
        """Pairs of two stored vectors, and of a stored and another one, whose similarity reaches a bound.

        Args:
            vectors: `float16[n, d]`, distinct, in the order in which documents are kept.
            stored: which of them belong to the cluster; the others have theirs elsewhere and only look in here.
        """
        if stored.sum() <= self.max_cluster or depth == MAX_DEPTH:
            return _Cluster(self, vectors, stored, products).links()
        k = -(-2 * int(stored.sum()) // self.max_cluster) + 1
        own = np.flatnonzero(stored)
        sample = vectors[own[np.argsort(hashes(vectors[own]))[: sample_size(k)]]]
        probes, _ = nearest(vectors, kmeans(sample, k, products), self.num_probes, products)
        first = np.where(stored, probes[:, 0], -1)
        if np.bincount(first[own]).max() > 0.9 * len(own):  # nothing to be gained: they are all alike
            return _Cluster(self, vectors, stored, products).links()
        parts = []
        for number in range(int(first.max()) + 1):
            places = np.flatnonzero((probes == number).any(axis=1))
            part = self.links(vectors[places], first[places] == number, products, depth + 1)
            parts.append(Links(places[part.later], places[part.earlier], part.similarity))
        return _concatenated(parts)


@dataclass(frozen=True, eq=False)
class _Block:
    """Vectors that are multiplied at once: their places, their numbers, their squared lengths, and as `Products` wants
    them."""

    places: Int64s
    vectors: Singles
    squared: npt.NDArray[np.float64]
    multiplied: Any

    @classmethod
    def of(cls, places: Int64s, vectors: Halves, products: Products) -> _Block:
        from stages.dedup import kernels_semantic as kernels

        singles, squared = vectors.astype(np.float32), np.empty(len(vectors))
        kernels.squared_norms(singles, squared)
        return cls(places, singles, squared, products.block(vectors))


class _Cluster:
    """The search for pairs in one cluster: what is known so far of its documents."""

    def __init__(self, search: Search, vectors: Halves, stored: Mask, products: Products) -> None:
        self.search, self.vectors, self.products = search, vectors, products
        self.stored, self.others = np.flatnonzero(stored), np.flatnonzero(~stored)
        num_bounds = len(search.bounds)
        self.kept = np.repeat(stored[np.newaxis].astype(np.uint8), num_bounds, axis=0)
        self.seen = np.zeros((len(vectors), num_bounds), np.int32)
        self.nearest = np.full(len(vectors), -1, np.float32)
        self.blocks: dict[int, _Block] = {}

    def links(self) -> Links:
        parts = [part for block in self._blocks(self.stored) for part in self._triangle(block)]
        self.seen[:] = 0
        parts += [part for block in self._blocks(self.others) for part in self._rectangle(block)]
        return _concatenated(parts)

    def _blocks(self, places: Int64s) -> Iterator[_Block]:
        """Blocks of vectors; of a cluster of ordinary size all are kept."""
        for start in range(0, len(places), self.products.tile):
            own = places[start : start + self.products.tile]
            block = self.blocks.get(int(own[0])) or _Block.of(own, self.vectors[own], self.products)
            if len(self.blocks) < MAX_BLOCKS:
                self.blocks[int(own[0])] = block
            yield block

    def _triangle(self, block: _Block) -> Iterator[Links]:
        """Stored documents of a block as the later ones, with those before them."""
        before = self.stored[: np.searchsorted(self.stored, block.places[0])]
        for other in self._blocks(before):
            yield self._record(block, other, triangle=True)
        yield self._record(block, block, triangle=True)

    def _rectangle(self, block: _Block) -> Iterator[Links]:
        """A block of others with all that are stored."""
        for other in self._blocks(self.stored):
            yield self._record(block, other, triangle=False)

    def _record(self, a: _Block, b: _Block, triangle: bool) -> Links:
        from stages.dedup import kernels_semantic as kernels

        bounds = self.search.bounds
        near = self.products.near(a.multiplied, b.multiplied, float(bounds[-1]), diagonal=a is b)
        size = len(near.rows)
        links = Links(np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.float32))
        if not size:
            return links
        count = kernels.record_pairs(
            near.rows, near.columns, near.values, np.float32(self.products.slack), a.vectors, b.vectors,
            a.squared, b.squared, a.places, b.places, bounds, self.search.max_links, triangle,
            self.kept, self.seen, self.nearest, links.later, links.earlier, links.similarity,
        )  # fmt: skip
        return Links(links.later[:count].copy(), links.earlier[:count].copy(), links.similarity[:count].copy())


def _concatenated(parts: list[Links]) -> Links:
    empty = Links(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    return Links(*(np.concatenate(columns) for columns in zip(empty, *parts, strict=True)))
