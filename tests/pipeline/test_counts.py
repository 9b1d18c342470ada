"""What a whole run counted, over several segments, against its own rows."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline
from pipeline import stats as counting
from pipeline.counts import count_by_label
from pipeline.histograms import dense, edges, is_numeric
from tests.corpus import write_jsonl

STAGES = ["gopher", "exact", "language", {"c4": {"terminal_punctuation": False}}, "minhash", "fineweb"]


def launch(folder, name: str, workers: int) -> pipeline.Run:
    config = {
        "input": {"path": str(folder / "*.jsonl"), "source": "number", "shard_bytes": 150_000},
        "output": str(folder / name),
        "stages": STAGES,
        "execution": {"task_bytes": 1, "batch_bytes": 40_000},
    }
    return pipeline.run(config, workers=workers)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("counts")
    write_jsonl(folder / "a.jsonl", 300)
    write_jsonl(folder / "b.jsonl", 60, first=250)
    return launch(folder, "one", 1), launch(folder, "three", 3)


@pytest.fixture(scope="module")
def rows(done) -> list[dict]:
    return done[0].signals.to_table().to_pylist()


def by_label(rows: list[dict], column: str) -> dict:
    found: dict = {}
    for row in rows:
        own = found.setdefault(row[column] or counting.UNKNOWN, {"read": Counter(), "kept": Counter(), "dropped": {}})
        for total in (own["read"], own["dropped"].setdefault(row["dropped_by"], Counter())):
            total.update(documents=1, bytes=row["bytes"])
    for own in found.values():
        own["kept"] = own["dropped"].pop(None, Counter())
    return found


def test_documents_by_source_and_by_language(done, rows):
    stats = done[0].stats
    assert stats["sources"] == by_label(rows, "source")
    assert len(stats["sources"]) == 7
    before = ("gopher.", "exact.")
    there = [row for row in rows if not (row["dropped_by"] or "").startswith(before)]
    assert stats["languages"] == by_label(there, "language.label")
    assert len(there) == stats["stages"]["language"]["documents_in"]
    kept = sum(own["kept"].get("documents", 0) for own in stats["languages"].values())
    assert kept == stats["output"]["documents"] > 0


def test_histograms_and_labels_of_every_stage(done, rows):
    run, reached = done[0], rows
    for stage in run.config.stages:
        counts = run.stats["stages"][stage.name]
        assert len(reached) == counts["documents_in"]
        for name, signal in stage.signals().items():
            column = f"{stage.name}.{name}"
            values = [row[column] for row in reached if row[column] is not None]
            assert counts["unmeasured"].get(column, 0) == len(reached) - len(values)
            if is_numeric(signal.type):
                limits = edges(stage, name)
                places = np.searchsorted(limits, np.array(values, float), side="right")
                expected = np.bincount(places, minlength=len(limits) + 1)
                assert np.array_equal(dense(len(limits), counts["histograms"].get(column, {})), expected), column
            else:
                expected = Counter(str(value).lower() if isinstance(value, bool) else value for value in values)
                assert counts["labels"].get(column, {}) == expected
        reached = [row for row in reached if not (row["dropped_by"] or "").startswith(f"{stage.name}.")]
    assert len(reached) == run.stats["output"]["documents"]


def test_rules_alone_weigh_what_was_read(done, rows):
    """Of `fineweb`, which sees texts that `c4` has changed, in a segment of its own."""
    stage = done[0].config.stages[-1]
    counts = done[0].stats["stages"][stage.name]
    reached = [row for row in rows if row["dropped_by"] is None or row["dropped_by"].startswith("fineweb.")]
    for name, bound in stage.decisions().items():
        column = f"{stage.name}.{name}"
        low, high = (-np.inf if bound.min is None else bound.min), (np.inf if bound.max is None else bound.max)
        violated = [row["bytes"] for row in reached if row[column] is not None and not low <= row[column] <= high]
        found = counts["alone"].get(column, {"documents": 0, "bytes": 0})
        assert found == {"documents": len(violated), "bytes": sum(violated)}
    assert counts["alone"]


def test_the_same_counts_whoever_does_it(done):
    one, three = (run.stats for run in done)
    for kind in ("sources", "languages"):
        assert one[kind] == three[kind]
    for name, counts in one["stages"].items():
        for kind in ("dropped", "alone", "only", "histograms", "labels", "unmeasured"):
            assert counts[kind] == three["stages"][name][kind]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 9), st.sampled_from(["x.y", "x.z", None])),
        max_size=20,
    ),
    st.integers(0, 20),
)
def test_labels_are_counted_as_by_hand_in_any_parts(rows, cut):
    total: dict = {}
    for part in (rows[:cut], rows[cut:]):
        labels, sizes, reasons = zip(*part, strict=True) if part else ((), (), ())
        columns = pa.array(labels, pa.string()), np.array(sizes, np.int64), pa.array(reasons, pa.string())
        count_by_label(total, *columns, is_first=True, is_last=True)
    expected = by_label([{"label": a, "bytes": size, "dropped_by": why} for a, size, why in rows], "label")
    assert total == expected


def test_labels_that_look_like_ours_stay_apart():
    total: dict = {}
    columns = pa.array(["(many)", "(unknown)", None, "a"]), np.ones(4, np.int64), pa.array([None] * 4, pa.string())
    for _ in range(2):
        count_by_label(total, *columns, is_first=True, is_last=True)
    assert {label: own["read"]["documents"] for label, own in total.items()} == {
        "'(many)'": 2, "'(unknown)'": 2, "(unknown)": 2, "a": 2,
    }  # fmt: skip
