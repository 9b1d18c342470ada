"""What if: several bounds at once, and what a run would have kept with them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from pipeline.analysis.whatif import WEIGHTS, WhatIf, what_if
from pipeline.config import Config
from pipeline.inspector.changes import changes_of, query_of, value_at
from pipeline.inspector.page import Asked, Inspected, View
from pipeline.inspector.stage import group_table
from pipeline.yaml_lines import parse
from stages.contract import Allowed, Bounds, Flag, Stage


def view(inspected: Inspected, asked: Asked) -> View:
    config = inspected.run.config
    changes = changes_of(asked, config)
    weight = asked.choice("weight", WEIGHTS)
    outcome = what_if(inspected.run, changes, inspected.tables, weight) if changes else None
    after = outcome.after if outcome else config
    context: dict[str, Any] = {
        "weight": weight,
        "changes": changes,
        "change_query": query_of(changes),
        "forms": [_form(config, old, new, changes) for old, new in zip(config.stages, after.stages, strict=True)],
        "outcome": outcome,
    }
    tables: dict[str, pa.Table] = {}
    if outcome:
        tables = {"funnel": funnel_table(outcome)}
        tables |= {f"{kind}s": group_table(outcome, kind) for kind in ("language", "source") if _has(outcome, kind)}
    return View("whatif.html", "What if", context, tables)


def _has(outcome: WhatIf, kind: str) -> bool:
    return bool(outcome.by_language if kind == "language" else outcome.by_source)


def funnel_table(outcome: WhatIf) -> pa.Table:
    """What passes every stage, before and after."""
    rows = outcome.funnel
    return pa.table(
        {
            "stage": [row.stage for row in rows],
            "passed_before": pa.array([row.before_out for row in rows], pa.int64()),
            "passed_after": pa.array([row.after_out.value for row in rows], pa.float64()),
            "low": pa.array([row.after_out.low for row in rows], pa.float64()),
            "high": pa.array([row.after_out.high for row in rows], pa.float64()),
            "exact": [row.after_out.exact for row in rows],
        }
    )


def _form(config: Config, old: Stage, new: Stage, changes: list[str]) -> dict[str, Any]:
    """The fields of a stage that may be tried: one number for each end of a bound, labels and flags as written."""
    fields = [_field(old, "action", "action", old.action, new.action, "")]
    for name, rule in new.decisions().items():
        was = old.decisions()[name]
        if isinstance(rule, Bounds) and isinstance(was, Bounds):
            fields.append(_field(old, f"{name}.min", name, was.min, rule.min, "min"))
            fields.append(_field(old, f"{name}.max", name, was.max, rule.max, "max"))
        elif isinstance(rule, Flag) and isinstance(was, Flag):
            fields.append(_field(old, name, name, was.drop, rule.drop, ""))
        elif isinstance(rule, Allowed) and isinstance(was, Allowed):
            fields.append(_field(old, name, name, _listed(was), _listed(rule), ""))
    fields += [
        _further(config, old, path, text)
        for path, text in (change.split("=", 1) for change in changes)
        if path.startswith(f"stages.{old.name}.") and path not in {field["path"] for field in fields}
    ]
    rows: dict[str, list[dict[str, Any]]] = {}
    for field in fields:
        rows.setdefault(field["signal"], []).append(field)
    return {"name": old.name, "rows": rows, "changed": any(c.startswith(f"stages.{old.name}.") for c in changes)}


def _further(config: Config, stage: Stage, path: str, text: str) -> dict[str, Any]:
    """A change of what has no field of its own: of a language's bound, or of a whole one."""
    place = path.split(".", 2)[2]
    signal, _, end = place.rpartition(".")
    if end in ("min", "max"):
        return _field(stage, place, signal, value_at(config, path), parse(text), end)
    return _field(stage, place, place, None, None if text == "null" else text, "")


def _field(stage: Stage, path: str, signal: str, was: Any, value: Any, end: str) -> dict[str, Any]:
    kind = "number" if end else "action" if signal == "action" else "flag" if isinstance(was, bool) else "text"
    return {
        "path": f"stages.{stage.name}.{path}",
        "signal": signal,
        "end": end,
        "was": was,
        "value": value,
        "kind": kind,
    }


def _listed(rule: Allowed) -> str | None:
    return None if rule.labels is None else f"[{', '.join(rule.labels)}]"
