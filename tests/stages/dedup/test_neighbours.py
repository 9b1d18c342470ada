"""Near pairs and who is kept: against brute force, however the vectors are cut into tiles and clusters."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.dedup.centroids import Centroids, kmeans, nearest
from stages.dedup.greedy import settle
from stages.dedup.neighbours import Links, Search
from stages.dedup.products import NumpyProducts, TorchProducts, products_on
from stages.dedup.vectors import cosines, hashes, to_column, to_matrix
from stages.errors import ConfigError, MissingPartError, StageError
from tests import naive_semantic as naive
from tests.stages.dedup.vectors import Noisy, groups, unit

BOUNDS = np.array([0.99, 0.95, 0.9, 0.8], np.float32)
EVERYTHING = 10**6


def pairs_of(links: Links) -> dict[tuple[int, int], np.float32]:
    return {(j, i): s for j, i, s in zip(*(part.tolist() for part in links[:2]), links.similarity, strict=True)}


def removed(links: Links, num: int) -> np.ndarray:
    """By place and bound."""
    verdict = settle(
        links.later.astype(np.uint64), links.earlier.astype(np.uint64), links.similarity,
        np.zeros(len(links.later), np.bool_), BOUNDS,
    )  # fmt: skip
    out = np.zeros((num, len(BOUNDS)), np.bool_)
    out[verdict.address.astype(np.int64)] = verdict.removed
    return out


def distinct(seed: int, num: int, **changes) -> np.ndarray:
    vectors = groups(seed, num, **changes)
    return vectors[np.sort(np.unique(vectors, axis=0, return_index=True)[1])]


@given(st.integers(0, 10**6), st.integers(1, 8))
@settings(deadline=None, max_examples=25)
def test_cosines_are_exact(seed, width):
    a, b = (unit(np.random.default_rng(seed + side).standard_normal((4, width))) for side in (0, 1))
    assert cosines(a, b).tolist() == [naive.cosine(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]


def test_dot_products_of_float16_are_exact_in_any_order():
    vectors = groups(0, 40, 4, width=384).astype(np.float64)
    backwards = vectors[:, ::-1].copy()
    products = vectors @ vectors.T
    assert np.array_equal(products, backwards @ backwards.T)
    assert products[3, 7] == naive.dot(vectors[3].tolist(), vectors[7].tolist())


@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 8))
@settings(deadline=None, max_examples=25)
def test_every_pair_is_found(seed, num, num_groups):
    vectors = distinct(seed, num, num_groups=num_groups, width=8, spread=1.0)
    expected = naive.pairs(vectors.tolist(), BOUNDS[-1])
    for products in (NumpyProducts(), Noisy()):
        found = Search(BOUNDS, max_links=EVERYTHING).links(vectors, np.ones(len(vectors), np.bool_), products)
        assert pairs_of(found) == expected


def test_others_are_compared_with_stored_ones_only():
    vectors = distinct(3, 150, num_groups=5, width=8)
    stored = np.random.default_rng(3).random(len(vectors)) < 0.5
    found = pairs_of(Search(BOUNDS, max_links=EVERYTHING).links(vectors, stored, Noisy()))
    expected = {pair: s for pair, s in naive.pairs(vectors.tolist(), BOUNDS[-1]).items() if stored[list(pair)].any()}
    assert found == expected


@pytest.mark.parametrize("products", [NumpyProducts(), Noisy()])
@pytest.mark.parametrize("seed", range(3))
def test_greedy_keep_is_that_of_brute_force_with_few_links(seed, products):
    """One pair a document and bound is recorded beyond those with kept documents, of the many that there are."""
    vectors = distinct(seed, 250, num_groups=6, width=8, spread=0.8)
    near = naive.pairs(vectors.tolist(), BOUNDS[-1])
    found = Search(BOUNDS, max_links=1).links(vectors, np.ones(len(vectors), np.bool_), products)
    assert len(found.later) < len(near) / 2
    for column, bound in enumerate(BOUNDS):
        assert (~removed(found, len(vectors))[:, column]).tolist() == naive.kept(len(vectors), near, bound)


def test_a_large_cluster_is_clustered_again():
    vectors = distinct(5, 3000, num_groups=300)
    everywhere = np.ones(len(vectors), np.bool_)
    whole = pairs_of(Search(BOUNDS, max_links=EVERYTHING).links(vectors, everywhere, NumpyProducts()))
    search = Search(BOUNDS, max_links=EVERYTHING, max_cluster=200)
    parts = pairs_of(search.links(vectors, everywhere, NumpyProducts()))
    assert parts.items() <= whole.items()
    assert len(parts) > 0.99 * len(whole)
    assert parts == pairs_of(search.links(vectors, everywhere, Noisy()))


def test_vectors_all_alike_leave_few_links():
    vectors = distinct(0, 2000, num_groups=1, spread=0.01)
    everywhere = np.ones(len(vectors), np.bool_)
    found = Search(BOUNDS, max_links=4).links(vectors, everywhere, NumpyProducts())
    assert removed(found, len(vectors))[:, 0].sum() == len(vectors) - 1
    assert len(found.later) < 6 * len(vectors)
    found = Search(BOUNDS, max_links=4, max_cluster=500).links(vectors, everywhere, NumpyProducts())
    assert removed(found, len(vectors))[:, 0].sum() > 0.98 * len(vectors)


def test_chains_lose_only_what_resembles_a_kept_document():
    later, earlier = np.array([[1, 2, 3, 3], [0, 1, 2, 0]], np.uint64)
    similarity = np.array([0.96, 0.96, 0.96, 0.9], np.float32)
    found = settle(later, earlier, similarity, np.zeros(4, np.bool_), np.array([0.95, 0.9], np.float32))
    assert found.address.tolist() == [0, 1, 2, 3]
    assert found.removed.T.tolist() == [[False, True, False, True], [False, True, False, True]]
    assert found.kept.T.tolist() == [[0, 0, 2, 2], [0, 0, 2, 2]]
    assert np.array_equal(found.similarity, np.array([np.nan, 0.96, 0.96, 0.96], np.float32), equal_nan=True)


def test_copies_go_with_the_first_of_them():
    """2 repeats 1, which goes for 0; 4 repeats 3, which stays."""
    later, earlier = np.array([[1, 2, 4], [0, 1, 3]], np.uint64)
    found = settle(later, earlier, np.array([0.97, 1, 1], np.float32), np.array([False, True, True]), BOUNDS[1:2])
    assert found.removed[:, 0].tolist() == [False, True, True, False, True]
    assert found.kept[:, 0].tolist() == [0, 0, 0, 3, 3]
    assert found.similarity[2] == 1


def test_links_in_any_order_and_twice_say_the_same():
    vectors = distinct(1, 300, num_groups=9)
    links = Search(BOUNDS).links(vectors, np.ones(len(vectors), np.bool_), NumpyProducts())
    order = np.random.default_rng(0).permutation(np.tile(np.arange(len(links.later)), 2))
    assert np.array_equal(removed(links, 300), removed(Links(*(part[order] for part in links)), 300))


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 4))
@settings(deadline=None, max_examples=25)
def test_nearest_centroids_are_those_of_brute_force(seed, num_centroids, count):
    rng = np.random.default_rng(seed)
    centroids = unit(rng.integers(-2, 3, (num_centroids, 3)) + 0.5)  # many ties
    vectors = unit(rng.integers(-2, 3, (20, 3)) - 0.5)
    if len(np.unique(centroids, axis=0)) == num_centroids:
        index, similarity = nearest(vectors, centroids, count, NumpyProducts())
        for vector, row, values in zip(vectors.tolist(), index.tolist(), similarity.tolist(), strict=True):
            expected = naive.nearest(vector, centroids.tolist(), count)
            best = [0 if place < 0 else naive.cosine(vector, centroids[place].tolist()) for place in expected]
            assert values == best
            assert [place < 0 for place in row] == [place < 0 for place in expected]


def in_order_of_hashes(vectors):
    vectors = np.unique(vectors, axis=0)
    return vectors[np.argsort(hashes(vectors))]


def test_kmeans_finds_groups_and_does_not_depend_on_how_products_are_made():
    sample = in_order_of_hashes(groups(2, 2000, 12, spread=0.3))
    centroids = kmeans(sample, 12, NumpyProducts())
    assert np.array_equal(centroids, kmeans(sample, 12, Noisy()))
    _, similarity = nearest(sample, centroids, 1, NumpyProducts())
    assert similarity.mean() > 0.9
    assert kmeans(sample[:5], 12, NumpyProducts()).tolist() == sample[:5].tolist()
    assert kmeans(sample[:0], 12, NumpyProducts()).shape == (0, 32)


def test_no_centroid_is_left_without_vectors():
    """Two thirds of the sample are one tight group, from which most centroids start."""
    tight, wide = groups(0, 2000, 1, spread=0.001), groups(1, 1000, 500, spread=0.0)
    sample = in_order_of_hashes(np.concatenate([tight, wide]))
    centroids = kmeans(sample, 100, NumpyProducts())
    index, _ = nearest(sample, centroids, 1, NumpyProducts())
    assert np.bincount(index[:, 0], minlength=len(centroids)).min() > 0
    assert len(np.unique(centroids, axis=0)) == len(centroids) > 80


def test_two_levels(monkeypatch):
    monkeypatch.setattr("stages.dedup.centroids.MAX_FLAT", 64)
    vectors = groups(4, 6000, 400, spread=0.4)
    sample = in_order_of_hashes(vectors)
    found = Centroids.of(sample, 100)
    assert len(found.upper) == 10
    assert 90 <= len(found) <= 110
    again = Centroids.from_table(found.to_table())
    for name in ("lower", "upper", "starts"):
        assert np.array_equal(getattr(found, name), getattr(again, name)), name
    index, similarity = again.nearest(vectors, 2, NumpyProducts())
    flat, _ = nearest(vectors, found.lower, 2, NumpyProducts())
    assert (index[:, 0] == flat[:, 0]).mean() > 0.98
    assert similarity[:, 0].tolist() == cosines(vectors, found.lower[index[:, 0]]).tolist()
    noisy, _ = again.nearest(vectors, 2, Noisy())
    assert np.array_equal(index, noisy)


def test_what_has_no_direction_is_left_out():
    rows = [[3, 4, 0], None, [0, 0, 0], [np.nan, 1, 0], [np.inf, 0, 0], [-0.0, 1, 0], [0, 1, 0]]
    for type_ in (pa.float16(), pa.float32(), pa.float64()):
        column = pa.array(
            [None if row is None else np.array(row, type_.to_pandas_dtype()) for row in rows], pa.list_(type_, 3)
        )
        vectors, kept = to_matrix(column, "v")
        assert kept.tolist() == [0, 5, 6]
        assert np.allclose(vectors[0].astype(float), [0.6, 0.8, 0], atol=1e-3)
        assert hashes(vectors)[1] == hashes(vectors)[2]
        part, kept = to_matrix(column.slice(5), "v")
        assert kept.tolist() == [0, 1]
        assert np.array_equal(part, vectors[1:])
    assert to_column(vectors).type == pa.list_(pa.float16(), 3)
    with pytest.raises(StageError, match="v is list<item: double>, not a fixed-size list of floats"):
        to_matrix(pa.array([[1.0, 2.0]]), "v")


def test_torch_finds_the_same():
    pytest.importorskip("torch", reason="the same on torch: pip install 'tamis[embedding]'")
    vectors = distinct(7, 1500, num_groups=40)
    stored = np.arange(len(vectors)) % 3 > 0
    found = [Search(BOUNDS).links(vectors, stored, products) for products in (NumpyProducts(), TorchProducts("cpu"))]
    assert pairs_of(found[0]) == pairs_of(found[1])
    sample = in_order_of_hashes(vectors)
    assert np.array_equal(kmeans(sample, 30, NumpyProducts()), kmeans(sample, 30, TorchProducts("cpu")))


def test_a_gpu_that_is_not_there_is_told():
    assert isinstance(products_on("cpu"), NumpyProducts)
    try:
        import torch
    except ImportError:
        with pytest.raises(MissingPartError, match=r"pip install 'tamis\[gpu\]'"):
            products_on("cuda")
        return
    if not torch.cuda.is_available():
        assert isinstance(products_on("auto"), NumpyProducts)
        with pytest.raises(ConfigError, match="finds no GPU"):
            products_on("cuda")
