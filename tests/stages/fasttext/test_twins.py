"""Scores equal those of a slow twin on any text, both ways to cut it into tokens."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings

from stages.fasttext import model as model_file
from stages.fasttext import predict, tokens
from stages.text.batch import TextBatch
from tests import naive_fasttext as naive
from tests.stages.fasttext.models import KINDS, lines, save
from tests.strategies import documents

MIXED = ["ABC Äö ÜSS def", "İstanbul ǅ ΣΑΣ ẞ Ⱥ", "a.b 3,14 __label__en </s> x", "的一是，在不了。"]


@pytest.fixture(scope="module", params=KINDS)
def pair(request, tmp_path_factory):
    """A model of ours and the twin's, from the same file."""
    path = save(tmp_path_factory.mktemp("model"), request.param)
    return model_file.load(str(path)), naive.read(path)


def assert_same(pair, texts: list[str]) -> None:
    ours, twin = pair
    assert list(ours.labels) == twin.labels
    batch = TextBatch.from_texts(texts)
    for kind, cut in (("whitespace", naive.whitespace_tokens), ("words", naive.word_tokens)):
        scores = predict.label_scores(ours, batch, ours.labels, kind)
        for text, row in zip(texts, scores.tolist(), strict=True):
            expected = twin.probabilities(cut(text)) if cut(text) else None
            if expected is None:
                assert all(map(math.isnan, row)), (kind, text)
            elif twin.loss in (naive.NEGATIVE, naive.ONE_VS_ALL):  # a sum near a step of the table falls on either side
                assert row == pytest.approx(expected, abs=1 / 128 + 1e-5), (kind, text)
            else:
                assert row == pytest.approx(expected, abs=1e-5), (kind, text)


def test_on_lines(pair):
    assert_same(pair, [text for _, text in lines(seed=3, num_lines=20)] + MIXED + ["ab" * 200 + "é"])


@given(documents())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_on_any_text(pair, texts):
    assert_same(pair, texts)


@given(documents())
@settings(max_examples=100, deadline=None)
def test_training_text_is_the_tokens_that_models_read(texts):
    batch = TextBatch.from_texts(texts)
    assert tokens.training_text(batch) == [" ".join(naive.word_tokens(text)) for text in texts]
