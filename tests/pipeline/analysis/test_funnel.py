"""What is left after every stage, in documents, bytes and tokens; of languages and sources."""

import pytest

from pipeline.analysis.funnel import Tokens, count_tokens, funnel, groups
from pipeline.analysis.tables import open_tables
from pipeline.runs import Run
from pipeline.standing import refresh
from tests.corpus import write_jsonl
from tests.in_process import run_in_process


def test_steps_follow_from_each_other():
    def counts(came, left, dropped):
        told = {rule: {"documents": number, "bytes": 10 * number} for rule, number in dropped.items()}
        numbers = {"documents_in": came, "documents_out": left, "bytes_in": 10 * came, "bytes_out": 10 * left}
        return numbers | {"dropped": told}

    stats = {
        "stages": {
            "a": counts(100, 60, {"a.x": 30, "a.y": 10}),
            "b": counts(60, 60, {}),
            "c": counts(60, 59, {"c.z": 1}),
        }
    }
    steps = funnel(stats, Tokens(500, {"a.x": 200.0, "a.y": 50.0, "c.z": 10.0}))
    assert [step.left["documents"] for step in steps] == [60, 60, 59]
    assert [step.left["tokens"] for step in steps] == [510, 510, 500]
    assert [step.came["tokens"] for step in steps] == [760, 510, 510]
    assert [step.reason for step in steps] == ["a.x", "", "c.z"]
    assert steps[0].kept_ratio("documents") == 0.6
    assert "tokens" not in funnel(stats)[0].left


def test_groups_by_stage():
    dropped = {"a.x": {"documents": 3, "bytes": 30}, "a.y": {"documents": 2, "bytes": 5}}
    stats = {
        "languages": {
            "de": {"read": {"documents": 1, "bytes": 9}, "kept": {}, "dropped": {}},
            "en": {"read": {"documents": 9, "bytes": 99}, "kept": {"documents": 4, "bytes": 64}, "dropped": dropped},
        }
    }
    first, second = groups(stats, "languages")
    assert (first.label, second.label) == ("en", "de")
    assert first.dropped == {"a": {"documents": 5, "bytes": 35}}
    assert groups(stats, "sources") == []


def test_tokens_of_dropped_documents_are_estimated_from_the_shadow(tmp_path):
    pytest.importorskip("llama_models", reason="no vocabulary: pip install tamis[llama3]")
    write_jsonl(tmp_path / "pages.jsonl", 100)
    config = {"input": str(tmp_path / "pages.jsonl"), "output": str(tmp_path / "run"), "stages": ["gopher", "tokens"]}
    run = run_in_process(config | {"execution": {"shadow_rate": 1}})
    refresh(run)
    run = Run(run.path)
    with open_tables(run) as tables:
        found = count_tokens(tables)
        (kept,) = tables.rows('SELECT sum("tokens.count") FROM signals WHERE dropped_by IS NULL')[0]
        told = dict(tables.rows('SELECT dropped_by, sum("tokens.count") FROM shadow GROUP BY 1'))
    assert found.kept == kept
    assert found.dropped == pytest.approx({rule: float(number) for rule, number in told.items()})


def test_a_run_without_tokens(tmp_path):
    write_jsonl(tmp_path / "pages.jsonl", 10)
    config = {"input": str(tmp_path / "pages.jsonl"), "output": str(tmp_path / "run"), "stages": ["gopher"]}
    run = run_in_process(config)
    with open_tables(run) as tables:
        assert count_tokens(tables) is None
