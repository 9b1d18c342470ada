"""Labels and scores are those of the fastText library, for every kind of model that it can train."""

from __future__ import annotations

import math

import fasttext
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from stages.fasttext import model as model_file
from stages.fasttext import predict
from stages.text.batch import TextBatch
from tests.stages.fasttext.models import KINDS, library_says, lines, save
from tests.strategies import documents

ODD = [
    "",
    " ",
    "\n\t\r\v\f\x00",
    "unknownword",
    "a\x00b\x00c",
    "abc\x00\x00def",
    "__label__en",
    "__label__en __label__nobody abc",
    "__label__ abc",
    "</s>",
    "abc </s> def",
    "</s> abc",
    "\u00a0", "\u3000", "\u2028", "\x1c", "\x85",
    "a" * 1000,
    "的" * 500,
    "abc " * 5000,
    "<abc> <> > <",
    "abc\ndef\r\nghi\n",
    "😀👍🏽 é\u0301",
    "\x01\x02 \x1f",
    "exactly8 exactly16bytes!! sevenby nine_byte",
]  # fmt: skip
STEP = 1 / 32 / 4 + 1e-4
"""Of the library's table of the logistic function: sums that differ in the last bit may fall on either side of one."""


@pytest.fixture(scope="module", params=KINDS)
def pair(request, tmp_path_factory):
    """A model of ours and the library's, from the same file."""
    path = str(save(tmp_path_factory.mktemp("model"), request.param))
    return model_file.load(path), fasttext.load_model(path)


def assert_same(pair, texts: list[str]) -> None:
    ours, library = pair
    k = min(3, len(ours.labels))
    batch = TextBatch.from_texts(texts)
    rows, scores = predict.top_labels(ours, batch, k)
    every = predict.label_scores(ours, batch, ours.labels)
    table = ours.output.loss in (2, 4)
    for text, row, score, of_label in zip(texts, rows, scores, every, strict=True):
        expected = library_says(library, text, k)
        if not text.strip(" \n\t\r\v\f\x00"):
            assert (row == -1).all(), repr(text)
            assert np.isnan(score).all()
            assert np.isnan(of_label).all()
            continue
        found = [(ours.labels[i], value) for i, value in zip(row, score, strict=True) if i >= 0]
        assert len(found) == len(expected), (text[:80], found, expected)
        for rank, ((label, value), (library_label, library_value)) in enumerate(zip(found, expected, strict=True)):
            assert value == pytest.approx(min(1, library_value), abs=STEP if table else 1e-4), (text[:80], rank)
            named = of_label[ours.labels.index(library_label)]
            assert named == pytest.approx(min(1, library_value), abs=STEP if table else 1e-4)
            if label != library_label:  # only where the two are as good as equal
                gap = STEP if table and value != pytest.approx(library_value, abs=1e-6) else 1e-6
                assert math.isclose(named, value, abs_tol=gap), (text[:80], rank, found, expected)


def test_on_lines_like_those_it_was_trained_on(pair):
    assert_same(pair, [text for _, text in lines(seed=7, num_lines=300)])


def test_on_odd_text(pair):
    assert_same(pair, ODD)


@given(documents())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_on_any_text(pair, texts):
    assert_same(pair, texts)
