"""Compact signatures, and duplicates that are checked against the document kept in their place."""

from itertools import groupby

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.contract import run_stage
from stages.dedup import kernels_similarity as kernels
from stages.dedup.bands import PRESETS, VERIFIED, band_keys
from stages.dedup.duplicates import MinHash, cluster_starts
from stages.dedup.minhash import compact, compact_jaccard, jaccard, least_equal, signatures
from stages.text.batch import TextBatch
from tests import naive_dedup, planted
from tests.resolution import resolution_of

MEMBER = st.tuples(
    st.integers(0, 3),
    st.lists(st.integers(0, 1), min_size=4, max_size=4),
    st.lists(st.integers(0, 2), min_size=2, max_size=2),
    st.sampled_from([None, None, None, True, False]),
)


@settings(deadline=None, max_examples=200)
@given(st.lists(MEMBER, max_size=25), st.integers(1, 4))
def test_who_is_kept_is_what_the_naive_twin_says(members: list, min_equal: int) -> None:
    members = sorted(members, key=lambda member: member[0])
    clusters = [[i for i, _ in group] for _, group in groupby(enumerate(members), key=lambda pair: pair[1][0])]
    sets, bands, before = ([member[i] for member in members] for i in (1, 2, 3))
    found = np.empty(len(members), np.int64)
    kernels.keep_greedily(
        cluster_starts(np.array([member[0] for member in members], np.uint64)),
        np.array(sets, np.uint8).reshape(-1, 4),
        np.array(bands, np.uint32).reshape(-1, 2),
        np.array([state is not None for state in before], np.bool_),
        np.array([bool(state) for state in before], np.bool_),
        min_equal,
        found,
    )
    assert found.tolist() == naive_dedup.keep_greedily(clusters, sets, bands, before, min_equal, kernels.MAX_LISTED)


def test_a_document_is_compared_with_the_first_kept_ones_of_a_band_alone() -> None:
    """All share one band; document i and document i + 100 are alike, the others are not."""
    rng = np.random.default_rng(0)
    half = rng.integers(0, 256, (100, 64), np.uint8)
    found = np.empty(200, np.int64)
    nobody = np.zeros(200, np.bool_)
    bands = np.column_stack([np.zeros(200), np.arange(200)]).astype(np.uint32)
    starts = np.array([0, 200], np.int64)
    kernels.keep_greedily(starts, np.concatenate([half, half]), bands, nobody, nobody, 60, found)
    assert found[:100].tolist() == list(range(100))
    assert found[100:].tolist() == [*range(kernels.MAX_LISTED), *range(100 + kernels.MAX_LISTED, 200)]


@pytest.mark.parametrize("num_perm", [112, 256, 260])
def test_compact_estimates_are_unbiased(num_perm: int) -> None:
    rng, script = np.random.default_rng(num_perm), planted.SCRIPTS["latin"]
    texts = []
    for share in np.linspace(0, 0.2, 300):
        words = planted.document(script, 150, rng)
        texts += [planted.write(words, script), planted.substitute(words, script, rng, share)]
    exact = np.array([naive_dedup.similarity(a, b, 5) for a, b in zip(texts[::2], texts[1::2], strict=True)])
    whole = signatures(TextBatch.from_texts(texts), 5, num_perm)
    pairs = np.arange(0, len(texts), 2)
    found = compact_jaccard(compact(whole), pairs, pairs + 1)
    variance = exact * (1 - exact) / num_perm + (1 - exact) / 256 / num_perm
    assert abs((found - exact).sum()) < 3 * np.sqrt(variance.sum())
    assert ((found - exact) ** 2).sum() < 1.3 * variance.sum()
    assert abs(found - jaccard(whole[::2], whole[1::2])).max() < 6 / np.sqrt(256 * num_perm)
    unrelated = compact_jaccard(compact(whole), pairs[:-1], pairs[1:])
    assert unrelated.mean() < 0.01


@pytest.mark.parametrize("similarity", [0.0, 0.5, 0.75, 1.0])
def test_the_fewest_equal_slots_are_those_that_reach_a_similarity(similarity: float) -> None:
    least = least_equal(similarity, 256)
    for count in (least, least - 1):
        a = np.zeros((2, 256), np.uint8)
        a[1, max(count, 0) :] = 1
        found = compact_jaccard(a, np.array([0]), np.array([1]))[0]
        assert (found >= similarity - 1e-9) == (count == least or similarity == 0)


