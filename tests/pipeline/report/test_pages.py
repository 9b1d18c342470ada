"""The pages of calibrate, profile and compare: whole, alone in their files, safe to look at, with the numbers told."""

import html
import json

import numpy as np
import pyarrow as pa
import pytest

from pipeline.analysis.calibrate import calibrate, calibrate_table
from pipeline.analysis.compare import compare
from pipeline.analysis.profile import measure_files, profile
from pipeline.config import load_config
from pipeline.io.input import Input
from pipeline.report import calibrate as calibrate_page
from pipeline.report import compare as compare_page
from pipeline.report import profile as profile_page
from tests.inspected import inspected_run
from tests.pipeline.analysis.test_calibrate import signals
from tests.pipeline.report.test_write import Markup, assert_whole

HOSTILE_LABEL = "<b>xx</b>\u202e"
CONFIG = {"input": "x", "output": "y", "stages": ["language", "gopher"]}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run, and one with another bound whose folder has a hostile name."""
    folder = tmp_path_factory.mktemp("pages")
    stages = ["language", "exact", {"gopher": {"word_count": {"min": 2}}}]
    return inspected_run(folder), inspected_run(folder, "<i>b", stages=stages)


@pytest.fixture(scope="module")
def profiled(runs):
    return profile(Input(path=runs[0].config.input.path))


@pytest.fixture(scope="module")
def pages(runs, profiled):
    lengths = {"en": 3.6, HOSTILE_LABEL: 1.5, "de": 3.6}
    table = signals(dict.fromkeys(lengths, 400), lengths)
    found = calibrate_table(table, load_config(CONFIG), "en", signals=["gopher.mean_word_length"])
    return {
        "calibrate": calibrate_page.render(found, "<i>run"),
        "profile": profile_page.render(profiled),
        "compare": compare_page.render(compare(*runs), *runs),
    }


SECTIONS = {"calibrate": calibrate_page.SECTIONS, "profile": profile_page.SECTIONS, "compare": compare_page.SECTIONS}


@pytest.mark.parametrize("kind", SECTIONS)
def test_it_is_whole_and_needs_nothing_else(pages, kind):
    markup = assert_whole(pages[kind], SECTIONS[kind])
    assert all(value for name, value in markup.attributes if name == "aria-label")


@pytest.mark.parametrize("kind", SECTIONS)
def test_hostile_text_is_text(pages, kind):
    page = pages[kind]
    assert page.count("<script>") == 1
    assert "<i>" not in page
    for character in "\u202e\u200b\x00\ue000":
        assert character not in page
    hostile = {
        "calibrate": "<b>xx</b>⟦U+202E⟧",
        "profile": "<script>window.hacked = true</script>",
        "compare": "<script>id</script>⟦U+202E⟧",
    }
    assert html.escape(hostile[kind]) in page


def told(page):
    return " ".join(" ".join(Markup(page.replace("<wbr>", "")).text).split())


def test_calibration_tells_bounds_and_what_they_cut_off(pages):
    text = told(pages["calibrate"])
    assert "1 bound changes, in 1 of 2 languages" in text
    table = signals({"en": 400, "ja": 400}, {"en": 3.6, "ja": 1.5})
    found = calibrate_table(table, load_config(CONFIG), "en", signals=["gopher.mean_word_length"])
    (match,) = found.changes
    assert f"≥ {match.after:.3g} cuts off {100 * match.share_after:.1f} %" in told(calibrate_page.render(found, "x"))
    assert f"was ≥ 3: {100 * match.share_before:.1f} %" in told(calibrate_page.render(found, "x"))


def test_nothing_cut_off_has_an_interval_that_begins_at_nothing():
    table = signals({"en": 400, "de": 400}, {"en": 6, "de": 6})
    found = calibrate_table(table, load_config(CONFIG), "en", signals=["gopher.mean_word_length"])
    page = told(calibrate_page.render(found, "x"))
    assert "No bound changes" in page
    assert "cuts off 0.0 % (0.0 % – 1.0 %)" in page


def test_a_calibration_without_a_language_says_so():
    table = signals({"en": 400}, {"en": 6})
    found = calibrate_table(table, load_config(CONFIG), "en", signals=["gopher.mean_word_length"])
    page = told(calibrate_page.render(found, "x"))
    assert "No other language has enough documents" in page


def test_a_profile_tells_what_the_profile_knows(pages, profiled):
    text = told(pages["profile"])
    for outcome in profiled.recipes:
        assert f"{outcome.name} {100 * outcome.kept_documents / outcome.documents:.1f} %" in text
    loudest = profiled.rules[0]
    assert f"{loudest.rule} {loudest.bound} {loudest.documents:,} {round(100 * loudest.share)}" in text
    assert "Written by `tamis profile`" in text
    below = sum(value < 50 for value in profiled.signals["gopher.word_count"].to_pylist())
    assert f"≥ 50 drops {100 * below / profiled.documents:.1f} %" in text


def test_a_comparison_tells_what_the_comparison_knows(pages, runs):
    found, text = compare(*runs), told(pages["compare"])
    joined = found.documents
    assert f"{joined.both - joined.same} of {joined.both} documents decided otherwise" in text
    assert "word_count.min" in text
    for flow in joined.flows:
        names = [side or "kept" for side in (flow.before, flow.after)]
        assert f"{names[0]} {names[1]} {flow.documents:,}" in text
    for rule in found.rules:
        if rule.a != rule.b:
            assert f"{rule.rule} {rule.a:,} {rule.b:,}" in text


def test_two_runs_that_are_alike(runs):
    text = told(compare_page.render(compare(runs[0], runs[0]), runs[0], runs[0]))
    assert "documents decided alike" in text
    assert "both runs have the same config" in text
    assert "Every rule dropped equally many" in text
    assert "signals drifted, beyond what is chance" in text


def test_reference_text_is_measured_by_the_stages_of_the_run(tmp_path, runs):
    path = tmp_path / "reference.jsonl"
    rows = [
        {"text": "The river and the garden have water, and people often walk there with that. " * n} for n in (1, 9)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows * 30))
    table = measure_files(runs[0].config, ["gopher.word_count"], str(path))
    assert table.num_rows == 60
    assert set(table["language.label"].to_pylist()) == {"en"}
    assert sorted(set(table["gopher.word_count"].to_pylist())) == [14, 126]
    found = calibrate(runs[0], "en", signals=["gopher.word_count"], min_documents=20, reference_text=str(path))
    assert found.documents == {"en": 60}


def test_hundreds_of_languages_fit_on_a_page():
    names = ["en", *(f"x{n}" for n in range(400))]
    table = signals(dict.fromkeys(names, 30), {name: 3 + n / 100 for n, name in enumerate(names)})
    ratios = np.random.default_rng(5).uniform(0.5, 1, table.num_rows)
    table = table.append_column("gopher.alpha_word_ratio", pa.array(ratios))
    table = table.append_column("gopher.hash_ratio", pa.array((1 - ratios) / 4))
    wanted = ["gopher.mean_word_length", "gopher.alpha_word_ratio", "gopher.hash_ratio"]
    found = calibrate_table(table, load_config(CONFIG), "en", signals=wanted, min_documents=20)
    page = calibrate_page.render(found, "x")
    assert len(page.encode()) < 5_000_000
    assert "more languages" in told(page)
    assert f"The {calibrate_page.LANGUAGES_DRAWN} largest of 400 languages are drawn" in told(page)
