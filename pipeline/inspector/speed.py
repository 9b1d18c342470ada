"""Speed: where the time went, by stage and by task."""

from __future__ import annotations

import pyarrow as pa

from pipeline.analysis.times import stage_times, task_times
from pipeline.inspector.page import Asked, Inspected, View

MOST = 1000
"""Tasks that are listed."""


def view(inspected: Inspected, asked: Asked) -> View:
    stats = inspected.stats
    found = stage_times(stats)
    stages = pa.table(
        {
            "stage": pa.array([one.stage for one in found], pa.string()),
            "seconds": pa.array([round(one.seconds, 3) for one in found], pa.float64()),
            "share": pa.array([one.share for one in found], pa.float64()),
            "documents_in": pa.array([one.documents_in for one in found], pa.int64()),
            "documents_per_s": pa.array([_rounded(one.documents_per_s, 1) for one in found], pa.float64()),
            "megabytes_per_s": pa.array([_rounded(one.megabytes_per_s, 2) for one in found], pa.float64()),
        }
    )
    context = {
        "wall": stats.get("wall_seconds"),
        "workers": stats.get("workers"),
        "peak": stats.get("peak_memory_bytes"),
        "start_up": stats.get("start_up_seconds"),
        "slowest": max(found, key=lambda one: one.seconds).stage if found else "",
    }
    return View("speed.html", "Speed", context, {"stages": stages, "tasks": _tasks(inspected)})


def _tasks(inspected: Inspected) -> pa.Table:
    """Every task whose record tells its time; the slowest first."""
    tasks = [task for found in task_times(inspected.run).values() for task in found]
    tasks = sorted(tasks, key=lambda task: -task.seconds)[:MOST]
    peaks = [None if task.peak_bytes is None else round(task.peak_bytes / 1e6) for task in tasks]
    return pa.table(
        {
            "phase": pa.array([task.phase for task in tasks], pa.string()),
            "task": pa.array([task.rank for task in tasks], pa.int64()),
            "seconds": pa.array([round(task.seconds, 3) for task in tasks], pa.float64()),
            "times_median": pa.array([round(task.times_median, 2) for task in tasks], pa.float64()),
            "straggler": pa.array([task.straggles for task in tasks], pa.bool_()),
            "peak_megabytes": pa.array(peaks, pa.int64()),
        }
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
