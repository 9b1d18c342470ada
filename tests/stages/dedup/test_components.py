"""Linking, components and forests equal brute force; order and partition make no difference."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.dedup.components import (
    both_ways,
    components,
    components_by_range,
    link_equal,
    look_up_roots,
    provisional_roots,
    scatter,
    spanning_forest,
    unscatter,
)
from tests import naive_dedup

BIG = 2**64 - 1
# few keys and ids, so that they come again; some share their upper bits, which alone are sorted
KEYS = st.sampled_from([0, 1, 2, 3, 1 << 62, (1 << 62) + 1, (1 << 62) + 2, BIG, BIG - 1])
IDS = st.one_of(st.integers(0, 12), st.integers(BIG - 3, BIG))
PAIRS = st.lists(st.tuples(KEYS, IDS), max_size=60)
EDGES = st.lists(st.tuples(IDS, IDS), max_size=60)


def column(values: list[int]) -> np.ndarray:
    return np.array(values, np.uint64)


def table(pairs: list[tuple[int, int]]) -> np.ndarray:
    return np.array(pairs, np.uint64).reshape(-1, 2)


@settings(deadline=None)
@given(PAIRS)
def test_links_are_stars_to_the_smallest_id(pairs: list[tuple[int, int]]) -> None:
    edges = link_equal(column([key for key, _ in pairs]), column([id_ for _, id_ in pairs]))
    assert sorted(map(tuple, edges.tolist())) == naive_dedup.link_equal(pairs)


@settings(deadline=None)
@given(st.lists(st.tuples(KEYS, KEYS, IDS), max_size=60))
def test_keys_of_two_parts_are_compared_whole(rows: list[tuple[int, int, int]]) -> None:
    edges = link_equal(table([(a, b) for a, b, _ in rows]), column([id_ for *_, id_ in rows]))
    pairs = [((a, b) if a or b else 0, id_) for a, b, id_ in rows]
    assert sorted(map(tuple, edges.tolist())) == naive_dedup.link_equal(pairs)


@settings(deadline=None)
@given(EDGES)
def test_components_are_those_of_a_search(edges: list[tuple[int, int]]) -> None:
    nodes, root = components(table(edges))
    assert dict(zip(nodes.tolist(), root.tolist(), strict=True)) == naive_dedup.components(edges)
    assert nodes.tolist() == sorted(naive_dedup.components(edges))


@settings(deadline=None)
@given(EDGES)
def test_a_spanning_forest_has_the_same_components_and_the_fewest_edges(edges: list[tuple[int, int]]) -> None:
    groups = naive_dedup.components(edges)
    forest = spanning_forest(table(edges))
    assert len(forest) == len(groups) - len(set(groups.values()))
    linked = naive_dedup.components(map(tuple, forest.tolist()))
    assert linked == {node: root for node, root in groups.items() if list(groups.values()).count(root) > 1}


@settings(deadline=None)
@given(EDGES, st.lists(st.integers(0, 60), max_size=4), st.randoms(use_true_random=False))
def test_forests_merge_to_the_same_bytes_however_they_are_cut(
    edges: list[tuple[int, int]], cuts: list[int], random: object
) -> None:
    whole = spanning_forest(table(edges))
    shuffled = [edge[:: random.choice([1, -1])] for edge in edges]  # type: ignore[attr-defined]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    bounds = [0, *sorted(cuts), len(edges)]
    parts = [spanning_forest(table(shuffled[low:high])) for low, high in pairwise(bounds)]
    assert spanning_forest(np.concatenate(parts)).tobytes() == whole.tobytes()
    later = spanning_forest(np.concatenate(parts[1:] or [whole[:0]]))
    assert spanning_forest(np.concatenate([later, *parts[:1]])).tobytes() == whole.tobytes()


def test_nothing_links_to_nothing() -> None:
    nobody = np.empty(0, np.uint64)
    assert link_equal(nobody, nobody).shape == (0, 2)
    assert link_equal(np.empty((0, 2), np.uint64), nobody).shape == (0, 2)
    assert spanning_forest(np.empty((0, 2), np.uint64)).shape == (0, 2)
    assert [len(part) for part in components(np.empty((0, 2), np.uint64))] == [0, 0]


def test_a_million_equal_keys_and_one_that_shares_their_upper_bits() -> None:
    size = 1_000_001
    keys = np.full(size, 1 << 60, np.uint64)
    keys[size // 2] += np.uint64(1)
    ids = np.random.default_rng(1).permutation(size).astype(np.uint64) + np.uint64(7)
    stray = ids[size // 2]
    edges = link_equal(keys, ids)
    smallest = min(set(range(7, 9)) - {int(stray)})
    assert len(edges) == size - 2
    assert (edges[:, 0] == smallest).all()
    nodes, root = components(edges)
    assert np.array_equal(nodes, np.sort(ids[ids != stray]))
    assert (root == smallest).all()


def test_a_long_chain_in_bad_order_is_one_component() -> None:
    chain = np.arange(1_000_000, dtype=np.uint64)
    edges = np.column_stack([chain[:-1], chain[1:]])[::-1]
    nodes, root = components(edges)
    assert len(nodes) == 1_000_000
    assert not root.any()


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="keys for"):
        link_equal(column([1, 2]), column([1]))
    with pytest.raises(ValueError, match="not \\(e, 2\\)"):
        components(column([1, 2]))


def in_parts(
    edges: np.ndarray, num_parts: int, num_rounds: int, num_ranges: int, folder: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and roots as a run with several partitions finds them; `num_ranges` are those of the last step."""
    firsts = np.array([-(-(part << 64) // num_parts) for part in range(num_parts + 1)], object)

    def exchange(tables: list[np.ndarray]) -> list[np.ndarray]:
        every = both_ways(np.concatenate(tables))
        places = np.searchsorted(firsts[:-1].astype(np.uint64), scatter(every[:, 0]), side="right") - 1
        return [every[places == part] for part in range(num_parts)]

    parts = exchange([edges])
    for _ in range(num_rounds):
        parts = exchange([spanning_forest(part) for part in parts])
    told = [provisional_roots(part, firsts[i], firsts[i + 1] - 1) for i, part in enumerate(parts)]
    labels = np.concatenate([own for own, _ in told])
    final = np.concatenate(list(components_by_range([scatter(joins) for _, joins in told], num_ranges, folder)))
    assert (final[1:, 0] > final[:-1, 0]).all()
    return labels[:, 0], look_up_roots(final, scatter(labels[:, 1]))


def grouping(nodes: np.ndarray, roots: np.ndarray) -> dict[int, int]:
    """For every node the smallest node of its group."""
    smallest: dict[int, int] = {}
    for node, root in sorted(zip(nodes.tolist(), roots.tolist(), strict=True)):
        smallest.setdefault(root, node)
    return {node: smallest[root] for node, root in zip(nodes.tolist(), roots.tolist(), strict=True)}


@settings(deadline=None, max_examples=200)
@given(EDGES, st.integers(1, 5), st.integers(0, 2), st.integers(1, 4))
def test_components_are_found_in_parts(
    edges: list[tuple[int, int]], num_parts: int, num_rounds: int, num_ranges: int
) -> None:
    edges = [(a, b) for a, b in edges if a != b]
    with TemporaryDirectory() as folder:
        nodes, roots = in_parts(table(edges), num_parts, num_rounds, num_ranges, Path(folder))
    assert len(set(nodes.tolist())) == len(nodes)
    assert grouping(nodes, roots) == naive_dedup.components(edges)


@pytest.mark.parametrize("num_rounds", [0, 2])
def test_a_chain_too_long_for_the_rounds_is_joined_all_the_same(num_rounds: int, tmp_path: Path) -> None:
    chain = np.arange(30_000, dtype=np.uint64)
    nodes, roots = in_parts(np.column_stack([chain[:-1], chain[1:]]), 8, num_rounds, 5, tmp_path)
    assert len(nodes) == 30_000
    assert len(np.unique(roots)) == 1


def test_scattered_ids_come_back_and_lie_evenly() -> None:
    ids = np.arange(100_000, dtype=np.uint64) << np.uint64(3)
    assert np.array_equal(unscatter(scatter(ids)), ids)
    counts = np.bincount((scatter(ids) >> np.uint64(60)).astype(np.int64), minlength=16)
    assert abs(counts - 100_000 / 16).max() < 5 * np.sqrt(100_000 / 16)
