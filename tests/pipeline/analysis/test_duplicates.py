"""Clusters of duplicates, differences of texts, and what `semantic` did, beside plain counts."""

import json
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analysis import duplicates, meanings
from pipeline.analysis.tables import open_tables
from pipeline.config import load_config
from pipeline.report.excerpts import clusters
from stages.dedup.topics import removal_curve
from stages.errors import ConfigError
from tests.corpus import page
from tests.in_process import run_in_process
from tests.pipeline.test_duplicates import STAGES, documents, run
from tests.strategies import repetitive_texts, texts


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("clusters")


@pytest.fixture(scope="module")
def done(folder):
    return run(folder, "one", documents())


@pytest.fixture(scope="module")
def tables(done):
    with open_tables(done) as tables:
        yield tables


@pytest.mark.parametrize("stage", ["exact", "minhash"])
def test_sizes_are_those_of_a_count(done, tables, stage):
    sizes = Counter(done.duplicates(stage).to_table()["kept"].to_pylist())
    expected = sorted(Counter(size for size in sizes.values() if size > 1).items())
    assert [tuple(row.values()) for row in duplicates.size_curve(tables, stage).to_pylist()] == expected
    largest = duplicates.largest(tables, stage, 3)
    assert [cluster.size for cluster in largest] == sorted(sizes.values(), reverse=True)[:3]
    assert all(sizes[cluster.kept] == cluster.size for cluster in largest)


def test_members_begin_with_the_one_kept_and_have_their_texts(done, tables):
    texts = {row["id"]: row["text"] for row in documents()}
    cluster = duplicates.largest(tables, "minhash", 1)[0]
    found = duplicates.members(done, tables, "minhash", cluster.kept, limit=1000)
    assert len(found) == cluster.size
    assert found[0][0].address == cluster.kept
    assert found[0][0].id == cluster.kept_id
    assert found[0][0].dropped_by is None
    assert {sample.dropped_by for sample, _ in found[1:]} == {"minhash.duplicate"}
    assert all(sample.text == texts[sample.id] for sample, _ in found)
    assert all(similarity is None or 0 <= similarity <= 1 for _, similarity in found)


def test_clusters_of_an_earlier_run_count_its_document(folder, done):
    again = folder / "again.jsonl"
    again.write_text("".join(json.dumps(row) + "\n" for row in documents()[:40]))
    later = run_in_process(
        {"input": {"path": str(again), "against": [done.path]}, "output": str(folder / "two"), "stages": STAGES}
    )
    with open_tables(later) as tables:
        clusters = [cluster for cluster in duplicates.largest(tables, "exact", 100) if cluster.kept_run]
        assert clusters
        for cluster in clusters:
            found = duplicates.members(later, tables, "exact", cluster.kept, 100, kept_run=cluster.kept_run)
            assert len(found) + 1 == cluster.size
            assert all(sample.dropped_by == "exact.duplicate" for sample, _ in found)


def test_a_named_member_is_among_the_first(done, tables):
    cluster = duplicates.largest(tables, "minhash", 1)[0]
    last = duplicates.members(done, tables, "minhash", cluster.kept, 1000)[-1][0].address
    found = duplicates.members(done, tables, "minhash", cluster.kept, 2, named=last)
    assert [sample.address for sample, _ in found] == [cluster.kept, last]


@pytest.mark.parametrize(
    ("stages", "later"),
    [
        (["exact"], []),
        (["pii", "exact", "gopher"], []),
        (["exact", "c4", "lines", "gopher", "minhash", "pii"], ["c4", "lines", "pii"]),
    ],
)
def test_what_rewrote_the_kept_document_later(stages, later):
    run = SimpleNamespace(config=load_config({"input": "x", "output": "y", "stages": stages}))
    assert duplicates.rewritten_later(run, "exact") == later


def test_bands_have_a_curve(done):
    curve = duplicates.banding(done, "minhash")["curve"]
    assert curve == sorted(curve)
    assert (curve[0], curve[-1]) == (0, 1)
    assert duplicates.banding(done, "exact") is None
    assert duplicates.stages_of(done) == ["exact", "minhash"]


ANY = texts() | repetitive_texts()


