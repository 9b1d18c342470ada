"""What to type after a run."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline import stats as counting
from pipeline.histograms import dense, edges
from stages.contract import Bounds, Stage

LOOSER = 0.8
"""A bound that is tried lets a fifth more through, by its value."""


def next_commands(snapshot: dict[str, Any], path: str, stages: Sequence[Stage] = ()) -> list[str]:
    """Three commands that go on from a finished run: look at it, send it, try the bound that decided most."""
    place = shlex.quote(path)
    found = [f"tamis inspect {place}", f"tamis report {place}"]
    setting = looser_bound(snapshot, stages)
    return [*found, f"tamis whatif {place} --set {setting}" if setting else f"tamis status {place}"]


def looser_bound(snapshot: dict[str, Any], stages: Sequence[Stage]) -> str | None:
    """A looser value of the bound on a number that dropped most documents, as `--set` takes it; None if none did."""
    by_name = {stage.name: stage for stage in stages}
    for rule in counting.dropped(snapshot):
        name, _, signal = rule.partition(".")
        stage = by_name.get(name)
        bounds = stage.decisions().get(signal) if stage else None
        if stage is None or not isinstance(bounds, Bounds):
            continue
        end = _end(snapshot, stage, signal, bounds)
        bound = getattr(bounds, end)
        value = _looser(bound, is_min=end == "min", is_count=pa.types.is_integer(stage.signals()[signal].type))
        if value != bound:
            return f"stages.{rule}.{end}={value}"
    return None


def _looser(bound: float, *, is_min: bool, is_count: bool) -> float:
    value = bound * LOOSER if is_min == (bound > 0) else bound / LOOSER
    if not is_count:
        return float(f"{value:.2g}")
    return min(math.floor(value), math.ceil(bound) - 1) if is_min else max(math.ceil(value), math.floor(bound) + 1)


def _end(snapshot: dict[str, Any], stage: Stage, signal: str, bounds: Bounds) -> str:
    """The end of a bound that drops more."""
    if bounds.min is None or bounds.max is None:
        return "max" if bounds.min is None else "min"
    limits = edges(stage, signal)
    counts = dense(len(limits), snapshot["stages"][stage.name]["histograms"].get(f"{stage.name}.{signal}", {}))
    below = counts[: int(np.searchsorted(limits, bounds.min)) + 1].sum()
    above = counts[int(np.searchsorted(limits, bounds.max, side="right")) + 1 :].sum()
    return "min" if below >= above else "max"
