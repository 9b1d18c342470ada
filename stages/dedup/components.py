"""From equal keys to groups of duplicates: star edges, connected components, spanning forests.

Ids are `uint64` in order of priority: of a group, the document with the smallest id is the one to keep. Edges are
`uint64[e, 2]`. Every result is sorted or otherwise fixed by the set of its inputs, so groups do not depend on the order
of documents, on shards or on workers; memory and time are linear but for the sorting.

Large inputs are linked partition by partition, and their components found without anyone holding all edges, in a fixed
number of steps (`pipeline.clusters` moves the edges between them). Each task has a share of the ids, those which
`scatter` puts into a range, and the edges that touch them. By scattered ids, because the smallest ids of clusters, on
which most edges end, are then spread over all tasks:

- `spanning_forest`, in rounds, hangs every id to the smallest that its task knows of. This is the large-star,
  small-star algorithm (Kiveris et al. 2014, "Connected Components in MapReduce and Beyond") with all components of a
  task in place of single neighbourhoods. Nearly all clusters are stars before long.
- `provisional_roots` then gives every id a root, and the few edges that are still missing between roots.
- `components_by_range` joins those roots by elimination from the largest range down, as in external minimum
  spanning trees (Dementiev, Sanders, Schultes, Sibeyn 2004), with all but one range on disk. It needs no luck: a chain
  of any length is right, only slower.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
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


_MIX_1, _MIX_2 = 0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53
_33 = np.uint64(33)


def scatter(ids: UInt64s) -> UInt64s:
    """Ids spread evenly over all numbers, one to one (MurmurHash3's finaliser)."""
    return _mixed(ids, _MIX_1, _MIX_2)


def unscatter(ids: UInt64s) -> UInt64s:
    """The inverse of `scatter`."""
    return _mixed(ids, pow(_MIX_2, -1, 1 << 64), pow(_MIX_1, -1, 1 << 64))


def _mixed(ids: UInt64s, first: int, second: int) -> UInt64s:
    ids = (ids ^ (ids >> _33)) * np.uint64(first)
    ids = (ids ^ (ids >> _33)) * np.uint64(second)
    return ids ^ (ids >> _33)


def both_ways(edges: UInt64s) -> UInt64s:
    """Every edge from either end."""
    return np.concatenate([edges, edges[:, ::-1]])


def provisional_roots(edges: UInt64s, low: int, high: int) -> tuple[UInt64s, UInt64s]:
    """What can be said of the ids that are scattered from `low` to `high`, by the edges that touch them.

    Returns (id, root) for each of those ids that an edge names, and edges (root, id) that are still to be joined. If
    every range is asked, then the components of all those edges, with the roots put in their place, are those of all
    given edges. Components that are stars from their smallest id leave nothing to be joined.
    """
    nodes, roots = components(edges)
    own, inside = (_is_between(scatter(ids), low, high) for ids in (nodes, edges))
    inner = np.unique(edges[~inside.all(axis=1)].min(axis=1))
    of_inner = roots[np.searchsorted(nodes, inner)]
    joins = of_inner != inner
    return np.column_stack([nodes, roots])[own], np.column_stack([of_inner, inner])[joins]


def _is_between(ids: UInt64s, low: int, high: int) -> npt.NDArray[np.bool_]:
    return (ids >= np.uint64(low)) & (ids <= np.uint64(high))


def components_by_range(parts: Iterable[UInt64s], num_ranges: int, folder: Path) -> Iterator[UInt64s]:
    """(id, root) of every id that is not the smallest of its component, a range of ids at a time, in ascending order.

    Args:
        parts: edges between scattered ids, as many at a time as fit.
        num_ranges: equal shares of all 64-bit numbers; the memory needed is that of the edges of one.
        folder: an empty one, for files of all the others.
    """
    edges, waiting, known = (_Spill(folder / name, num_ranges) for name in ("edges", "waiting", "known"))
    for part in parts:
        edges.add(part.max(axis=1), part)
    for number in reversed(range(num_ranges)):
        forest = spanning_forest(edges.read(number))
        own = edges.range_of(forest[:, 1]) == number
        edges.add(forest[~own, 1], forest[~own])  # all of them into lower ranges
        waiting.add(forest[own, 0], forest[own])
    for number in range(num_ranges):
        below = waiting.read(number)
        settled = waiting.range_of(below[:, 1]) == number  # a root in the range of its id has nothing below it
        final = np.concatenate([known.read(number), below[settled, ::-1]])
        final = final[np.argsort(final[:, 0])]
        later = below[~settled]
        known.add(later[:, 1], np.column_stack([later[:, 1], look_up_roots(final, later[:, 0])]))
        yield final


def look_up_roots(final: UInt64s, ids: UInt64s) -> UInt64s:
    """The root of each id, given (id, root) in ascending order of the ids that are not roots."""
    if not len(final):
        return ids
    places = np.minimum(np.searchsorted(final[:, 0], ids), len(final) - 1)
    return np.where(final[places, 0] == ids, final[places, 1], ids)


class _Spill:
    """Pairs of numbers in a file for each range of ids."""

    def __init__(self, stem: Path, num_ranges: int) -> None:
        self.stem = stem
        self.firsts = np.array([-(-(number << 64) // num_ranges) for number in range(num_ranges)], np.uint64)

    def range_of(self, ids: UInt64s) -> npt.NDArray[np.int64]:
        return np.searchsorted(self.firsts, ids, side="right") - 1

    def add(self, ids: UInt64s, pairs: UInt64s) -> None:
        """File each pair under the range of an id."""
        order = np.argsort(ids, kind="stable")
        edges = np.append(np.searchsorted(ids[order], self.firsts), len(ids))
        for number in np.flatnonzero(np.diff(edges)).tolist():
            with self._path(number).open("ab") as file:
                pairs[order[edges[number] : edges[number + 1]]].tofile(file)

    def read(self, number: int) -> UInt64s:
        path = self._path(number)
        return np.fromfile(path, np.uint64).reshape(-1, 2) if path.exists() else np.empty((0, 2), np.uint64)

    def _path(self, number: int) -> Path:
        return self.stem.with_name(f"{self.stem.name}-{number}")


def _expect(holds: bool, problem: str) -> None:
    if not holds:
        raise ValueError(problem)
