"""A picture of every signal: how its values are spread, where its bounds lie and what they cut off."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.analysis.safe_text import redact
from pipeline.catalogue import definition
from pipeline.histograms import Counts, Floats, dense, edges, is_numeric, quantile
from pipeline.report.charts import Histogram, histogram
from pipeline.report.page import value
from pipeline.stats import Stats
from stages.contract import Bounds, Stage

LABELS_SHOWN = 8
TABLE_ROWS = 12
LAST_EDGE = 1e10
"""Nothing is told apart from there on."""
QUANTILES = (0.01, 0.5, 0.99)
IN_HUNDREDTHS, LAST_HUNDREDTH = ("ratio", "score in [0, 1]", "cosine similarity"), 1.13
"""Units whose bins are so wide up to 1, and where the bin from 1 on ends."""
PUBLIC = ("label", "second_label", "script", "language", "encoder")
"""Labels that stages give, and not what the documents are called; they stay readable in a redacted report."""


@dataclass(frozen=True)
class Picture:
    """A numeric signal of the documents that reached its stage."""

    name: str
    unit: str
    definition: str
    chart: Histogram
    linear: Histogram | None
    """On a linear axis, where `chart` has a logarithmic one."""
    spread: Sequence[str]
    """The values below which 1, 50 and 99 % of the documents lie."""
    measured: int
    unmeasured: int
    below: int | None
    """Documents below `min`; None without such a bound."""
    above: int | None
    overrides: int
    """Bounds by language or the like."""
    rows: Sequence[tuple[str, int]]
    """The same as a table of few rows."""

    @property
    def is_constant(self) -> bool:
        """Whether all documents have one value, as far as bins are fine; then there is nothing to draw."""
        return len(self.chart.bars) == 1 and self.spread[0] == self.spread[-1]


@dataclass(frozen=True)
class Labels:
    """The values of a signal that is no number, most documents first."""

    name: str
    definition: str
    counts: Sequence[tuple[str, int]]
    total: int
    more: int


@dataclass(frozen=True)
class StageSignals:
    stage: Stage
    about: str
    reached: int
    pictures: Sequence[Picture]
    labels: Sequence[Labels]


def signals_of(stages: Sequence[Stage], stats: Stats, redacted: bool = False) -> list[StageSignals]:
    """Every stage that measured something."""
    found = []
    for stage in stages:
        counts = stats["stages"].get(stage.name, {})
        pictures = _pictures(stage, counts)
        labels = _labels(stage, counts, redacted)
        if pictures or labels:
            about = (type(stage).__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
            found.append(StageSignals(stage, about, counts["documents_in"], pictures, labels))
    return found


def _pictures(stage: Stage, counts: Mapping[str, Any]) -> list[Picture]:
    """Signals that decide first."""
    found = []
    for name, signal in stage.signals().items():
        sparse = counts.get("histograms", {}).get(f"{stage.name}.{name}")
        if sparse and is_numeric(signal.type):
            found.append(_picture(stage, name, sparse, counts))
    return sorted(found, key=lambda picture: not picture.chart.bounds)


def _picture(stage: Stage, name: str, sparse: Mapping[str, int], counts: Mapping[str, Any]) -> Picture:
    limits = edges(stage, name)
    numbers = dense(len(limits), sparse)
    rule = stage.decisions()[name]
    assert isinstance(rule, Bounds)
    type_, unit = stage.signals()[name].type, stage.signals()[name].unit
    whole = pa.types.is_integer(type_)
    bounds: dict[str, float] = {end: _typed(type_, float(bound)) for end, bound in rule.ends.items()}
    chart = histogram(limits, numbers, bounds, whole=whole)
    lows = np.concatenate([[-np.inf], limits])
    return Picture(
        name,
        unit,
        definition(stage, name),
        chart,
        histogram(limits, numbers, bounds, whole=whole, linear=True) if chart.logarithmic else None,
        [_told(quantile(limits, numbers, q), whole, unit) for q in QUANTILES],
        int(numbers.sum()),
        counts.get("unmeasured", {}).get(f"{stage.name}.{name}", 0),
        int(numbers[lows < bounds["min"]].sum()) if "min" in bounds else None,
        int(numbers[lows > bounds["max"]].sum()) if "max" in bounds else None,
        sum(
            name in rules for field in ("by_language", *stage.own_overrides) for rules in getattr(stage, field).values()
        ),
        _rows(limits, numbers),
    )


def _told(found: float | None, whole: bool, unit: str) -> str:
    """A quantile, with no more digits than bins are fine."""
    if found is None:
        return value(None)
    if found >= LAST_EDGE:
        return f"{value(found)} or more"
    if whole:
        return value(math.floor(found))
    if unit in IN_HUNDREDTHS:  # nothing is told apart above 1, where the last bins are wide
        return f"{min(found, 1.0) if found < LAST_HUNDREDTH else found:.2f}"
    return value(found)


def _typed(type_: pa.DataType, bound: float) -> float:
    """A bound as it is compared: with float32 signals as a float32."""
    return float(np.float32(bound)) if pa.types.is_float32(type_) else bound


def _rows(limits: Floats, counts: Counts) -> list[tuple[str, int]]:
    """Bins put together until each row holds its part of the documents."""
    total, found, held, start = int(counts.sum()), [], 0, -np.inf
    filled = np.flatnonzero(counts)
    for i in filled:
        held += int(counts[i])
        stop = np.inf if i == len(limits) else float(limits[i])
        if held * TABLE_ROWS >= total or i == filled[-1]:
            found.append((_range(start, stop), held))
            held, start = 0, stop
    return found


def _range(low: float, high: float) -> str:
    if low == -np.inf:
        return "all" if high == np.inf else f"below {high:.6g}"
    return f"{low:.6g} and more" if high == np.inf else f"{low:.6g} to {high:.6g}"


def _labels(stage: Stage, counts: Mapping[str, Any], redacted: bool) -> list[Labels]:
    """Ids of other documents are no labels to count, and are left out."""
    found = []
    for signal, told in counts.get("labels", {}).items():
        name = signal.removeprefix(f"{stage.name}.")
        if not told or name.endswith(("_of", "_in")):
            continue
        ranked = sorted(told.items(), key=lambda item: (-item[1], item[0]))
        hide = redacted and name not in PUBLIC and not pa.types.is_boolean(stage.signals()[name].type)
        shown = [(redact(label) if hide else label, number) for label, number in ranked[:LABELS_SHOWN]]
        found.append(
            Labels(name, definition(stage, name), shown, sum(told.values()), max(len(ranked) - LABELS_SHOWN, 0))
        )
    return found
