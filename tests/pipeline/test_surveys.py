"""Surveys: stages that know something of all documents first; attachments, and phases of their own for a GPU."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import pipeline
import stages
from pipeline.plan import split
from stages.errors import ConfigError
from tests.corpus import page
from tests.toy import Length, Profile, SameVowels, Share

STAGES = ["length", "profile", {"share": {"share": {"min": 0.05}}}, "same_vowels"]
OPEN = {"byte_count": {"min": None, "max": None}, "vowel_ratio": {"min": None}}


@pytest.fixture(autouse=True, scope="module")
def toys(tmp_path_factory):
    """The toy stages as those of an installed package, so that workers know them too."""
    info = tmp_path_factory.mktemp("packages") / "tamis_toys-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tamis-toys\nVersion: 0.1.0\n")
    names = {"length": "Length", "profile": "Profile", "share": "Share", "same_vowels": "SameVowels"}
    points = "".join(f"{name} = tests.toy:{cls}\n" for name, cls in names.items())
    (info / "entry_points.txt").write_text(f"[tamis.stages]\n{points}")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(info.parent))
        stages._third_party.cache_clear()
        yield
    stages._third_party.cache_clear()


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [f"{'abc'[i % 3] if i % 50 else 'z'}{page(i % 70)[: 200 + i]} {i}" for i in range(300)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("surveys")
    for part in range(3):
        rows = [{"id": f"d{i}", "text": texts[i]} for i in range(part * 100, part * 100 + 100)]
        (folder / f"{part}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return folder


def run(folder: Path, name: str, workers: int = 1, stages=None, **execution) -> pipeline.Run:
    config = {
        "input": {"path": str(folder / "*.jsonl"), "shard_bytes": 20_000},
        "output": str(folder / name),
        "stages": stages or [{"length": OPEN}, *STAGES[1:]],
        "execution": {"task_bytes": 1, "batch_bytes": 10_000, "partition_bytes": 30_000, **execution},
    }
    return pipeline.run(config, workers=workers)


@pytest.fixture(scope="module")
def done(folder):
    return run(folder, "one")


def digests(found: pipeline.Run) -> dict[str, str]:
    root = Path(found.path)
    files = [path for kind in ("documents", "signals", "rejected") for path in sorted((root / kind).iterdir())]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_gpu_a_survey_and_a_barrier_begin_segments():
    assert [len(part) for part in split([Length(), Profile(), Length(), Share(), SameVowels()])] == [1, 1, 1, 1, 1]
    assert [len(part) for part in split([Profile(), Profile(), Length()])] == [2, 1]


def test_phases_come_in_order(done):
    kinds = [(phase.stage, phase.kind) for phase in done.plan.phases]
    assert kinds == [
        ("", "sieve"),
        ("", "sieve"),
        ("share", "conclude"),
        ("", "sieve"),
        ("same_vowels", "conclude"),
        ("same_vowels", "sketch"),
        ("same_vowels", "resolve"),
        ("same_vowels", "merge"),
        ("", "sieve"),
        ("", "write"),
    ]


def test_a_census_knows_all_documents(done, texts):
    sizes = Counter()
    for text in texts:
        sizes[text[0]] += len(text.encode())
    rows = done.signals.to_table(columns=["id", "share.share", "dropped_by"]).to_pylist()
    for row in rows:
        share = sizes[texts[int(row["id"][1:])][0]] / sizes.total()
        assert row["share.share"] == pytest.approx(share)
        assert (row["dropped_by"] == "share.share") == (share < 0.05)
    assert {row["dropped_by"] for row in rows} == {None, "share.share", "same_vowels.duplicate"}


def test_attachments_travel_and_transient_ones_stay_behind(done, texts):
    documents = done.documents.to_table()
    assert "profile.letters" not in documents.column_names
    assert not any(name.startswith("profile.v") for name in done.signals.schema.names)
    for row in documents.to_pylist():
        text = texts[int(row["id"][1:])]
        assert row["profile.vector"] == [text.count(vowel) for vowel in "aeiou"]
    between = done.plan.segments[2].sieve
    columns = pq.read_schema(next(Path(done.path, between.directory, "documents").iterdir())).names
    assert "profile.letters" in columns


def test_a_surveyed_barrier_samples_by_hash(done, folder):
    conclude = done.plan.segments[3].conclude
    (file,) = Path(done.path, conclude.directory, "references").iterdir()
    assert pq.read_table(file)["num_rows"].to_pylist() == [50]
    kept = done.documents.to_table(columns=["profile.vector"]).to_pylist()
    vowel = pq.read_table(file)["vowel"][0].as_py()
    counts = [row["profile.vector"][vowel] for row in kept]
    assert len(set(counts)) == len(counts)


def test_the_same_bytes_with_more_workers_and_other_batches(done, folder):
    assert digests(run(folder, "two", workers=2)) == digests(done)
    other = run(folder, "three", batch_bytes=3_000, task_bytes=60_000)
    assert set(other.documents.to_table()["id"].to_pylist()) == set(done.documents.to_table()["id"].to_pylist())


def test_a_changed_conclusion_leaves_the_phases_before_alone(folder):
    run(folder, "changed")
    before = {phase.name: phase.directory for phase in pipeline.open_run(str(folder / "changed")).plan.phases}
    changed = [{"length": OPEN}, "profile", {"share": {"scale": 2.0}}, {"same_vowels": {"num_samples": 20}}]
    again = run(folder, "changed", stages=changed)
    same = [phase.name for phase in again.plan.phases if before[phase.name] == phase.directory]
    assert same == ["01-sieve", "02-sieve"]
    assert again.documents.count_rows() > 0


def test_a_stage_counts_what_it_likes(done):
    counters = done.stats["stages"]["profile"]["counters"]
    assert counters["calls"] >= 3
    assert counters["peak_width"] == 5


def test_what_a_barrier_reads_has_to_be_there(folder):
    with pytest.raises(ConfigError, match=r"same_vowels needs profile\.vector: put the stage `profile` before it"):
        run(folder, "never", stages=[{"length": OPEN}, "same_vowels"])


def test_annotate_says_that_a_census_takes_a_run():
    with pytest.raises(ConfigError, match="share has to know all documents first, which takes a run"):
        pipeline.annotate("x.jsonl", ["share"])


def test_annotate_gives_attachments_too(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "aei"}\n{"text": ""}\n')
    found = pipeline.annotate(str(tmp_path / "a.jsonl"), ["profile"])
    assert found["profile.vector"].to_pylist() == [[1, 1, 1, 0, 0], [0] * 5]
    assert np.array_equal(found["profile.sum"], [3, 0])
