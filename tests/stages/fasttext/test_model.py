"""Files: what is damaged or foreign is an error that says so, and nothing is read that is not asked for."""

from __future__ import annotations

import contextlib
import struct

import fasttext
import numpy as np
import pytest

from stages.errors import StageError
from stages.fasttext import model as model_file
from stages.fasttext import predict
from stages.text.batch import TextBatch
from tests.stages.fasttext.models import NUM_THREADS, library_says, save, train, training_file


@pytest.mark.parametrize("name", ["hierarchical_subwords", "quantised/norms_apart", "quantised/pruned"])
def test_a_file_cut_anywhere_is_an_error(name, tmp_path):
    data = save(tmp_path, name).read_bytes()
    for size in (0, 1, 7, 8, 20, 63, 64, 70, 95, 96, 200, 900, len(data) // 2, len(data) - 5000, len(data) - 1):
        cut = tmp_path / f"{size}.bin"
        cut.write_bytes(data[:size])
        with pytest.raises(StageError, match=f"{size}.bin is (not|a damaged) a? ?fastText model"):
            model_file.load(str(cut))


def test_bytes_that_are_wrong_are_an_error(tmp_path):
    path = save(tmp_path, "quantised/pruned")
    data = path.read_bytes()
    places = {8: "dimensions", 32: "loss", 64: "entries", 68: "entries", 72: "entries"}
    for place, word in places.items():
        wrong = bytearray(data)
        wrong[place : place + 4] = struct.pack("<i", -5)
        (tmp_path / f"wrong{place}.bin").write_bytes(wrong)
        with pytest.raises(StageError, match=word):
            model_file.load(str(tmp_path / f"wrong{place}.bin"))
    rng = np.random.default_rng(0)
    for place in rng.integers(8, len(data), 200).tolist():  # anything may come of it but a crash
        wrong = bytearray(data)
        wrong[place] ^= 0xFF
        (tmp_path / "flipped.bin").write_bytes(wrong)
        with contextlib.suppress(StageError):
            model = model_file.load(str(tmp_path / "flipped.bin"))
            predict.top_labels(model, TextBatch.from_texts(["abc def", "的一 是"]), 2)


def test_foreign_files_are_named(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing of the kind, but long enough")
    with pytest.raises(StageError, match=r"notes\.txt is not a fastText model"):
        model_file.load(str(tmp_path / "notes.txt"))
    with pytest.raises(StageError, match="there is no model file"):
        model_file.load(str(tmp_path / "other.bin"))


def test_an_unknown_version_is_named(tmp_path):
    data = bytearray(save(tmp_path, "softmax").read_bytes())
    data[4:8] = struct.pack("<i", 13)
    (tmp_path / "new.bin").write_bytes(data)
    with pytest.raises(StageError, match="of version 13; known are"):
        model_file.load(str(tmp_path / "new.bin"))


def test_word_vectors_are_no_classifier(tmp_path):
    vectors = fasttext.train_unsupervised(
        str(training_file(tmp_path / "t.txt")),
        model="skipgram",
        dim=10,
        bucket=100,
        epoch=1,
        thread=NUM_THREADS,
        verbose=0,
    )
    vectors.save_model(str(tmp_path / "vectors.bin"))
    with pytest.raises(StageError, match="word vectors without labels"):
        model_file.load(str(tmp_path / "vectors.bin"))


def test_a_label_that_is_not_there_is_named(tmp_path):
    model = model_file.load(str(save(tmp_path, "softmax")))
    batch = TextBatch.from_texts(["abc"])
    assert np.array_equal(
        predict.label_scores(model, batch, ["__label__en", "en"])[:, 0],
        predict.label_scores(model, batch, ["en"])[:, 0],
    )
    with pytest.raises(StageError, match="has no label 'fr'; its 6 labels are"):
        predict.label_scores(model, batch, ["fr"])


def test_a_file_is_read_once_and_again_when_it_changes(tmp_path):
    path = str(save(tmp_path, "softmax"))
    first = model_file.load(path)
    assert model_file.load(path) is first
    train(tmp_path, num_labels=20).save_model(path)
    assert len(model_file.load(path).labels) == 20


@pytest.mark.parametrize("prefix", ["", "x", "xy", "xyz"])
def test_matrices_may_lie_at_any_byte(prefix, tmp_path):
    """A dense matrix is read where the file has it: aligned or not."""
    data = tmp_path / "t.txt"
    training_file(data)
    data.write_text(data.read_text().replace("__label__en", f"__label__en{prefix}"))
    library = fasttext.train_supervised(
        str(data), dim=10, minCount=1, thread=NUM_THREADS, verbose=0, minn=2, maxn=3, bucket=200
    )
    library.save_model(str(tmp_path / "model.bin"))
    model = model_file.load(str(tmp_path / "model.bin"))
    assert model.input.dense.base is not None
    assert isinstance(model.input.dense.base.base, np.memmap) or not model.input.dense.flags.owndata
    rows, scores = predict.top_labels(model, TextBatch.from_texts(["abc ab", "的一"]), 1)
    for text, row, score in zip(["abc ab", "的一"], rows[:, 0], scores[:, 0], strict=True):
        ((label, expected),) = library_says(library, text, 1)
        assert (model.labels[row], score) == (label, pytest.approx(min(1, expected), abs=1e-4))


def test_labels_of_another_prefix_are_labels(tmp_path):
    data = tmp_path / "t.txt"
    training_file(data)
    data.write_text(data.read_text().replace("__label__", "#"))
    library = fasttext.train_supervised(str(data), label="#", dim=10, minCount=1, thread=NUM_THREADS, verbose=0)
    library.save_model(str(tmp_path / "model.bin"))
    model = model_file.load(str(tmp_path / "model.bin"))
    assert set(model.labels) >= {"#en", "#de"}
    rows, scores = predict.top_labels(model, TextBatch.from_texts(["#en", "#en abc", "abc"]), 1)
    for text, row, score in zip(["#en", "#en abc", "abc"], rows[:, 0], scores[:, 0], strict=True):
        ((label, expected),) = library_says(library, text, 1)
        assert (model.labels[row], score) == (label, pytest.approx(min(1, expected), abs=1e-4))
