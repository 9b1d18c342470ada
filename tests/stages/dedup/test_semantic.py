"""`semantic`: who goes and for whom, whatever the order, the cut and the curiosities of the vectors."""

import numpy as np
import pyarrow as pa
import pytest

from stages.contract import run_stage
from stages.dedup.semantic import Semantic, is_removed
from stages.dedup.survey import VECTOR
from stages.dedup.vectors import to_column
from stages.errors import StageError
from stages.text.batch import TextBatch
from tests import naive_semantic as naive
from tests.resolution import reference_of, resolution_of
from tests.stages.dedup.vectors import groups, unit


def batch_of(vectors, **columns) -> TextBatch:
    column = vectors if isinstance(vectors, pa.Array) else to_column(vectors)
    return TextBatch.from_texts([""] * len(column), **columns).with_signals({VECTOR: column})


def verdicts(stage: Semantic, batch: TextBatch, num_partitions: int = 1, addresses=None) -> list[dict]:
    _, columns = run_stage(stage, batch, resolution_of(stage, batch, num_partitions, addresses))
    return pa.table(columns).to_pylist()


@pytest.fixture(scope="module")
def corpus() -> TextBatch:
    """Near and equal vectors, of every distance."""
    vectors = np.concatenate([groups(0, 380, 60, spread=0.7), groups(0, 380, 60, spread=0.7)[:20]])
    return batch_of(vectors, score=pa.array(np.arange(400) * 7 % 100))


def vectors_of(batch: TextBatch) -> list[list[float]]:
    return batch.signals[VECTOR].to_pylist()


@pytest.mark.parametrize("keep", ["first", "hard", "easy"])
def test_who_goes_is_what_brute_force_says(corpus, keep):
    stage = Semantic(keep=keep, epsilon=0.06)
    found = verdicts(stage, corpus)
    sign = {"first": 0, "hard": 1, "easy": -1}[keep]
    order = sorted(range(400), key=lambda i: (sign * found[i]["centroid_similarity"], i))
    vectors = vectors_of(corpus)
    near = naive.pairs([vectors[i] for i in order], 0.9)
    largest = {}
    for (later, _), similarity in near.items():
        largest[later] = max(similarity, largest.get(later, 0))
    for place, epsilon in enumerate(stage.all_epsilons):
        kept = naive.kept(400, near, 1 - epsilon)
        removed = is_removed(np.array([row["removed_at"] for row in found]), place)
        assert [not removed[i] for i in order] == kept
        if epsilon == stage.epsilon:
            assert [not found[i]["duplicate"] for i in order] == kept
    for place, i in enumerate(order):
        assert found[i]["similarity"] == largest.get(place)
        if found[i]["duplicate"]:
            kept = int(found[i]["duplicate_of"])
            assert not found[kept]["duplicate"]
            assert naive.cosine(vectors[i], vectors[kept]) >= np.float32(1 - stage.epsilon)
        else:
            assert found[i]["duplicate_of"] is None


def test_priority_comes_before_keep(corpus):
    found = verdicts(Semantic(priority=("-score",)), corpus)
    scores = corpus.table["score"].to_pylist()
    gone = [row for row in range(400) if found[row]["duplicate"]]
    assert len(gone) > 50
    assert all(scores[row] <= scores[int(found[row]["duplicate_of"])] for row in gone)


def test_documents_are_compared_within_a_column(corpus):
    halves = corpus.with_columns({"half": pa.array([str(row % 2) for row in range(400)])})
    found = verdicts(Semantic(within=("half",), keep="first"), halves)
    for half in (0, 1):
        rows = np.arange(half, 400, 2)
        near = naive.pairs([vectors_of(corpus)[row] for row in rows], 0.95)
        assert [not found[row]["duplicate"] for row in rows] == naive.kept(200, near, 0.95)


@pytest.mark.parametrize("fields", [{}, {"num_clusters": 7}, {"num_clusters": 7, "num_probes": 1}])
def test_the_cut_and_the_order_make_no_difference(corpus, fields):
    stage = Semantic(**fields)
    once = verdicts(stage, corpus)
    assert verdicts(stage, corpus, 5) == once
    assert verdicts(stage, corpus, 2, [row * 1000 + 5 for row in range(400)]) == once
    order = np.random.default_rng(0).permutation(400)
    again = verdicts(stage, corpus.take(order), 3)
    distinct = np.unique(np.array(vectors_of(corpus)), axis=0, return_inverse=True)[1]
    for row, other in zip(again, order, strict=True):
        if (distinct == distinct[other]).sum() == 1:  # of equal vectors the first in the input is kept
            assert row["cluster"] == once[other]["cluster"]
            assert row["similarity"] == once[other]["similarity"]
            assert row["removed_at"] == once[other]["removed_at"]


