"""Whole runs: the same bytes whoever does them, resumed after kills, refused when something is not what it should
be."""

import hashlib
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import pipeline
from stages.errors import ConfigError, InputError, RunError, StageError
from tests.corpus import write_jsonl

ROOT = Path(__file__).parents[2]
STAGES = ["exact", "gopher", "repetition", {"c4": {"terminal_punctuation": False}}, "fineweb", "minhash"]
KINDS = ("documents", "signals", "rejected", "shadow", "duplicates/exact", "duplicates/minhash")


def digest(run: Path) -> dict[str, str]:
    """Checksum of every data file of a run, by name."""
    files = [file for kind in KINDS for file in sorted((run / kind).glob("*"))]
    return {f"{file.parent.name}/{file.name}": hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine")
    write_jsonl(folder / "a.jsonl", 1500)
    write_jsonl(folder / "b.jsonl", 700, first=1500)
    return folder


def config(folder: Path, name: str) -> dict:
    return {
        "input": {"path": str(folder / "*.jsonl"), "shard_bytes": 150_000},
        "output": str(folder / name),
        "stages": STAGES,
        "execution": {
            "task_bytes": 1,
            "batch_bytes": 40_000,
            "output_bytes": 300_000,
            "rejected_rate": 0.5,
            "shadow_rate": 0.3,
        },
    }


@pytest.fixture(scope="module")
def reference(folder):
    """The run that every other one is compared with: one worker, undisturbed."""
    return pipeline.run(config(folder, "one"), workers=1)


def test_nothing_is_lost(reference):
    stats = reference.stats
    before = stats["input"]["documents"]
    assert before == 2200
    for counts in stats["stages"].values():
        assert counts["documents_in"] == before
        assert before == counts["documents_out"] + sum(rule["documents"] for rule in counts["dropped"].values())
        before = counts["documents_out"]
    assert 0 < stats["output"]["documents"] == before < 2200
    assert reference.documents.count_rows() == before
    signals = reference.signals.to_table()
    assert signals.num_rows == 2200
    assert signals["dropped_by"].null_count == before
    assert len(set(signals["address"].to_pylist())) == 2200
    kept = signals.filter(signals["dropped_by"].is_null())
    assert kept["id"].to_pylist() == reference.documents.to_table(columns=["id"])["id"].to_pylist()


def test_signals_explain_every_drop(reference):
    stages = {stage.name: stage for stage in reference.config.stages}
    table = reference.signals.to_table()
    for row in table.filter(table["dropped_by"].is_valid()).to_pylist():
        stage, _, field = row["dropped_by"].partition(".")
        rule = stages[stage].decisions()[field].model_dump()
        value = row[row["dropped_by"]]
        assert rule is True or value < (rule["min"] or -1) or value > (rule["max"] or 1e18), row


def test_incoming_columns_travel_along(reference):
    table = reference.documents.to_table(columns=["id", "url", "number"])
    for row in table.slice(0, 20).to_pylist():
        number = int(row["id"].removeprefix("page-"))
        assert (row["url"], row["number"]) == (f"https://example.org/{number}", number % 7)


@pytest.mark.parametrize("workers", [2, 4])
def test_the_number_of_workers_changes_no_byte(folder, reference, workers):
    run = pipeline.run(config(folder, f"with-{workers}"), workers=workers)
    assert digest(Path(run.path)) == digest(Path(reference.path))


def parted(folder: Path, name: str) -> dict:
    """The same run with its barriers in four partitions and all the steps that takes."""
    whole = config(folder, name)
    return whole | {"execution": whole["execution"] | {"partition_bytes": 700_000}}


def launch(config: dict) -> subprocess.Popen:
    code = "import pipeline, json, sys; pipeline.run(json.loads(sys.argv[1]), workers=2)"
    return subprocess.Popen([sys.executable, "-c", code, json.dumps(config)], cwd=ROOT, stderr=subprocess.DEVNULL)


def workers_of(process: subprocess.Popen) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children()
    except psutil.NoSuchProcess:
        return []


def num_done(run: Path) -> int:
    return len(list(run.glob("phases/*/completions/*")))


def test_killed_workers_and_a_killed_launch_change_no_byte(folder, reference):
    """SIGKILL to five workers at odd moments, then to the launch itself; then the run is resumed."""
    run, rng, kills = folder / "killed", random.Random(1), 0
    process = launch(parted(folder, "killed"))
    while process.poll() is None and kills < 5:
        time.sleep(rng.uniform(0.02, 0.1))
        busy = workers_of(process)
        if num_done(run) > 2 * kills and busy:
            rng.choice(busy).kill()
            kills += 1
    process.kill()
    process.wait()
    assert kills == 5
    before = num_done(run)
    resumed = pipeline.run(parted(folder, "killed"), workers=2)
    assert digest(Path(resumed.path)) == digest(Path(reference.path))
    assert before > 0
    assert resumed.stats["output"] | {"seconds": 0} == reference.stats["output"] | {"seconds": 0}
    assert resumed.stats["sources"] == reference.stats["sources"]
    for name, counts in reference.stats["stages"].items():
        for kind in ("dropped", "alone", "only", "histograms", "labels"):
            assert resumed.stats["stages"][name][kind] == counts[kind]


def test_two_launches_do_not_share_a_directory(folder, tmp_path):
    process = launch(config(folder, "shared"))
    while process.poll() is None and num_done(folder / "shared") < 1:
        time.sleep(0.02)
    with pytest.raises(RunError, match="another launch is at work on"):
        pipeline.run(config(folder, "shared"), workers=1)
    process.kill()
    process.wait()
    assert pipeline.run(config(folder, "shared"), workers=2).state == "done"


def test_a_stage_that_cannot_be_set_up_says_why_at_once(tmp_path):
    write_jsonl(tmp_path / "in.jsonl", 5)
    spec = {"input": str(tmp_path / "in.jsonl"), "output": str(tmp_path / "run")}
    (tmp_path / "model.bin").write_bytes(b"no model")
    with pytest.raises(StageError, match=r"model\.bin is not a fastText model"):
        pipeline.run({**spec, "stages": [{"language": {"model": str(tmp_path / "model.bin")}}]}, workers=1)


def test_ctrl_c_stops_and_the_next_launch_goes_on(folder, reference):
    process = launch(config(folder, "stopped"))
    while process.poll() is None and num_done(folder / "stopped") < 3:
        time.sleep(0.02)
    children = workers_of(process)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=20)
    assert pipeline.open_run(str(folder / "stopped")).state == "stopped"
    assert all(not child.is_running() or child.status() == psutil.STATUS_ZOMBIE for child in children)
    run = pipeline.run(config(folder, "stopped"), workers=2)
    assert digest(Path(run.path)) == digest(Path(reference.path))


