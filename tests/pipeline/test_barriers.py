"""Barriers: what travels between their steps, and whole runs with one or two of them."""

import datetime as dt
import hashlib
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pipeline
import stages
from pipeline.barriers import align, first_key, sketch
from pipeline.plan import split
from pipeline.priority import sortable
from stages.errors import ConfigError, RunError, StageError
from stages.text.batch import TextBatch
from tests.corpus import page
from tests.toy import Length, SameStart

STAGES = [{"length": {"byte_count": {"min": 60, "max": None}, "vowel_ratio": {"min": None}}}, "same_start", "gopher"]


@pytest.fixture(autouse=True, scope="module")
def toys(tmp_path_factory):
    """The toy stages as those of an installed package, so that workers know them too."""
    info = tmp_path_factory.mktemp("packages") / "tamis_toys-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tamis-toys\nVersion: 0.1.0\n")
    points = "length = tests.toy:Length\nsame_start = tests.toy:SameStart\n"
    (info / "entry_points.txt").write_text(f"[tamis.stages]\n{points}")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(info.parent))
        stages._third_party.cache_clear()
        yield
    stages._third_party.cache_clear()


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=1))
def test_integers_sort_as_their_bytes(values):
    found = sortable([(pa.array(values, pa.int64()), False)]).to_pylist()
    order = sorted(range(len(values)), key=lambda i: found[i])
    assert [values[i] for i in order] == sorted(values, key=lambda v: (v is None, v or 0))
    down = sortable([(pa.array(values, pa.int64()), True)]).to_pylist()
    order = sorted(range(len(values)), key=lambda i: down[i])
    assert [values[i] for i in order] == sorted(values, key=lambda v: (v is None, -(v or 0)))


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_floats_sort_as_their_bytes(values):
    found = sortable([(pa.array(values), False)]).to_pylist()
    assert [values[i] for i in sorted(range(len(values)), key=lambda i: found[i])] == sorted(values)


def test_other_types_sort_and_ties_are_equal():
    days = [dt.date(2024, 1, 31), dt.date(2023, 12, 1)]
    assert sortable([(pa.array(days), False)])[0].as_py() > sortable([(pa.array(days), False)])[1].as_py()
    times = ["2024-01-31T12:00:01Z", "2024-01-31T12:00:00Z", None]
    newest, older, unknown = sortable([(pa.array(times), True)]).to_pylist()
    assert newest < older < unknown
    both = sortable([(pa.array([1, 1, 0]), True), (pa.array(["b", "a", "z"]), False)]).to_pylist()
    assert both[1] < both[0] < both[2]
    with pytest.raises(ValueError, match="has no order"):
        sortable([(pa.array([[1], [2]]), False)])


@pytest.mark.parametrize("num_partitions", [1, 2, 3, 7, 4096])
def test_partitions_share_all_keys(num_partitions):
    edges = [first_key(p, num_partitions) for p in range(num_partitions + 1)]
    assert edges[0] == 0
    assert edges[-1] == 1 << 64
    sizes = np.diff(np.array(edges, object))
    assert max(sizes) - min(sizes) <= 1


def test_what_nothing_is_said_of_is_null():
    resolution = pa.table({"address": pa.array([2, 5], pa.uint64()), "kept": pa.array([1, 1], pa.uint64())})
    found = align(resolution, np.array([1, 2, 5, 9], np.uint64))
    assert found["kept"].to_pylist() == [None, 1, 1, None]
    assert align(resolution.slice(0, 0), np.array([1], np.uint64))["kept"].to_pylist() == [None]


def test_a_column_that_is_not_there_is_named():
    batch = TextBatch.from_texts(["a"])
    with pytest.raises(StageError, match=r"there is no column 'dump' before it; there are: id, text"):
        sketch(SameStart(within=("dump",)), batch, np.zeros(1, np.uint64))


def test_segments_begin_at_barriers():
    parts = split([Length(), SameStart(), Length(), SameStart()])
    assert [len(part) for part in parts] == [1, 2, 1]
    assert [len(part) for part in split([SameStart()])] == [0, 1]


