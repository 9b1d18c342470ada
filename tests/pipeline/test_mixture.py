"""The mix of whole runs: the same sample whatever the shards are, beside its targets, known before where it can be."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import pipeline
from pipeline.config import load_config
from pipeline.mixture import achieved, print_mixture
from pipeline.preview import preview
from stages.errors import ConfigError
from tests.corpus import page

NUM_DOCUMENTS = 600
SHARES = {"a": 0.5, "b": 0.3, "rest": 0.2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """One corpus, whole and in five files of very different sizes."""
    folder = tmp_path_factory.mktemp("mix")
    sources = np.random.default_rng(0).choice(["a", "b", "c", None], NUM_DOCUMENTS, p=[0.5, 0.3, 0.1, 0.1])
    rows = [
        json.dumps({"id": f"d{i}", "text": f"{page(i)} {i}", "source": sources[i], "rank": i % 10})
        for i in range(NUM_DOCUMENTS)
    ]
    (folder / "whole.jsonl").write_text("\n".join(rows) + "\n")
    for part, (low, high) in enumerate([(0, 3), (3, 300), (300, 301), (301, 550), (550, NUM_DOCUMENTS)]):
        (folder / f"part{part}.jsonl").write_text("\n".join(rows[low:high]) + "\n")
    return folder


def config(folder: Path, files: str, name: str, **mix) -> dict[str, object]:
    return {
        "input": {"path": str(folder / files)},
        "output": str(folder / name),
        "stages": [
            {"gopher": {"action": "annotate"}},
            {"cap": {"by": "source", "max_documents": 250}},
            {"mix": {"by": "source", "unit": "bytes", **mix}},
        ],
        "execution": {"task_bytes": 1, "batch_bytes": 20_000},
    }


@pytest.fixture(scope="module")
def runs(folder) -> list[pipeline.Run]:
    files = {"whole.jsonl": 1, "part*.jsonl": 2}
    return [
        pipeline.run(config(folder, name, f"run{workers}", shares=SHARES), workers=workers)
        for name, workers in files.items()
    ]


def test_the_sample_does_not_depend_on_shards(runs):
    first, second = ({row["id"]: row["mix.copies"] for row in run.signals.to_table().to_pylist()} for run in runs)
    assert first == second
    assert set(first.values()) == {0, 1, None}, "nothing is said of what the cap dropped"
    assert list(first.values()).count(None) > 0
    assert runs[0].documents.count_rows() == list(first.values()).count(1), "what is not taken is dropped"


def test_the_mix_is_reported_beside_its_target(runs):
    found = achieved(runs[0])["mix"]
    documents = runs[0].documents.to_table().to_pylist()
    total = sum(len(row["text"].encode()) for row in documents)
    assert {row["group"] for row in found["groups"]} == {"a", "b", "c", "null"}
    for row in found["groups"]:
        taken = [len(d["text"].encode()) for d in documents if (d["source"] or "null") == row["group"]]
        assert row["amount"] == sum(taken)
        assert row["mix_share"] == sum(taken) / total
        assert row["mix_share"] == pytest.approx(row["share"], abs=0.01)


def test_a_plan_knows_the_mix_once_documents_are_counted(folder, runs):
    settings = config(folder, "whole.jsonl", "run1", shares={"a": 0.1, "rest": 0.9})
    settings["stages"][2]["mix"]["total"] = 10**7
    plan = preview(load_config(settings))
    predicted = plan["mix"]["mix"]
    assert {row["group"]: row["missing"] > 0 for row in predicted["groups"]} == {
        "a": True, "b": True, "c": True, "null": True,
    }  # fmt: skip
    done = {phase["name"].partition("-")[2]: phase["done"] == phase["tasks"] for phase in plan["phases"][:-1]}
    assert done["cap-resolve"], "documents are not counted again"
    assert not done["mix-conclude"]
    settings["output"] = str(folder / "new")
    assert preview(load_config(settings))["mix"] == {"mix": None}


def test_what_is_missing_is_printed(folder, runs):
    settings = config(folder, "part*.jsonl", "run2", shares={"a": 0.5, "d": 0.25, "b": 0.25}, total=300_000)
    console = Console(width=120, file=io.StringIO(), record=True)
    print_mixture("mix", preview(load_config(settings))["mix"]["mix"], console)
    print_mixture("mix", None, console)
    text = console.export_text()
    rows = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert "75 k (100.0 %)" in rows["d"]
    assert "25.00 %" in rows["d"]
    assert "(" in rows["a"], "the largest group has not enough either"
    assert "not known before" in text


def test_columns_that_are_not_there_are_told(folder):
    for mix, message in (
        ({"by": "sauce"}, "mix.by: there is no column 'sauce' before this stage. Did you mean 'source'?"),
        ({"by": "category.label"}, "Put the stage `category` before it"),
        ({"prefer": "quality.score"}, "mix.prefer: there is no column 'quality.score'"),
        ({"prefer": "source"}, "a column of string has no numbers to go by"),
    ):
        with pytest.raises(ConfigError) as caught:
            preview(load_config(config(folder, "whole.jsonl", "new", **mix)))
        assert message in str(caught.value)
