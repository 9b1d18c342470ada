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

from pipeline.inspector.pictures import WIDTH, Axis, axis_of

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

TICKS = 5
"""Labels on an axis, at most about."""


@dataclass(frozen=True)
class Bar:
    """A bin that is not empty: place and width, height on a linear and on a logarithmic axis (0 to 1), what it holds."""

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
    most: int
    logarithmic: bool


def histogram(edges: Floats, counts: Counts, bounds: Mapping[str, float], *, linear: bool = False) -> Histogram:
    """A histogram of binned values (see `pipeline.histograms`).

    Args:
        edges, counts: `float64[k]`, `int64[k + 1]`.
        bounds: `min` and `max`, those that are set.
        linear: values on a linear axis even where they span many orders of magnitude.
    """
    axis = axis_of(edges, counts, list(bounds.values()))
    wide = axis.logarithmic
    if linear and wide:
        axis = Axis(axis.low, _most_of(edges, counts, bounds), False)
    places = {end: _percent(axis, value) for end, value in bounds.items()}
    sides = [(0.0, places["min"])] if "min" in places else []
    sides += [(places["max"], 100 - places["max"])] if "max" in places else []
    return Histogram(
        tuple(_bars(axis, edges, counts, bounds)),
        tuple(Mark(_percent(axis, tick), tick) for tick in _few(axis.ticks(), axis.logarithmic)),
        tuple(Mark(places[end], value, end) for end, value in bounds.items()),
        tuple(side for side in sides if side[1] > 0),
        int(counts.max(initial=0)),
        wide,
    )


def _most_of(edges: Floats, counts: Counts, bounds: Mapping[str, float]) -> float:
    """Where a linear axis ends: 99.5 % of the documents lie below, or it is a little past the last bound that is near."""
    reached = np.cumsum(counts) / max(counts.sum(), 1)
    place = int(np.searchsorted(reached, 0.995))
    most = float(edges[min(place, len(edges) - 1)])
    near = [value for value in bounds.values() if value < 2 * most]
    return max([most, *near]) * 1.05


def _percent(axis: Axis, value: float) -> float:
    return round(100 * axis.place(value) / WIDTH, 3)


def _bars(axis: Axis, edges: Floats, counts: Counts, bounds: Mapping[str, float]) -> list[Bar]:
    most = max(int(counts.max(initial=0)), 1)
    steps = np.diff(edges)
    found = []
    for i in np.flatnonzero(counts):
        low = -math.inf if i == 0 else float(edges[i - 1])
        high = math.inf if i == len(edges) else float(edges[i])
        if low >= axis.high:
            continue
        # A bin far wider than the one before it (of ratios: from 1 on) is drawn no wider.
        stop = low + float(steps[i - 2]) if 2 <= i < len(edges) and low >= 1 and steps[i - 1] > 8 * steps[i - 2] else high
        left, right = _percent(axis, max(low, axis.low)), _percent(axis, min(stop, axis.high))
        number = int(counts[i])
        beyond = low < bounds.get("min", -math.inf) or low > bounds.get("max", math.inf)
        share = (number / most, math.log1p(number) / math.log1p(most))
        found.append(
            Bar(left, round(max(right - left, 0.35), 3), round(share[0], 4), round(share[1], 4), number, low, high, beyond)
        )
    return found


def _few(ticks: Sequence[float], logarithmic: bool) -> list[float]:
    """Some of many ticks, evenly."""
    if len(ticks) <= TICKS:
        return list(ticks)
    step = math.ceil(len(ticks) / TICKS)
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
