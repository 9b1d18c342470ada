"""The parts of training: rows, weights, features, fit, file, metrics, head."""

from __future__ import annotations

import json

import fasttext
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.training.features import Features, Shape
from pipeline.training.head import apply_head, fit_head
from pipeline.training.linear import Schedule, fit, logits
from pipeline.training.metrics import auc, confusion, expected_calibration_error, reliability
from pipeline.training.model_file import quantise, write_model
from pipeline.training.rows import balanced_weights, read_rows
from pipeline.training.search import folds, group_aucs, is_covered, leave_one_source_out, search
from stages.errors import InputError, MissingInputError
from stages.fasttext.model import load
from stages.fasttext.predict import label_scores
from stages.fasttext.tokens import training_text
from stages.text.batch import TextBatch
from tests import naive_training
from tests.pipeline.training.rows import labelled, write
from tests.strategies import documents

SMALL = Shape(minn=2, maxn=3, num_buckets=500, min_count=1)


def test_rows_from_both_formats(tmp_path):
    columns = {"text": ["a", "b", None, "c"], "label": [1, 0, 1, 1], "lang": ["en", None, "en", "de"]}
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in pa.table(columns).to_pylist()))
    for name in ("rows.parquet", "rows.jsonl"):
        rows = read_rows(tmp_path / name)
        assert rows.texts.to_pylist() == ["a", "b", "c"]
        assert rows.labels.tolist() == [True, False, True]
        assert rows.languages.tolist() == ["en", "unknown", "de"]
        assert rows.sources.tolist() == ["unknown"] * 3


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"text": ["a"]}, MissingInputError, "has no column 'label'; its columns are text"),
        ({"label": [1]}, MissingInputError, "has no column 'text'"),
        ({"text": ["a", "b"], "label": [1, 1]}, InputError, "of 2 rows 2 are positive .* and 0 are not"),
        ({"text": pa.array([], pa.string()), "label": pa.array([], pa.int8())}, InputError, "of 0 rows"),
    ],
)
def test_rows_that_cannot_be_trained_on(tmp_path, columns, error, message):
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    with pytest.raises(error, match=message):
        read_rows(tmp_path / "rows.parquet")


def test_a_label_of_no_class_is_named(tmp_path):
    pq.write_table(pa.table({"text": ["a", "b", "c"], "label": ["1", "0", "toxic"]}), tmp_path / "rows.parquet")
    assert read_rows(tmp_path / "rows.parquet").labels.tolist() == [True, False, False]
    with pytest.raises(InputError, match=r"label 'toxic' is neither positive \(1, .*\) nor negative \(0\)"):
        read_rows(tmp_path / "rows.parquet", negative=("0",))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(MissingInputError, match="there is no file"):
        read_rows(tmp_path / "nothing.parquet")
    for name in ("broken.parquet", "broken.jsonl"):
        (tmp_path / name).write_text("{not a table")
        with pytest.raises(InputError, match=r"cannot be read as Parquet or JSON lines"):
            read_rows(tmp_path / name)


def test_weights_balance_labels_within_sources_and_languages():
    rows = labelled()
    weights = balanced_weights(rows)
    assert weights.mean() == pytest.approx(1)
    for members in rows.groups().values():
        labels = rows.labels[members]
        if labels.any() and not labels.all():
            assert weights[members][labels].sum() == pytest.approx(weights[members][~labels].sum())
    single = rows.take(rows.sources == "single")
    assert single.labels.all()
    assert weights[rows.sources == "single"].max() < weights[rows.sources == "a"].min()


@given(documents(), st.sampled_from([SMALL, Shape(minn=1, maxn=4, word_ngrams=3, num_buckets=97, min_count=2),
                                     Shape(minn=0, maxn=0, word_ngrams=2, num_buckets=50, min_count=1)]))  # fmt: skip
@settings(deadline=None, max_examples=150)
def test_features_equal_their_twin(texts, shape):
    lines = training_text(TextBatch.from_texts(texts)) if texts else []
    features = Features.of(lines, shape)
    for d, line in enumerate(lines):
        expected = naive_training.rows(
            line, list(features.words), shape.minn, shape.maxn, shape.word_ngrams, shape.num_buckets
        )
        assert features.rows[features.begin[d] : features.end[d]].tolist() == expected


def test_one_pass_equals_its_twin():
    rows = labelled()
    lines = training_text(rows.batch())
    features = Features.of(lines, SMALL)
    weights = balanced_weights(rows)
    weights[3] = 0
    values = fit(features, rows.labels, weights, Schedule(epochs=1, step=0.5), seed=4)
    order = np.random.default_rng(4).permutation(np.flatnonzero(weights)).tolist()
    texts = [features.rows[a:b].tolist() for a, b in zip(features.begin, features.end, strict=True)]
    expected = naive_training.fit_pass(texts, order, rows.labels.tolist(), weights.tolist(), 0.5, features.num_rows)
    np.testing.assert_allclose(values, expected, rtol=1e-9)


