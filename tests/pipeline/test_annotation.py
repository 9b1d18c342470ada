"""`pipeline.annotate`: every row, in its order, with its signals."""

import json

import pyarrow as pa
import pytest

import pipeline
from stages.errors import ConfigError, InputError
from tests.corpus import page


def test_a_table_keeps_its_rows_columns_and_order():
    texts = [page(3), None, "", page(1)]
    table = pa.table({"n": [1, 2, 3, 4], "text": texts})
    found = pipeline.annotate(table, ["gopher", {"c4": {"terminal_punctuation": False}}])
    assert found.column_names[:2] == ["n", "text"]
    assert found["text"].to_pylist() == texts, "a Map's text is for the stages after it"
    assert found["n"].to_pylist() == [1, 2, 3, 4]
    counts = found["gopher.word_count"].to_pylist()
    assert counts[1] is None
    assert counts[2] == 0
    assert counts[0] > 100


def test_annotating_equals_running(tmp_path):
    rows = [{"id": str(i), "text": page(i)} for i in range(40)]
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    stages = ["gopher", "repetition"]
    found = pipeline.annotate(str(path), stages)
    run = pipeline.run({"input": str(path), "output": str(tmp_path / "run"), "stages": stages}, workers=1)
    measured = run.signals.to_table()
    for name in ("gopher.word_count", "gopher.alpha_word_ratio", "repetition.top_2gram_char_ratio"):
        pairs = zip(found[name].to_pylist(), measured[name].to_pylist(), strict=True)
        assert all(mine == theirs for mine, theirs in pairs if theirs is not None)
    assert found["id"].to_pylist() == [row["id"] for row in rows]


def test_unreadable_records_are_rows_that_say_why(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "one"}\n{"text": \n{"id": "n", "text": null}\n{"text": "two"}\n')
    found = pipeline.annotate(str(path), ["gopher"])
    assert found["text"].to_pylist() == ["one", None, None, "two"]
    errors = found["input.error"].to_pylist()
    assert errors[0] is None
    assert errors[1].startswith("input.invalid_json")
    assert errors[2].startswith("input.null_text")
    assert found["gopher.word_count"].to_pylist() == [1, None, None, 1]


def test_annotating_twice_replaces_the_signals():
    once = pipeline.annotate(pa.table({"text": ["a b c"]}), ["gopher"])
    twice = pipeline.annotate(once, ["gopher"])
    assert twice.to_pydict() == once.to_pydict()


def test_what_is_wrong_is_said():
    table = pa.table({"content": ["a"]})
    with pytest.raises(InputError, match="the table has no column 'text'; it has: content"):
        pipeline.annotate(table, ["gopher"])
    assert pipeline.annotate(table, ["gopher"], text="content")["gopher.word_count"].to_pylist() == [1]
    with pytest.raises(ConfigError, match="Did you mean 'gopher'"):
        pipeline.annotate(table, ["gofer"])
    with pytest.raises(InputError, match="nothing to read"):
        pipeline.annotate("/no/such/file.parquet", ["gopher"])
