"""A run that is disturbed and launched again until it is done: what `benchmarks/faults.py` does with each kind of
fault in `benchmarks/fault_kinds.py`."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil

from pipeline.io import files

ROOT = Path(__file__).parents[1]
CLOCK = ROOT / "benchmarks" / "clock"
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
GRACE_S = 3600.0


@dataclass
class Trial:
    """One run directory under one kind of fault."""

    spec: dict[str, Any]
    rng: random.Random
    seconds: float = 0.0
    """What an undisturbed run takes."""
    clock_off_s: int = 0
    """How far the clock of the next launches is off."""
    process: subprocess.Popen[bytes] | None = None
    """The launch at work, or the last one that ended by itself; None if the next one is due."""
    said: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    """What it wrote to standard error."""
    num_launches: int = 0

    @property
    def run(self) -> str:
        return str(self.spec["output"])

    def command(self, spec: dict[str, Any], clock_off_s: int) -> dict[str, Any]:
        """Arguments for `subprocess` to launch it."""
        environment = {**os.environ, "PYTHONPATH": str(CLOCK), "CLOCK_OFF_S": str(clock_off_s)}
        return {"args": [sys.executable, "-c", CODE, json.dumps(spec)], "cwd": ROOT, "env": environment}

    def launch(self, spec: dict[str, Any] | None = None) -> None:
        """Launch it, or another config on its run directory."""
        self.said.seek(0)
        self.said.truncate()
        self.process = subprocess.Popen(
            **self.command(spec or self.spec, self.clock_off_s), stderr=self.said, start_new_session=True
        )
        self.num_launches += 1

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def end(self) -> int:
        """Wait for the launch to end by itself; its exit code."""
        assert self.process
        return self.process.wait(timeout=GRACE_S)

    def kill(self) -> None:
        """SIGKILL to the launch; the next one is due."""
        assert self.process
        self.process.kill()
        self.end()
        self.process = None

    def message(self) -> str:
        """What the last launch said; empty if it said nothing."""
        self.said.seek(0)
        return self.said.read().decode(errors="replace").strip()

    def workers(self) -> list[psutil.Process]:
        assert self.process
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children()
        return []


Fault = Callable[[Trial], bool]
"""Disturbs a launch at work; returns whether it did."""


def disturb(trial: Trial, fault: Fault, times: int) -> int:
    """Run to the end with up to so many faults, each after a part of the time that an undisturbed run takes; returns
    how many there were."""
    count = 0
    while trial.num_launches < MAX_LAUNCHES:
        if not trial.is_alive():
            if trial.process is not None and trial.process.returncode == 0:
                return count
            if trial.process is not None:
                _follow(trial.message())
            trial.launch()
        if count < times:
            time.sleep(trial.rng.uniform(0.1, trial.seconds / 2))
            if trial.is_alive():
                count += fault(trial)
        else:
            trial.end()
    raise SystemExit(f"{trial.run} does not come to an end: {trial.message()}")


def _follow(message: str) -> None:
    """Do what an error says."""
    if found := re.search(r"delete (\S+) to (?:have|do|start)", message):
        files.remove_folder(found[1])


def digest(run: str) -> str:
    """Checksum of all data files of a run."""
    total = hashlib.sha256()
    fs, root = files.filesystem_of(run)
    for kind in KINDS:
        names = sorted(fs.find(f"{root}/{kind}"))
        assert names, f"{run} has no {kind}"
        for name in names:
            total.update(f"{kind}/{name.rpartition('/')[2]}".encode() + fs.cat_file(name))
    return total.hexdigest()
