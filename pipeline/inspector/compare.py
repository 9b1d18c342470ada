"""Compare: two runs side by side."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pyarrow as pa

from pipeline.analysis.compare import ABSENT, compare
from pipeline.inspector.page import Asked, Inspected, View
from pipeline.report.compare import pictures
from stages.errors import ConfigError


def view(inspected: Inspected, asked: Asked) -> View:
    if inspected.other is None:
        raise ConfigError("there is one run; two are held side by side by: tamis inspect RUN RUN2")
    found = compare(inspected.run, inspected.other)
    funnel = [
        asdict(row) | {"kept_ratio_a": _share(row.out_a, row.in_a), "kept_ratio_b": _share(row.out_b, row.in_b)}
        for row in found.funnel
    ]
    flows = [
        {
            "before": flow.before or "kept",
            "after": flow.after or "kept",
            "documents": flow.documents,
            "ids": " ".join(flow.ids),
        }
        for flow in found.documents.flows
    ]
    tables = {
        "config": _table([{key: _said(value) for key, value in asdict(row).items()} for row in found.config]),
        "funnel": _table(funnel),
        "rules": _table([asdict(row) for row in found.rules]),
        "documents": _table(flows),
        "drift": _table([asdict(row) | {"level": row.level} for row in found.drift]),
    }
    context = {"found": found, "pictures": pictures(found, inspected.run, inspected.other)}
    return View("compare.html", "Compare", context, tables)


def _share(out: int | None, came: int | None) -> float | None:
    return out / came if out is not None and came else None


def _said(value: Any) -> str | None:
    return None if value is None or value == ABSENT else str(value)


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows)
