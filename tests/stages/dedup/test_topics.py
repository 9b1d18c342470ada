"""What clusters are about, and what an epsilon costs, from recorded signals."""

import math
from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.contract import run_stage
from stages.dedup.semantic import Semantic
from stages.dedup.survey import VECTOR
from stages.dedup.topics import describe_clusters, removal_curve, telling_words
from stages.dedup.vectors import to_column
from stages.text.batch import TextBatch
from tests import naive
from tests import naive_semantic as naive_pairs
from tests.resolution import resolution_of
from tests.stages.dedup.vectors import groups


@given(st.lists(st.tuples(st.text("Aab cx.é猫", max_size=20), st.integers(0, 2)), max_size=8))
@settings(deadline=None, max_examples=60)
def test_telling_words_are_those_of_the_formula(documents):
    texts, group = [text for text, _ in documents], np.array([number for _, number in documents], np.int64)
    counts = [Counter() for _ in range(3)]
    for text, number in documents:
        for word in naive.words(text.lower()):
            letters = any(char.isalpha() for char in word.text)
            if letters and (len(word.text) >= 3 or len(word.text.encode()) >= 3):
                counts[number][word.text] += 1
    overall = sum(counts, Counter())
    mean = overall.total() / 3
    found = telling_words(TextBatch.from_texts(texts), group, 3, 4)
    for words, count in zip(found, counts, strict=True):
        weight = {word: n / count.total() * math.log1p(mean / overall[word]) for word, n in count.items()}
        best = sorted(weight.values(), reverse=True)[:4]
        assert np.allclose([weight[word] for word in words], best)
        assert len(set(words)) == len(words)


def test_clusters_are_described():
    documents = pa.table(
        {
            "id": ["a", "b", "c", "d", "e"],
            "text": ["Boats on the river.", "The river and boats", "apples, pears", "", "the apples"],
            "semantic.cluster": pa.array([7, 7, 2, None, 2], pa.int32()),
            "semantic.centroid_similarity": pa.array([0.5, 0.9, 0.8, None, 0.8], pa.float32()),
        }
    )
    found = describe_clusters(documents, num_exemplars=1, num_words=2).to_pylist()
    assert [row["cluster"] for row in found] == [2, 7]
    assert [row["documents"] for row in found] == [2, 2]
    assert [row["exemplars"] for row in found] == [["c"], ["b"]]
    assert [set(row["words"]) for row in found] == [{"apples", "pears"}, {"boats", "river"}]
    assert describe_clusters(documents.slice(3, 1)).num_rows == 0


def test_the_curve_is_what_brute_force_removes():
    vectors = groups(2, 300, 30, spread=0.8)
    batch = TextBatch.from_texts([""] * 300).with_signals({VECTOR: to_column(vectors)})
    stage = Semantic(keep="first")
    _, columns = run_stage(stage, batch, resolution_of(stage, batch))
    found = removal_curve(
        pa.table({f"semantic.{name}": column for name, column in columns.items()}), stage.all_epsilons
    )
    near = naive_pairs.pairs(vectors.tolist(), 0.9)
    for row in found.to_pylist():
        bound = np.float32(1 - row["epsilon"])
        assert row["removed"] == naive_pairs.kept(300, near, bound).count(False)
        assert row["removed_by_any"] == len({later for (later, _), value in near.items() if value >= bound})
    assert found["removed"][-1].as_py() < found["removed_by_any"][-1].as_py()
