"""The bound that cuts off of one sample what a known bound cuts off of another one.

The share that the bound cuts off in the reference is found again in the other sample, among the values that occur
there: a signal that comes in steps is matched by the nearest step. What a bound cuts off is uncertain twice, in the
reference and in the other sample; the interval holds the values at the ends of Wilson's interval (1927, JASA 22) of the
share, for a sample of the harmonic size of both, and asks nothing of the distributions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipeline.analysis.columns import Numbers
from pipeline.analysis.estimates import wilson
from stages.decisions import End

DIGITS = 3
"""Significant digits of a bound."""


@dataclass(frozen=True)
class Quantile:
    """A matched bound.

    Attributes:
        bound: the value; it drops what lies beyond, as an inclusive bound does.
        low, high: 95 times in 100 the bound of unlimited samples lies between.
        target: share that the reference's bound cuts off of the reference.
        share: share that `bound` cuts off of the other sample; differs from the target where values come in steps.
    """

    bound: float
    low: float
    high: float
    target: float
    share: float


def beyond(values: Numbers, bound: float, end: End) -> int:
    """Values that a bound cuts off."""
    return int((values < bound).sum() if end == "min" else (values > bound).sum())


def match_quantile(reference: Numbers, values: Numbers, bound: float, end: End) -> Quantile:
    """The bound on `values` that does to them what `bound` does to `reference`; neither may be empty.

    Among values that come as near to the target, the one that keeps more is taken. The bound is rounded to `DIGITS`
    digits, away from what it keeps, unless that moves documents across it.
    """
    sign = 1.0 if end == "max" else -1.0
    x = np.sort(sign * values)
    target = beyond(reference, bound, end) / len(reference)
    steps = np.unique(x)
    shares = 1 - np.searchsorted(x, steps, side="right") / len(x)
    gaps = np.abs(shares - target)
    chosen = float(steps[np.flatnonzero(gaps <= gaps.min() + 1e-12)[-1]])
    harmonic = 1 / (1 / len(reference) + 1 / len(values))
    least, most = wilson(target, harmonic)
    ends = sorted(sign * _at_share(x, share) for share in (least, most))
    found = rounded(sign * chosen, values, end)
    share = beyond(values, found, end) / len(values)
    return Quantile(found, ends[0], ends[1], target, share)


def _at_share(x: Numbers, share: float) -> float:
    """The smallest of the sorted values that no more than a share of them exceeds."""
    return float(x[min(max(math.ceil(len(x) * (1 - share)) - 1, 0), len(x) - 1)])


def rounded(bound: float, values: Numbers, end: End) -> float:
    """The bound with as few digits as leave every value on its side, `DIGITS` at least."""
    before = beyond(values, bound, end)
    for digits in range(DIGITS, 16):
        for place in (math.floor, math.ceil):
            shown = _to_digits(bound, digits, place is math.ceil)
            if beyond(values, shown, end) == before:
                return shown
    return bound


def _to_digits(value: float, digits: int, up: bool) -> float:
    if value == 0 or not math.isfinite(value):
        return value
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    scaled = value * 10.0**decimals
    return float(round((math.ceil(scaled) if up else math.floor(scaled)) / 10.0**decimals, max(decimals, 0)))
