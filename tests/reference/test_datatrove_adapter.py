"""datatrove's filters in our runs, and our stages in datatrove's pipelines."""

import json

import pytest

import pipeline
from stages.contract import run_stage
from stages.datatrove_filter import DatatroveFilter
from stages.errors import ConfigError
from stages.text.batch import TextBatch
from tests.corpus import page, write_jsonl

pytest.importorskip("spacy", reason="datatrove's tokenizer needs spaCy: pip install 'tamis[datatrove]'")

TEXTS = [page(seed) for seed in range(30)]


@pytest.mark.parametrize(
    "name", ["GopherQualityFilter", "GopherRepetitionFilter", "C4QualityFilter", "FineWebQualityFilter"]
)
def test_the_stage_decides_and_rewrites_as_the_filter_does(name):
    import datatrove.pipeline.filters as filters
    from datatrove.data import Document

    after, columns = run_stage(DatatroveFilter(filter=name), TextBatch.from_texts(TEXTS))
    judge = getattr(filters, name)()
    for i, text in enumerate(TEXTS):
        document = Document(text=text, id=str(i))
        found = judge.filter(document)
        reason = found[1] if isinstance(found, tuple) else None
        assert columns["dropped"][i].as_py() == (found is not True)
        assert columns["reason"][i].as_py() == reason
        assert after.table["text"][i].as_py() == document.text
    assert columns["dropped"].true_count > 0


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"filter": "GopherQualtyFilter"}, "no filter 'GopherQualtyFilter'. Did you mean 'GopherQualityFilter'"),
        ({"filter": "GopherQualityFilter", "args": {"min_words": 3}}, "has no argument 'min_words'. Did you mean"),
    ],
)
def test_wrong_names_are_told(fields, expected):
    with pytest.raises(ConfigError, match=expected):
        DatatroveFilter(**fields).setup()


def test_in_a_run_beside_our_stages(tmp_path):
    write_jsonl(tmp_path / "in.jsonl", 40)
    stages = [
        "gopher",
        {"datatrove": {"name": "theirs", "filter": "FineWebQualityFilter", "args": {"short_line_thr": 0.5}}},
    ]
    spec = {"input": {"path": str(tmp_path / "in.jsonl")}, "output": str(tmp_path / "run"), "stages": stages}
    run = pipeline.run(spec, workers=1)
    table = run.signals.to_table().to_pylist()
    assert {row["dropped_by"].split(".")[0] for row in table if row["dropped_by"]} == {"gopher", "theirs"}
    assert any(row["dropped_by"] == "theirs.dropped" and row["theirs.reason"] for row in table)


def test_our_stages_in_a_datatrove_pipeline(tmp_path):
    """The same documents are kept, in the same order, as by a run of ours; signals are in their metadata."""
    from datatrove.executor.local import LocalPipelineExecutor
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    from pipeline.datatrove_step import TamisStep

    (tmp_path / "in").mkdir()
    write_jsonl(tmp_path / "in" / "a.jsonl", 60)
    stages = ["gopher", "repetition", {"c4": {"terminal_punctuation": False}}, "fineweb"]
    excluded = JsonlWriter(str(tmp_path / "excluded"), compression=None)
    step = TamisStep(stages, exclusion_writer=excluded, batch_bytes=20_000)
    steps = [JsonlReader(str(tmp_path / "in")), step, JsonlWriter(str(tmp_path / "out"), compression=None)]
    LocalPipelineExecutor(steps, tasks=1, workers=1, logging_dir=str(tmp_path / "logs")).run()
    theirs = [json.loads(line) for line in (tmp_path / "out" / "00000.jsonl").read_text().splitlines()]
    spec = {"input": {"path": str(tmp_path / "in")}, "output": str(tmp_path / "run"), "stages": stages}
    run = pipeline.run(spec, workers=1)
    ours = run.documents.to_table().to_pylist()
    assert [(row["id"], row["text"]) for row in theirs] == [(row["id"], row["text"]) for row in ours]
    assert theirs[0]["metadata"]["gopher.word_count"] == ours[0]["gopher.word_count"]
    lost = [json.loads(line) for line in (tmp_path / "excluded" / "00000.jsonl").read_text().splitlines()]
    assert len(lost) + len(theirs) == 60
    assert {row["metadata"]["filter_reason"] for row in lost} == set(
        run.signals.to_table()["dropped_by"].to_pylist()
    ) - {None}
    assert "dropped_gopher.word_count" in (tmp_path / "logs" / "stats" / "00000.json").read_text()
