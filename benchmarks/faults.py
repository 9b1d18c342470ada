"""Faults at random moments, and what becomes of the run: `python -m benchmarks.faults [--times 20] [--tasks 200]`.

A run of many tiny tasks is disturbed by one kind of fault, `--times` times in all, over as many runs as it takes, and
resumed whenever it ended. Then every byte of its output is compared with that of an undisturbed run: equal bytes mean
that no document was lost and none came twice. Prints a table for docs/reliability.md. A full disk needs root, to mount
a small one; a store needs `moto[server]` and `s3fs` (`.[dev-cluster]`): without, it is said and left out. The whole
recipe on a store that fails is in tests/pipeline/executors/test_recipe.py.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import fault_kinds as kinds
from benchmarks.fault_trials import Fault, Trial, digest, disturb
from pipeline.io.files import remove_folder

FAULTS: tuple[Fault, ...] = (
    kinds.worker_killed,
    kinds.worker_hangs,
    kinds.launch_killed,
    kinds.node_lost,
    kinds.interrupted,
    kinds.second_launch,
    kinds.file_damaged,
    kinds.clock_off,
    kinds.config_changed,
)
"""Those of a run on a disk that has room."""
PER_RUN = 5
"""Faults that a run meets at most."""
RATE = 0.06
"""Share of requests that a store fails, so that it is a twentieth at least."""


@dataclass
class Row:
    """What became of the runs under one kind of fault."""

    what: str
    count: int = 0
    launches: int = 0
    runs: int = 0
    same: int = 0

    def add(self, trial: Trial, count: int, expected: str) -> None:
        self.count, self.launches, self.runs = self.count + count, self.launches + trial.num_launches, self.runs + 1
        self.same += digest(trial.run) == expected
        remove_folder(trial.run)

    def __str__(self) -> str:
        return f"| {self.what} | {self.count} | {self.runs} | {self.launches} | {self.same} of {self.runs} |"


@dataclass
class Suite:
    """The input, what comes out of an undisturbed run, and how often each fault is wanted."""

    folder: Path
    num_tasks: int
    """Of each sieve phase; there are two."""
    times: int
    seed: int
    seconds: float = 0.0
    expected: str = ""

    def trial(self, output: str, name: str) -> Trial:
        return Trial(config(self.folder, output), random.Random(f"{self.seed} {name}"), self.seconds)

    def calm(self) -> None:
        """Write the input, and do the run without a fault."""
        write_corpus(self.folder, self.num_tasks)
        trial, started = self.trial(f"{self.folder}/calm", ""), time.monotonic()
        trial.launch()
        assert trial.end() == 0, trial.message()
        self.seconds, self.expected = time.monotonic() - started, digest(trial.run)

    def row(self, fault: Fault, place: str, per_run: int = PER_RUN) -> Row:
        """Runs under a fault at random moments."""
        row, rng = Row(str(fault.__doc__)), random.Random(f"{self.seed} {fault.__name__}")
        while row.count < self.times:
            trial = self.trial(f"{place}/{fault.__name__}-{row.runs}", f"{fault.__name__} {rng.random()}")
            row.add(trial, disturb(trial, fault, min(per_run, self.times - row.count)), self.expected)
        return row

    def store_row(self, server: Any, place: str) -> Row:
        """Runs on a store that fails whenever it is asked, with a probability."""
        row, requests = Row(""), 0
        while row.count < self.times:
            trial, server.rate = self.trial(f"{place}/failing-{row.runs}", ""), RATE
            before, asked = server.faults.total(), server.requests.total()
            disturb(trial, lambda _: False, 0)
            server.rate, requests = 0.0, requests + server.requests.total() - asked
            row.add(trial, server.faults.total() - before, self.expected)
        said = {"500": "answers 500", "503": "answers 503", "cut": "cut short"}
        told = ", ".join(f"{count} {said[kind]}" for kind, count in sorted(server.faults.items()))
        row.what = f"the store fails {row.count / requests:.1%} of {requests:,} requests ({told})"
        return row


def config(folder: Path, output: str) -> dict[str, Any]:
    """On a store, a task that asks again and again does not hang."""
    timeout = 600.0 if "://" in output else 5.0
    return {
        "input": {"path": str(folder / "raw")},
        "output": output,
        "stages": ["gopher", "exact"],
        "execution": {"task_bytes": 1, "output_bytes": 50_000, "task_timeout_s": timeout, "max_tries": 50},
    }


def write_corpus(folder: Path, num_tasks: int) -> None:
    """As many tiny files, each one a task of the sieve phases."""
    words = ["the", "of", "and", "be", "have", *(f"w{number}ord" for number in range(400))]
    (folder / "raw").mkdir(parents=True)
    for number in range(num_tasks):
        rng = random.Random(number // 2)  # every text comes twice
        lines = [
            json.dumps({"id": f"{number}-{i}", "text": " ".join(rng.choices(words, k=rng.randint(30, 120)))})
            for i in range(3)
        ]
        (folder / "raw" / f"{number:05d}.jsonl").write_text("\n".join(lines) + "\n")


def rows(suite: Suite, wanted: list[str]) -> Iterator[Row]:
    """Every kind of fault that is wanted and can be had here."""

    def is_wanted(name: str) -> bool:
        return not wanted or name in wanted

    for fault in FAULTS:
        if is_wanted(fault.__name__):
            yield suite.row(fault, str(suite.folder))
    if is_wanted("disk_full"):
        with small_disk(suite.folder) as disk:
            if disk is not None:
                yield suite.row(kinds.disk_full, str(disk))
            else:
                print("disk_full is left out: only root can mount a small disk", file=sys.stderr)
    if not all(map(importlib.util.find_spec, ("moto", "s3fs", "flask"))):
        print("stores are left out: pip install 'moto[server]' s3fs", file=sys.stderr)
        return
    from tests.protocol_server import s3_bucket

    stored = Suite(suite.folder / "stored", suite.num_tasks // 2, suite.times, suite.seed)
    stored.calm()
    with s3_bucket("runs") as (_, server):
        if is_wanted("store_fails"):
            yield stored.store_row(server, "s3://runs")
        if is_wanted("second_launch_with_another_clock"):
            yield stored.row(kinds.second_launch_with_another_clock, "s3://runs", suite.times)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A filesystem with little more room than a run needs; None where none can be mounted."""
    place = folder / "disk"
    place.mkdir()
    size = max(8, 2 * sum(path.stat().st_blocks for path in (folder / "calm").rglob("*")) // 2048)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=20, help="injections of each fault")
    parser.add_argument("--tasks", type=int, default=200, help="tasks of each sieve phase; half of them on a store")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[], help="names of faults")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        suite = Suite(Path(name), arguments.tasks, arguments.times, arguments.seed)
        suite.calm()
        print("| fault | injected | runs | launches | same bytes |\n|---|---:|---:|---:|---|")
        for row in rows(suite, arguments.only):
            print(row, flush=True)


if __name__ == "__main__":
    main()
