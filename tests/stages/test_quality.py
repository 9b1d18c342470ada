"""The quality judge: its features, its buckets, and what it says of plain cases."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.contract import run_stage
from stages.errors import StageError
from stages.heuristics.fineweb import FineWeb
from stages.heuristics.gopher import Gopher
from stages.quality import DEFAULT_MODEL, Quality, bucket_of, cut_points
from stages.quality_features import FEATURES, NEEDS, count_style, measure_features
from stages.quality_head import OTHER, fit_places, logit_of, read_head, sigmoid
from stages.text.batch import TextBatch
from tests import naive_quality
from tests.strategies import documents

ARTICLE = (
    "The river rises in the northern highlands and flows south for about 300 kilometres, past two reservoirs that were "
    "built in the 1930s. Its valley has been settled since the Bronze Age; remains of a bridge, probably Roman, were "
    "found near the present ferry in 1974.\n\n"
    "Floods were common until the upper dam was raised. The worst of them, in March 1891, destroyed the lower town and "
    "led to the first survey of the whole catchment, which was published eleven years later."
)
MENU = "\n".join(
    ["Home", "Sign In", "* News", "* Sport", "Weather Today", "Privacy Policy", "Terms of Use", "Contact Us"] * 4
)
SPAM = (
    "CONGRATULATIONS!!! You have WON a $1000 prize!!! Click http://prize.example.com NOW and claim your FREE gift!!! "
    "Don't wait, call us today!!! This offer is only for YOU and it is 100% FREE!!! Reply to win@prize.example.com!!!"
)


def measured(texts: list[str], languages: list[str | None] | None = None) -> TextBatch:
    """A batch with the signals that quality needs."""
    batch = TextBatch.from_texts(texts)
    if languages is not None:
        batch = batch.with_signals({"language.label": pa.array(languages, pa.string())})
    for stage in (Gopher(), FineWeb()):
        batch, _ = run_stage(stage, batch)
    return batch


def judge(texts: list[str], languages: list[str | None] | None = None) -> dict[str, list[float | None]]:
    stage, batch = Quality(), measured(texts, languages)
    _, columns = run_stage(stage, batch, stage.fit(batch))
    return {name: column.to_pylist() for name, column in columns.items()}


@settings(max_examples=150, deadline=None)
@given(documents())
def test_style_is_counted_as_its_twin_counts_it(texts):
    batch = TextBatch.from_texts(texts)
    counts = count_style(batch)
    for d in range(len(texts)):
        naive = naive_quality.style(batch, d)
        assert {name: int(column[d]) for name, column in counts.items()} == {
            name: naive.get(name, 0) for name in counts
        }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("This Is What It Looks Like When Shops Close", {"title_words": 9, "segment_words": 9}),
        ("British actress Emily Perry dies at 100", {"title_words": 0, "segment_words": 7}),
        ("Soooo good !!", {"stretched_words": 1, "exclamations": 2}),
        ("www.example.com 1,000... end", {"stretched_words": 1}),
        ("mail a@b.org or ftp://x", {"links": 2}),
        ("NASA and UNO, don't", {"upper_words": 2, "apostrophe_words": 1, "commas": 1}),
        ("Zwölf Boxkämpfer jagen", {"capital_inner_words": 1, "inner_words": 2}),
        ("私は Tokyo Tower が好き", {"title_words": 0, "inner_words": 6, "capital_inner_words": 2}),
        ("one\ntwo. three", {"segments": 3}),
    ],
)
def test_what_counts(text, expected):
    counts = count_style(TextBatch.from_texts([text]))
    assert {name: int(counts[name][0]) for name in expected} == expected


def test_a_text_without_words_looks_ordinary_and_has_no_score():
    batch = measured(["", " \n ", "?!"])
    for row in measure_features(batch)[:2]:
        for value, (name, feature) in zip(row, FEATURES.items(), strict=True):
            usual = np.log(feature.usual) if name == "segment_length" else feature.usual
            usual = np.sqrt(usual) if feature.root else usual
            assert value == pytest.approx(usual if feature.is_good else -usual), name
    answers = judge(["", " \n ", "?!"])
    assert answers["score"][:2] == answers["bucket"][:2] == answers["feature_score"][:2] == [None, None]
    assert answers["score"][2] is not None


def test_short_texts_are_judged_mildly():
    """What a title in capitals shows of a page of one line is little, of a page of a hundred lines much."""
    few, many = measure_features(
        measured(["Read More About Our Offers Today", "\n".join(["Read More About Our Offers Today"] * 100)])
    )
    title = list(FEATURES).index("title")
    assert many[title] < few[title] < -FEATURES["title"].usual


def test_articles_are_above_menus_and_spam():
    answers = judge([ARTICLE, MENU, SPAM])
    article, menu, spam = answers["score"]
    assert article > 0.8 > 0.3 > max(menu, spam)
    assert all(0 <= value <= 1 for name in ("classifier_score", "feature_score", "score") for value in answers[name])


def test_the_classifier_reads_english_alone():
    answers = judge([ARTICLE] * 4, ["en", "de", "xx", None])
    english, *others = answers["classifier_score"]
    assert english is not None
    assert others == [None, None, None]
    assert judge([ARTICLE])["classifier_score"] == [english], "without a language stage, text is taken as English"
    head = read_head(DEFAULT_MODEL.with_suffix(".json"))
    logit = head.features.logit(measure_features(measured([ARTICLE])))
    for language, score in zip(("de", OTHER), answers["score"][1:3], strict=True):
        place, home = head.places[language], head.places["en"]
        wanted = sigmoid(head.slope * (home.centre + (logit - place.centre) * place.scale) + head.bias)
        assert score == pytest.approx(float(wanted[0]), abs=1e-6)


def test_places_put_ordinary_text_of_each_language_in_one_place():
    rng = np.random.default_rng(0)
    logits = np.concatenate([rng.normal(1.0, 0.5, 4001), rng.normal(-3.0, 0.4, 4001)])
    languages = np.array(["en"] * 4001 + ["xx"] * 4001)
    places = fit_places(logits, languages, "en")
    assert (places["en"].centre, places["en"].scale) == (np.median(logits[:4001]), 1.0)
    moved = places["en"].centre + (logits[4001:] - places["xx"].centre) * places["xx"].scale
    assert np.quantile(moved, [0.1, 0.5, 0.9]) == pytest.approx(np.quantile(logits[:4001], [0.1, 0.5, 0.9]), abs=0.03)
    assert places[OTHER] == places["xx"]
    assert fit_places(logits, languages, "de") == {}


def test_a_missing_signal_says_which_stage_to_add():
    with pytest.raises(
        StageError, match=r"quality reads fineweb.line_count, which no earlier stage measured: put fineweb"
    ):
        run_stage(Quality(), TextBatch.from_texts([ARTICLE]), pa.table({"cut": pa.array([], pa.float32())}))
    assert set(NEEDS) == set(Quality.needs)


SCORES = st.lists(
    st.tuples(st.one_of(st.just(float("nan")), st.integers(0, 30).map(lambda i: i / 32)), st.integers(0, 99))
)


@given(SCORES)
def test_cuts_hold_their_share_of_bytes(rows):
    scores, sizes = np.array([s for s, _ in rows], np.float32), np.array([n for _, n in rows], np.int64)
    cuts = cut_points(scores, sizes)
    counted = [(float(s), n) for s, n in rows if s == s and n > 0]
    if not counted:
        assert len(cuts) == 0
        return
    total = sum(n for _, n in counted)
    naive = [
        min(cut for cut, _ in counted if 20 * sum(n for score, n in counted if score <= cut) >= i * total)
        for i in range(1, 20)
    ]
    assert cuts.tolist() == naive
    buckets = bucket_of(scores, cuts).to_pylist()
    assert buckets == [None if score != score else sum(cut < score for cut in naive) for score in scores.tolist()]


def test_buckets_of_many_documents_are_twentieths_by_bytes():
    rng = np.random.default_rng(0)
    scores, sizes = rng.random(5000).astype(np.float32), rng.integers(1, 5000, 5000)
    buckets = bucket_of(scores, cut_points(scores, sizes)).to_numpy()
    held = np.bincount(buckets, sizes, 20) / sizes.sum()
    assert held == pytest.approx(np.full(20, 0.05), abs=0.001)
    assert bucket_of(scores, np.empty(0, np.float32)).null_count == 5000


def test_the_stage_learns_its_cuts_from_the_corpus():
    stage = Quality()
    batch = measured([ARTICLE, MENU, SPAM, f"{ARTICLE} {ARTICLE}", ""])
    cuts = stage.fit(batch)
    assert len(cuts["cut"]) == 19
    _, columns = run_stage(stage, batch, cuts)
    article, menu, spam, twice, empty = columns["bucket"].to_pylist()
    assert max(menu, spam) < min(article, twice)
    assert empty is None
    assert len(stage.fit(measured([]))["cut"]) == 0


def test_logits_are_bounded():
    assert logit_of(np.array([0.0, 1.0, 0.5])) == pytest.approx([-8, 8, 0], abs=1e-9)
    assert np.isnan(logit_of(np.array([np.nan]))).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is missing; `tamis train quality` writes it"),
        ("{", "does not hold the numbers"),
        ('{"features": {}}', "does not hold the numbers"),
        ("nan", "numbers that are not finite"),
    ],
)
def test_a_damaged_head_is_a_clear_error(tmp_path, content, message):
    model = tmp_path / "own.ftz"
    shutil.copy(DEFAULT_MODEL, model)
    if content == "nan":
        numbers = json.loads(DEFAULT_MODEL.with_suffix(".json").read_text()) | {"slope": float("nan")}
        content = json.dumps(numbers)
    if content is not None:
        (tmp_path / "own.json").write_text(content)
    with pytest.raises(StageError, match=message):
        Quality(model=str(model)).setup()


def test_models_are_small_and_part_of_the_fingerprint(tmp_path):
    assert DEFAULT_MODEL.stat().st_size < 2_000_000
    assert set(Quality().assets()) == {"model", "head"}
    with pytest.raises(StageError, match="cannot be read"):
        Quality(model=str(tmp_path / "none.ftz")).assets()
