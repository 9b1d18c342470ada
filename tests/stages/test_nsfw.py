"""The stage nsfw: its signals, lists and models of one's own, and that sober text passes."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.borderline import TABLES, marked
from stages.contract import decide, run_stage
from stages.errors import StageError
from stages.language import Language
from stages.nsfw import DEFAULT_MODEL, Nsfw, combine, head_columns, read_head
from stages.text.batch import TextBatch
from tests.reference.oracle import data_path
from tests.sober_texts import FRESH, SOBER

ABUSE = "you are such a stupid piece of shit, nobody wants you here, go fuck yourself"


def measure(texts: list[str], **fields) -> list[dict]:
    stage = Nsfw(**fields)
    batch, _ = run_stage(Language(), TextBatch.from_texts(texts))
    return pa.table(run_stage(stage, batch)[1]).to_pylist()


def test_abuse_scores_above_plain_text():
    abuse, plain = measure([ABUSE, "The train to the coast leaves every hour from the old station."])
    assert abuse["lexicon_count"] >= 2
    assert abuse["lexicon_ratio"] >= abuse["lexicon_count"] / 15
    assert abuse["score"] > 0.8 > 0.5 > plain["score"]
    assert plain["lexicon_count"] == 0


def test_a_text_without_words_is_not_judged():
    empty, marks = measure(["", "?!"])
    unknown = dict.fromkeys(("lexicon_ratio", "classifier_score", "embedding_score", "score"))
    assert empty == {"lexicon_count": 0, **unknown}
    assert marks["lexicon_ratio"] is None


def test_the_score_is_what_the_head_makes_of_the_signals():
    (row,) = measure([ABUSE])
    head = read_head(DEFAULT_MODEL.with_suffix(".json"))
    covered = np.array([round(row["lexicon_ratio"] * 15)])
    score = combine(np.array([row["classifier_score"]], np.float32), covered, np.array([15]), head)
    assert row["score"] == pytest.approx(score[0], abs=1e-6)


def test_one_word_on_a_long_page_is_no_matter():
    page = "The committee met on Tuesday and read the minutes of the last meeting. " * 60
    (short, long) = measure(["What a load of bullshit", page + "What a load of bullshit"])
    assert short["score"] > 0.6
    assert long["score"] < 0.5


def test_lists_of_ones_own(tmp_path):
    (tmp_path / "mine.txt").write_text("dingbat\nsilly goose\n")
    (tmp_path / "fine.txt").write_text("silly goose\n")
    fields = {"lists": {"*": str(tmp_path / "mine.txt")}, "default_lists": False}
    assert measure(["a dingbat, a silly goose, bullshit"], **fields)[0]["lexicon_count"] == 2
    fields["allowed"] = str(tmp_path / "fine.txt")
    assert measure(["a dingbat, a silly goose, bullshit"], **fields)[0]["lexicon_count"] == 1
    del fields["default_lists"]
    assert measure(["a dingbat, a silly goose, bullshit"], **fields)[0]["lexicon_count"] == 2
    assert set(Nsfw(**fields).assets()) == {
        "model", "head", "lists", "embedding_head nsfw.use.npz", str(tmp_path / "mine.txt"), str(tmp_path / "fine.txt")
    }  # fmt: skip


def test_a_model_without_calibration_scores_by_itself(tmp_path):
    shutil.copy(DEFAULT_MODEL, tmp_path / "own.ftz")
    (row,) = measure([ABUSE], model=str(tmp_path / "own.ftz"))
    assert row["score"] == row["classifier_score"]


@pytest.mark.parametrize("content", ["not json", "{}", json.dumps({"coefficients": [1, 2]})])
def test_a_broken_calibration_is_named(tmp_path, content):
    shutil.copy(DEFAULT_MODEL, tmp_path / "own.ftz")
    (tmp_path / "own.json").write_text(content)
    with pytest.raises(StageError, match=r"own\.json (holds no|should hold)"):
        measure([ABUSE], model=str(tmp_path / "own.ftz"))


def test_files_that_are_not_there_are_named(tmp_path):
    with pytest.raises(StageError, match=r"nothing\.ftz"):
        measure([ABUSE], model=str(tmp_path / "nothing.ftz"))
    with pytest.raises(StageError, match=r"nothing\.txt cannot be read"):
        measure([ABUSE], lists={"en": str(tmp_path / "nothing.txt")})
    with pytest.raises(StageError, match=r"nothing\.txt cannot be read"):
        Nsfw(allowed=str(tmp_path / "nothing.txt")).assets()


def test_the_columns_of_the_head_are_bounded():
    columns = head_columns(np.array([0.0, 0.5, 1.0]), np.array([0, 1, 10]), np.array([0, 2, 10]))
    assert columns[:, 0] == pytest.approx([-8, 0, 8])
    assert columns[:, 1] == pytest.approx(np.log1p([0, 5, 500 / 18]))


@pytest.mark.parametrize(("texts", "least"), [(SOBER, 24), (FRESH, 10)], ids=["first", "fresh"])
def test_sober_text_is_not_flagged(texts, least):
    """At the default bound; docs/models/nsfw.md says what was measured. The ceiling is one text in a topic."""
    stage = Nsfw()
    for topic, own in texts.items():
        batch, _ = run_stage(Language(), TextBatch.from_texts([text for _, text in own]))
        flagged = decide(stage, run_stage(stage, batch)[1], None)["score"]
        assert len(flagged) >= least
        assert flagged.sum() <= 1, [own[i] for i in np.flatnonzero(flagged)] + [topic]


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_in_the_docs_are_true(name):
    assert marked(name) == TABLES[name][1](), "run: python -m benchmarks.borderline --write"


def test_ordinary_pages_are_not_flagged():
    path = data_path("web_sample.parquet")
    if not path.is_file():
        pytest.skip("needs the development pages: set TAMIS_DATA")
    import pyarrow.parquet as pq

    texts = [text for text in pq.read_table(path, columns=["main_text"])["main_text"].to_pylist() if text]
    stage = Nsfw()
    batch, _ = run_stage(Language(), TextBatch.from_texts(texts))
    _, columns = run_stage(stage, batch)
    assert decide(stage, columns, None)["score"].mean() < 0.002
