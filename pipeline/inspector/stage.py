"""Stage: what each signal measured, where its bounds lie, and what other bounds would do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.analysis.histograms import histogram_of
from pipeline.analysis.languages import is_of, languages_of
from pipeline.analysis.rules import Rule, rules_of
from pipeline.analysis.whatif import WhatIf, what_if
from pipeline.catalogue import bounds_of
from pipeline.config import LANGUAGE, Config
from pipeline.histograms import dense, edges, is_numeric
from pipeline.inspector.changes import changes_of, query_of
from pipeline.inspector.page import Asked, Inspected, View
from pipeline.inspector.pictures import HEIGHT, bars_of
from pipeline.report.axes import WIDTH, axis_of
from pipeline.stats import UNKNOWN
from stages.contract import Stage

IDS = ("_of", "_in")
"""Endings of signals that name other documents: nothing to count."""


def view(inspected: Inspected, asked: Asked) -> View:
    config = inspected.run.config
    by_name = {stage.name: stage for stage in config.stages}
    stage = by_name[asked.choice("stage", list(by_name))]
    numeric = [name for name, signal in stage.signals().items() if is_numeric(signal.type)]
    named = asked.choice("signal", list(stage.signals()), next(iter(numeric), ""))
    signal = named if named in numeric else ""  # labels and flags are told by their values
    changes = changes_of(asked, config)
    counts = inspected.stats["stages"][stage.name]
    context: dict[str, Any] = {
        "stage": stage,
        "stages": list(by_name),
        "counts": counts,
        "signals": [_small(inspected, stage, name) for name in numeric],
        "labels": {name: told for name, told in counts.get("labels", {}).items() if not name.endswith(IDS)},
        "signal": signal,
        "changes": changes,
        "change_query": query_of(changes),
        "definition": type(stage).model_fields[signal].description if signal else "",
        "unit": stage.signals()[signal].unit if signal else "",
        "languages": languages_of(inspected.stats),
        "language": None,
    }
    tables = {"rules": _rules(stage, counts)}
    if signal:
        _one(inspected, asked, stage, signal, changes, context, tables)
    return View("stage.html", f"Stage {stage.name}", context, tables)


def _rules(stage: Stage, counts: dict[str, Any]) -> pa.Table:
    """The three numbers of every rule of the stage, among the documents that reached it."""
    rules = [name for name in stage.signals() if f"{stage.name}.{name}" in {**counts["dropped"], **counts["alone"]}]

    def column(kind: str) -> list[int]:
        return [counts[kind].get(f"{stage.name}.{name}", {}).get("documents", 0) for name in rules]

    found = {"rule": rules, "dropped": column("dropped"), "alone": column("alone"), "only": column("only")}
    return pa.table(found, pa.schema([("rule", pa.string()), *((name, pa.int64()) for name in list(found)[1:])]))


def _small(inspected: Inspected, stage: Stage, name: str) -> dict[str, Any]:
    """A signal as a thumbnail: its histogram and bounds."""
    limits = edges(stage, name)
    counts = dense(len(limits), _recorded(inspected, stage, name))
    marks = bounds_of(stage, name, None)
    axis = axis_of(limits, counts, list(marks.values()))
    return {
        "name": name,
        "bars": bars_of(axis, limits, counts, logarithmic=True),
        "bounds": [axis.place(mark) for mark in marks.values()],
        "measured": int(counts.sum()),
    }


def _recorded(inspected: Inspected, stage: Stage, name: str) -> dict[str, int]:
    found: dict[str, int] = inspected.stats["stages"][stage.name]["histograms"].get(f"{stage.name}.{name}", {})
    return found


def _one(
    inspected: Inspected,
    asked: Asked,
    stage: Stage,
    signal: str,
    changes: list[str],
    context: dict[str, Any],
    tables: dict[str, pa.Table],
) -> None:
    """The chosen signal: a histogram to move bounds in, and what comes of it."""
    config = inspected.run.config
    language = asked.optional("language", context["languages"]) if stage_knows_language(config, stage) else None
    outcome = what_if(inspected.run, changes, inspected.tables) if changes else None
    after = outcome.after if outcome else config
    changed = next(found for found in after.stages if found.name == stage.name)
    name = f"{stage.name}.{signal}"
    limits = edges(stage, signal)
    if language is None:
        counts = dense(len(limits), _recorded(inspected, stage, signal))
    else:
        counts = histogram_of(inspected.tables, name, limits, language)
    bounds, was = bounds_of(changed, signal, language), bounds_of(stage, signal, language)
    axis = axis_of(limits, counts, [*was.values(), *bounds.values()])
    logarithmic = asked.choice("height", ["linear", "logarithmic"]) == "logarithmic"
    has_own = language not in (None, UNKNOWN)  # documents without a language follow the bounds of the stage
    path = f"stages.{stage.name}." + (f"by_language.{language}." if has_own else "") + signal
    context |= {
        "language": language,
        "knows_language": stage_knows_language(config, stage),
        "axis": axis,
        "height": "logarithmic" if logarithmic else "linear",
        "plot": (WIDTH, HEIGHT),
        "bars": bars_of(axis, limits, counts, logarithmic),
        "bins": {"edges": limits.tolist(), "counts": counts.tolist()},
        "ends": [
            {
                "end": end,
                "path": f"{path}.{end}",
                "now": was.get(end),
                "value": bounds.get(end),
                "place": axis.place(bounds[end]) if end in bounds else None,
                "was_place": axis.place(was[end]) if end in was else None,
            }
            for end in ("min", "max")
        ],
        "whole": bool(pa.types.is_integer(stage.signals()[signal].type)),
        "measured": int(counts.sum()),
        "outcome": outcome,
    }
    context["now"], context["then"] = violations(inspected, [config, after], name, language)
    tables["histogram"] = pa.table(
        {"from": [None, *limits.tolist()], "below": [*limits.tolist(), None], "documents": counts}
    ).filter(pa.array(np.asarray(counts) > 0))
    if outcome:
        tables["languages"] = group_table(outcome, "language")


def stage_knows_language(config: Config, stage: Stage) -> bool:
    """Whether `language.label` is measured before the stage, so that it may have bounds by language."""
    before = [found.name for found in config.stages[: config.stages.index(stage)]]
    return LANGUAGE.partition(".")[0] in before


def violations(inspected: Inspected, configs: list[Config], name: str, language: str | None) -> list[int]:
    """How many of the documents that a signal was measured of its rule drops, in each config."""
    rules: list[Rule | None] = [
        next((rule for rule in rules_of(config) if rule.name == name), None) for config in configs
    ]
    sums = ", ".join(f"count(*) FILTER ({rule.sql if rule else 'FALSE'})" for rule in rules)
    where = "" if language is None else f" WHERE {is_of(language)}"
    (row,) = inspected.tables.rows(f"SELECT {sums} FROM signals{where}")
    return [int(number) for number in row]


def group_table(outcome: WhatIf, kind: str) -> pa.Table:
    """What becomes of the documents of every language or source."""
    rows = outcome.by_language if kind == "language" else outcome.by_source
    return pa.table(
        {
            kind: pa.array([row.label for row in rows], pa.string()),
            "kept_before": pa.array([row.before for row in rows], pa.int64()),
            "kept_after": pa.array([row.after.value for row in rows], pa.float64()),
            "low": pa.array([row.after.low for row in rows], pa.float64()),
            "high": pa.array([row.after.high for row in rows], pa.float64()),
            "change": pa.array([row.after.value - row.before for row in rows], pa.float64()),
        }
    )
