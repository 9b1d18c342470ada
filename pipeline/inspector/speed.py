"""Speed: where the time went, by stage and by task."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from pipeline.inspector.page import Asked, Inspected, View

SLOW = 2.0
"""A task that took more times the median of its phase is a straggler."""


def view(inspected: Inspected, asked: Asked) -> View:
    stats = inspected.stats
    seconds = sum(one["seconds"] for one in stats["stages"].values()) or 1.0
    stages = pa.Table.from_pylist(
        [
            {
                "stage": name,
                "seconds": round(one["seconds"], 3),
                "share": one["seconds"] / seconds,
                "documents_in": one["documents_in"],
                "documents_per_s": round(one["documents_in"] / one["seconds"], 1) if one["seconds"] else None,
                "megabytes_per_s": round(one["bytes_in"] / one["seconds"] / 1e6, 2) if one["seconds"] else None,
            }
            for name, one in stats["stages"].items()
        ]
    )
    tasks = _tasks(inspected)
    context = {
        "wall": stats.get("wall_seconds"),
        "workers": stats.get("workers"),
        "peak": stats.get("peak_memory_bytes"),
        "start_up": stats.get("start_up_seconds"),
        "slowest": max(stats["stages"], key=lambda name: stats["stages"][name]["seconds"], default=""),
    }
    return View("speed.html", "Speed", context, {"stages": stages, "tasks": tasks})


def _tasks(inspected: Inspected) -> pa.Table:
    """Every task whose record tells its time; the slowest first."""
    rows: list[dict[str, Any]] = []
    for phase in inspected.run.plan.phases:
        timed = [
            (record.rank, _seconds(record.stats), record.stats.get("peak_memory_bytes"))
            for record in inspected.run.records(phase)
        ]
        middle = sorted(seconds for _, seconds, _ in timed)[len(timed) // 2] if timed else 0.0
        rows += [
            {
                "phase": phase.name,
                "task": rank,
                "seconds": round(seconds, 3),
                "times_median": round(seconds / middle, 2) if middle else None,
                "straggler": bool(middle and seconds > SLOW * middle and seconds > 1),
                "peak_megabytes": None if peak is None else round(peak / 1e6),
            }
            for rank, seconds, peak in timed
        ]
    schema = pa.schema(
        [
            ("phase", pa.string()),
            ("task", pa.int64()),
            ("seconds", pa.float64()),
            ("times_median", pa.float64()),
            ("straggler", pa.bool_()),
            ("peak_megabytes", pa.int64()),
        ]
    )
    return pa.Table.from_pylist(sorted(rows, key=lambda row: -row["seconds"])[:1000], schema)


def _seconds(stats: dict[str, Any]) -> float:
    """What a task took; of tasks that do not say, what their stages took."""
    own = [float(value) for key, value in stats.items() if key.endswith("_seconds")]
    return sum(own) or sum(float(one.get("seconds", 0)) for one in stats.get("stages", {}).values())
