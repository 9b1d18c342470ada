"""Dropped documents that are measured on: the numbers of a run that drops nothing, and no trace anywhere else."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import pipeline
from pipeline import stats as counting
from pipeline.shadow import Shadow, rows, shadow_schema
from pipeline.sieve import sieve
from stages.contract import Bounds, Count, Filter
from stages.errors import ConfigError
from stages.text.batch import TextBatch
from tests.corpus import write_jsonl
from tests.pipeline.test_engine import digest
from tests.toy import Length, Shorten

STAGES = ["gopher", "exact", {"c4": {"terminal_punctuation": False}}, "repetition", "minhash", "fineweb"]
BARRIERS = ("exact", "minhash")


def launch(folder: Path, name: str, workers: int = 1, stages=STAGES, **execution) -> pipeline.Run:
    small = {"task_bytes": 1, "batch_bytes": 40_000, "rejected_rate": 1, "shadow_rate": 1}
    config = {
        "input": {"path": str(folder / "*.jsonl"), "shard_bytes": 150_000},
        "output": str(folder / name),
        "stages": stages,
        "execution": small | execution,
    }
    return pipeline.run(config, workers=workers)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shadow")
    write_jsonl(folder / "a.jsonl", 300)
    write_jsonl(folder / "b.jsonl", 60, first=250)
    return folder


@pytest.fixture(scope="module")
def done(folder):
    return launch(folder, "all")


def by_address(table: pa.Table) -> dict[int, dict]:
    return {row["address"]: row for row in table.to_pylist()}


def test_the_numbers_are_those_of_a_run_that_drops_nothing(folder, done):
    names = ["gopher", *BARRIERS[:1], "c4", "repetition", *BARRIERS[1:], "fineweb"]
    c4 = {"terminal_punctuation": False}
    tame = [{name: {"action": "annotate"} | (c4 if name == "c4" else {})} for name in names]
    expected = by_address(launch(folder, "tame", stages=tame).signals.to_table())
    found = done.shadow.to_table().to_pylist()
    assert len({row["dropped_by"].split(".")[0] for row in found}) >= 4
    for row in found:
        wanted = expected[row["address"]]
        reached = names[: names.index(row["dropped_by"].split(".")[0]) + 1]
        for column, value in row.items():
            stage = column.split(".")[0]
            if column != "dropped_by" and (stage not in BARRIERS):
                assert value == wanted[column], column
            if stage in BARRIERS and stage not in reached:
                assert value is None, column


def test_every_dropped_document_and_no_other_at_a_rate_of_one(done):
    dropped = done.signals.to_table()
    dropped = by_address(dropped.filter(dropped["dropped_by"].is_valid()))
    found = by_address(done.shadow.to_table())
    assert found.keys() == dropped.keys()
    assert len(found) == done.shadow.count_rows() == done.stats["shadow"]["documents"]
    for address, row in found.items():
        for name in ("id", "bytes", "source", "dropped_by"):
            assert row[name] == dropped[address][name]
        known = {name: value for name, value in dropped[address].items() if value is not None}
        assert known.items() <= row.items()


def test_nothing_else_changes(folder, done):
    without = launch(folder, "without", shadow_rate=0)
    assert without.shadow.count_rows() == 0
    assert without.shadow.schema.names == without.signals.schema.names
    one, other = digest(Path(done.path)), digest(Path(without.path))
    assert {name: value for name, value in one.items() if not name.startswith("shadow/")} == {
        name: value for name, value in other.items() if not name.startswith("shadow/")
    }
    for kind in ("input", "output", "stages"):
        assert _no_times(without.stats[kind]) == _no_times(done.stats[kind])


def _no_times(counts):
    if not isinstance(counts, dict):
        return counts
    return {name: _no_times(value) for name, value in counts.items() if name != "seconds"}


@pytest.mark.parametrize("change", [{"workers": 3}, {"partition_bytes": 100_000}])
def test_the_same_bytes_whoever_does_it(folder, done, change):
    other = launch(folder, "-".join(map(str, *change.items())), **change)
    assert digest(Path(other.path)) == digest(Path(done.path))


def test_a_sample_is_part_of_every_larger_one(folder, done):
    tenth, third = (launch(folder, str(rate), shadow_rate=rate, rejected_rate=0.3) for rate in (0.1, 0.3))
    small, large = (set(run.shadow.to_table()["address"].to_pylist()) for run in (tenth, third))
    assert small < large < set(done.shadow.to_table()["address"].to_pylist())
    assert large <= set(third.rejected.to_table()["address"].to_pylist())


def test_the_same_text_is_measured_or_not_wherever_it_stands(folder, done):
    """The last fifty pages of one file are the first ones of the other, in batches of their own."""
    run = launch(folder, "third", shadow_rate=0.3)
    shadow, dropped = run.shadow.to_table(), run.signals.to_table()
    reasons = dict(zip(dropped["address"].to_pylist(), dropped["dropped_by"].to_pylist(), strict=True))
    ids = [row["id"] for row in shadow.to_pylist() if row["dropped_by"].startswith("gopher")]
    twice = dropped.filter(pc.is_in(dropped["id"], pa.array(ids)))
    assert sum(1 for address in twice["address"].to_pylist() if reasons[address]) == len(ids) > 0


class Fragile(Filter):
    """Cannot stand the letter z. Source: none, a toy."""

    count: Count = Bounds()
    """Nothing."""

    def measure(self, batch: TextBatch):
        if any("z" in text for text in batch.table["text"].to_pylist()):
            raise ZeroDivisionError("z")
        return {"count": pa.array([1] * batch.num_rows)}


def shadowed(texts: list[str], *stages) -> tuple[list[dict], dict]:
    stats = counting.empty(stage.name for stage in stages)
    batch = TextBatch.from_texts(texts)
    shadow = Shadow(stages, {}, stats, rate=1, most_bytes=1)
    places = pa.array(range(len(texts)))
    shadow.begin(pa.table({"address": places, "bytes": places, "source": pa.nulls(len(texts), pa.string())}))
    sieve(batch, stages, stats, listener=shadow)
    schema = shadow_schema(batch.table.schema, stages, is_last=True)
    return [row for part in shadow.rest() for row in rows(part, schema).to_pylist()], stats


def test_a_stage_that_fails_on_what_it_should_not_see_stops_nothing():
    found, stats = shadowed(["zzzzzz", "z", "an honest text"], Length(), Fragile())
    assert [(row["id"], row["fragile.count"]) for row in found] == [("0", None), ("1", None)]
    assert stats["shadow"]["unmeasured"] == {"fragile": 2}


def test_later_stages_see_the_text_as_the_one_that_dropped_it_left_it():
    found, _ = shadowed(["#gone", "a vowel # is cut"], Shorten(), Length())
    assert [(row["id"], row["length.byte_count"]) for row in found] == [("0", 0)]


def test_bytes_are_those_that_were_read_and_a_source_is_a_column_or_the_file(tmp_path):
    texts = ["one text # and more of it", "another one", "no source"]
    lines = [{"text": text, "source": name, "site": 7} for text, name in zip(texts, ["a", "b", None], strict=True)]
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    for field, wanted in [("source", ["a", "b", None]), ("site", ["7"] * 3), (None, [str(path)] * 3)]:
        config = {
            "input": {"path": str(path), "source": field},
            "output": str(tmp_path / f"run-{field}"),
            "stages": ["gopher", "exact", "fineweb"],
        }
        table = pipeline.run(config, workers=1).signals.to_table()
        assert table["source"].to_pylist() == wanted
        assert table["bytes"].to_pylist() == [len(text) for text in texts]


def test_a_source_that_is_not_there_is_an_error(tmp_path):
    path = write_jsonl(tmp_path / "in.jsonl", 3)
    config = {"input": {"path": str(path), "source": "numberz"}, "output": str(tmp_path / "run"), "stages": ["gopher"]}
    with pytest.raises(ConfigError, match=r"has no column 'numberz'\. Did you mean 'number'"):
        pipeline.run(config, workers=1)
