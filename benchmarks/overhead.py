"""What a task costs beside its work: `python -m benchmarks.overhead [--tasks 10000] [--executors local slurm ray]`.

A run of as many tasks as there are files, each of one line for the stage `url`, which has no URL to look at, is
launched with a tenth of the tasks and with all of them; the difference is free of what a launch costs once. On Slurm
(of this one machine, as root) and Ray, a tenth and a hundredth of `--tasks`. Then the same work by one worker and by
two, in turns: `--work-mb` of text through Gopher's rules and MinHash, in tasks of 2 MB.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pipeline

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "tests" / "slurm_one_node.sh"
CODE = "import json, pipeline, sys; pipeline.run(json.loads(sys.argv[1]))"
WHOLE, ADDED, MACHINE = "whole launches", "without what a launch costs once", "two launches of one worker at a time"
NUM_DOCUMENTS = 400
"""In a file of the work for two workers, about 2 MB."""


def write_lines(folder: Path, num_files: int) -> str:
    """Files of one short document each."""
    folder.mkdir(parents=True)
    for number in range(num_files):
        (folder / f"{number:06d}.jsonl").write_text(f'{{"id": "{number}", "text": "{number}"}}\n')
    return str(folder)


def spec(source: str, output: Path, stages: list[Any], **execution: Any) -> dict[str, Any]:
    return {"input": source, "output": str(output), "stages": stages, "execution": {"task_bytes": 1, **execution}}


def launch(config: dict[str, Any]) -> float:
    """Seconds of a run, from a process of its own to its end."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", CODE, json.dumps(config)], check=True, cwd=ROOT)
    while (run := pipeline.open_run(config["output"])).state == "running":
        time.sleep(0.2)
    assert run.state == "done", run.description
    seconds = time.monotonic() - started
    shutil.rmtree(config["output"])
    return seconds


def seconds_a_task(folder: Path, num_tasks: int, **execution: Any) -> tuple[float, float]:
    """Seconds that each task adds, and those of the launch with the fewer tasks."""
    few, many = max(1, num_tasks // 10), num_tasks
    took = {}
    for count in (few, many):
        source = write_lines(folder / "lines", count)
        took[count] = launch(spec(source, folder / "run", ["url"], **execution))
        shutil.rmtree(source)
    return (took[many] - took[few]) / (many - few), took[few]


def write_work(folder: Path, megabytes: int) -> str:
    """Documents of random words, some of which repeat others."""
    folder.mkdir(parents=True)
    words = ["the", "of", "and", "be", "have", *(f"w{number}ord" for number in range(20_000))]
    for number in range(max(2, megabytes // 2)):
        rng = random.Random(number)
        rows = (json.dumps({"text": " ".join(rng.choices(words, k=600))}) for _ in range(NUM_DOCUMENTS))
        (folder / f"{number:05d}.jsonl").write_text("\n".join(rows) + "\n")
    return str(folder)


def efficiency(folder: Path, megabytes: int, repeats: int) -> dict[str, list[float]]:
    """Speed-up at two workers over one, halved: of whole launches, and of what the larger of two inputs adds. And what
    the machine gives: two launches of one worker each at the same time, over one."""
    small, large = (write_work(folder / f"work{size}", size) for size in (megabytes // 4, megabytes))
    found: dict[str, list[float]] = {WHOLE: [], ADDED: [], MACHINE: []}

    def work(source: str, workers: int, output: str = "run") -> float:
        parts = {"output_bytes": 4 << 20, "partition_bytes": 8 << 20}  # so that every phase has many tasks
        return launch(spec(source, folder / output, ["gopher", "minhash"], workers=workers, **parts))

    for _ in range(repeats):
        few = {workers: work(small, workers) for workers in (1, 2)}
        many = {workers: work(large, workers) for workers in (1, 2)}
        started = time.monotonic()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda name: work(large, 1, name), ("left", "right")))
        found[MACHINE].append(many[1] / (time.monotonic() - started))
        found[WHOLE].append(many[1] / many[2] / 2)
        found[ADDED].append((many[1] - few[1]) / (many[2] - few[2]) / 2)
    return found


@contextmanager
def slurm() -> Iterator[dict[str, Any] | None]:
    """Settings for a Slurm of this machine, or None with the reason said."""
    if os.geteuid() or not all(map(shutil.which, ("slurmctld", "slurmd", "munged"))):
        print("slurm is left out: it takes root, and Debian's slurm-wlm and munge", file=sys.stderr)
        yield None
        return
    address = subprocess.check_output([SCRIPT, "start"], text=True, stdin=subprocess.DEVNULL).strip()
    os.environ |= {"SLURM_CONF": address, "PYTHONPATH": str(ROOT)}
    try:
        yield {"executor": "slurm", "slurm": {"memory_gb": 1, "launcher": {"memory_gb": 1}}}
    finally:
        subprocess.run([SCRIPT, "stop"], check=True)


def row(who: str, num_tasks: int, folder: Path, **execution: Any) -> str:
    each, launched = seconds_a_task(folder, num_tasks, **execution)
    share = execution.get("slurm", execution.get("ray", {})).get("tasks_per_job", "")
    return f"| {who} | {share} | {num_tasks:,} | {each * 1000:.1f} ms | {launched:.1f} s |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--executors", nargs="*", default=["local", "slurm", "ray"], choices=("local", "slurm", "ray"))
    parser.add_argument("--work-mb", type=int, default=240, help="text for one worker and two; 0 leaves this out")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        launch(spec(write_lines(folder / "first", 2), folder / "run", ["url", "gopher", "minhash"]))  # compiles
        print(
            "| executor | tasks a job | tasks | each takes | a launch with a tenth of them |\n|---|---:|---:|---:|---:|"
        )
        if "local" in arguments.executors:
            for workers in (1, 2):
                print(row(f"local, {workers} workers", arguments.tasks, folder, workers=workers), flush=True)
        if "slurm" in arguments.executors:
            with slurm() as settings:
                for share, count in ((100, arguments.tasks // 10), (1, arguments.tasks // 100)) if settings else ():
                    block = {**settings["slurm"], "tasks_per_job": share} if settings else {}
                    print(row("slurm", count, folder, executor="slurm", slurm=block), flush=True)
        if "ray" in arguments.executors:
            if importlib.util.find_spec("ray") is None:
                print("ray is left out: pip install 'tamis[cluster]'", file=sys.stderr)
            else:
                for share, count in ((100, arguments.tasks // 10), (1, arguments.tasks // 100)):
                    block = {"memory_gb": 0.5, "tasks_per_job": share}
                    print(row("ray", count, folder, executor="ray", ray=block), flush=True)
        if arguments.work_mb:
            for what, found in efficiency(folder, arguments.work_mb, arguments.repeats).items():
                print(
                    f"two workers: {what}: {statistics.median(found):.0%} of linear "
                    f"({min(found):.0%} to {max(found):.0%})"
                )


if __name__ == "__main__":
    main()