def test_a_second_launch_does_nothing(folder, reference):
    files = {path: path.stat().st_mtime_ns for path in Path(reference.path).rglob("*.parquet")}
    again = pipeline.run(config(folder, "one"), workers=1)
    assert {path: path.stat().st_mtime_ns for path in Path(reference.path).rglob("*.parquet")} == files
    assert again.stats["output"]["documents"] == reference.stats["output"]["documents"]


def test_a_changed_bound_changes_the_outcome_in_the_same_directory(folder):
    small = config(folder, "changing") | {"input": {"path": str(folder / "b.jsonl")}, "stages": ["gopher"]}
    first = pipeline.run(small, workers=1).stats["output"]["documents"]
    stricter = pipeline.run(small, set=["stages.gopher.word_count.min=400"], workers=1)
    assert stricter.documents.count_rows() == stricter.stats["output"]["documents"] < first
    assert pipeline.run(small, workers=1).stats["output"]["documents"] == first


@pytest.fixture
def finished(tmp_path):
    """A small finished run of its own, to damage."""
    write_jsonl(tmp_path / "in.jsonl", 60)
    spec = {"input": {"path": str(tmp_path / "in.jsonl")}, "output": str(tmp_path / "run"), "stages": ["gopher"]}
    return pipeline.run(spec, workers=1), spec


