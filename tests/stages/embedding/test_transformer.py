import numpy as np
import pytest

from stages.embedding.encoder import Settings, load
from stages.embedding.models import find
from stages.errors import AssetError, ConfigError, MissingPartError, StageError
from stages.text.batch import TextBatch
from tests.stages.embedding import tiny

torch = pytest.importorskip("torch", reason="pip install 'tamis[embedding]'")
pytest.importorskip("sentence_transformers", reason="pip install 'tamis[embedding]'")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

TEXTS = ["the cat sat", "", "a dog!", "unsitting cats, the dog's mat " * 40, "中文字 the", "\n\n", "x" * 500, "cat"]
CPU = Settings(device="cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.transformer_folder(tmp_path_factory.mktemp("transformer"))


@pytest.fixture
def batched(folder):
    """The encoder as it works on a GPU, on this machine's CPU."""
    from stages.embedding.transformer import TransformerEncoder

    encoder = TransformerEncoder(find(str(folder)), CPU)
    encoder.budget, encoder.is_batched = 256, True
    return encoder


def vectors(folder, texts, settings=CPU):
    return load(find(str(folder)), settings).encode(TextBatch.from_texts(texts)).vectors


def test_the_planner_knows_the_width_without_torch(folder):
    model = find(str(folder))
    assert (model.kind, model.dimension) == ("transformer", 32)


def test_vectors_are_those_of_sentence_transformers(folder):
    from sentence_transformers import SentenceTransformer

    texts = [text for text in TEXTS if text.strip()]
    theirs = SentenceTransformer(str(folder), device="cpu").encode(texts, batch_size=32)
    ours = vectors(folder, texts, Settings(device="cpu", pooling="first"))
    np.testing.assert_allclose(ours.astype(np.float32), theirs, atol=1e-3)


def test_a_vector_depends_on_its_document_alone(folder):
    together = vectors(folder, TEXTS)
    for row, text in enumerate(TEXTS):
        assert vectors(folder, [text])[0].tobytes() == together[row].tobytes()
    assert vectors(folder, TEXTS[::-1])[::-1].tobytes() == together.tobytes()


def test_long_documents_are_the_mean_of_their_windows(folder):
    encoder = load(find(str(folder)), CPU)
    encoded = encoder.encode(TextBatch.from_texts(TEXTS))
    assert encoded.windows.tolist() == [-(-count // 30) for count in encoded.tokens.tolist()]
    assert encoded.windows.max() > 10
    beginning = vectors(folder, TEXTS, Settings(device="cpu", pooling="first"))
    assert not np.allclose(beginning[3], encoded.vectors[3], atol=1e-2)
    assert np.isnan(encoded.vectors[[1, 5]]).all()


def test_batches_agree_to_rounding(folder, batched):
    alone = vectors(folder, TEXTS)
    together = batched.encode(TextBatch.from_texts(TEXTS)).vectors
    np.testing.assert_allclose(together.astype(np.float32), alone.astype(np.float32), atol=1e-3)
    counts = batched.counters()
    assert counts["tokens"] <= counts["padded_tokens"] <= 1.1 * counts["tokens"]


def test_out_of_memory_halves_the_budget_and_goes_on(folder, batched):
    forward, sizes = batched._forward, []

    def with_little_memory(ids, mask):
        sizes.append(len(ids))
        if ids.size > 70:
            raise torch.OutOfMemoryError("out of memory")
        return forward(ids, mask)

    batched._forward = with_little_memory
    together = batched.encode(TextBatch.from_texts(TEXTS)).vectors
    np.testing.assert_allclose(together.astype(np.float32), vectors(folder, TEXTS).astype(np.float32), atol=1e-3)
    assert batched.budget <= 70
    assert batched.counters()["halvings"] == 2
    assert sum(size * 32 > 70 for size in sizes) <= 5


def test_a_window_that_never_fits_is_an_error(batched):
    def without_memory(ids, mask):
        raise torch.OutOfMemoryError("out of memory")

    batched._forward = without_memory
    with pytest.raises(StageError, match="set window_tokens to less"):
        batched.encode(TextBatch.from_texts(TEXTS))


def test_windows_may_be_shorter(folder):
    short = load(find(str(folder)), Settings(device="cpu", window_tokens=12))
    assert short.capacity == 10
    with pytest.raises(ConfigError, match="no room for text"):
        load(find(str(folder)), Settings(device="cpu", window_tokens=12, prompt="the cat sat " * 5))


def test_a_prompt_comes_before_every_window(folder):
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(folder), device="cpu").encode(["the cat"], prompt="un dog ")
    ours = vectors(folder, ["the cat"], Settings(device="cpu", prompt="un dog "))
    np.testing.assert_allclose(ours.astype(np.float32), theirs, atol=1e-3)


def test_what_is_missing_is_said(folder, monkeypatch, tmp_path):
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="finds no such GPU"):
            load(find(str(folder)), Settings(device="cuda"))
    import shutil
    import sys

    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"")
    with pytest.raises(AssetError, match="cannot load the encoder"):
        load(find(str(broken)), CPU)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingPartError, match=r"pip install 'tamis\[embedding\]'"):
        load(find(str(folder)), Settings(device="cpu", token_budget=7))


def test_an_encoder_of_another_width_is_refused(folder, tmp_path):
    import json
    import shutil

    wrong = shutil.copytree(folder, tmp_path / "wrong")
    path = wrong / "1_Pooling" / "config.json"
    config = json.loads(path.read_text())
    key = "word_embedding_dimension" if "word_embedding_dimension" in config else "embedding_dimension"
    path.write_text(json.dumps(config | {key: 16}))
    with pytest.raises(AssetError, match="vectors of 32 numbers and not 16"):
        vectors(wrong, ["the cat"])