def test_a_sketch_of_any_batch_is_the_same(corpus):
    stage = Semantic(num_clusters=20)
    reference = reference_of(stage, corpus)
    whole = stage.sketch(corpus, reference)
    for cut in (1, 33):
        parts = [stage.sketch(corpus.take(rows), reference) for rows in np.split(np.arange(400), [cut])]
        parts[1] = parts[1].set_column(0, "row", pa.array(parts[1]["row"].to_numpy() + cut))
        assert pa.concat_tables(parts).sort_by([("row", "ascending"), ("key", "ascending")]) == whole.sort_by(
            [("row", "ascending"), ("key", "ascending")]
        )


def test_two_probes_find_nearly_all_pairs():
    batch = batch_of(groups(1, 4000, 900, spread=0.6))
    whole = verdicts(Semantic(keep="first"), batch)
    shares = []
    for num_probes in (1, 2):
        found = verdicts(Semantic(keep="first", num_clusters=30, num_probes=num_probes), batch)
        hits = [row["duplicate"] for row, other in zip(found, whole, strict=True) if other["duplicate"]]
        shares.append(np.mean(hits))
    assert shares[0] < shares[1]
    assert shares[1] > 0.99


def test_random_keep_goes_by_the_seed(corpus):
    found = [[row["duplicate"] for row in verdicts(Semantic(keep="random", seed=seed), corpus)] for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


def test_what_has_no_vector_is_told_nothing_of():
    vectors = groups(0, 6, 1, spread=0.01).astype(np.float32)
    rows = [*vectors.tolist(), None, [np.nan] * 32, [0.0] * 32]
    found = verdicts(Semantic(), batch_of(pa.array(rows, pa.list_(pa.float32(), 32))))
    assert [row["duplicate"] for row in found[6:]] == [None] * 3
    assert set(found[7].values()) == {None}
    assert sum(row["duplicate"] for row in found[:6]) == 5
    nothing = batch_of(pa.array([None] * 3, pa.list_(pa.float16(), 8)))
    assert {value for row in verdicts(Semantic(), nothing) for value in row.values()} == {None}
    assert verdicts(Semantic(), nothing.take(np.zeros(0, np.int64))) == []


def test_ten_thousand_equal_vectors_are_one_star():
    others = unit(np.random.default_rng(4).standard_normal((50, 32)))
    vectors = np.concatenate([np.tile(groups(3, 1, 1), (10_000, 1)), others])
    found = verdicts(Semantic(), batch_of(vectors))
    assert [row["duplicate"] for row in found] == [False] + [True] * 9999 + [False] * 50
    assert {row["duplicate_of"] for row in found[1:10_000]} == {"0"}
    assert {row["similarity"] for row in found[1:10_000]} == {1.0}
    assert {row["removed_at"] for row in found[1:10_000]} == {2 ** len(Semantic().all_epsilons) - 1}


def test_copies_of_a_document_that_goes_go_too():
    a, b = groups(0, 2, 1, spread=0.2)
    vectors = np.stack([a, b, b, b])
    assert 0.9 < naive.cosine(a.tolist(), b.tolist()) < 0.999
    found = verdicts(Semantic(keep="first", epsilon=0.1, epsilons=(0.0001,)), batch_of(vectors))
    assert [row["duplicate_of"] for row in found] == [None, "0", "0", "0"]
    assert [row["removed_at"] for row in found] == [0, 2, 3, 3]


def test_vectors_of_another_length_are_refused(corpus):
    reference = reference_of(Semantic(), corpus)
    with pytest.raises(StageError, match=r"embedding\.vector has 8 numbers, but the corpus was clustered with 32"):
        Semantic().sketch(batch_of(groups(0, 4, 2, width=8)), reference)


def test_fields_are_checked():
    assert Semantic(epsilon=0.03).all_epsilons == [0.01, 0.02, 0.03, 0.05, 0.1]
    for fields in ({"epsilon": 1}, {"epsilons": [-0.1]}, {"num_clusters": 0}, {"num_probes": 0}, {"keep": "best"}):
        with pytest.raises(ValueError, match=next(iter(fields))):
            Semantic(**fields)
    with pytest.raises(ValueError, match="name up to 24"):
        Semantic(epsilons=tuple(i / 100 for i in range(30)))
