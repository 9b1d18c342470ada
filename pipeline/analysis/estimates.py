"""Numbers that rest on a sample, with an interval of 95 %.

A share of a finite population, of which some were looked at, by Wilson's interval (Wilson 1927, JASA 22) with the
number looked at corrected for the finite population. Sums of independent estimates by the recovery of variances (MOVER:
Zou and Donner 2008, Statistics in Medicine 27), which keeps intervals that lean to one side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

Z = 1.959964


@dataclass(frozen=True)
class Estimate:
    """A number; `exact` where it was counted, else `low` to `high` holds it 95 times in 100."""

    value: float
    low: float
    high: float
    exact: bool

    @classmethod
    def counted(cls, value: float) -> Estimate:
        return cls(value, value, value, True)

    def __str__(self) -> str:
        if self.exact:
            return f"{self.value:,.0f}"
        return f"{self.value:,.0f} ({self.low:,.0f} to {self.high:,.0f})"


def total(parts: Iterable[Estimate], unknown: Iterable[Estimate] = ()) -> Estimate:
    """The sum of independent estimates. Of those of which nothing was sampled, `unknown`, nobody knows that they are
    independent: their ends add up."""
    parts, unknown = list(parts), list(unknown)
    value = sum(part.value for part in parts)
    below = math.sqrt(sum((part.value - part.low) ** 2 for part in parts))
    above = math.sqrt(sum((part.high - part.value) ** 2 for part in parts))
    return Estimate(
        value + sum(part.value for part in unknown),
        value - below + sum(part.low for part in unknown),
        value + above + sum(part.high for part in unknown),
        all(part.exact for part in (*parts, *unknown)),
    )


def share_of(
    population: int,
    sampled: int,
    hits: int,
    *,
    whole: float | None = None,
    weights: tuple[float, float, float] | None = None,
    guess: float = 0.5,
) -> Estimate:
    """How much of a population has a property that `hits` of `sampled` have.

    Args:
        whole: what the population weighs, if not documents are counted (bytes).
        weights: with `whole`: the sum of the weights of the sampled, of those that have the property, and the sum of
            the squares of the weights of the sampled.
        guess: the share where nothing was sampled; then the interval is everything there is.
    """
    size = float(population if whole is None else whole)
    if population == 0:
        return Estimate.counted(0.0)
    if sampled == 0:
        return Estimate(size * guess, 0.0, size, False)
    if weights is None:
        share, count, seen, missed = hits / sampled, float(sampled), float(hits), float(sampled - hits)
    else:
        weight, with_property, squares = weights
        share = with_property / weight if weight else hits / sampled
        count = weight * weight / squares if squares else float(sampled)
        seen, missed = with_property, weight - with_property
    if sampled >= population:
        return Estimate.counted(seen)
    effective = count * max(population - 1, 1) / (population - sampled)
    middle = (share + Z * Z / (2 * effective)) / (1 + Z * Z / effective)
    half = Z / (1 + Z * Z / effective) * math.sqrt(share * (1 - share) / effective + Z * Z / (4 * effective**2))
    low, high = max(size * (middle - half), seen), min(size * (middle + half), size - missed)
    value = min(max(size * share, low), high)
    return Estimate(value, low, high, False)