def test_a_changed_input_is_an_error(finished, tmp_path):
    _, spec = finished
    time.sleep(0.01)
    write_jsonl(tmp_path / "in.jsonl", 61)
    with pytest.raises(InputError, match=r"in\.jsonl has changed since the first launch"):
        pipeline.run(spec, workers=1)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.write_bytes(b""), "has 0 bytes, its record says"),
        (lambda file: file.unlink(), "is gone, though its record lists it"),
        (lambda file: file.write_bytes(file.read_bytes() + b"x"), "its record says"),
    ],
)
def test_a_damaged_output_file_is_refused(finished, damage, message):
    run, spec = finished
    damage(next(Path(run.path, "documents").iterdir()))
    with pytest.raises(RunError, match=message):
        pipeline.run(spec, workers=1)


def test_a_flipped_byte_between_the_phases_is_refused(finished):
    run, spec = finished
    for record in Path(run.path).glob("phases/02-*/completions/*"):
        record.unlink()
    file = next(Path(run.path).glob("phases/01-*/documents/*.parquet"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(RunError, match="its checksum is not the one on record"):
        pipeline.run(spec, workers=1)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"rank": 0'])
def test_a_damaged_record_is_refused(finished, content):
    run, spec = finished
    next(Path(run.path).glob("phases/01-*/completions/*")).write_bytes(content)
    with pytest.raises(RunError, match="completions/00000"):
        pipeline.run(spec, workers=1)


def test_a_stale_record_is_refused(finished):
    run, spec = finished
    path = next(Path(run.path).glob("phases/01-*/completions/*"))
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"fingerprint": "0" * 64}))
    with pytest.raises(RunError, match="belongs to another plan"):
        pipeline.run(spec, workers=1)


def test_an_occupied_folder_is_not_taken_for_a_run(tmp_path):
    write_jsonl(tmp_path / "in.jsonl", 5)
    with pytest.raises(ConfigError, match="has files in it and is no run directory"):
        pipeline.run({"input": {"path": str(tmp_path / "in.jsonl")}, "output": str(tmp_path), "stages": ["gopher"]})


def test_too_many_bad_records_stop_the_run_and_more_patience_resumes_it(tmp_path):
    path = write_jsonl(tmp_path / "in.jsonl", 50)
    with path.open("a") as file:
        file.write('{"id": "cut", "text": "half\n' * 10)
    spec = {"input": {"path": str(path)}, "output": str(tmp_path / "run"), "stages": ["gopher"]}
    with pytest.raises(InputError, match="more than max_errors = 5"):
        pipeline.run(spec, set=["execution.max_errors=5"], workers=1)
    run = pipeline.run(spec, workers=1)
    assert run.stats["input"]["rejected"]["input.invalid_json"]["documents"] == 10
    bad = [row for row in run.rejected.to_table().to_pylist() if row["dropped_by"] == "input.invalid_json"]
    assert len(bad) == 10
    assert all(row["source"] == str(path) and row["offset"] > 0 and row["raw"] for row in bad)


def test_datatrove_finds_its_layout(reference):
    phase = Path(reference.path, reference.plan.segments[1].sieve.directory)
    assert {"completions", "logs", "stats", "executor.json"} <= {path.name for path in phase.iterdir()}
    assert (phase / "logs/task_00000.log").read_text()
    assert "dropped_gopher.word_count" in (phase / "stats/00000.json").read_text()


def test_open_run_says_what_is_no_run(tmp_path):
    with pytest.raises(RunError, match="is not a run directory"):
        pipeline.open_run(str(tmp_path))
