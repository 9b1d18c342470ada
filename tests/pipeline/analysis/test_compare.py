"""Two runs side by side, against a count in Python."""

import json
from collections import Counter

import pytest

from pipeline.analysis.compare import compare
from pipeline.io.files import write_json
from pipeline.runs import Run
from pipeline.standing import standing
from stages.errors import RunError
from tests.corpus import write_jsonl
from tests.in_process import run_in_process


def run_of(config):
    """A run done in this process, with its stats."""
    run = run_in_process(config)
    write_json(f"{run.path}/stats.json", standing(run))
    return Run(run.path)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    write_jsonl(folder / "in.jsonl", 120)
    write_jsonl(folder / "more.jsonl", 60, first=90)

    def run(name, path, **gopher):
        stages = ["language", {"gopher": gopher}, "repetition"]
        return run_of({"input": str(folder / path), "output": str(folder / name), "stages": stages})

    return {
        "a": run("a", "in.jsonl"),
        "b": run("b", "in.jsonl", word_count={"min": 400}, by_language={"de": {"word_count": {"min": 9}}}),
        "c": run("c", "more.jsonl"),
    }


def decided(run):
    rows = run.signals.to_table(columns=["id", "dropped_by"]).to_pylist()
    return {row["id"]: row["dropped_by"] for row in rows}


def test_documents_decided_otherwise_are_those_of_a_count(runs):
    found = compare(runs["a"], runs["b"]).documents
    a, b = decided(runs["a"]), decided(runs["b"])
    expected = Counter((a[id_], b[id_]) for id_ in a if a[id_] != b[id_])
    assert found.by == "address"
    assert {(flow.before, flow.after): flow.documents for flow in found.flows} == dict(expected)
    assert expected[None, "gopher.word_count"] > 0
    assert (found.both, found.only_a, found.only_b) == (120, 0, 0)
    assert found.same + sum(expected.values()) == 120
    assert found.lost - found.gained == sum(v is None for v in a.values()) - sum(v is None for v in b.values())


def test_config_differs_where_it_was_changed(runs):
    found = compare(runs["a"], runs["b"])
    changes = {(change.stage, change.field): (change.a, change.b) for change in found.config}
    assert changes["gopher", "word_count.min"] == (50, 400)
    assert all(stage == "gopher" for stage, _ in changes)
    assert found.same_order
    assert found.funnel[0].in_a == 120
    by_stage = {row.stage: row for row in found.funnel}
    assert by_stage["language"].out_a == by_stage["language"].out_b
    assert by_stage["gopher"].out_a > by_stage["gopher"].out_b
    assert next(rule for rule in found.rules if rule.rule == "gopher.word_count").b > 0
    assert json.loads(json.dumps(found.to_json()))["documents"]["lost"] == found.documents.lost


def test_other_inputs_are_joined_by_id(runs):
    found = compare(runs["a"], runs["c"]).documents
    a, c = decided(runs["a"]), decided(runs["c"])
    assert found.by in ("id", "id and source")
    assert (found.both, found.only_a, found.only_b) == (len(a.keys() & c.keys()), 90, 30)
    assert found.flows == []


def test_a_run_is_itself(runs):
    found = compare(runs["a"], runs["a"])
    assert found.config == found.documents.flows == []
    assert all(one.psi == 0 for one in found.drift)
    assert found.documents.same == 120


def test_ids_that_come_twice_are_left_out(tmp_path):
    def run(name, ids):
        text = "The people often carry water through narrow valleys and that have to be with the river. " * 9
        rows = [json.dumps({"id": id_, "text": text}) for id_ in ids]
        (tmp_path / name).mkdir()
        for i, row in enumerate(rows):
            (tmp_path / name / f"{i}.jsonl").write_text(row + "\n")
        config = {"input": str(tmp_path / name), "output": str(tmp_path / f"{name}-run"), "stages": ["gopher"]}
        return run_of(config)

    found = compare(run("left", ["x", "x", "y", "z"]), run("right", ["x", "y"])).documents
    assert (found.by, found.both, found.ambiguous_a, found.ambiguous_b) == ("id", 1, 2, 0)
    assert (found.only_a, found.only_b) == (1, 1)


def test_a_run_that_is_not_done_is_refused(runs, tmp_path):
    write_json(f"{tmp_path}/run.json", {**runs["a"].description, "state": "failed"})
    with pytest.raises(RunError, match="is failed, not done"):
        compare(Run(str(tmp_path)), runs["b"])


def test_infinity_is_null_in_json(tmp_path, monkeypatch, capsys):
    from pipeline.cli_analysis import compare as command

    found = {"drift": [{"median_a": float("inf"), "labels": ("x", float("nan"), 1.5)}]}
    monkeypatch.setattr("pipeline.runs.open_run", lambda path: path)
    answer = type("Answer", (), {"to_json": lambda self: found})()
    monkeypatch.setattr("pipeline.analysis.compare.compare", lambda a, b: answer)
    command("a", "b", as_json=True)
    told = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert told == {"drift": [{"median_a": None, "labels": ["x", None, 1.5]}]}
