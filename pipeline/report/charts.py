"""Where the marks of a chart go: geometry for the templates that draw it as SVG.

Charts are drawn here, not by a script in the browser: they show in any viewer and on paper, take the colours of the
page, light or dark, and the page needs no policy that lets a script make code. All coordinates run from 0 to 100, so
that a chart is as wide as its place allows while labels, which are text of the page, stay readable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.report.axes import WIDTH, Axis, axis_of, drawn

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

TICKS = 5
"""Labels on an axis, at most about."""
SLIVER = 1e-5
"""A bin narrower than that, by its value, holds one number."""
THINNEST = 0.35
"""Width of a bar that can be seen."""
SPAN = 1000.0
"""On a logarithmic axis of heights the lowest that can be told is so many times lower than the highest."""


@dataclass(frozen=True)
class Bar:
    """A bin that is not empty: place, width, height on a linear and on a logarithmic axis (0 to 1), what it holds."""

    left: float
    width: float
    linear: float
    logarithmic: float
    documents: int
    low: float
    high: float
    dropped: bool
    """Beyond a bound."""


@dataclass(frozen=True)
class Mark:
    """A value on an axis."""

    place: float
    value: float
    label: str = ""


@dataclass(frozen=True)
class Histogram:
    """Bars over an axis of values. Bins no bound cuts, so every bar lies on one side of each."""

    bars: tuple[Bar, ...]
    ticks: tuple[Mark, ...]
    bounds: tuple[Mark, ...]
    sides: tuple[tuple[float, float], ...]
    """What the bounds cut off: place and width."""
    logarithmic: bool
    beyond: int
    """Documents past the end of the axis."""


def histogram(
    edges: Floats, counts: Counts, bounds: Mapping[str, float], *, whole: bool = False, linear: bool = False
) -> Histogram:
    """A histogram of binned values (see `pipeline.histograms`). Bars are as high as their bins are dense on the axis:
    equal areas hold equally many documents.

    Args:
        edges, counts: `float64[k]`, `int64[k + 1]`.
        bounds: `min` and `max`, those that are set.
        whole: values are whole numbers; a bar then reaches to the next one.
        linear: values on a linear axis even where they span many orders of magnitude.
    """
    cuts = dict(bounds)
    if "max" in cuts:  # what is dropped begins with the next edge
        above = edges[edges > bounds["max"]]
        cuts["max"] = float(above[0]) if len(above) else bounds["max"]
    if whole:
        edges = np.ceil(edges)
        cuts = {end: math.ceil(value) for end, value in cuts.items()}
    edges, counts = _without_slivers(edges, counts)
    axis = axis_of(edges, counts, list(cuts.values()))
    wide = axis.logarithmic
    if linear and wide:
        axis = Axis(axis.low, _most_of(edges, counts, cuts), False)
    places = {end: _percent(axis, value) for end, value in cuts.items()}
    bars = tuple(_bars(axis, edges, counts, cuts))
    sides = [(0.0, places["min"])] if "min" in places else []
    sides += [(places["max"], round(100 - places["max"], 3))] if "max" in places else []
    return Histogram(
        bars,
        tuple(Mark(_percent(axis, tick), tick) for tick in _ticks(axis, whole)),
        tuple(Mark(places[end], value, end) for end, value in bounds.items() if cuts[end] <= axis.high),
        tuple(side for side in sides if side[1] > 0),
        wide,
        int(counts.sum()) - sum(bar.documents for bar in bars),
    )


def _without_slivers(edges: Floats, counts: Counts) -> tuple[Floats, Counts]:
    """Bins so narrow that only a bound's own value is in them are put to the bin below, which is on the same side."""
    gone = np.append(np.diff(edges) < SLIVER * np.maximum(np.abs(edges[:-1]), SLIVER), False)[: len(edges)]
    starts = np.append(0, np.flatnonzero(~gone) + 1)
    return edges[~gone], np.add.reduceat(counts, starts)


