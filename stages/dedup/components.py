"""From equal keys to groups of duplicates: star edges, connected components, spanning forests.

Ids are `uint64` in order of priority: of a group, the document with the smallest id is the one to keep. Edges are
`uint64[e, 2]`. Every result is sorted or otherwise fixed by the set of its inputs, so groups do not depend on the order
of documents, on shards or on workers; memory and time are linear but for the sorting.

Large inputs are linked partition by partition; what is merged are the forests of the partitions, each with fewer edges
than documents.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

UInt64s: TypeAlias = npt.NDArray[np.uint64]


def link_equal(keys: UInt64s, ids: UInt64s) -> UInt64s:
    """Edges from the smallest id among equal keys to each other id with that key, `uint64[e, 2]`, `e < m`.

    A star and no chain: the kept document is one step from each of its copies. A million equal keys are a million
    edges. An id may come more than once. Rows whose key is 0 (`EMPTY_KEY`, documents without words) are linked to
    nothing.

    Args:
        keys: `uint64[m]`, or `uint64[m, k]` for keys of several parts, such as those of `exact_keys`.
        ids: `uint64[m]`.
    """
    from stages.dedup import kernels_components as kernels

    _expect(keys.shape[:1] == ids.shape and keys.ndim in (1, 2), f"{keys.shape} keys for {ids.shape} ids")
    m = len(ids)
    row_bits = max(1, (m - 1).bit_length())
    table = keys[:, np.newaxis] if keys.ndim == 1 else keys
    packed, edges = np.empty(m, np.uint64), np.empty((m, 2), np.uint64)
    kernels.pack(np.ascontiguousarray(table[:, 0]), row_bits, packed)
    packed.sort()
    count = kernels.link_runs(packed, row_bits, table, np.ascontiguousarray(ids), edges)
    return edges[:count].copy()


def components(edges: UInt64s) -> tuple[UInt64s, UInt64s]:
    """Every id that an edge names, ascending, and for each the smallest id of its component; both `uint64[k]`."""
    from stages.dedup import kernels_components as kernels

    _expect(edges.ndim == 2 and edges.shape[1] == 2, f"edges of shape {edges.shape}, not (e, 2)")
    ends = np.ascontiguousarray(edges).reshape(-1)
    nodes, numbers = np.empty(len(ends), np.uint64), np.empty(len(ends), np.int64)
    count = kernels.number(ends, np.argsort(ends), nodes, numbers)
    root = np.empty(count, np.int64)
    kernels.unite(numbers, root)
    nodes = nodes[:count].copy()
    return nodes, nodes[root]


def spanning_forest(edges: UInt64s) -> UInt64s:
    """The fewest edges with the same components: from the smallest id of each to its other ids, in ascending order.

    The edges are stars and need not be among the given ones. There is one forest for each set of components: equal
    groups, equal bytes.
    """
    nodes, root = components(edges)
    others = nodes != root
    return np.column_stack([root[others], nodes[others]])


def _expect(holds: bool, problem: str) -> None:
    if not holds:
        raise ValueError(problem)
