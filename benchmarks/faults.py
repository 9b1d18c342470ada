"""Faults at random moments, and what becomes of the run: `python -m benchmarks.faults [--times 20] [--tasks 200]`.

A run of many tiny tasks is disturbed by one kind of fault, `--times` times in all, over as many runs as it takes, and
resumed whenever it ended. Then every byte of its output is compared with that of an undisturbed run: equal bytes mean
that no document was lost and none came twice. Prints a table for docs/reliability.md. A full disk needs root, to mount
a small one; without, it is said and left out. A store that fails is in tests/pipeline/io/test_object_storage.py and,
with the whole recipe, in tests/pipeline/executors/test_recipe.py.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
CODE = """
import json, pipeline, sys
from stages.errors import TamisError
try:
    pipeline.run(json.loads(sys.argv[1]), workers=2)
except TamisError as error:
    sys.exit(str(error))
"""
KINDS = ("documents", "signals", "rejected", "shadow")
MAX_LAUNCHES = 200
GRACE_S = 120.0


@dataclass
class Trial:
    """One run directory under one kind of fault."""

    spec: dict[str, Any]
    rng: random.Random
    process: subprocess.Popen[str] | None = None
    errors: list[str] = field(default_factory=list)
    num_launches: int = 0

    @property
    def run(self) -> Path:
        return Path(self.spec["output"])

    def launch(self) -> None:
        command = [sys.executable, "-c", CODE, json.dumps(self.spec)]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
        self.num_launches += 1

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def end(self) -> int:
        """Wait for the launch to end; its message is kept if it failed."""
        assert self.process
        assert self.process.stderr
        self.process.wait(timeout=GRACE_S)
        if self.process.returncode > 0 and not self.process.stderr.closed:
            self.errors.append(self.process.stderr.read().strip())
        self.process.stderr.close()
        return self.process.returncode

    def message(self) -> str:
        """What the launch that failed last said, whether it was waited for or ended by itself."""
        self.end()
        return self.errors[-1]

    def workers(self) -> list[psutil.Process]:
        assert self.process
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children()
        return []


Fault = Callable[[Trial], bool]
"""Disturbs a launch at work; returns whether it did."""


def worker_killed(trial: Trial) -> bool:
    """SIGKILL to a worker, as by the kernel when memory is short."""
    workers = trial.workers()
    if workers:
        with suppress(psutil.NoSuchProcess):
            trial.rng.choice(workers).kill()
    return bool(workers)


def worker_hangs(trial: Trial) -> bool:
    """A worker does not go on with its task (SIGSTOP); `task_timeout_s` ends it."""
    workers = trial.workers()
    trial.rng.shuffle(workers)
    for worker in workers:
        with suppress(psutil.Error):
            if any("/logs/task_" in file.path for file in worker.open_files()):
                worker.suspend()
                return True
    return False


def launch_killed(trial: Trial) -> bool:
    """SIGKILL to the launch."""
    assert trial.process
    trial.process.kill()
    trial.end()
    return True


def node_lost(trial: Trial) -> bool:
    """The launch and all of its workers are gone at once."""
    assert trial.process
    for process in [*trial.workers(), psutil.Process(trial.process.pid)]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    trial.end()
    return True


def interrupted(trial: Trial) -> bool:
    """Ctrl-C."""
    assert trial.process
    trial.process.send_signal(signal.SIGINT)
    trial.end()
    return True


def second_launch(trial: Trial) -> bool:
    """Another launch of the same run; it has to say so and leave."""
    other = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(trial.spec)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if "another launch is at work" in other.stderr:
        return True
    assert not other.returncode, other.stderr  # the first one had just ended
    return False


def disk_full(trial: Trial) -> bool:
    """Something else fills the disk; once the launch has failed, there is room again."""
    spare = trial.run.parent / "spare"
    with suppress(OSError), spare.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)
    code = trial.end()
    spare.unlink()
    return code > 0


def file_damaged(trial: Trial) -> bool:
    """A byte of an intermediate file is another one. What finds it names what to delete."""
    assert trial.process
    trial.process.kill()
    trial.end()
    files = [path for path in trial.run.glob("phases/*/*/*.parquet") if path.stat().st_size]
    if not files:
        return False
    path = trial.rng.choice(sorted(files))
    content = bytearray(path.read_bytes())
    content[trial.rng.randrange(len(content))] ^= 0xFF
    path.write_bytes(content)
    return True


LOCAL: dict[str, Fault] = {
    function.__name__: function
    for function in (worker_killed, worker_hangs, launch_killed, node_lost, interrupted, second_launch, file_damaged)
}


def disturb(fault: Fault, spec: dict[str, Any], seconds: float, times: int, rng: random.Random) -> tuple[Trial, int]:
    """Run to the end with up to `times` faults, each after a part of the time that an undisturbed run takes."""
    trial, count = Trial(spec, rng), 0
    while trial.num_launches < MAX_LAUNCHES:
        if not trial.is_alive():
            if trial.process is not None and trial.process.returncode == 0:
                return trial, count
            if trial.process is not None and trial.process.returncode > 0:
                _follow(trial.message())
            trial.launch()
        if count < times:
            time.sleep(rng.uniform(0.1, seconds / 2))
            if trial.is_alive():
                count += fault(trial)
                continue
        if trial.process is not None and trial.process.returncode is None:
            trial.end()
    raise SystemExit(f"{trial.run} does not come to an end: {trial.errors[-3:]}")


def _follow(message: str) -> None:
    """Do what an error says."""
    if found := re.search(r"delete (\S+) to (?:have|do|start)", message):
        path = Path(found[1])
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def digest(run: str) -> str:
    """Checksum of all data files of a run."""
    total = hashlib.sha256()
    for kind in KINDS:
        for path in sorted(Path(run, kind).iterdir()):
            total.update(f"{kind}/{path.name}".encode() + path.read_bytes())
    return total.hexdigest()


def config(folder: Path, output: Path) -> dict[str, Any]:
    return {
        "input": {"path": str(folder / "raw")},
        "output": str(output),
        "stages": ["gopher", "exact"],
        "execution": {"task_bytes": 1, "output_bytes": 50_000, "task_timeout_s": 5.0, "max_tries": 50},
    }


def write_corpus(folder: Path, num_tasks: int) -> None:
    """As many tiny files, each one a task of the sieve phases."""
    words = ["the", "of", "and", "be", "have", *(f"w{number}ord" for number in range(400))]
    (folder / "raw").mkdir()
    for number in range(num_tasks):
        rng = random.Random(number // 2)  # every text comes twice
        lines = [
            json.dumps({"id": f"{number}-{i}", "text": " ".join(rng.choices(words, k=rng.randint(30, 120)))})
            for i in range(3)
        ]
        (folder / "raw" / f"{number:05d}.jsonl").write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=20, help="injections of each fault")
    parser.add_argument("--tasks", type=int, default=200, help="tasks of each sieve phase")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[], help="names of faults")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        write_corpus(folder, arguments.tasks)
        started = time.monotonic()
        calm = Trial(config(folder, folder / "calm"), random.Random())
        calm.launch()
        assert calm.end() == 0, calm.errors
        seconds, expected = time.monotonic() - started, digest(calm.spec["output"])
        faults: dict[str, tuple[Fault, Path]] = {name: (fault, folder) for name, fault in LOCAL.items()}
        if disk := _small_disk(folder, stack):
            faults["disk_full"] = (disk_full, disk)
        else:
            print("disk_full is left out: only root can mount a small disk", file=sys.stderr)
        print("| fault | injected | runs | launches | same bytes |\n|---|---:|---:|---:|---|")
        for name, (fault, place) in faults.items():
            if not arguments.only or name in arguments.only:
                print(_row(name, fault, folder, place, seconds, expected, arguments), flush=True)


def _row(
    name: str, fault: Fault, folder: Path, place: Path, seconds: float, expected: str, arguments: argparse.Namespace
) -> str:
    rng = random.Random(f"{arguments.seed} {name}")
    count = launches = runs = same = 0
    while count < arguments.times:
        output = place / f"{name}-{runs}"
        trial, injected = disturb(fault, config(folder, output), seconds, min(5, arguments.times - count), rng)
        count, launches, runs = count + injected, launches + trial.num_launches, runs + 1
        same += digest(str(output)) == expected
        shutil.rmtree(output)
    what = (fault.__doc__ or "").partition(".")[0]
    return f"| {name.replace('_', ' ')}: {what} | {count} | {runs} | {launches} | {same} of {runs} |"


def _small_disk(folder: Path, stack: ExitStack) -> Path | None:
    place = folder / "disk"
    place.mkdir()
    size = max(8, 2 * sum(path.stat().st_blocks for path in (folder / "calm").rglob("*")) // 2048)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        return None
    stack.callback(subprocess.run, ["umount", "--lazy", str(place)], check=True)
    return place


if __name__ == "__main__":
    main()