def rows(num: int) -> list[dict]:
    """Pages, each with two that begin alike in other places of the corpus."""
    return [
        {"id": f"d{i}", "text": page(10 * (i % (num // 3))) + f" {i}", "dump": f"CC-{i % 2}", "score": (i * 37) % 101}
        for i in range(num)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("barriers")
    found = rows(300)
    for part in range(3):
        lines = [json.dumps(row) for row in found[part * 100 : part * 100 + 100]]
        (folder / f"{part}.jsonl").write_text("\n".join([*lines, '{"text": "short"}']) + "\n")
    return folder


def run(folder: Path, name: str, workers: int = 1, **changes) -> pipeline.Run:
    config = {
        "input": {"path": str(folder / "*.jsonl"), "shard_bytes": 40_000},
        "output": str(folder / name),
        "stages": STAGES,
        "execution": {"task_bytes": 1, "batch_bytes": 20_000, "partition_bytes": 100_000, "rejected_rate": 1},
    }
    return pipeline.run(config | changes, workers=workers)


@pytest.fixture(scope="module")
def done(folder):
    return run(folder, "one")


def with_fields(**fields) -> list:
    return [STAGES[0], {"same_start": fields}, "gopher"]


def kept_by_brute_force(within=(), priority=lambda row: 0) -> set[str]:
    best: dict = {}
    for place, row in enumerate(rows(300)):
        key = (row["text"][:40], *(row[name] for name in within))
        best[key] = min(best.get(key, (10**9, 0, "")), (priority(row), place, row["id"]))
    return {id_ for _, _, id_ in best.values()}


def survivors(run: pipeline.Run) -> set[str]:
    table = run.signals.to_table(columns=["id", "dropped_by"])
    passed = table.filter(
        pa.compute.is_in(table["dropped_by"], pa.array(["length.byte_count", "same_start.duplicate"]))
    )
    return set(table["id"].to_pylist()) - set(passed["id"].to_pylist())


def test_a_run_with_a_barrier(done):
    names = [phase.name for phase in done.plan.phases]
    assert names == ["01-sieve", "02-same_start-resolve", "03-same_start-merge", "04-sieve", "05-write"]
    assert done.plan.phases[1].num_tasks > 2
    assert survivors(done) == kept_by_brute_force()
    signals = done.signals.to_table()
    assert signals.num_rows == 303
    assert signals["dropped_by"].null_count == done.documents.count_rows() > 0
    for row in signals.to_pylist():
        if row["dropped_by"] == "same_start.duplicate":
            assert row["same_start.duplicate_of"] in survivors(done)
            assert row["gopher.word_count"] is None
        elif row["dropped_by"] == "length.byte_count":
            assert row["same_start.duplicate"] is None
        else:
            assert row["same_start.duplicate_of"] is None
            assert row["same_start.num_copies"] == 3
            assert row["gopher.word_count"] > 0


def test_counts_add_up_across_segments(done):
    stats = done.stats
    before = stats["input"]["documents"]
    assert before == 303
    assert list(stats["stages"]) == ["length", "same_start", "gopher"]
    for counts in stats["stages"].values():
        assert counts["documents_in"] == before
        before = counts["documents_out"]
        assert counts["documents_in"] == before + sum(rule["documents"] for rule in counts["dropped"].values())
    assert before == stats["output"]["documents"] == done.documents.count_rows()
    rejected = done.rejected.to_table()
    assert rejected.num_rows == 303 - before
    assert all(path.endswith(".jsonl") for path in rejected["source"].to_pylist())


def test_kept_text_and_columns_are_those_that_came_in(done):
    texts = {row["id"]: row for row in rows(300)}
    for row in done.documents.to_table().to_pylist():
        assert row["text"] == texts[row["id"]]["text"]
        assert row["score"] == texts[row["id"]]["score"]
        assert row["length.byte_count"] == len(row["text"].encode())


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_change_no_byte(folder, done, workers):
    def digest(path: str) -> dict[str, str]:
        files = [file for kind in ("documents", "signals", "rejected") for file in Path(path, kind).iterdir()]
        return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    assert digest(run(folder, f"with-{workers}", workers).path) == digest(done.path)


def test_partitions_and_tasks_change_no_decision(folder, done):
    other = {"task_bytes": 10**9, "partition_bytes": 10**9, "rejected_rate": 1}
    assert survivors(run(folder, "other", execution=other)) == survivors(done)


def test_priority_says_who_is_kept(folder):
    found = run(folder, "priority", stages=with_fields(priority=["-score"]))
    assert survivors(found) == kept_by_brute_force(priority=lambda row: -row["score"])


def test_within_keeps_one_of_each(folder):
    found = run(folder, "within", stages=with_fields(within=["dump"]))
    assert survivors(found) == kept_by_brute_force(within=("dump",))


def test_within_two_columns_compares_both(folder, tmp_path):
    """Also where their values are equal or swapped."""
    text = page(1)
    pairs = [("en", "en"), ("de", "de"), ("en", "de"), ("de", "en"), ("en", "en")]
    rows = [{"id": f"{i}", "text": text, "lang": a, "site": b} for i, (a, b) in enumerate(pairs)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = {"input": str(tmp_path / "in.jsonl"), "output": str(tmp_path / "run")}
    found = pipeline.run({**spec, "stages": [{"same_start": {"within": ["lang", "site"]}}]}, workers=1)
    assert found.signals.to_table()["same_start.duplicate_of"].to_pylist() == [None, None, None, None, "0"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"within": ["dmup"]},
            r"same_start\.within: there is no column 'dmup' before .*\. Did you mean 'dump'",
        ),
        ({"priority": ["-gopher.word_count"]}, r"same_start\.priority: there is no column 'gopher.word_count' before"),
        ({"priority": [""]}, "there is no column ''"),
    ],
)
def test_columns_that_are_not_there_are_told_before_anything_is_done(folder, fields, expected):
    with pytest.raises(ConfigError, match=expected):
        run(folder, "never", stages=with_fields(**fields))
    assert not (folder / "never").exists()


def test_columns_that_cannot_be_compared_are_told(tmp_path):
    table = pa.table({"text": ["a"], "tags": [["x"]]})
    pq.write_table(table, tmp_path / "in.parquet")
    spec = {"input": str(tmp_path / "in.parquet"), "output": str(tmp_path / "run")}
    for field in ("within", "priority"):
        with pytest.raises(ConfigError, match=rf"same_start\.{field}: column 'tags': .* (compared|order)"):
            pipeline.run({**spec, "stages": [{"same_start": {field: ["tags"]}}]}, workers=1)


def test_categories_and_decimals_may_be_compared(tmp_path):
    text = page(1)
    table = pa.table(
        {
            "text": [text] * 4,
            "dump": pa.array(["a", "b", "a", "b"]).dictionary_encode(),
            "score": pa.array([Decimal("1.5"), Decimal("0.5"), Decimal("2.5"), None], pa.decimal128(5, 2)),
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    spec = {"input": {"path": str(tmp_path / "in.parquet"), "id": None}, "output": str(tmp_path / "run")}
    stage = {"same_start": {"within": ["dump"], "priority": ["-score"]}}
    found = pipeline.run({**spec, "stages": [stage]}, workers=1).signals.to_table()
    assert [value is None for value in found["same_start.duplicate_of"].to_pylist()] == [False, True, True, False]


def test_damage_between_the_segments_is_seen_before_it_spreads(folder):
    found = run(folder, "spread")
    for phase in ("04", "05"):
        for record in Path(found.path).glob(f"phases/{phase}-*/completions/*"):
            record.unlink()
    file = max(Path(found.path).glob("phases/01-*/documents/*.parquet"), key=lambda file: file.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)
    with pytest.raises(RunError, match=r"is damaged: .*delete .*/phases/01-sieve-\w+ to have that phase done again"):
        run(folder, "spread")


def test_a_signal_may_be_the_priority(folder):
    found = run(folder, "signal", stages=with_fields(priority=["-length.byte_count"]))
    assert survivors(found) == kept_by_brute_force(priority=lambda row: -len(row["text"].encode()))


def test_a_second_barrier_finds_nothing_more(folder, done):
    twice = [STAGES[0], "same_start", {"same_start": {"name": "again"}}, "gopher"]
    found = run(folder, "twice", stages=twice)
    assert "again.duplicate" not in found.stats["stages"]["again"]["dropped"]
    assert found.documents.count_rows() == done.documents.count_rows()


def test_a_bound_behind_a_barrier_leaves_what_is_before(folder):
    first = run(folder, "reuse")
    before = first.documents.count_rows()
    kept = {path: path.stat().st_mtime_ns for path in Path(first.path).glob("phases/0[123]*/*/*")}
    again = run(folder, "reuse", stages=[*STAGES[:2], {"gopher": {"word_count": {"min": 250}}}])
    assert again.documents.count_rows() < before
    now = {path: path.stat().st_mtime_ns for path in Path(first.path).glob("phases/0[123]*/*/*")}
    assert {path: time for path, time in now.items() if "completions" in str(path)} == {
        path: time for path, time in kept.items() if "completions" in str(path)
    }


def test_annotating_says_that_a_barrier_needs_a_run():
    with pytest.raises(ConfigError, match="tamis run"):
        pipeline.annotate(pa.table({"text": ["a"]}), ["same_start"])


def test_nothing_left_for_a_barrier(folder):
    strict = [{"length": {"byte_count": {"min": 10**6, "max": None}}}, "same_start"]
    found = run(folder, "nothing", stages=strict)
    assert found.documents.count_rows() == 0
    assert found.signals.count_rows() == 303
