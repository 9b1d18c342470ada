"""Distributions of one signal in several samples, one below the other on an axis that they share.

Each is drawn as steps of equal width on the axis, as high as they are dense beside the densest of the same sample: a
language of two hundred documents is as tall as one of a million. No step lies on both sides of a bound.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.analysis.columns import Numbers
from pipeline.report.axes import WIDTH, Axis
from pipeline.report.charts import SPAN, Mark, few
from pipeline.report.page import value

STEPS = 72
TAIL = 0.005
"""Share of a sample that may lie past either end of the axis."""
MARGIN = 1.02
"""The axis is so many times as long as what it has to show."""
NUM_TICKS = 6
WIDE = 20
"""Values whose largest is more times a median are drawn on a logarithmic axis."""
QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)


@dataclass(frozen=True)
class Drawn:
    """One sample to draw.

    Attributes:
        bounds: `min` and `max`, those that are set. former: what they were before, where that differs.
        intervals: where a bound lies 95 times in 100.
    """

    label: str
    values: Numbers = field(repr=False)
    bounds: Mapping[str, float]
    former: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A sample as it is drawn, in a square of 100.

    Attributes:
        kept, gone: outlines of what bounds keep and cut off, for `d=` of a path: with linear heights, and logarithmic.
        sides: what bounds cut off of the axis, place and width. intervals: of the bounds, place and width.
        former: bounds as they were before.
        spread: values at `QUANTILES`; empty where nothing was measured.
    """

    label: str
    documents: int
    kept: tuple[str, str]
    gone: tuple[str, str]
    sides: tuple[tuple[float, float], ...]
    bounds: tuple[Mark, ...]
    former: tuple[Mark, ...]
    intervals: tuple[tuple[float, float], ...]
    spread: tuple[str, ...]


@dataclass(frozen=True)
class Distributions:
    rows: tuple[Row, ...]
    ticks: tuple[Mark, ...]
    logarithmic: bool


def distributions(samples: Sequence[Drawn], *, whole: bool = False) -> Distributions:
    """Draw samples, of which at least one holds a value.

    Args:
        whole: values are whole numbers.
    """
    marks = [
        mark
        for one in samples
        for mark in (
            *one.bounds.values(),
            *one.former.values(),
            *(end for interval in one.intervals.values() for end in interval),
        )
    ]
    axis = _axis([one.values for one in samples if len(one.values)], marks, whole)
    ticks = tuple(Mark(_percent(axis, tick), tick) for tick in few(axis.ticks(), axis.logarithmic, NUM_TICKS))
    return Distributions(tuple(_row(axis, one, whole) for one in samples), ticks, axis.logarithmic)


def _axis(samples: Sequence[Numbers], marks: Sequence[float], whole: bool) -> Axis:
    """Nearly all values, and all bounds."""
    low = min([float(np.quantile(values, TAIL, method="lower")) for values in samples] + list(marks), default=0.0)
    high = max([float(np.quantile(values, 1 - TAIL, method="higher")) for values in samples] + list(marks), default=1.0)
    if 0 <= low < high / 4:
        low = 0.0
    middle = min([float(np.median(values)) for values in samples], default=high)
    logarithmic = low >= 0 and high > WIDE * max(middle, 1.0)
    if high - low < sys.float_info.min:  # too little to divide by
        return Axis(low, low + 1.0, False)
    high += whole  # the last number is as wide as the others
    low -= (high - low) * (MARGIN - 1) if low else 0.0
    end = math.expm1(math.log1p(high) * MARGIN) if logarithmic else high + (high - low) * (MARGIN - 1)
    return Axis(low, end, logarithmic)


def _percent(axis: Axis, number: float) -> float:
    return round(100 * axis.place(number) / WIDTH, 2)


def _row(axis: Axis, one: Drawn, whole: bool) -> Row:
    cuts = {end: _first_past(bound, whole) if end == "max" else bound for end, bound in one.bounds.items()}
    edges = _edges(axis, list(cuts.values()), whole)
    counts, _ = np.histogram(one.values, edges)
    places = np.array([_percent(axis, edge) for edge in edges])
    density = counts / np.maximum(np.diff(places), 1e-9)
    shares = density / max(float(density.max(initial=0.0)), 1e-12)
    dropped = (edges[:-1] < cuts.get("min", -math.inf)) | (edges[:-1] >= cuts.get("max", math.inf))
    heights = (shares, np.log1p(SPAN * shares) / math.log1p(SPAN))
    outlines = [tuple(_outline(places, np.where(side, high, 0)) for high in heights) for side in (~dropped, dropped)]
    at = {end: _percent(axis, bound) for end, bound in one.bounds.items()}
    sides = [(0.0, at["min"])] if "min" in at else []
    sides += [(at["max"], round(100 - at["max"], 2))] if "max" in at else []
    return Row(
        one.label,
        len(one.values),
        (outlines[0][0], outlines[0][1]),
        (outlines[1][0], outlines[1][1]),
        tuple(side for side in sides if side[1] > 0),
        tuple(Mark(at[end], bound, end) for end, bound in one.bounds.items()),
        tuple(Mark(_percent(axis, bound), bound, end) for end, bound in one.former.items()),
        tuple(_interval(axis, *ends) for ends in one.intervals.values()),
        tuple(value(float(found)) for found in np.quantile(one.values, QUANTILES)) if len(one.values) else (),
    )


def _first_past(bound: float, whole: bool) -> float:
    """What a `max` cuts off begins there."""
    return math.floor(bound) + 1.0 if whole else float(np.nextafter(bound, math.inf))


def _interval(axis: Axis, low: float, high: float) -> tuple[float, float]:
    left, right = _percent(axis, low), _percent(axis, high)
    return left, round(max(right - left, 0.4), 2)


def _edges(axis: Axis, cuts: Sequence[float], whole: bool) -> Numbers:
    """Steps of equal width, but that those next to a bound end there."""
    ends = (math.log1p(axis.low), math.log1p(axis.high)) if axis.logarithmic else (axis.low, axis.high)
    steps = np.linspace(*ends, STEPS + 1)
    found = np.expm1(steps) if axis.logarithmic else steps
    if whole:
        found = np.unique(np.ceil(found))
    inside = [cut for cut in cuts if axis.low < cut < axis.high]
    for cut in inside:
        place, width = _percent(axis, cut), 100 / STEPS
        near = np.array([abs(_percent(axis, edge) - place) < width / 2 for edge in found[1:-1]], bool)
        found = np.concatenate([found[:1], found[1:-1][~near], found[-1:]])
    return np.unique([*found, *inside])


def _outline(places: Numbers, heights: Numbers) -> str:
    """Steps as a closed path; a step that holds anything can be seen."""
    parts: list[str] = []
    height = 0
    for left, share in zip(places, heights, strict=False):
        now = max(round(100 * share), 2) if share > 0 else 0
        if now != height:
            parts.append(f"{'H' if parts else 'M'}{left:.4g}{'V' if parts else ' 100V'}{100 - now}")
        height = now
    if height:
        parts.append(f"H{places[-1]:.4g}V100")
    return "".join(parts)
