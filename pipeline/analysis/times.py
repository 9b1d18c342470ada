"""Where a run's time went: by stage, and by the tasks of every phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from pipeline.runs import Run
from pipeline.stats import Stats
from stages.errors import TamisError

STRAGGLES, LEAST_SECONDS = 2.0, 1.0
"""A task that took more times the median of its phase, and longer, is a straggler."""


@dataclass(frozen=True)
class StageTime:
    """What a stage took of all workers together; speeds are None where it took no time, or had nothing to do."""

    stage: str
    seconds: float
    share: float
    share_of_most: float
    documents_in: int
    documents_per_s: float | None
    megabytes_per_s: float | None


@dataclass(frozen=True)
class Task:
    phase: str
    rank: int
    seconds: float
    times_median: float
    peak_bytes: int | None

    @property
    def straggles(self) -> bool:
        return self.times_median > STRAGGLES and self.seconds > LEAST_SECONDS


def stage_times(stats: Stats) -> list[StageTime]:
    """Every stage; none while they have not taken any time."""
    spent = {name: float(counts["seconds"]) for name, counts in stats["stages"].items()}
    total, most = sum(spent.values()), max(spent.values(), default=0.0)
    found = []
    for name, seconds in spent.items() if total else ():
        counts = stats["stages"][name]
        documents, megabytes = (counts["documents_in"], counts["bytes_in"] / 1e6) if seconds else (0, 0.0)
        found.append(
            StageTime(
                name,
                seconds,
                seconds / total,
                seconds / most,
                counts["documents_in"],
                documents / seconds if documents else None,
                megabytes / seconds if megabytes else None,
            )
        )
    return found


def task_times(run: Run) -> dict[str, list[Task]]:
    """The tasks of every phase that has some, the quickest first; none where the plan cannot be made again."""
    try:
        phases = run.plan.phases
    except TamisError:
        return {}
    found = {}
    for phase in phases:
        timed = sorted((task_seconds(record.stats), record.rank, record) for record in run.records(phase))
        middle = median(seconds for seconds, _, _ in timed) if timed else 0.0
        tasks = [
            Task(phase.name, rank, seconds, seconds / middle if middle else 1.0, record.stats.get("peak_memory_bytes"))
            for seconds, rank, record in timed
        ]
        if tasks:
            found[phase.name] = tasks
    return found


def task_seconds(stats: Mapping[str, Any]) -> float:
    """What a task took, all its parts together; of tasks that do not say, what their stages took."""
    own = [float(value) for key, value in stats.items() if key.endswith("_seconds") and key != "statistics_seconds"]
    return sum(own) or sum(float(one.get("seconds", 0)) for one in stats.get("stages", {}).values())
