"""The bars of a histogram and the points of a line: geometry for the templates that draw them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.report.axes import WIDTH, Axis, drawn

HEIGHT = 240.0
"""Of a plot, in the units of its view box."""


def bars_of(
    axis: Axis, edges: npt.NDArray[np.float64], counts: npt.NDArray[np.int64], logarithmic: bool
) -> list[dict[str, Any]]:
    """The bars of the bins that are not empty: place, width, height, what they count and of which values."""
    stops = [*edges[:1], *drawn(edges), axis.high]
    tallest = max(int(counts.max()), 1)
    found = []
    for i in np.flatnonzero(counts):
        low = axis.low if i == 0 else float(edges[i - 1])
        high = axis.high if i == len(edges) else float(edges[i])
        left, right = axis.place(low), axis.place(float(stops[i]))
        share = math.log1p(int(counts[i])) / math.log1p(tallest) if logarithmic else int(counts[i]) / tallest
        found.append(
            {
                "x": left,
                "width": max(round(right - left - 0.6, 2), 1.5),
                "height": round(max(share * HEIGHT, 1.5), 2),
                "documents": int(counts[i]),
                "from": low,
                "to": high,
            }
        )
    return found


def curve(xs: list[float], ys: list[float]) -> str:
    """Points of a line through the unit square, in a plot of `WIDTH` by `HEIGHT`."""
    return " ".join(f"{WIDTH * x:.1f},{HEIGHT * (1 - y):.1f}" for x, y in zip(xs, ys, strict=True))