def _most_of(edges: Floats, counts: Counts, bounds: Mapping[str, float]) -> float:
    """Where a linear axis ends: 99.5 % of the documents lie below, and bounds that are near."""
    reached = np.cumsum(counts) / max(counts.sum(), 1)
    most = float(edges[min(int(np.searchsorted(reached, 0.995)), len(edges) - 1)])
    return max([most, *(value for value in bounds.values() if value < 2 * most)]) * 1.05


def _percent(axis: Axis, value: float) -> float:
    return round(100 * axis.place(value) / WIDTH, 3)


def _bars(axis: Axis, edges: Floats, counts: Counts, cuts: Mapping[str, float]) -> list[Bar]:
    stops = [*edges[:1], *drawn(edges), math.inf]
    lows, highs = [-math.inf, *edges], [*edges, math.inf]
    found: list[tuple[int, float, float, float]] = []
    for i in np.flatnonzero(counts):
        low = -math.inf if i == 0 else float(edges[i - 1])
        if low >= axis.high:
            continue
        left, right = (_percent(axis, min(max(x, axis.low), axis.high)) for x in (low, float(stops[i])))
        left, width = (left, right - left) if right - left > THINNEST else (min(left, 100 - THINNEST), THINNEST)
        found.append((int(i), left, round(width, 3), int(counts[i]) / width))
    densest = max([density for _, _, _, density in found], default=1.0)
    scale = math.log1p(SPAN)
    bars = []
    for place, left, width, density in found:
        low, high = float(lows[place]), float(highs[place])
        heights = density / densest, math.log1p(SPAN * density / densest) / scale
        gone = not cuts.get("min", -math.inf) <= low < cuts.get("max", math.inf)
        bars.append(Bar(left, width, round(heights[0], 4), round(heights[1], 4), int(counts[place]), low, high, gone))
    return bars


def _ticks(axis: Axis, whole: bool) -> list[float]:
    """Of whole numbers, at whole numbers."""
    return few([tick for tick in axis.ticks() if not whole or float(tick).is_integer()], axis.logarithmic)


def few(ticks: Sequence[float], logarithmic: bool, most: int = TICKS) -> list[float]:
    """Some of many ticks, evenly."""
    if len(ticks) <= most:
        return list(ticks)
    step = math.ceil(len(ticks) / most)
    # On a logarithmic axis 0 and 1 lie close together: zero is told, then every so many powers.
    return [ticks[0], *ticks[step::step]] if logarithmic else list(ticks[::step])


@dataclass(frozen=True)
class Points:
    """Points of a line or cloud on two axes; `y` grows upward."""

    points: tuple[tuple[float, float], ...]
    x_ticks: tuple[Mark, ...]
    y_ticks: tuple[Mark, ...]

    @property
    def line(self) -> str:
        """For `points=` of a polyline."""
        return " ".join(f"{x:g},{100 - y:g}" for x, y in self.points)


def decades(xs: Sequence[float], ys: Sequence[float]) -> Points:
    """Positive numbers on two logarithmic axes: how many clusters have which size."""
    x_high, y_high = (max(math.ceil(math.log10(max(values, default=1)) + 0.02), 1) for values in (xs, ys))
    places = [
        (round(100 * math.log10(x) / x_high, 2), round(100 * math.log10(y) / y_high, 2))
        for x, y in zip(xs, ys, strict=True)
    ]
    ticks = [
        tuple(Mark(100 * power / high, 10.0**power) for power in range(0, high + 1, math.ceil(high / TICKS)))
        for high in (x_high, y_high)
    ]
    return Points(tuple(places), ticks[0], ticks[1])


def unit_square(xs: Sequence[float], ys: Sequence[float]) -> Points:
    """Shares against shares."""
    ticks = tuple(Mark(20.0 * n, n / 5) for n in range(6))
    places = tuple((round(100 * x, 2), round(100 * y, 2)) for x, y in zip(xs, ys, strict=True))
    return Points(places, ticks, ticks)
