"""Histograms of signals that merge by addition, in bins that no configured bound cuts.

Every bound of a signal is an edge, so the counts on its two sides are exact at any scale. The other edges depend on the
signal's unit alone: steps of 0.01 for ratios, scores and cosines, 20 bins a decade for counts, 50 for other sizes. That
is fine enough to tell quantiles by.

Bin `i` holds values in `[edges[i - 1], edges[i])`; bin 0 what lies below the first edge, bin `k` of `k` edges what does
not lie below the last. On disk a histogram is `{"<bin>": documents}` without the empty bins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.contract import Bounds, Stage

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_HUNDREDTHS = np.arange(101) / 100
_MOST = 1e10


def edges(stage: Stage, signal: str) -> Floats:
    """The edges of a numeric signal's bins, `float64[k]`, ascending. Raises KeyError if the stage has no such signal.

    For `min: m` there is an edge `m`, for `max: m` the next number of the signal's type above `m`: a bound drops whole
    bins. Bounds on a float32 are float32 numbers here, as in numpy's comparisons.
    """
    type_ = stage.signals()[signal].type
    own = []
    for rule in _rules(stage, signal):
        own += [] if rule.min is None else [_as(type_, rule.min)]
        own += [] if rule.max is None else [_above(type_, rule.max)]
    found = np.unique(np.concatenate([_usual(stage.signals()[signal].unit, type_), np.array(own, np.float64)]))
    return found[np.isfinite(found)]


def edges_of(stages: Iterable[Stage]) -> dict[str, Floats]:
    """The edges of every numeric signal of some stages, by column."""
    return {
        f"{stage.name}.{name}": edges(stage, name)
        for stage in stages
        for name, signal in stage.signals().items()
        if is_numeric(signal.type)
    }


def dense(num_edges: int, sparse: Mapping[str, int]) -> Counts:
    """`int64[num_edges + 1]` from a histogram as `stats.json` has it."""
    counts = np.zeros(num_edges + 1, np.int64)
    for place, documents in sparse.items():
        counts[int(place)] += documents
    return counts


def quantile(edges: Floats, counts: npt.ArrayLike, q: float) -> float | None:
    """The value below which a share `q` of the documents lies, to within the bin; None if there are none.

    Values are taken as evenly spread inside their bin; of the two open bins the one edge is told.

    Args:
        counts: `int64[k + 1]`, see `dense`.
    """
    numbers = np.asarray(counts, np.float64)
    reached = np.cumsum(numbers)
    target = min(max(q, 0.0), 1.0) * reached[-1]
    if not reached[-1]:
        return None
    place = int(np.flatnonzero((reached >= target) & (numbers > 0))[0])
    if place in (0, len(edges)):
        return float(edges[min(place, len(edges) - 1)])
    low, high = float(edges[place - 1]), float(edges[place])
    return high - (high - low) * float((reached[place] - target) / numbers[place])


def is_numeric(type_: pa.DataType) -> bool:
    """Whether a signal of that type has a histogram; others have counts of their values."""
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_))


def binned(limits: Floats, column: pa.Array) -> Counts:
    """Documents in every bin, `int64[k + 1]`; null is in none."""
    values = column.drop_null() if column.null_count else column
    places = np.searchsorted(limits, values.to_numpy().astype(np.float64), side="right")
    return np.bincount(places, minlength=len(limits) + 1)


def _rules(stage: Stage, signal: str) -> Iterator[Bounds]:
    rules = [stage.decisions()[signal]]
    for field in ("by_language", *stage.own_overrides):
        rules += [overrides[signal] for overrides in getattr(stage, field).values() if signal in overrides]
    yield from (rule for rule in rules if isinstance(rule, Bounds))


def _as(type_: pa.DataType, bound: float) -> float:
    """A bound as it is compared with values of a type: numpy makes a float32 of it for those."""
    return float(np.float32(bound)) if pa.types.is_float32(type_) else float(bound)


def _above(type_: pa.DataType, bound: float) -> float:
    if pa.types.is_float32(type_):
        return float(np.nextafter(np.float32(bound), np.float32(np.inf)))
    return float(np.nextafter(float(bound), np.inf))


@cache
def _usual(unit: str, type_: pa.DataType) -> Floats:
    """The edges that every signal of a unit has."""
    if pa.types.is_integer(type_):
        found = np.concatenate([[0.0], np.ceil(_decades(0, 20))])
    elif unit in ("ratio", "score in [0, 1]"):
        found = np.concatenate([_HUNDREDTHS, _decades(0, 20)])
    elif unit == "cosine similarity":
        found = np.concatenate([-_HUNDREDTHS, _HUNDREDTHS])
    elif unit in ("characters", "bytes"):
        found = np.concatenate([[0.0], _decades(-2, 50)])
    else:
        found = np.concatenate([-_decades(-3, 20), [0.0], _decades(-3, 20)])
    found = found + 0.0  # -0.0 is 0.0
    return np.unique(found.astype(np.float32).astype(np.float64) if pa.types.is_float32(type_) else found)


def _decades(first: int, num_bins: int) -> Floats:
    """`10 ** first` and so many edges a decade from there."""
    return 10 ** (first + np.arange(round((np.log10(_MOST) - first) * num_bins) + 1) / num_bins)
