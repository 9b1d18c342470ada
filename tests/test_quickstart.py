"""The quickstart on its real corpus: its exact funnel, and the same bytes however many workers do it.

`tests/quickstart_funnel.json` pins the documents in, out and dropped by every rule. When a change of code or of a
pinned package moves a number, the diff of that file has to be explained; `TAMIS_WRITE_FUNNEL=1 pytest
tests/test_quickstart.py` writes it anew.
"""

import hashlib
import json
import os
from pathlib import Path

import pyarrow as pa
import pytest

import pipeline

ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "data" / "quickstart"
FUNNEL = Path(__file__).with_name("quickstart_funnel.json")


@pytest.fixture(scope="module")
def corpus():
    """Glob of the corpus, from the checkout as current directory: the config's paths are relative to it."""
    if not (CORPUS / "manifest.json").is_file():
        pytest.skip("the quickstart corpus is not here; fetch it: make corpus")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        yield str(CORPUS / "raw" / "*")


@pytest.fixture(scope="module")
def runs(corpus, tmp_path_factory):
    """The quickstart by one and by four workers, in small tasks."""
    folder = tmp_path_factory.mktemp("quickstart")
    small = ["execution.task_bytes=1", "execution.output_bytes=4000000"]
    return [
        pipeline.run("configs/quickstart.yaml", input=corpus, output=str(folder / str(n)), set=small, workers=n)
        for n in (1, 4)
    ]


def funnel(run: pipeline.Run) -> dict:
    """What is pinned of a run's stats: every count of documents, no time."""
    stats = run.stats
    return {
        "input": stats["input"]["documents"],
        "rejected": {reason: counts["documents"] for reason, counts in sorted(stats["input"]["rejected"].items())},
        "stages": {
            name: {
                "in": counts["documents_in"],
                "out": counts["documents_out"],
                "dropped": {rule: rows["documents"] for rule, rows in sorted(counts["dropped"].items())},
                "unmeasured": dict(sorted(counts["unmeasured"].items())),
            }
            for name, counts in stats["stages"].items()
        },
        "output": stats["output"]["documents"],
    }


def test_the_funnel_is_the_pinned_one(runs):
    found = funnel(runs[0])
    if os.environ.get("TAMIS_WRITE_FUNNEL"):
        FUNNEL.write_text(json.dumps(found, indent=2) + "\n")
    assert found == json.loads(FUNNEL.read_text())


def test_nothing_is_lost(runs):
    found = funnel(runs[0])
    before = found["input"]
    for name, stage in found["stages"].items():
        assert stage["in"] == before, name
        assert stage["in"] == stage["out"] + sum(stage["dropped"].values()), name
        before = stage["out"]
    assert before == found["output"] == runs[0].documents.count_rows()
    assert runs[0].signals.count_rows() == found["input"]


def test_every_drop_has_one_reason_that_its_signals_explain(runs):
    run = runs[0]
    stages = {stage.name: stage for stage in run.config.stages}
    table = run.signals.to_table()
    for row in table.filter(table["dropped_by"].is_valid()).to_pylist():
        name, _, field = row["dropped_by"].partition(".")
        column = pa.array([row[row["dropped_by"]]], table.schema.field(row["dropped_by"]).type)
        assert stages[name].decisions(row["language.label"])[field].drops(column).all(), row


def test_one_and_four_workers_write_the_same_bytes(runs):
    digests = []
    for run in runs:
        files = [
            file for kind in ("documents", "signals", "rejected") for file in sorted(Path(run.path, kind).iterdir())
        ]
        digests.append(
            {str(file.relative_to(run.path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
        )
    assert len(digests[0]) >= 6
    assert digests[0] == digests[1]
