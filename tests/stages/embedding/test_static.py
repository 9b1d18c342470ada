import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from stages.embedding.encoder import encode, load
from stages.embedding.models import EmbeddingModel, find, read_table
from stages.embedding.static import StaticEncoder
from stages.errors import AssetError
from stages.fasttext import tokens
from stages.text.batch import TextBatch
from stages.text.unicode_lower import lower
from tests.naive_embedding import mean_vector
from tests.stages.embedding import tiny
from tests.strategies import documents


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.static_folder(tmp_path_factory.mktemp("static") / "model")


def words_of(text: str, folds_case: bool = True) -> list[str]:
    """The words and marks of the shared pass, in lower case by the table of single code points."""
    batch = TextBatch.from_texts([text])
    data = text.encode()
    found = [data[a:b].decode() for a, b in zip(batch.words.start, batch.words.stop, strict=True)]
    table = lower()
    fold = lambda char: chr(table[ord(char)]) if ord(char) < len(table) else char  # noqa: E731
    return ["".join(map(fold, word)) for word in found] if folds_case else found


@settings(max_examples=60, deadline=None)
@given(texts=documents())
def test_it_is_the_mean_of_the_pieces(folder, texts):
    encoder = load(find(str(folder)))
    encoded = encoder.encode(TextBatch.from_texts(texts))
    table, tokenizer = tiny.rows(), tiny.tokenizer()
    for row, text in enumerate(texts):
        expected = mean_vector(words_of(text), tokenizer, table)
        if expected is None:
            assert np.isnan(encoded.vectors[row]).all()
        else:
            np.testing.assert_allclose(encoded.vectors[row].astype(np.float64), expected, atol=1e-3)


def test_words_without_a_slot_count_the_same(folder, monkeypatch):
    """Long ones, and all that come when the vocabulary is full."""
    texts = ["cats " + "unCAT" * 30 + " sat", "", "The DOG " + "É" * 80, "mat İ"]
    usual = encode(str(folder), texts)
    encoder = StaticEncoder(find(str(folder)))
    monkeypatch.setattr(tokens, "_vocabularies", {"words": tokens.Vocabulary(lower(), max_slots=2)})
    full = encoder.encode(TextBatch.from_texts(texts)).vectors
    assert usual.tobytes() == full.tobytes()


def test_dropped_documents_take_their_words_along(folder):
    texts = ["x" * 100 + " cat", "", "dog " + "y" * 100, "mat", "z" * 90]
    batch = TextBatch.from_texts(texts)
    encoder = load(find(str(folder)))
    whole = encoder.encode(batch).vectors
    rows = np.array([4, 1, 2])
    assert encoder.encode(batch.take(rows)).vectors.tobytes() == whole[rows].tobytes()


def test_case_counts_where_the_tokenizer_knows_it(tmp_path):
    folder = tiny.static_folder(tmp_path / "cased", lowercase=False)
    assert load(find(str(folder))).tokens == "cased words"
    vectors = encode(str(folder), ["the cat", "The cat"])
    assert not np.allclose(vectors[0], vectors[1])


def test_vectors_are_those_of_sentence_transformers(folder):
    library = pytest.importorskip("sentence_transformers", reason="pip install 'tamis[embedding]'")
    texts = ["The cats sat, unsitting!", "dog-mat's 中文字 cat", "Größe 3.14?", "a " * 3000]
    theirs = library.SentenceTransformer(str(folder), device="cpu").encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(encode(str(folder), texts).astype(np.float32), theirs, atol=1e-3)


def test_the_default_tells_meanings_apart():
    cat, kitten, tax = encode("static", ["A cat sleeps.", "A kitten is sleeping.", "Taxes rise again."]).astype(float)
    assert cat @ kitten > 0.5 > 0.3 > cat @ tax


def test_counters_are_drained(folder):
    encoder = load(find(str(folder)))
    encoder.counters()
    encoder.encode(TextBatch.from_texts(["the cat sat", "cats"]))
    assert encoder.counters() == {"tokens": 5}
    assert encoder.counters() == {"tokens": 0}


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_tables_in_half_precision_are_read(tmp_path, dtype):
    import json
    import struct

    values = np.array([[1.5, -2.0], [0.25, 3.0]], np.float32)
    raw = values.astype(np.float16).tobytes() if dtype == "F16" else (values.view(np.uint32) >> 16).astype(np.uint16)
    entry = {"dtype": dtype, "shape": [2, 2], "data_offsets": [0, 8]}
    header = json.dumps({"embeddings": entry}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(raw))
    assert (read_table(path) == values).all()
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(AssetError, match="cut off"):
        read_table(path)


def test_what_is_no_table_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    for content in (b"", b"\x02\0\0\0\0\0\0\0{}", b"\xff" * 30):
        path.write_bytes(content)
        with pytest.raises(AssetError, match="no table"):
            read_table(path)


def test_a_broken_tokenizer_is_named(tmp_path):
    folder = tiny.static_folder(tmp_path / "model")
    (folder / "0_StaticEmbedding" / "tokenizer.json").write_text("{}")
    with pytest.raises(AssetError, match=r"tokenizer\.json is no tokenizer"):
        load(find(str(folder)))


def test_a_model_is_known_by_its_content(folder, tmp_path):
    model = find(str(folder))
    assert (model.kind, model.dimension) == ("static", 24)
    other = find(str(tiny.static_folder(tmp_path / "model", width=8)))
    assert other.dimension == 8
    assert other.identity.startswith("model:")
    assert other.identity != model.identity
    assert isinstance(model, EmbeddingModel)
    assert pa.list_(pa.float16(), 8) == pa.list_(pa.float16(), other.dimension)
