"""Tasks that failed, and why: a note a task beside its phase's records, whoever ran it.

    phases/01-sieve-…/failures/00007.json    [{"kind", "message", "host", "time"}, …]    one entry a try

A note is written by the process that failed, or by the launch that saw it die. It decides nothing by itself; a launch
forgets those of the launch before.
"""

from __future__ import annotations

import platform
import time
from dataclasses import asdict, dataclass

from pipeline.io.files import exists, filesystem_of, read_json, write_json
from pipeline.plan import Phase, Plan
from stages import errors
from stages.errors import RunError


@dataclass(frozen=True)
class Failure:
    """One try of a task that came to nothing."""

    kind: str
    """Class of the error."""
    message: str
    host: str
    time: str

    @property
    def is_final(self) -> bool:
        """Whether another try would fail the same way: an error that Tamis means to say of its input or a stage."""
        kind = getattr(errors, self.kind, None)
        return kind is not None and not issubclass(kind, RunError)

    def error(self, place: str, log: str = "") -> errors.TamisError:
        """The error to end a run with."""
        kind = getattr(errors, self.kind, RunError)
        detail = self.message if hasattr(errors, self.kind) else f"{self.kind}: {self.message}"
        return kind(f"{place} failed: {detail}{log}")


def _path(run: str, phase: Phase, rank: int) -> str:
    return f"{run}/{phase.directory}/failures/{rank:05d}.json"


def note_failure(run: str, phase: Phase, rank: int, kind: str, message: str) -> list[Failure]:
    """Add a try that failed; returns all of the task's."""
    failure = Failure(kind, message, platform.node(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    noted = [*read_failures(run, phase, rank), failure]
    write_json(_path(run, phase, rank), [asdict(failure) for failure in noted])
    return noted


def read_failures(run: str, phase: Phase, rank: int) -> list[Failure]:
    """The tries of a task that failed, in their order; none if nobody noted one."""
    path = _path(run, phase, rank)
    return [Failure(**failure) for failure in read_json(path)] if exists(path) else []


def forget_failures(run: str, plan: Plan) -> None:
    """Remove all notes: a new launch tries everything afresh."""
    fs, root = filesystem_of(run)
    for phase in plan.phases:
        folder = f"{root}/{phase.directory}/failures"
        if fs.exists(folder):
            fs.rm(folder, recursive=True)
