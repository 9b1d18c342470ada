"""What a mix asks of every group: amounts, from shares, epochs or a temperature. Plain arithmetic on a few numbers.

Amounts are in the unit of the mix (tokens, bytes or documents). `rest` stands for all groups together that are not
named; they keep their proportions to each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

REST = "rest"
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Target:
    """What is asked of a group, and what it can give."""

    group: str
    available: int
    share: float | None
    """Of the whole mix; None where epochs are asked for."""
    wanted: float
    """Amount that was asked for."""
    epochs: float
    """How often the group is taken: as often as asked for, but no more than `max_epochs`."""


def targets_by_share(
    available: Mapping[str, int], shares: Mapping[str, float], max_epochs: float, total: float | None
) -> list[Target]:
    """Shares of a total; without one, the largest total at which no group exceeds `max_epochs`.

    A group that is asked for and has nothing does not count for that largest total: its share is missing, and reported.
    """
    named = {group: share for group, share in shares.items() if group != REST}
    rest = max(0.0, 1.0 - sum(named.values()))
    pool = sum(amount for group, amount in available.items() if group not in named)
    of = {
        group: named[group] if group in named else rest * amount / pool if pool else 0.0
        for group, amount in available.items()
    }
    missing = {group: share for group, share in named.items() if group not in available}
    if rest > TOLERANCE and not pool:
        missing[REST] = rest
    if total is None:
        limits = [max_epochs * available[group] / share for group, share in of.items() if share and available[group]]
        total = min(limits, default=0.0)
    return [
        *(_capped(group, available[group], share, share * total, max_epochs) for group, share in of.items()),
        *(Target(group, 0, share, share * total, 0.0) for group, share in missing.items()),
    ]


def targets_by_temperature(
    available: Mapping[str, int], alpha: float, max_epochs: float, total: float | None
) -> list[Target]:
    """Shares in proportion to amount ** alpha (Conneau et al. 2020, arXiv 1911.02116, section 3.1): 1 leaves the
    proportions as they are, 0 makes all groups equal. The total is the corpus's own unless one is given.
    """
    weights = {group: float(amount) ** alpha if amount else 0.0 for group, amount in available.items()}
    whole = sum(weights.values()) or 1.0
    total = float(sum(available.values())) if total is None else total
    return [
        _capped(group, available[group], weight / whole, weight / whole * total, max_epochs)
        for group, weight in weights.items()
    ]


def targets_by_epochs(available: Mapping[str, int], epochs: Mapping[str, float]) -> list[Target]:
    """How often each group is seen; those that are not named, `rest` times, which is once unless said."""
    named = {group: times for group, times in epochs.items() if group != REST}
    often = {group: named.get(group, epochs.get(REST, 1.0)) for group in available}
    return [
        *(Target(group, available[group], None, times * available[group], times) for group, times in often.items()),
        *(Target(group, 0, None, 0.0, 0.0) for group in named if group not in available),
    ]


def _capped(group: str, amount: int, share: float, wanted: float, max_epochs: float) -> Target:
    return Target(group, amount, share, wanted, min(wanted / amount, max_epochs) if amount else 0.0)
