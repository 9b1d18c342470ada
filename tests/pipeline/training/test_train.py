"""`tamis train nsfw`, from files to a model that the stage takes."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from pipeline.training import train
from stages.contract import run_stage
from stages.errors import ConfigError, InputError
from stages.nsfw import Nsfw
from stages.text.batch import TextBatch
from tests.pipeline.training.rows import labelled, write

TIMES = 0.0


@pytest.fixture
def files(tmp_path):
    return str(write(tmp_path / "train.parquet", labelled())), str(write(tmp_path / "test.parquet", labelled(1)))


def test_a_model_its_calibration_and_its_card(files, tmp_path):
    lines: list[str] = []
    model = tmp_path / "models" / "own.ftz"
    train("nsfw", *files, model, TIMES, ("CC-BY-SA",), lines.append)
    assert model.stat().st_size < 2_000_000
    assert len(json.loads(model.with_suffix(".json").read_text())["coefficients"]) == 3
    card = model.with_suffix(".md").read_text()
    for part in ("## Data", "CC-BY-SA-4.0", "## Unseen sources", "## Held-out rows", "## Confusion", "## Calibration"):
        assert part in card
    assert "| b | de, en | CC-BY-SA-4.0 |" in card
    assert "50 rows to train on" in lines[0]
    _, columns = run_stage(Nsfw(model=str(model)), TextBatch.from_texts(["en bread grumpf river", "en bread river"]))
    rude, plain = columns["classifier_score"].to_pylist()
    assert rude > plain


def test_the_same_bytes_every_time(files, tmp_path):
    for name in ("first", "second"):
        train("nsfw", *files, tmp_path / f"{name}.ftz", TIMES, (), lambda line: None)
    for suffix in (".ftz", ".json"):
        assert (tmp_path / f"first{suffix}").read_bytes() == (tmp_path / f"second{suffix}").read_bytes()


def test_wrong_requests(files, tmp_path):
    with pytest.raises(ConfigError, match="there is no training for 'gopher'"):
        train("gopher", *files, tmp_path / "m.ftz", TIMES, (), print)
    with pytest.raises(ConfigError, match=r"should end in \.ftz"):
        train("nsfw", *files, tmp_path / "m.bin", TIMES, (), print)
    with pytest.raises(InputError, match="one class is left"):
        train("nsfw", *files, tmp_path / "m.ftz", TIMES, ("",), print)


def test_the_command_says_what_is_wrong(tmp_path):
    code = "from pipeline.cli import main; main()"
    arguments = [
        "train",
        "nsfw",
        "--train",
        str(tmp_path / "no.parquet"),
        "--test",
        "no",
        "--output",
        str(tmp_path / "m.ftz"),
    ]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert "tamis: there is no file" in done.stderr
    assert "Traceback" not in done.stderr


def test_labels_are_what_counts(files, tmp_path):
    """The classifier has learned the word that makes rows rude."""
    train("nsfw", *files, tmp_path / "m.ftz", TIMES, (), lambda line: None)
    rows = labelled(2)
    _, columns = run_stage(Nsfw(model=str(tmp_path / "m.ftz")), rows.batch())
    scores = np.array(columns["classifier_score"].to_pylist())
    assert scores[rows.labels].min() > scores[~rows.labels].max()
