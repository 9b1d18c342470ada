"""Who is linked, and who is kept: against brute force, however the keys are parted."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.contract import run_stage
from stages.dedup.duplicates import Duplicates, Exact, MinHash
from stages.text.batch import TextBatch
from tests.corpus import page
from tests.resolution import resolution_of


class Digits(Duplicates):
    """Documents that share a digit. Source: none, a toy."""

    def sketch(self, batch: TextBatch) -> pa.Table:
        pairs = [(row, int(c) + 1) for row, text in enumerate(batch.table["text"].to_pylist()) for c in set(text)]
        rows, keys = np.array(pairs, np.int64).reshape(-1, 2).T
        spread = keys.astype(np.uint64) * np.uint64((1 << 64) // 11)
        return pa.table({"row": rows, "key": spread})


class Copies(Duplicates):
    """Documents that are all the same, whatever their text. Source: none, a toy."""

    def sketch(self, batch: TextBatch) -> pa.Table:
        return pa.table({"row": np.arange(batch.num_rows), "key": np.full(batch.num_rows, 7, np.uint64)})


def clusters(texts: list[str]) -> list[int]:
    """For each text the first one that it is joined to by shared digits."""
    root = list(range(len(texts)))
    for _ in texts:
        for i, a in enumerate(texts):
            for j, b in enumerate(texts):
                if set(a) & set(b):
                    root[i] = root[j] = min(root[i], root[j])
    return root


def verdicts(stage: Duplicates, batch: TextBatch, num_partitions: int = 1) -> list[dict]:
    _, columns = run_stage(stage, batch, resolution_of(stage, batch, num_partitions))
    return pa.table(columns).to_pylist()


@given(st.lists(st.text("0123456789", max_size=2), max_size=12), st.integers(1, 5))
@settings(deadline=None, max_examples=150)
def test_clusters_are_those_of_brute_force(texts, num_partitions):
    found = verdicts(Digits(), TextBatch.from_texts(texts), num_partitions)
    roots = clusters(texts)
    for row, (verdict, root) in enumerate(zip(found, roots, strict=True)):
        assert verdict["cluster_size"] == roots.count(root)
        assert verdict["duplicate"] == (root != row)
        assert verdict["duplicate_of"] == (None if root == row else str(root))


@given(st.lists(st.tuples(st.text("0123456789", max_size=2), st.integers(0, 3)), max_size=12), st.integers(1, 4))
@settings(deadline=None, max_examples=150)
def test_the_highest_score_is_kept_and_the_first_among_equals(documents, num_partitions):
    texts, scores = [text for text, _ in documents], [score for _, score in documents]
    batch = TextBatch.from_texts(texts, score=pa.array(scores, pa.int64()))
    found = verdicts(Digits(priority=("-score",)), batch, num_partitions)
    roots = clusters(texts)
    for row, root in enumerate(roots):
        members = [other for other in range(len(texts)) if roots[other] == root]
        kept = min(members, key=lambda other: (-scores[other], other))
        assert found[row]["duplicate_of"] == (None if row == kept else str(kept))


def test_only_documents_of_one_group_are_compared():
    batch = TextBatch.from_texts(["1", "1", "1", "1"], dump=["a", "b", "a", None])
    found = verdicts(Digits(within=("dump",)), batch)
    assert [verdict["duplicate_of"] for verdict in found] == [None, None, "0", None]


def test_exact_looks_at_words_or_at_bytes():
    texts = ["One two, three!", "one  TWO three", "one two four", "", "!?", "one two, three!"]
    batch = TextBatch.from_texts(texts)
    assert [verdict["duplicate_of"] for verdict in verdicts(Exact(), batch)] == [None, "0", None, None, None, "0"]
    assert not any(verdict["duplicate"] for verdict in verdicts(Exact(normalise="none"), batch))
    again = TextBatch.from_texts([*texts, texts[0], "", " "])
    found = verdicts(Exact(normalise="none"), again)
    assert [verdict["duplicate_of"] for verdict in found][-3:] == ["0", None, None]


def test_minhash_finds_changed_copies_and_leaves_others():
    pages = [page(seed) for seed in range(0, 400, 10)]
    changed = [text.replace("river", "brook", 1).replace("music", "noise", 1) for text in pages]
    found = verdicts(MinHash(), TextBatch.from_texts([*pages, *changed]))
    first, second = found[: len(pages)], found[len(pages) :]
    assert not any(verdict["duplicate"] for verdict in first)
    copies = [verdict["duplicate_of"] == str(row) for row, verdict in enumerate(second)]
    assert np.mean(copies) > 0.9


def test_an_empty_corpus_and_empty_documents():
    for stage in (Exact(), MinHash()):
        assert verdicts(stage, TextBatch.from_texts([])) == []
        nothing = {
            "duplicate": False,
            "duplicate_of": None,
            "duplicate_in": None,
            "similarity": None,
            "cluster_size": 1,
        }
        assert verdicts(stage, TextBatch.from_texts(["", " \n", "..."])) == [nothing] * 3


@pytest.mark.parametrize("by_key", [True, False])
def test_a_million_copies_are_one_cluster(by_key, monkeypatch):
    """Folded in their task, or every one of them through all steps."""
    monkeypatch.setattr(Copies, "by_key", by_key)
    batch = TextBatch(pa.table({"id": pa.nulls(10**6, pa.string()), "text": pa.nulls(10**6, pa.large_string())}))
    found = resolution_of(Copies(), batch)
    assert found["kept"].unique().to_pylist() == [0]
    assert found["cluster_size"].unique().to_pylist() == [10**6]


def test_bands_of_ones_own():
    assert MinHash().bands == (14, 8)
    assert MinHash(preset="strict").bands == (20, 13)
    assert MinHash(num_bands=3, num_rows=4).bands == (3, 4)
    with pytest.raises(ValueError, match="go together"):
        MinHash(num_bands=3)
    with pytest.raises(ValueError, match="threshold chooses"):
        MinHash(num_bands=3, num_rows=4, threshold=0.8)


def test_bands_for_a_threshold():
    pytest.importorskip("datasketch", reason="it chooses the bands: pip install 'tamis[dedup]'")
    low, high = MinHash(threshold=0.6).bands, MinHash(threshold=0.9).bands
    assert low.num_rows < high.num_rows
    assert low.num_bands * low.num_rows <= 256
