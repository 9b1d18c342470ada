"""Who is kept among near documents: greedily, in order, for several bounds at once.

A document goes iff one that was *kept* before it is at least as similar as the bound. SemDeDup's published code drops
a document for any earlier one, kept or not (arXiv 2303.09540, its repository): a chain of documents, each of which is
near the next, then loses documents that resemble nothing that is kept. The largest similarity to any earlier document
is recorded as well; it says what that rule removes at every bound.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from stages.dedup.vectors import Int64s, Mask, Singles, UInt64s


class Verdict(NamedTuple):
    """What is said of every document that a link names."""

    address: UInt64s
    """Ascending."""
    similarity: Singles
    """The largest similarity to an earlier document; NaN of those that have none."""
    removed: Mask
    """`bool[n, bounds]`."""
    kept: UInt64s
    """`uint64[n, bounds]`: the kept document most similar to a removed one, itself of a kept one."""


def settle(later: UInt64s, earlier: UInt64s, similarity: Singles, same: Mask, bounds: Singles) -> Verdict:
    """Keep documents greedily. Any union of whole components gives for its documents what all links together give.

    Args:
        later, earlier: addresses; each link points from a document to one that comes before it in the order in which
            documents are kept. A link may come twice.
        same: of links between equal vectors, from each document to the first one with its vector. They are not
            searched: those documents have no other links as the later one.
        bounds: least similarities.
    """
    nodes, numbers = np.unique(np.concatenate([later, earlier]), return_inverse=True)
    ends = numbers.reshape(2, -1).astype(np.int64)
    n = len(nodes)
    largest = np.full(n, -1, np.float32)
    np.maximum.at(largest, ends[0], np.where(same, np.float32(1), similarity))
    copies, heads = ends[0][same], ends[1][same]
    graph = _Graph(n, ends[0][~same], ends[1][~same], similarity[~same])
    removed, kept = np.empty((n, len(bounds)), np.bool_), np.empty((n, len(bounds)), np.uint64)
    for column, bound in enumerate(bounds):
        stays, kept_for = graph.keep(bound)
        stays[copies] = False
        kept_for[copies] = kept_for[heads]
        removed[:, column], kept[:, column] = ~stays, nodes[kept_for]
    return Verdict(nodes, np.where(largest < 0, np.float32(np.nan), largest), removed, kept)


class _Graph:
    """Links between numbered nodes, sorted for looking them up from both ends."""

    def __init__(self, num_nodes: int, later: Int64s, earlier: Int64s, similarity: Singles) -> None:
        from stages.dedup import kernels_semantic as kernels

        order = np.lexsort((earlier, -similarity, later))
        fresh = np.ones(len(order), np.bool_)
        fresh[1:] = (np.diff(later[order]) != 0) | (np.diff(earlier[order]) != 0)
        order = order[fresh]
        later, self.earlier, self.similarity = later[order], earlier[order], similarity[order]
        self.starts = _starts(later, num_nodes)
        forward = np.argsort(self.earlier, kind="stable")
        self.order = np.empty(num_nodes, np.int64)
        followers, waiting = later[forward], np.diff(self.starts)
        count = kernels.order_nodes(_starts(self.earlier[forward], num_nodes), followers, waiting, self.order)
        assert count == num_nodes, "links lead in a circle"

    def keep(self, bound: float) -> tuple[Mask, Int64s]:
        """Which nodes are kept, and in whose place each of the others goes."""
        from stages.dedup import kernels_semantic as kernels

        kept, kept_for = np.empty(len(self.order), np.uint8), np.empty(len(self.order), np.int64)
        kernels.keep_greedily(self.order, self.starts, self.earlier, self.similarity, np.float32(bound), kept, kept_for)
        return kept.astype(np.bool_), kept_for


def _starts(sorted_numbers: Int64s, num_nodes: int) -> Int64s:
    return np.searchsorted(sorted_numbers, np.arange(num_nodes + 1)).astype(np.int64)
