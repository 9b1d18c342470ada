"""Bounds that cut off of one sample what a known one cuts off of another."""

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from pipeline.analysis.calibrate import calibrate, calibrate_table, text_bounds
from pipeline.analysis.quantiles import beyond, match_quantile, rounded
from pipeline.config import load_config
from pipeline.terminal_compare import picture, print_calibration, span
from stages.errors import ConfigError
from tests import naive_drift as naive

numbers = st.lists(st.floats(0, 9).map(lambda x: round(x, 1)), min_size=1, max_size=40)
ends = st.sampled_from(["min", "max"])


@given(numbers, numbers, st.floats(0, 9), ends)
def test_no_value_comes_nearer(reference, values, bound, end):
    found = match_quantile(np.array(reference), np.array(values), bound, end)
    assert abs(found.share - found.target) == pytest.approx(naive.smallest_gap(reference, values, bound, end))
    assert found.low <= found.high


@given(st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-6), numbers, ends)
def test_rounding_moves_no_document(bound, values, end):
    shown = rounded(bound, np.array(values), end)
    assert beyond(np.array(values), shown, end) == beyond(np.array(values), bound, end)


def test_a_bound_with_few_digits_is_one_with_few_digits():
    values = np.random.default_rng(0).normal(size=50)
    assert len(f"{rounded(0.123456789, values, 'max'):g}") <= 6


def test_the_interval_holds_the_bound_of_unlimited_samples():
    """Languages are normal, with other means: the bound that matches is known."""
    rng = np.random.default_rng(3)
    held = []
    for _ in range(200):
        found = match_quantile(rng.normal(0, 1, 2000), rng.normal(5, 2, 800), -1.0, "min")
        held.append(found.low <= 5 - 2 * 1.0 <= found.high)
    assert np.mean(held) > 0.91


def signals(sizes, lengths):
    """Documents of some languages whose words are so long on average."""
    rng = np.random.default_rng(1)
    labels = [label for label, size in sizes.items() for _ in range(size)]
    values = np.concatenate([rng.normal(lengths[label], 0.5, size) for label, size in sizes.items()])
    return pa.table({"language.label": labels, "gopher.mean_word_length": values})


CONFIG = load_config({"input": "x", "output": "y", "stages": ["language", "gopher"]})
ONE = ["gopher.mean_word_length"]


def test_a_language_of_short_words_gets_a_lower_bound():
    table = signals({"en": 4000, "ja": 2000, "de": 2000}, {"en": 3.6, "ja": 1.5, "de": 3.6})
    found = calibrate_table(table, CONFIG, "en", signals=ONE)
    match = next(match for match in found.matches if match.language == "ja" and match.end == "min")
    assert match.status == "matched"
    assert match.share_before > 0.99
    assert match.share_after == pytest.approx(match.target, abs=0.001)
    assert match.low < 3 - 2.1 < match.high
    german = next(match for match in found.matches if match.language == "de" and match.end == "min")
    assert german.status == "kept", "its bound does already what that of English does"
    upper = next(match for match in found.matches if match.language == "ja" and match.end == "max")
    assert (upper.status, upper.after) == ("kept", 10), "it cuts off nothing in either"


def test_where_the_reference_loses_nothing_the_bound_is_the_outermost_value():
    table = signals({"en": 1000, "ja": 1000}, {"en": 6, "ja": 1.5})
    match = next(match for match in calibrate_table(table, CONFIG, "en", signals=ONE).matches if match.end == "min")
    assert match.status == "outermost"
    assert match.share_after == 0
    assert "no quantile" in match.notes[0]


def test_too_few_documents_keep_their_bounds():
    table = signals({"en": 1000, "ja": 50}, {"en": 3.6, "ja": 1.5})
    found = calibrate_table(table, CONFIG, "en", ["ja"], signals=ONE)
    assert {match.status for match in found.matches} == {"too_few"}
    assert found.changes == []
    assert calibrate_table(table, CONFIG, "en", signals=ONE).languages == ()


def test_steps_are_matched_by_the_nearest():
    reference, values = np.arange(100) / 100, np.repeat([0.0, 1.0], 50)
    found = match_quantile(reference, values, 0.894, "max")
    assert (found.target, found.bound, found.share) == (0.1, 1.0, 0.0)


