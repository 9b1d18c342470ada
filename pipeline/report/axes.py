"""Values to places on an axis, and how an axis is chosen for binned values."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

WIDTH = 960.0
"""Of a plot, in the units of its view box."""
WIDER = 8
"""A bin so many times as wide as the one before is drawn narrower."""
WIDE = 50
"""Values whose largest is more times the smallest are drawn on a logarithmic axis."""


@dataclass(frozen=True)
class Axis:
    """Values to places: linear, or by log(1 + value) so that zero has a place."""

    low: float
    high: float
    logarithmic: bool

    def place(self, value: float) -> float:
        """From 0 to `WIDTH`."""
        low, high, here = self._on(self.low), self._on(self.high), self._on(min(max(value, self.low), self.high))
        return round(WIDTH * (here - low) / (high - low), 2)

    def _on(self, value: float) -> float:
        return math.log1p(value) if self.logarithmic else value

    def ticks(self) -> list[float]:
        """Round values, about eight of them."""
        if self.logarithmic:
            powers = range(math.floor(math.log10(max(self.high, 1))) + 1)
            found = [0.0, *(10.0**power for power in powers)]
        else:
            rough = (self.high - self.low) / 8
            size = 10.0 ** math.floor(math.log10(rough))
            step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
            first = math.ceil(self.low / step - 1e-9)
            found = [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]
        return [tick for tick in found if self.low <= tick <= self.high]


def drawn(edges: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Where each bin ends in a picture: of scores, the bin from 1 on is far wider than those before it, and is drawn as
    wide as they are."""
    widths = np.diff(edges)
    stops = edges[1:].copy()
    for i in range(1, len(widths)):
        if widths[i] > WIDER * widths[i - 1] > 0 and edges[i] >= 1:
            stops[i] = edges[i] + widths[i - 1]
    return stops


def axis_of(edges: npt.NDArray[np.float64], counts: npt.NDArray[np.int64], marks: list[float]) -> Axis:
    """An axis that shows all values and marks."""
    filled = np.flatnonzero(counts)
    lows = [float(edges[max(i - 1, 0)]) for i in filled[:1]] + marks
    stops = [*edges[:1], *drawn(edges), edges[-1]]
    highs = [float(stops[i]) for i in filled[-1:]] + marks
    low, high = min(lows, default=0.0), max(highs, default=1.0)
    if low >= 0 and (low < high / 4 or high <= 1):
        low = 0.0
    positive = [float(edges[i]) for i in filled if i < len(edges) and edges[i] > 0]
    logarithmic = low >= 0 and high > WIDE and high / min(positive, default=high) > WIDE
    is_wide = high - low >= sys.float_info.min  # else there is too little to divide by
    return Axis(low, high + abs(high) * 0.05 if is_wide else low + 1.0, logarithmic)
