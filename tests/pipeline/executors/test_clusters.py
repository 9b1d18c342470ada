"""The same run on clusters: real ones, of this one machine. Skipped where they are not installed."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import pipeline
from pipeline.config import load_config
from pipeline.io.shards import list_shards
from pipeline.launch import cancel_run
from pipeline.runs import Run
from pipeline.standing import standing
from stages.errors import ConfigError, RunError
from tests.corpus import write_jsonl
from tests.pipeline.test_engine import digest

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "tests" / "slurm_one_node.sh"


def config(folder: Path, name: str, **execution) -> dict:
    return {
        "input": {"path": str(folder / "in.jsonl"), "shard_bytes": 60_000},
        "output": str(folder / name),
        "stages": ["gopher", "exact"],
        "execution": {"task_bytes": 1, "output_bytes": 100_000, "rejected_rate": 0.5, **execution},
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clusters")
    write_jsonl(folder / "in.jsonl", 150)
    return folder


@pytest.fixture(scope="module")
def reference(folder):
    return pipeline.run(config(folder, "local"), workers=1)


@pytest.fixture(scope="module")
def slurm():
    """A Slurm of one node, started and stopped by these tests; settings for jobs that fit into it."""
    if not all(map(shutil.which, ("slurmctld", "slurmd", "munged"))):
        pytest.skip("Slurm is not installed; Debian: apt-get install slurm-wlm munge")
    if os.geteuid():
        pytest.skip("only root can start Slurm's daemons")
    patch = pytest.MonkeyPatch()
    patch.setenv("SLURM_CONF", subprocess.check_output([SCRIPT, "start"], text=True, stdin=subprocess.DEVNULL).strip())
    patch.setenv("PYTHONPATH", str(ROOT))
    yield {"executor": "slurm", "slurm": {"memory_gb": 1, "tasks_per_job": 10, "launcher": {"memory_gb": 1}}}
    subprocess.run([SCRIPT, "stop"], check=True)
    patch.undo()


def wait_for(path: str, seconds: float = 240) -> Run:
    started = time.monotonic()
    while (run := pipeline.open_run(path)).state == "running":
        assert time.monotonic() - started < seconds, run.snapshot()
        time.sleep(0.5)
    return run


def test_slurm_gives_the_same_bytes_though_its_jobs_are_cancelled(folder, reference, slurm):
    """The array of the first phase is cancelled, and with it goes all that waits for it; the launcher mends that."""
    submitted = pipeline.run(config(folder, "slurm", **slurm))
    assert submitted.state == "running"
    jobs = (folder / "slurm" / "slurm.json").read_text()
    with pytest.raises(RunError, match=r"jobs .* are at work on"):
        pipeline.run(config(folder, "slurm", **slurm))
    first = next(iter(json.loads(jobs)["jobs"].values()))
    subprocess.run(["scancel", first], check=True)
    done = wait_for(submitted.path)
    assert (done.state, done.description.get("error")) == ("done", None)
    assert digest(folder / "slurm") == digest(Path(reference.path))
    assert done.stats["output"] | {"seconds": 0} == reference.stats["output"] | {"seconds": 0}
    assert (folder / "slurm" / "slurm.json").read_text() != jobs
    assert standing(done)["stages"]["gopher"]["documents_in"] == 150


def test_a_task_that_cannot_be_done_ends_a_run_on_slurm(folder, slurm):
    (folder / "bad.jsonl").write_text("{\n" * 30)
    spec = config(folder, "failing", max_errors=3, **slurm) | {"input": str(folder / "bad.jsonl")}
    ended = wait_for(pipeline.run(spec).path)
    assert ended.state == "failed"
    assert "more than max_errors = 3" in ended.description["error"]
    assert ended.stats["state"] == "failed"


def test_a_cancelled_run_goes_on_where_it_stopped(folder, slurm):
    path = pipeline.run(config(folder, "cancelled", **slurm)).path
    assert cancel_run(path).startswith("cancelled jobs ")
    assert pipeline.open_run(path).state == "stopped"
    with pytest.raises(RunError, match="is not at work: it is stopped"):
        cancel_run(path)
    run = pipeline.run(config(folder, "cancelled"), workers=1)
    assert run.state == "done"


def test_ray_gives_the_same_bytes(folder, reference):
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install 'tamis[cluster]'")
    command = "import json, pipeline, sys; pipeline.run(json.loads(sys.argv[1]))"
    execution = {"executor": "ray", "ray": {"memory_gb": 0.5, "tasks_per_job": 10}}
    arguments = [command, json.dumps(config(folder, "ray", **execution))]
    subprocess.run([sys.executable, "-c", *arguments], check=True, cwd=ROOT)
    assert digest(folder / "ray") == digest(Path(reference.path))


def test_scripts_ask_for_what_each_phase_needs(folder, monkeypatch):
    """No Slurm is needed to see what would be submitted."""
    from pipeline.executors.slurm import scripts

    settings = {
        "partition": "cpu",
        "gpu": {"partition": "gpu", "gres": "gpu:a100:1"},
        "phases": {"resolve": {"memory_gb": 64, "time": "1-00:00:00"}},
        "setup": "module load python",
        "sbatch": {"nice": "100"},
        "max_array_size": 2,
    }
    planned = load_config(config(folder, "planned", executor="slurm", workers=7, slurm=settings))
    run = Run.planned(planned, list_shards(planned.input))
    sieve = run.plan.segments[-1].sieve
    monkeypatch.setattr(type(run.plan), "is_accelerated", lambda plan, phase: phase == sieve)
    found = scripts(run)
    assert list(found) == [*(phase.name for phase in run.plan.phases), "launcher"]
    assert "#SBATCH --array=0-1%7\n" in found["01-sieve"]
    assert found["01-sieve"].rstrip().endswith(f"-m pipeline.executors.job {run.path} 01-sieve 3")
    assert "#SBATCH --partition=cpu\n" in found["01-sieve"]
    assert "gres" not in found["01-sieve"]
    assert "#SBATCH --partition=gpu\n" in found[sieve.name]
    assert "#SBATCH --gres=gpu:a100:1\n" in found[sieve.name]
    assert "#SBATCH --mem=64G\n" in found["02-exact-resolve"]
    assert "#SBATCH --time=1-00:00:00\n" in found["02-exact-resolve"]
    assert "known later" in found["04-write"]
    assert all("\nmodule load python\n" in script and "--nice=100" in script for script in found.values())
    assert not Path(run.path).exists()


def test_without_slurm_a_launch_says_where_to_go(folder, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match="there is no command sbatch here"):
        pipeline.run(config(folder, "nowhere", executor="slurm"))
    assert pipeline.open_run(str(folder / "nowhere")).state == "failed"
