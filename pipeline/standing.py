"""Where a run stands, from its records alone: for runs that no single process watches, and on any machine that sees
the run directory."""

from __future__ import annotations

import calendar
import time
from dataclasses import dataclass
from typing import Any

from pipeline import stats as counting
from pipeline.io.files import etag_of, info_of, write_json
from pipeline.progress import WRITE_EVERY_S, check_rejected
from pipeline.runs import Run
from pipeline.waiting import waits

SHARE = 20
"""Looking at all records may take one part in so many of the time between two looks."""


def standing(run: Run) -> dict[str, Any]:
    """A snapshot as `stats.json` has it."""
    began = time.monotonic()
    description = run.description
    total = counting.empty(stage.name for stage in run.config.stages)
    parts, current, done = [total], "", 0
    num_tasks: int | None = 0
    for phase in run.plan.phases:
        current, num_tasks = phase.name, run.num_tasks(phase)
        records = run.records(phase)
        parts += [record.stats for record in records]
        done = len(records)
        if num_tasks is None or done < num_tasks:
            break
    started = calendar.timegm(time.strptime(description["started"], "%Y-%m-%dT%H:%M:%SZ"))
    return {
        "state": description["state"],
        "phase": current,
        "tasks": {"done": done, "done_before": done, "total": num_tasks or 0, "running": 0},
        "waits": waits(run.plan, current, done, num_tasks or 0) if description["state"] == "running" else {},
        "phase_seconds": 0.0,
        "workers": 0,
        "worker_deaths": 0,
        "wall_seconds": round(description.get("seconds", max(time.time() - started, 0.0)), 3),
        "start_up_seconds": 0.0,
        **counting.merge(parts),
        "look_seconds": round(time.monotonic() - began, 3),
    }


def refresh(run: Run) -> None:
    """Rewrite `stats.json` from the records."""
    write_json(f"{run.path}/stats.json", standing(Run(run.path)))


@dataclass
class Refresher:
    """Rewrites `stats.json` once nobody has for a while, so that many jobs keep it fresh and none has to.

    A job watches whether the file changes, by its own time: clocks of machines and of their file servers differ.
    """

    run: Run
    _seen: str = ""
    _since: float = 0.0

    def look(self) -> None:
        info = info_of(f"{self.run.path}/stats.json")
        seen = "" if info is None else etag_of(info)
        if seen != self._seen:
            self._seen, self._since = seen, time.monotonic()
            return
        look_seconds = self.run.stats.get("look_seconds", 0.0) if seen else 0.0
        if time.monotonic() - self._since >= max(WRITE_EVERY_S, SHARE * look_seconds):
            refresh(self.run)


def check_errors(run: Run) -> None:
    """Raises InputError when more records than `max_errors` could not be read."""
    check_rejected(standing(run), run.config.execution.max_errors, run.path)
