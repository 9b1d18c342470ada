"""What in a run deserves a second look, from its counts alone: the most pressing first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pipeline.analysis.reasons import Reason
from pipeline.histograms import dense, edges, is_numeric
from pipeline.numbers import percent
from pipeline.runs import Run
from pipeline.stats import MANY, Stats, num_rejected
from stages.contract import Bounds, Map, Stage
from stages.tokens.packing import Packing

FEW, NEARLY_ALL = 0.05, 0.999
UNMEASURED = 0.01
TIMES_THE_MEAN = 3.0
STEEP, BESIDE = 0.02, 0.1
"""A bound is on a slope when it cuts where a tenth of its value, up and down, holds such a share of the documents."""
RATIO_BESIDE = 0.01
"""The same of ratios and scores, in their own unit."""
CERTAIN = 0.05
"""A rule has no effect of its own if at most such a share of what it dropped can have been dropped by it alone."""
LEAST = 100
"""Documents below which a share says little."""

Level = Literal["warning", "note"]


@dataclass(frozen=True)
class Alert:
    """One thing that is odd.

    Attributes:
        what: in a few words.
        detail: the numbers, and what they mean.
        where: a stage, rule or language.
    """

    level: Level
    what: str
    detail: str
    where: str


def alerts(run: Run, reasons: Sequence[Reason] = (), stats: Stats | None = None) -> list[Alert]:
    """Every stage, rule, signal and language with something odd about it, warnings first.

    Args:
        reasons: in documents; none of a run whose tables are not there.
        stats: counts of a run that goes on.
    """
    stats = run.stats if stats is None else stats
    found: list[Alert] = [*_of_records(stats)]
    for stage in run.config.stages:
        counts = stats["stages"].get(stage.name)
        if counts and counts["documents_in"] >= LEAST:
            found += _of_stage(stage, counts)
    found += _without_effect(reasons)
    found += _of_languages(stats.get("languages", {}))
    return sorted(found, key=lambda alert: alert.level != "warning")


def _of_records(stats: Stats) -> Iterator[Alert]:
    bad, read = num_rejected(stats), stats["input"]["documents"]
    if bad:
        level: Level = "warning" if bad > UNMEASURED * (bad + read) else "note"
        kinds = ", ".join(
            f"{counts['documents']:,} {reason.removeprefix('input.').replace('_', ' ')}"
            for reason, counts in sorted(stats["input"]["rejected"].items())
        )
        yield Alert(level, "Records that could not be read", f"{kinds}; each is in rejected/ with file and place", "")


def _of_stage(stage: Stage, counts: dict[str, Any]) -> Iterator[Alert]:
    came, left = counts["documents_in"], counts["documents_out"]
    rules = [name for name, rule in stage.decisions().items() if not rule.is_open or stage.by_language]
    if left < FEW * came:
        yield Alert("warning", "Keeps almost nothing", f"{percent(left, came)} of what reaches it passes", stage.name)
    elif left > NEARLY_ALL * came and rules and stage.action == "drop" and not isinstance(stage, (Map, Packing)):
        detail = f"drops {came - left:,} of {came:,} documents: is it needed?"
        yield Alert("note", "Drops almost nothing", detail, stage.name)
    for signal in rules:
        missing = counts["unmeasured"].get(f"{stage.name}.{signal}", 0)
        if 0 < missing == came:
            detail = "of no document: it takes a list, a model or an earlier stage that this run has not"
            yield Alert("note", "Never told", detail, f"{stage.name}.{signal}")
        elif missing > UNMEASURED * came:
            detail = f"of {percent(missing, came)} of the documents; what cannot be told drops nothing"
            yield Alert("note", "Could not be told", detail, f"{stage.name}.{signal}")
    if stage.action == "drop":
        yield from _steep(stage, counts.get("histograms", {}))


def _steep(stage: Stage, histograms: dict[str, dict[str, int]]) -> Iterator[Alert]:
    """Bounds with many documents right beside them."""
    for name, signal in stage.signals().items():
        rule, sparse = stage.decisions()[name], histograms.get(f"{stage.name}.{name}")
        if not sparse or not is_numeric(signal.type) or not isinstance(rule, Bounds):
            continue
        limits = edges(stage, name)
        counts = dense(len(limits), sparse)
        for end, value in rule.ends.items():
            width = RATIO_BESIDE if "ratio" in signal.unit or "score" in signal.unit else BESIDE * abs(value)
            lows, highs = limits[:-1], limits[1:]
            beside = (lows >= value - 1.25 * width) & (highs <= value + 1.25 * width) & (highs > lows)
            below = int(counts[1:-1][beside & (highs <= np.nextafter(np.float32(value), np.float32(np.inf)))].sum())
            above = int(counts[1:-1][beside].sum()) - below
            if min(below, above) and below + above > STEEP * counts.sum():
                share = percent(below + above, int(counts.sum()))
                detail = (
                    f"{share} of the documents lie right beside {end} {value:g}: a little more or less changes much"
                )
                yield Alert("note", "A bound on a slope", detail, f"{stage.name}.{name}")


def _without_effect(reasons: Iterable[Reason]) -> Iterator[Alert]:
    for reason in reasons:
        if reason.here >= LEAST and reason.only.value == 0 and reason.only.high <= CERTAIN * reason.here:
            detail = f"other rules drop all of its {reason.here:,} documents too: without it the same is kept"
            yield Alert("note", "No effect of its own", detail, reason.rule)


def _of_languages(languages: dict[str, Any]) -> Iterator[Alert]:
    """Of the documents that were kept or dropped; others wait, or were set aside."""
    kept = {label: counts["kept"].get("documents", 0) for label, counts in languages.items()}
    lost = {label: {rule: one["documents"] for rule, one in own["dropped"].items()} for label, own in languages.items()}
    settled = {label: kept[label] + sum(lost[label].values()) for label in languages}
    all_kept, everything = sum(kept.values()), sum(settled.values())
    if not all_kept:
        return
    mean = 1 - all_kept / everything
    for label, documents in settled.items():
        if documents < LEAST or label == MANY or not lost[label]:
            continue
        share = 1 - kept[label] / documents
        if share > TIMES_THE_MEAN * mean or 1 - share < (1 - mean) / TIMES_THE_MEAN:
            top = max(lost[label].items(), key=lambda item: item[1])[0]
            detail = f"loses {share:.0%} of {documents:,} documents, all languages together {mean:.0%}; most to {top}"
            yield Alert("warning", "A language that loses much", detail, label)
