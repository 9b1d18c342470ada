"""What happens to a run whose tasks, disk or machine fail; `benchmarks/faults.py` does it at random moments."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.compute as pc
import pytest

import pipeline
import stages
from benchmarks.fault_trials import Trial
from pipeline.cleaning import clean, try_again
from pipeline.launch import cancel_run
from pipeline.standing import Refresher
from stages.contract import Bounds, Count, Filter, Signals
from stages.errors import DiskFullError, RunError, StageError
from stages.text.batch import TextBatch
from tests.corpus import write_jsonl
from tests.pipeline.test_engine import digest, num_done

ROOT = Path(__file__).parents[2]


class Poisoned(Filter):
    """Fails on documents that say so, for as long as a file does. Source: none, a toy."""

    antidote: str = ""
    """A file that cures it; its first line says what is done: `fail`, `hang` or `die`."""
    length: Count = Bounds()
    """Bytes."""

    def measure(self, batch: TextBatch) -> Signals:
        act = Path(self.antidote).read_text()
        if act and pc.any(pc.match_substring(batch.table["text"], "POISON")).as_py():
            if act == "die":
                os._exit(9)
            if act == "hang":
                time.sleep(600)
            raise ValueError("poison")
        return {"length": pc.binary_length(batch.table["text"].combine_chunks())}


@pytest.fixture
def spec(tmp_path, monkeypatch):
    """A config of six tasks whose second one is poisoned, before a barrier or behind it."""
    monkeypatch.setitem(stages.REGISTRY, "poisoned", "tests.pipeline.test_faults:Poisoned")
    (tmp_path / "sitecustomize.py").write_text(
        "import stages\nstages.REGISTRY['poisoned'] = 'tests.pipeline.test_faults:Poisoned'\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(ROOT), *sys.path])
    antidote = tmp_path / "antidote"
    antidote.write_text("fail")
    for number in range(6):
        write_jsonl(tmp_path / f"in-{number}.jsonl", 20, first=20 * number)
    poisoned = tmp_path / "in-1.jsonl"
    poisoned.write_text(poisoned.read_text().replace('"text": "', '"text": "POISON ', 1))
    return lambda *names, **execution: {
        "input": {"path": str(tmp_path / "in-*.jsonl")},
        "output": str(tmp_path / "run"),
        "stages": [{name: {"antidote": str(antidote)}} if name == "poisoned" else name for name in names],
        "execution": {"task_bytes": 1, "max_tries": 2, **execution},
    }


@pytest.mark.parametrize("order", [("poisoned", "exact"), ("exact", "poisoned")], ids=["before", "behind"])
def test_a_poisoned_task_stops_a_run_or_is_set_aside_and_tried_again(spec, tmp_path, order):
    poison = r"task 1 of .* failed: stage poisoned failed on the documents from id page-20"
    with pytest.raises(StageError, match=poison):
        pipeline.run(spec(*order), workers=1)
    run = pipeline.run(spec(*order, on_failure="set_aside"), workers=1)
    assert run.state == "done"
    (lost,) = run.set_aside
    assert (lost["task"], lost["cause"]["kind"]) == (1, "StageError")
    assert [part["path"] for part in lost["input"]] == [str(tmp_path / "in-1.jsonl")]
    assert run.stats["set_aside"] == {"tasks": 1}
    signals = run.signals.to_table()
    kept = signals.filter(signals["dropped_by"].is_null())
    assert run.documents.to_table()["id"].to_pylist() == kept["id"].to_pylist()
    assert not {f"page-{number}" for number in range(20, 40)} & set(kept["id"].to_pylist())
    if order[0] == "exact":
        assert pc.sum(pc.equal(signals["dropped_by"], "execution.set_aside")).as_py() > 0
    assert pipeline.run(spec(*order, on_failure="set_aside"), workers=1).set_aside == [lost], "it stays so"

    (tmp_path / "antidote").write_text("")
    assert try_again(run.path).startswith("1 tasks of")
    again = pipeline.run(spec(*order, on_failure="set_aside"), workers=1)
    assert again.set_aside == []
    fresh = pipeline.run({**spec(*order), "output": str(tmp_path / "fresh")}, workers=1)
    assert digest(Path(again.path)) == digest(Path(fresh.path))
    with pytest.raises(RunError, match=r"no task of .* was set aside"):
        try_again(again.path)


@pytest.mark.parametrize("act", ["die", "hang"])
def test_one_that_brings_its_worker_down_is_set_aside_after_its_tries(spec, tmp_path, act):
    (tmp_path / "antidote").write_text(act)
    timeout = {"task_timeout_s": 2.0} if act == "hang" else {}
    run = pipeline.run(spec("poisoned", on_failure="set_aside", **timeout), workers=1)
    (lost,) = run.set_aside
    assert lost["cause"]["kind"] == {"die": "Died", "hang": "Hung"}[act]
    assert run.stats["worker_deaths"] == 2
    if act == "hang":
        assert "in measure" in (tmp_path / "run" / "logs" / "worker_0.log").read_text(), "where it hung"


def test_the_command_ends_with_a_list(spec, tmp_path):
    (tmp_path / "c.json").write_text(json.dumps(spec("poisoned", on_failure="set_aside")))
    command = [
        sys.executable,
        "-c",
        "from pipeline.cli import main; main()",
        "run",
        str(tmp_path / "c.json"),
        "--quiet",
    ]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 1
    assert "1 tasks could not be done and were set aside" in ended.stderr
    assert f"task 1 of 01-sieve: {tmp_path}/in-1.jsonl [0:" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_numbers_are_kept_fresh_whatever_the_clocks_say(spec, tmp_path, monkeypatch):
    """Jobs rewrite `stats.json` when nobody has for a while, by their own time."""
    (tmp_path / "antidote").write_text("")
    path = Path(pipeline.run(spec("poisoned"), workers=1).path, "stats.json")
    now = [100.0]
    monkeypatch.setattr("pipeline.standing.time.monotonic", lambda: now[0])
    for off in (-400 * 86_400, 0, 40 * 86_400):
        os.utime(path, (time.time() + off, time.time() + off))
        refresher = Refresher(pipeline.open_run(str(path.parent)))

        def is_rewritten(after_s: float, refresher=refresher) -> bool:
            now[0] += after_s
            before = path.stat().st_mtime_ns
            refresher.look()
            return path.stat().st_mtime_ns != before

        assert [is_rewritten(after_s) for after_s in (0, 9, 2, 1, 9, 2)] == [False, False, True, False, False, True]
    path.unlink()
    Refresher(pipeline.open_run(str(path.parent))).look()
    assert path.exists()


def test_clean_leaves_the_output_and_nothing_to_do(spec, tmp_path):
    (tmp_path / "antidote").write_text("")
    with pytest.raises(RunError, match="is not a run directory"):
        clean(str(tmp_path / "run"))
    run = pipeline.run(spec("exact", "poisoned"), workers=1)
    before, stats = digest(Path(run.path)), run.stats
    (tmp_path / "run" / "documents" / "00000.parquet.77.part").write_bytes(b"half")
    assert clean(run.path).startswith("removed 3 phases and the logs of")
    assert [path.name[:8] for path in (tmp_path / "run" / "phases").iterdir()] == ["04-write"]
    again = pipeline.run(spec("exact", "poisoned"), workers=1)
    assert (digest(Path(again.path)), again.stats, again.state) == (before, stats, "done")
    assert again.documents.count_rows() == stats["output"]["documents"]
    other = pipeline.run({**spec("exact"), "output": run.path}, workers=1)
    assert other.stats["output"] != stats["output"]
    (tmp_path / "run" / "documents" / "00000.parquet").unlink()
    with pytest.raises(RunError, match="is gone, though its record lists it"):
        clean(run.path)


def test_a_launch_removes_what_a_killed_one_left(spec, tmp_path):
    (tmp_path / "antidote").write_text("")
    first = pipeline.run(spec("poisoned"), workers=1)
    left = Path(first.path) / "phases" / "x.parquet.123.part"
    left.write_bytes(b"half")
    pipeline.run(spec("poisoned"), workers=1)
    assert not left.exists()


def test_a_run_can_be_cancelled_from_elsewhere(spec, tmp_path, monkeypatch):
    from pipeline import progress

    (tmp_path / "antidote").write_text("")
    monkeypatch.setattr(progress, "LOOK_EVERY_S", 0.0)

    def show(state) -> None:
        if state.num_done:
            assert cancel_run(str(tmp_path / "run")).startswith("asked the launch")

    with pytest.raises(KeyboardInterrupt):
        pipeline.run(spec("poisoned"), workers=1, show=show)
    assert 0 < num_done(tmp_path / "run") < 7
    assert pipeline.open_run(str(tmp_path / "run")).state == "stopped"
    assert pipeline.run(spec("poisoned"), workers=1).state == "done"


@pytest.fixture
def small_disk(tmp_path):
    """A filesystem of a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_is_an_error_and_the_run_goes_on_once_there_is_room(spec, tmp_path, small_disk):
    (tmp_path / "antidote").write_text("")
    spare = small_disk / "spare"
    spare.write_bytes(b"x" * 900_000)
    disk = {**spec("poisoned", on_failure="set_aside", rejected_rate=1.0), "output": str(small_disk / "run")}
    with pytest.raises(DiskFullError, match=r"cannot be written: no room: No space left .* launch again"):
        pipeline.run(disk, workers=1)
    assert not list((small_disk / "run").rglob("*.part"))
    spare.unlink()
    run = pipeline.run(disk, workers=1)
    fresh = pipeline.run({**spec("poisoned", rejected_rate=1.0), "output": str(tmp_path / "fresh")}, workers=1)
    assert digest(Path(run.path)) == digest(Path(fresh.path))
    assert run.set_aside == []


def test_the_benchmark_turns_clocks_back_and_forth_and_hears_silence():
    trial = Trial({"output": "runs/x"}, random.Random(0))
    assert trial.message() == ""
    trial.said.close()
    for off in (0, -400 * 86_400, 7 * 3_600):
        command = trial.command({}, off)
        code = "import time; print(time.time(), time.time_ns() / 1e9, time.mktime(time.localtime()))"
        said = subprocess.run([sys.executable, "-c", code], env=command["env"], capture_output=True, check=True).stdout
        assert [float(clock) - time.time() for clock in said.split()] == pytest.approx([off] * 3, abs=60)