@settings(deadline=None)
@given(ANY, ANY)
def test_a_difference_is_made_of_both_texts(kept, copy):
    found = duplicates.difference(kept, copy)
    assert "".join(text for text, kind in found if kind != "added") == kept
    assert "".join(text for text, kind in found if kind != "removed") == copy
    assert all(text for text, _ in found)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a ", "b ", "c "]), max_size=12), st.lists(st.sampled_from(["a ", "b "]), max_size=12))
def test_what_is_equal_at_the_ends_is_told_as_equal(left, right):
    found = duplicates.difference("".join(left), "".join(right))
    head = next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    if head:
        assert found[0][1] == "equal"
        assert found[0][0].startswith("".join(left[:head]))
    if left == right:
        assert len(found) == (1 if left else 0)


def test_a_difference_knows_scripts_without_spaces_and_where_to_end():
    assert duplicates.difference("今日は雨です。", "今日は雪です。") == [
        ("今日は", "equal"),
        ("雨", "removed"),
        ("雪", "added"),
        ("です。", "equal"),
    ]
    long = "word " * (duplicates.MAX_WORDS + 10)
    found = duplicates.difference(long, long)
    assert found[-1] == ("…", "equal")
    assert sum(len(text) for text, _ in found) == 5 * duplicates.MAX_WORDS + 1


SEMANTIC = {"num_clusters": 4, "epsilon": 0.1, "epsilons": [0.02, 0.2]}


@pytest.fixture(scope="module")
def meant(folder):
    """Pages three times, with some words changed."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(150):
        words = [f"{word}{i % 50}" for word in page(10 * (i % 50)).split()]
        for place in rng.integers(0, len(words), rng.integers(0, 12)).tolist():
            words[place] = f"word{i}"
        rows.append({"id": f"d{i}", "text": " ".join(words)})
    with pytest.MonkeyPatch.context() as patch:
        import stages
        from tests.toy import Bag

        patch.setitem(stages.REGISTRY, "bag", "tests.toy:Bag")
        assert stages.load("bag") is Bag
        yield run(folder, "meant", rows, [{"bag": {"name": "embedding"}}, {"semantic": SEMANTIC}], num_files=2)


def test_the_epsilon_curve_is_that_of_a_plain_count(meant):
    with open_tables(meant) as tables:
        found = meanings.epsilon_curve(tables, "semantic")
    plain = removal_curve(meant.signals.to_table(), [0.02, 0.1, 0.2])
    assert found.select(["epsilon", "removed", "removed_by_any"]).equals(plain)
    assert found["in_use"].to_pylist() == [False, True, False]
    removed = meant.signals.to_table()["dropped_by"].to_pylist().count("semantic.duplicate")
    assert found["removed"].to_pylist()[1] == removed > 0
    assert found["removed_ratio"][1].as_py() == pytest.approx(removed / 150)
    with open_tables(meant) as tables:
        (told,) = clusters(meant, tables, with_texts=False, redacted=False)
    assert [list(row) for row in told.epsilons] == [
        [row[name] for name in ("epsilon", "removed", "in_use")] for row in found.to_pylist()
    ]


def test_pairs_near_the_threshold_come_first(meant):
    with open_tables(meant) as tables:
        found = meanings.near_threshold(tables, "semantic", 10).to_pylist()
        near = [abs(row["above"]) for row in found]
        assert near == sorted(near)
        assert len(found) == 10
        assert all(row["above"] == pytest.approx(row["similarity"] - 0.9) for row in found)
        assert all(row["kept"] != row["address"] for row in found)


def test_topics_have_the_sizes_of_the_run_and_words_of_the_sample(meant):
    with open_tables(meant) as tables:
        found = meanings.topics(tables, "semantic")
    sizes = Counter(meant.signals.to_table()["semantic.cluster"].drop_null().to_pylist())
    assert dict(zip(found["cluster"].to_pylist(), found["documents"].to_pylist(), strict=True)) == sizes
    assert found["documents"].to_pylist() == sorted(sizes.values(), reverse=True)
    kept = set(meant.documents.to_table()["id"].to_pylist())
    for row in found.to_pylist():
        assert 1 <= len(row["words"]) <= 10
        assert set(row["exemplars"]) <= kept
    sample = meanings.sample_of_documents(meant, "semantic", most=1)
    assert 0 < sample.num_rows <= len(kept)
    with pytest.raises(ConfigError, match="no stage `semantic` of the name 'minhash'; it has: semantic"):
        meanings.semantic_of(meant, "minhash")
