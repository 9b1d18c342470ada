"""Where a run stands, while it runs: the one account that `stats.json`, the terminal and the limits are fed from."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pipeline import stats as counting
from pipeline.io.files import exists, write_json
from pipeline.plan import Plan
from pipeline.stats import Stats
from pipeline.waiting import waits
from stages.errors import InputError

WRITE_EVERY_S = 10.0
LOOK_EVERY_S = 2.0
CANCEL = "cancel"
"""A file of this name in a run directory stops its launch."""


@dataclass
class Progress:
    """Hears the executor (see `pipeline.executors.local.Listener`), keeps the sums, rewrites `stats.json` every 10 s.

    Args:
        path: the run directory.
        stage_names: the plan's stages, in order.
        max_errors: records that may be unreadable before the run is stopped.
        show: called a few times a second with this object; for a display.
        check: called as often; may raise to stop the run.
    """

    path: str
    stage_names: list[str]
    max_errors: int
    num_workers: int
    show: Callable[[Progress], None] = lambda progress: None
    check: Callable[[], None] = lambda: None
    plan: Plan | None = None
    """If it is known, the snapshot says what stages wait for."""
    phase: str = ""
    num_tasks: int = 0
    num_done: int = 0
    num_done_before: int = 0
    """Tasks of the phase that earlier launches had done."""
    compile_seconds: float = 0.0
    num_deaths: int = 0
    state: str = "running"
    _finished: Stats = field(default_factory=dict)
    _finished_light: Stats = field(default_factory=dict)
    _live: dict[int, Stats] = field(default_factory=dict)
    _started: float = field(default_factory=time.monotonic)
    _phase_started: float = field(default_factory=time.monotonic)
    _written: float = 0.0
    _looked: float = 0.0

    def __post_init__(self) -> None:
        self._finished = counting.empty(self.stage_names)
        self._finished_light = counting.light(counting.empty(self.stage_names))

    def begin(self, phase: str, num_tasks: int, done: dict[int, Stats]) -> None:
        """A phase starts; `done` holds the stats of its tasks that earlier launches finished."""
        self.phase, self.num_tasks, self.num_done = phase, num_tasks, len(done)
        self.num_done_before = len(done)
        self._phase_started = time.monotonic()
        for stats in done.values():
            self._add(stats)
        self.write()

    def _add(self, stats: Stats) -> None:
        counting.add(self._finished, stats)
        counting.add(self._finished_light, counting.light(stats))

    @property
    def seconds(self) -> float:
        """Wall time of this launch."""
        return time.monotonic() - self._started

    @property
    def phase_seconds(self) -> float:
        return time.monotonic() - self._phase_started

    @property
    def num_live(self) -> int:
        return len(self._live)

    def stats(self) -> Stats:
        """Finished tasks and what the running ones have told so far, which is all but what is large."""
        return counting.merge([self._finished, *self._live.values()])

    def light_stats(self) -> Stats:
        """The same without what is large."""
        return counting.merge([self._finished_light, *self._live.values()])

    def ready(self, seconds: float) -> None:
        self.compile_seconds = max(self.compile_seconds, seconds)

    def update(self, rank: int, stats: Stats) -> None:
        self._live[rank] = stats

    def finish(self, rank: int, stats: Stats) -> None:
        self._live.pop(rank, None)
        self._add(stats)
        self.num_done += 1

    def forget(self, rank: int) -> None:
        self._live.pop(rank, None)
        self.num_deaths += 1

    def poll(self) -> None:
        """Show, write when it is time, and stop a run whose input has too many bad records."""
        self.check()
        check_rejected(self.light_stats(), self.max_errors, self.path)
        if time.monotonic() - self._looked >= LOOK_EVERY_S:
            self._looked = time.monotonic()
            if exists(f"{self.path}/{CANCEL}"):
                raise KeyboardInterrupt
        if time.monotonic() - self._written >= WRITE_EVERY_S:
            self.write()
        self.show(self)

    def write(self, state: str | None = None) -> None:
        """Rewrite `stats.json`, atomically."""
        self.state = state or self.state
        self._written = time.monotonic()
        write_json(f"{self.path}/stats.json", self.snapshot())

    def _waits(self) -> dict[str, str]:
        if self.plan is None or self.state != "running":
            return {}
        return waits(self.plan, self.phase, self.num_done, self.num_tasks)

    def snapshot(self, *, light: bool = False) -> dict[str, Any]:
        """`stats.json`: the merged stats and where the run stands; for a display without what is large."""
        return {
            "state": self.state,
            "phase": self.phase,
            "tasks": {
                "done": self.num_done,
                "done_before": self.num_done_before,
                "total": self.num_tasks,
                "running": self.num_live,
            },
            "waits": self._waits(),
            "phase_seconds": round(self.phase_seconds, 3),
            "workers": self.num_workers,
            "worker_deaths": self.num_deaths,
            "wall_seconds": round(self.seconds, 3),
            "start_up_seconds": round(self.compile_seconds, 3),
            **(self.light_stats() if light else self.stats()),
        }


def check_rejected(stats: Stats, max_errors: int, path: str) -> None:
    """Raises InputError when more records of a run than `max_errors` could not be read."""
    rejected = counting.num_rejected(stats)
    if rejected > max_errors:
        raise InputError(
            f"{rejected} records could not be read, more than max_errors = {max_errors}; finished tasks list "
            f"theirs under {path}/phases. If that many are expected: --set execution.max_errors=N"
        )