@pytest.fixture(scope="module")
def families() -> list[str]:
    """Sixty families of documents of every similarity, near chains among them."""
    rng, script = np.random.default_rng(8), planted.SCRIPTS["latin"]
    out = []
    for _ in range(60):
        words = planted.document(script, 120, rng)
        out.append(planted.write(words, script))
        for _ in range(9):
            if rng.random() < 0.5:
                i = rng.integers(len(words))
                words = [*words[:i], *planted.document(script, 3, rng), *words[i + 3 :]]
                out.append(planted.write(words, script))
            else:
                out.append(planted.substitute(words, script, rng, 0.08 * rng.random()))
    return [out[i] for i in rng.permutation(len(out))]


def verdicts(stage: MinHash, texts: list[str], num_partitions: int = 1) -> list[dict]:
    batch = TextBatch.from_texts(texts)
    _, columns = run_stage(stage, batch, resolution_of(stage, batch, num_partitions))
    return pa.table(columns).to_pylist()


@pytest.mark.parametrize("num_partitions", [1, 5])
def test_every_document_goes_for_a_kept_one_that_it_resembles(families: list[str], num_partitions: int) -> None:
    found = verdicts(MinHash(preset="verified"), families, num_partitions)
    joined = verdicts(MinHash(num_bands=32, num_rows=8), families)
    assert sum(row["duplicate"] for row in found) < sum(row["duplicate"] for row in joined)
    sizes: dict[str, int] = {}
    for i, row in enumerate(found):
        sizes[row["duplicate_of"] or str(i)] = sizes.get(row["duplicate_of"] or str(i), 0) + 1
    for i, row in enumerate(found):
        assert row["cluster_size"] == sizes[row["duplicate_of"] or str(i)]
        if row["duplicate"]:
            kept = int(row["duplicate_of"])
            assert kept < i
            assert not found[kept]["duplicate"]
            assert row["similarity"] >= VERIFIED - 1e-6
            exact = naive_dedup.similarity(families[i], families[kept], 5)
            assert abs(row["similarity"] - exact) < 4.5 * np.sqrt(0.25 / 256)
        else:
            assert row["similarity"] is None


def test_verified_is_greedy_keep_over_candidates(families: list[str]) -> None:
    """From the definition: in order, against the kept ones that share a band."""
    whole = signatures(TextBatch.from_texts(families), 5, 256)
    keys, small = band_keys(whole, *PRESETS["verified"]), compact(whole)
    kept: list[int] = []
    for i, row in enumerate(verdicts(MinHash(preset="verified"), families)):
        near = [
            k for k in kept if (keys[k] == keys[i]).any() and (small[k] == small[i]).sum() >= least_equal(0.75, 256)
        ]
        assert row["duplicate_of"] == (str(near[0]) if near else None)
        if not near:
            kept.append(i)


@pytest.mark.parametrize("preset", PRESETS)
def test_similarity_is_there_in_every_preset(families: list[str], preset: str) -> None:
    found = verdicts(MinHash(preset=preset), [*families, families[7], families[7].upper()])
    for i, row in enumerate(found):
        assert (row["similarity"] is None) == (not row["duplicate"])
        if row["duplicate"] and row["duplicate_of"] == "7":
            exact = naive_dedup.similarity([*families, families[7], families[7].upper()][i], families[7], 5)
            assert abs(row["similarity"] - exact) < 5 * np.sqrt(0.25 / 112)
    for row in found[-2:]:
        assert row["similarity"] == 1.0 or row["duplicate_of"] != "7"


def test_a_second_pass_over_what_was_kept_removes_nothing(families: list[str]) -> None:
    for preset in PRESETS:
        first = verdicts(MinHash(preset=preset), families)
        kept = [text for text, row in zip(families, first, strict=True) if not row["duplicate"]]
        assert not any(row["duplicate"] for row in verdicts(MinHash(preset=preset), kept))


def test_a_check_of_ones_own() -> None:
    assert MinHash().least_similarity is None
    assert MinHash(preset="verified").least_similarity == VERIFIED
    assert MinHash(preset="verified", min_similarity=0.9).least_similarity == 0.9
    assert MinHash(preset="verified", num_bands=3, num_rows=4).least_similarity is None
    assert MinHash(num_bands=3, num_rows=4, min_similarity=0.5).least_similarity == 0.5
