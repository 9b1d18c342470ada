"""Overview: what became of the documents, and why."""

from __future__ import annotations

import pyarrow as pa

from pipeline.analysis.alerts import alerts
from pipeline.analysis.estimates import Estimate
from pipeline.analysis.reasons import reasons
from pipeline.analysis.whatif import WEIGHTS
from pipeline.inspector.page import Asked, Inspected, View


def view(inspected: Inspected, asked: Asked) -> View:
    weight = asked.choice("weight", WEIGHTS)
    stats = inspected.stats
    found = reasons(inspected.tables, weight)
    funnel = pa.table(
        {
            "stage": ["read", *stats["stages"]],
            "documents": pa.array(
                [stats["input"]["documents"], *(one["documents_out"] for one in stats["stages"].values())], pa.int64()
            ),
            "bytes": pa.array(
                [stats["input"]["bytes"], *(one["bytes_out"] for one in stats["stages"].values())], pa.int64()
            ),
        }
    )
    table = pa.table(
        {
            "rule": pa.array([reason.rule for reason in found], pa.string()),
            "here": pa.array([reason.here for reason in found], pa.int64()),
            **_columns("alone", [reason.alone for reason in found]),
            **_columns("only", [reason.only for reason in found]),
        }
    )
    context = {
        "weight": weight,
        "reasons": found,
        "alerts": alerts(inspected.run, found) if weight == "documents" else [],
        "most": max(funnel[weight].to_pylist()[0], 1),
        "largest": max([reason.here for reason in found], default=1) or 1,
        "state": inspected.run.state,
        "tokens": sum(part.get("tokens", 0) for part in stats.get("packed", {}).values()),
    }
    tables = {"funnel": funnel, "reasons": table}
    for kind in ("languages", "sources"):
        if stats.get(kind):
            tables[kind] = _groups(kind.removesuffix("s"), stats[kind], weight)
    return View("overview.html", "Overview", context, tables)


def _columns(name: str, estimates: list[Estimate]) -> dict[str, pa.Array]:
    return {
        name: pa.array([one.value for one in estimates], pa.float64()),
        f"{name}_low": pa.array([one.low for one in estimates], pa.float64()),
        f"{name}_high": pa.array([one.high for one in estimates], pa.float64()),
    }


def _groups(name: str, groups: dict[str, dict[str, dict[str, int]]], weight: str) -> pa.Table:
    rows = sorted(groups.items(), key=lambda item: -item[1]["read"].get(weight, 0))
    read = [counts["read"].get(weight, 0) for _, counts in rows]
    kept = [counts["kept"].get(weight, 0) for _, counts in rows]
    return pa.table(
        {
            name: pa.array([label for label, _ in rows], pa.string()),
            "read": pa.array(read, pa.int64()),
            "kept": pa.array(kept, pa.int64()),
            "kept_ratio": pa.array(
                [after / before if before else None for before, after in zip(read, kept, strict=True)]
            ),
        }
    )