@pytest.mark.parametrize("word_ngrams", [1, 2])
def test_the_file_says_what_was_trained(tmp_path, word_ngrams):
    """Our inference and the library read the file alike, and its scores are those of the training."""
    rows = labelled()
    lines = training_text(rows.batch())
    features = Features.of(lines, SMALL.model_copy(update={"word_ngrams": word_ngrams}))
    values = fit(features, rows.labels, balanced_weights(rows), Schedule(epochs=3))
    size = write_model(tmp_path / "model.ftz", features, values, (3, 5))
    assert size == (tmp_path / "model.ftz").stat().st_size < 20_000
    ours = label_scores(load(str(tmp_path / "model.ftz")), rows.batch(), ["1"], tokens="words")[:, 0]
    trained = 1 / (1 + np.exp(-logits(features, values)))
    np.testing.assert_allclose(ours, trained, atol=0.02)
    library = fasttext.load_model(str(tmp_path / "model.ftz"))
    for line, score in zip(lines, ours, strict=True):
        found = {label: value for value, label in library.f.predict(line + "\n", 2, 0.0, "strict")}
        assert found["__label__1"] == pytest.approx(score, abs=1e-4)


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=60))
@settings(deadline=None)
def test_quantised_values_are_near(values):
    array = np.where(np.abs(values) < 1e-6, 0, values)
    codes, levels = quantise(array)
    assert np.all(np.diff(levels) >= 0)
    assert np.all(levels[codes][array == 0] == 0)
    unit = np.median(np.abs(array[array != 0])) if array.any() else 1
    step = np.max(np.diff(np.arcsinh(levels.astype(float) / unit)))
    assert np.all(np.abs(np.arcsinh(levels[codes] / unit) - np.arcsinh(array / unit)) <= step / 2 + 1e-3)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.5, 0.9])), max_size=30))
def test_auc_by_counting_pairs(pairs):
    labels, scores = np.array([a for a, _ in pairs], bool), np.array([b for _, b in pairs])
    wins = [(a > b) + (a == b) / 2 for a in scores[labels] for b in scores[~labels]]
    assert auc(labels, scores) == pytest.approx(np.mean(wins) if wins else np.nan, nan_ok=True)


def test_confusion_and_reliability():
    labels, scores = np.array([True, True, False, False]), np.array([0.95, 0.2, 0.95, 0.25])
    assert list(confusion(labels, scores > 0.5).values()) == [1, 1, 1, 1]
    assert reliability(labels, scores, np.ones(4)) == [
        (pytest.approx(0.225), pytest.approx(0.5), 2), (pytest.approx(0.95), pytest.approx(0.5), 2)
    ]  # fmt: skip
    assert expected_calibration_error(labels, scores, np.ones(4)) == pytest.approx((0.55 + 0.9) / 4)


def test_a_head_finds_what_made_the_labels():
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(20_000, 2))
    labels = rng.random(20_000) < 1 / (1 + np.exp(-(0.5 + columns @ [2.0, -1.0])))
    head = fit_head(columns, labels, np.ones(20_000), l2=1e-6)
    np.testing.assert_allclose(head, [0.5, 2, -1], atol=0.1)
    assert apply_head(np.array([[0.0, 0.0], [1e5, 0.0]]), head) == pytest.approx([1 / (1 + np.exp(-head[0])), 1])


def test_leaving_a_source_out_uses_nothing_of_it():
    """Change the labels of one source: its own scores stay, others' change."""
    rows = labelled()
    features = Features.of(training_text(rows.batch()), SMALL)
    usable = np.ones(len(rows), bool)
    before = leave_one_source_out(features, rows, usable, Schedule(epochs=1))
    flipped = rows.take(np.arange(len(rows)))
    own = rows.sources == "a"
    flipped.labels[own] = ~flipped.labels[own]
    after = leave_one_source_out(features, flipped, usable, Schedule(epochs=1))
    assert np.array_equal(before[own], after[own])
    assert not np.array_equal(before[~own], after[~own])
    assert is_covered(rows, usable, "a", "en")
    assert not is_covered(rows, usable, "b", "de")
    assert set(group_aucs(rows, before)) == {("a", "en"), ("b", "en"), ("b", "de")}


def test_one_source_alone_is_split_by_hash():
    rows = labelled()
    alone = rows.take(rows.sources == "b")
    assert 1 < len(set(folds(alone).tolist())) <= 5


def test_the_search_stops_when_its_time_is_up():
    rows = labelled()
    trials = [(SMALL, Schedule(epochs=1)), (SMALL, Schedule(epochs=2))]
    texts, usable = training_text(rows.batch()), np.ones(len(rows), bool)
    lines: list[str] = []
    assert len(search(texts, rows, usable, trials, 0, lines.append).trials) == 1
    assert lines[-1] == "time is up after 1 settings"
    found = search(texts, rows, usable, trials, 60)
    assert found.best.mean_auc == max(trial.mean_auc for trial in found.trials)


def test_written_rows_come_back(tmp_path):
    rows = read_rows(write(tmp_path / "rows.parquet", labelled()))
    assert rows.texts.to_pylist() == labelled().texts.to_pylist()
