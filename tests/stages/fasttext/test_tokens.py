"""What was seen before, and what else is in the batch, never changes a score; nothing is looked up twice."""

from __future__ import annotations

import fasttext
import numpy as np
import pytest
from hypothesis import given, settings

from stages.fasttext import model as model_file
from stages.fasttext import predict, tokens
from stages.text.batch import TextBatch
from tests.stages.fasttext.models import library_says, lines, save, train
from tests.strategies import documents

TEXTS = [text for _, text in lines(seed=5, num_lines=60)] + ["", "x" * 200, "</s> a", "ab " * 300]


@pytest.fixture(scope="module", params=["hierarchical_subwords", "softmax", "one_vs_all_trigrams"])
def model(request, tmp_path_factory):
    return model_file.load(str(save(tmp_path_factory.mktemp("model"), request.param)))


@pytest.fixture
def fresh(monkeypatch):
    """No vocabulary yet; call it to forget again."""
    monkeypatch.setattr(tokens, "_vocabularies", {})
    return tokens._vocabularies.clear


def scores(model, texts: list[str], kind: str) -> bytes:
    return predict.label_scores(model, TextBatch.from_texts(texts), model.labels, kind).tobytes()


@pytest.mark.parametrize("kind", ["whitespace", "words"])
def test_any_split_and_any_past_give_the_same_bytes(model, fresh, kind):
    together = scores(model, TEXTS, kind)
    assert scores(model, TEXTS, kind) == together  # warm
    fresh()
    assert scores(model, TEXTS[::-1], kind)  # another order of slots
    assert scores(model, TEXTS, kind) == together
    for size in (1, 7, 50):
        fresh()
        parts = [scores(model, TEXTS[i : i + size], kind) for i in range(0, len(TEXTS), size)]
        assert b"".join(parts) == together


@pytest.mark.parametrize("max_slots", [1, 2, 16, 64])
def test_a_vocabulary_without_room_gives_the_same_bytes(model, fresh, monkeypatch, max_slots):
    expected = scores(model, TEXTS, "whitespace"), scores(model, TEXTS, "words")
    monkeypatch.setattr(tokens.Vocabulary, "__init__", small(max_slots))
    fresh()
    assert (scores(model, TEXTS, "whitespace"), scores(model, TEXTS, "words")) == expected
    assert int(tokens._vocabularies["whitespace"].fill[0]) == max_slots


def small(max_slots):
    make = tokens.Vocabulary.__init__
    return lambda self, lower: make(self, lower, max_slots)


def test_a_memo_without_room_gives_the_same_bytes(model, fresh, monkeypatch):
    expected = scores(model, TEXTS, "whitespace")
    monkeypatch.setattr(tokens, "MAX_MEMO_BYTES", 400)
    fresh()
    assert scores(model, TEXTS, "whitespace") == expected


def test_a_full_vocabulary_is_given_up_when_the_text_is_another(model, fresh, monkeypatch):
    expected = scores(model, TEXTS, "words")
    monkeypatch.setattr(tokens.Vocabulary, "__init__", small(8))
    fresh()
    same = " ".join(f"word{i}" for i in range(20))
    batch = TextBatch.from_texts(["word0 word1 word2 word3 word4 word5 word6"])
    assert predict.label_scores(model, batch, model.labels, "words").shape
    first = tokens._vocabularies["words"]
    assert int(first.fill[0]) == 8
    scores(model, ["word1 word2 word3 word0 " * 5 + "word7"], "words")
    assert tokens._vocabularies["words"] is first  # one in 21 has no room
    scores(model, [same], "words")
    assert tokens._vocabularies["words"] is first  # most have none: known after the fact
    scores(model, [same], "words")
    assert tokens._vocabularies["words"] is not first
    assert predict.label_scores(model, TextBatch.from_texts(TEXTS), model.labels, "words").tobytes() == expected
    assert predict.label_scores(model, batch, model.labels, "words").shape  # a batch keeps its own


def test_dropped_documents_cost_nothing_again(model, monkeypatch):
    batch = TextBatch.from_texts(TEXTS)
    every = predict.label_scores(model, batch, model.labels, "words")
    predict.label_scores(model, batch, model.labels, "whitespace")
    monkeypatch.setattr(tokens.kernels_tokens, "intern", None)
    rows = np.arange(len(TEXTS))[::3]
    taken = batch.take(rows).with_signals({})
    assert np.array_equal(predict.label_scores(model, taken, model.labels, "words"), every[rows], equal_nan=True)


@given(documents())
@settings(max_examples=50, deadline=None)
def test_taken_documents_are_judged_as_before(texts):
    model = any_model()
    batch = TextBatch.from_texts(texts)
    for kind in ("whitespace", "words"):
        every = predict.label_scores(model, batch, model.labels, kind)
        rows = np.arange(len(texts))[::2]
        assert np.array_equal(predict.label_scores(model, batch.take(rows), model.labels, kind), every[rows], True)


def any_model():
    from stages.lid import lid176_path

    return model_file.load(str(lid176_path()))


def test_training_text_trains_what_words_reads(tmp_path):
    """The library on `training_text` and ours on the text itself say the same."""
    raw = [text.replace("a", "A").replace("б", "Б") + "!" for text in TEXTS]
    batch = TextBatch.from_texts(raw)
    library = train(tmp_path, minn=2, maxn=3, bucket=500, wordNgrams=2)
    library.save_model(str(tmp_path / "model.bin"))
    ours = model_file.load(str(tmp_path / "model.bin"))
    rows, found = predict.top_labels(ours, batch, 1, "words")
    for text, row, score in zip(tokens.training_text(batch), rows[:, 0], found[:, 0], strict=True):
        ((label, expected),) = library_says(fasttext.load_model(str(tmp_path / "model.bin")), text, 1)
        assert (ours.labels[row], score) == (label, pytest.approx(min(1, expected), abs=1e-4))


def test_the_fasttext_cut_of_text_is_the_library_s(tmp_path):
    """Words of a text as the library's own tokeniser gives them, by which of them are alone enough for a label."""
    library = train(tmp_path)
    for text in ("a\x0bb\x0cc\x00d\te\rf g", "\u00a0x\u3000y", "x\x1cy\x1fz", "</s> a", "a </s> b"):
        words = library.f.getLine(text + "\n", "strict")[0]
        slots = tokens.intern_spaced(TextBatch.from_texts([text]).utf8, tokens.Vocabulary(np.zeros(0, np.int32)))
        vocabulary = slots.vocabulary
        ours = [vocabulary.token_bytes[vocabulary.starts[s] : vocabulary.starts[s + 1]].tobytes() for s in slots.slot]
        ours = [word.decode() for word in ours]
        assert ours == words[: len(ours)]
        assert words[len(ours) :] in ([], ["</s>"])
