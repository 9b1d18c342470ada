import dataclasses

import numpy as np
import pytest

from pipeline.training import embedding, train
from pipeline.training.metrics import auc
from pipeline.training.rows import balanced_weights
from stages.contract import run_stage
from stages.embedding.head import read_head
from stages.embedding.models import find
from stages.embedding.stage import Embedding
from stages.errors import AssetError, ConfigError, InputError
from stages.nsfw import Nsfw
from stages.text.batch import TextBatch
from tests.pipeline.training.rows import labelled, write
from tests.stages.embedding import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.static_folder(tmp_path_factory.mktemp("encoder") / "model")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    home = tmp_path_factory.mktemp("rows")
    return str(write(home / "train.parquet", labelled(0))), str(write(home / "test.parquet", labelled(1)))


def judge_of(rows, columns) -> embedding.Judge:
    everything = np.ones(len(rows), np.bool_)

    def weights(chosen):
        out = np.zeros(len(rows))
        out[chosen] = balanced_weights(rows.take(chosen))
        return out

    return embedding.Judge(rows, everything, columns, weights, everything)


def test_joining_is_judged_on_unseen_sources():
    """What tells the label in one source alone promises nothing elsewhere."""
    rng = np.random.default_rng(1)
    rows = labelled()
    truth, of_a = rows.labels * 2.0 - 1, rows.sources == "a"
    vectors = rng.normal(size=(len(rows), 4))
    vectors[:, 0] += 2 * truth
    vectors[:, 1] += np.where(of_a, 2 * truth, 0)
    vectors = vectors.astype(np.float16)
    judge = judge_of(rows, rng.normal(size=(len(rows), 1)) + 0.2 * truth[:, None])
    joined = embedding.join(judge, vectors, "toy:1")
    assert auc(rows.labels, joined.without) < 0.75 < auc(rows.labels, joined.score)
    bias, weights = embedding.fit_vectors(vectors, rows.labels, judge.weights(~of_a))
    expected = np.clip(bias + vectors[of_a].astype(float) @ weights, -8, 8)
    np.testing.assert_allclose(joined.alone[of_a], expected, atol=1e-9)
    whole = embedding.fit_vectors(vectors, rows.labels, judge.weights(judge.usable))
    assert auc(rows.labels[of_a], whole[0] + vectors[of_a].astype(float) @ whole[1]) > auc(
        rows.labels[of_a], joined.alone[of_a]
    )


def test_a_head_that_learned_its_sources_is_not_heard():
    """Each source has one label, and a direction of its own: nothing carries over."""
    rows = labelled()
    one_label = dataclasses.replace(rows, labels=rows.sources != "a")
    vectors = np.zeros((len(rows), 3), np.float16)
    vectors[np.arange(len(rows)), np.unique(rows.sources, return_inverse=True)[1]] = 1
    columns = (one_label.labels * 1.0 + np.random.default_rng(0).normal(size=len(rows)))[:, None]
    joined = embedding.join(judge_of(one_label, columns), vectors, "toy:1")
    assert joined.head.join[-1] == 0
    assert joined.head.join[1] > 0


def test_a_head_for_nsfw(files, folder, tmp_path):
    lines = []
    model = tmp_path / "mine.npz"
    train("nsfw", *files, model, 0, ("CC-BY-SA",), lines.append, features="embedding", encoder=str(folder))
    head = read_head(model)
    assert head.encoder == find(str(folder)).identity
    assert len(head.weights) == 24
    assert len(head.join) == 4
    card = (tmp_path / "mine.md").read_text()
    assert "| b | de, en | CC-BY-SA-4.0 |" in card
    assert "| no |" in card
    assert "mean over sources and languages" in card
    assert "wrote" in lines[-1]
    batch = TextBatch.from_texts(["en bread grumpf river", "en bread river window"])
    for stage in (Embedding(model=str(folder)), Nsfw(embedding_head=str(model))):
        batch, _ = run_stage(stage, batch)
    rude, polite = batch.signals["nsfw.embedding_score"].to_pylist()
    assert rude > polite


def test_wrong_requests(files, folder, tmp_path):
    for arguments, message in [
        (("m.ftz", {"features": "embedding"}), r"should end in \.npz"),
        (("m.npz", {}), r"should end in \.ftz"),
        (("m.npz", {"features": "wordz"}), "words or embedding, not wordz"),
    ]:
        with pytest.raises(ConfigError, match=message):
            train("nsfw", *files, tmp_path / arguments[0], 0, (), print, **arguments[1])
    with pytest.raises(AssetError, match="there is no encoder 'nothing'"):
        train("nsfw", *files, tmp_path / "m.npz", 0, (), print, features="embedding", encoder="nothing")
    with pytest.raises(InputError, match="one class is left"):
        train("nsfw", *files, tmp_path / "m.npz", 0, ("",), print, features="embedding", encoder=str(folder))
