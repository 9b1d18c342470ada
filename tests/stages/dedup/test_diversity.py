"""`diversity`: which documents are typical, and that the most typical ones go."""

import numpy as np
import pyarrow as pa
import pytest

from stages.contract import decide, run_stage
from stages.dedup.diversity import Diversity
from stages.dedup.vectors import cosines, to_column
from stages.errors import StageError
from stages.text.batch import TextBatch
from tests.resolution import reference_of
from tests.stages.dedup.vectors import groups


def batch_of(vectors) -> TextBatch:
    column = vectors if isinstance(vectors, pa.Array) else to_column(vectors)
    return TextBatch.from_texts([""] * len(column)).with_signals({"embedding.vector": column})


@pytest.fixture(scope="module")
def corpus() -> TextBatch:
    return batch_of(groups(0, 2000, 20, spread=0.8))


def test_the_most_typical_fifth_goes(corpus):
    stage = Diversity(num_clusters=20)
    reference = reference_of(stage, corpus)
    _, columns = run_stage(stage, corpus, reference)
    typicality, similarity = (columns[name].to_numpy() for name in ("typicality", "centroid_similarity"))
    dropped = decide(stage, columns, None)["typicality"]
    assert dropped.mean() == pytest.approx(0.2, abs=0.01)
    assert similarity[dropped].min() >= similarity[~dropped].max()
    assert np.array_equal(np.argsort(similarity, kind="stable"), np.lexsort((similarity, typicality)))
    assert 0 <= typicality.min() < 0.01
    centroids = np.array(reference["centroid"].to_pylist(), np.float16)
    vectors = np.array(corpus.signals["embedding.vector"].to_pylist(), np.float16)
    assert similarity.tolist() == cosines(vectors, centroids[columns["cluster"].to_numpy()]).tolist()


def test_order_makes_no_difference(corpus):
    stage = Diversity()
    order = np.random.default_rng(1).permutation(2000)
    shuffled = corpus.take(order)
    reference = reference_of(stage, corpus)
    assert reference_of(stage, shuffled) == reference
    once, again = (run_stage(stage, batch, reference)[1] for batch in (corpus, shuffled))
    for name, column in once.items():
        assert column.take(pa.array(order)).equals(again[name]), name


def test_what_has_no_vector_is_told_nothing_of(corpus):
    some = batch_of(pa.array([None, [0.0] * 32, [1.0] * 32], pa.list_(pa.float32(), 32)))
    stage = Diversity()
    for reference in (reference_of(stage, corpus), reference_of(stage, corpus.take(np.zeros(0, np.int64)))):
        _, columns = run_stage(stage, some, reference)
        assert columns["typicality"].null_count >= 2
    with pytest.raises(StageError, match="has 8 numbers, but the corpus was clustered with 32"):
        run_stage(stage, batch_of(groups(0, 3, 1, width=8)), reference_of(stage, corpus))
    with pytest.raises(StageError, match=r"there is no embedding\.vector: put the stage `embedding` before"):
        stage.tally(TextBatch.from_texts(["a"]))