def test_documents_that_never_reached_the_stage_are_mentioned():
    table = signals({"en": 1000, "ja": 1000}, {"en": 3.6, "ja": 1.5})
    values = table["gopher.mean_word_length"].to_pylist()
    values[1000:1600] = [None] * 600
    table = table.set_column(1, "gopher.mean_word_length", pa.array(values))
    found = calibrate_table(table, CONFIG, "en", signals=ONE)
    assert any("40% of its documents reached" in note for match in found.matches for note in match.notes)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_the_patch_is_a_config_with_these_bounds(seed):
    rng = np.random.default_rng(seed)
    table = signals({"en": 900, "ja": 600, "th": 500}, {"en": rng.uniform(2.5, 4), "ja": rng.uniform(1, 6), "th": 2})
    found = calibrate_table(table, CONFIG, "en", signals=ONE)
    patched = load_config(yaml.safe_load(found.patch("a run")))
    rules = {label: patched.stages[1].decisions(label)["mean_word_length"] for label in found.languages}
    for match in found.matches:
        assert getattr(rules[match.language], match.end) == match.after
    assert patched.stages[1].decisions("en") == CONFIG.stages[1].decisions("en")
    assert yaml.safe_load(found.patch())["stages"][0] == "language"


@pytest.mark.parametrize(
    ("reference", "languages", "wanted", "expected"),
    [
        ("fr", [], ONE, "has 0 documents of it"),
        ("en", ["xx"], ONE, "has no document of it. Languages with 200 or more: en 1,000"),
        ("en", ["en"], ONE, "that is the reference"),
        ("en", [], ["gopher.word_cout"], "gopher.word_cout is no signal with a bound"),
    ],
)
def test_wrong_requests(reference, languages, wanted, expected):
    table = signals({"en": 1000, "ja": 50}, {"en": 3.6, "ja": 1.5})
    with pytest.raises(ConfigError, match=expected):
        calibrate_table(table, CONFIG, reference, languages, signals=wanted)


def test_scores_and_lists_are_not_matched():
    stages = ["url", "language", "gopher", "nsfw"]
    config = load_config({"input": "x", "output": "y", "stages": stages})
    assert {name.split(".")[0] for name, _, _ in text_bounds(config, "en")} == {"gopher"}
    with pytest.raises(ConfigError, match="none of the stages"):
        text_bounds(load_config({"input": "x", "output": "y", "stages": ["language", "nsfw"]}), "en")


def test_stages_before_the_language_cannot_have_bounds_by_it():
    stages = ["c4", "language", "gopher"]
    config = load_config({"input": "x", "output": "y", "stages": stages})
    assert {stage.name for _, stage, _ in text_bounds(config, "en")} == {"gopher"}
    with pytest.raises(ConfigError, match=r"c4 cannot .* put the stage `language` before it"):
        text_bounds(config, "en", ["c4.sentence_count"])
    with pytest.raises(ConfigError, match=r"gopher cannot .* put the stage `language` before it"):
        text_bounds(load_config({"input": "x", "output": "y", "stages": ["gopher", "language"]}), "en")


class SampledRun:
    """What `calibrate` asks a run for."""

    path, config = "runs/x", CONFIG

    def __init__(self, table):
        addresses = pa.array(range(table.num_rows), pa.uint64())
        self.signals = ds.dataset(table.append_column("address", addresses))


def test_languages_are_counted_in_the_run_and_not_in_its_sample():
    table = signals({"en": 40_000, "ja": 3000, "de": 250}, {"en": 3.6, "ja": 1.5, "de": 3.6})
    found = calibrate(SampledRun(table), "en", signals=ONE, max_rows=2000)
    assert found.documents == {"en": 40_000, "ja": 3000, "de": 250}
    assert 1800 < found.sampled["en"] < 2200
    assert 1800 < found.sampled["ja"] < 2200
    assert found.sampled["de"] == 250
    assert "too_few" not in {match.status for match in found.matches}
    assert f"en 40,000 (a sample of {found.sampled['en']:,})" in found.patch()
    with pytest.raises(ConfigError, match="has 250 documents of it, and a reference takes 300"):
        calibrate(SampledRun(table), "de", signals=ONE, min_documents=300, max_rows=100)


def test_a_signal_is_named_once_in_a_warning():
    table = signals({"en": 1000, "ja": 50}, {"en": 3.6, "ja": 1.5})
    console = Console(width=80)
    with console.capture() as captured:
        print_calibration(calibrate_table(table, CONFIG, "en", ["ja"], signals=ONE), console)
    assert captured.get().count("gopher.mean_word_length") == 1
    assert "only 50 of the 50 documents looked at reached" in " ".join(captured.get().split())


def test_infinite_values_are_not_drawn():
    values = np.array([1.0, 2.0, 3.0, np.inf, -np.inf, np.nan])
    low, high = span([values, np.array([np.inf])], [5.0])
    assert 1 <= low < high == 5
    assert picture(values, low, high, 5.0).strip()
    assert span([np.array([np.inf])], []) == (0.0, 0.0)
