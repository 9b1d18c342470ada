"""What in a run deserves a second look, from its counts alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.analysis.reasons import Reason
from pipeline.histograms import dense, edges, is_numeric
from pipeline.numbers import percent
from pipeline.runs import Run
from stages.contract import Bounds, Stage

FEW, NEARLY_ALL = 0.05, 0.999
UNMEASURED = 0.01
TIMES_THE_MEAN = 3.0
STEEP = 0.02
"""A share of the documents in the one bin beside a bound: a hundredth of a ratio, an eighth of a count."""
LEAST = 100
"""Documents below which a share says little."""


@dataclass(frozen=True)
class Alert:
    """`where` is a stage, rule or language."""

    where: str
    what: str


def alerts(run: Run, reasons: Sequence[Reason]) -> list[Alert]:
    """Every stage, rule, signal and language with something odd about it."""
    stats = run.stats
    found: list[Alert] = []
    for stage in run.config.stages:
        counts = stats["stages"][stage.name]
        if counts["documents_in"] >= LEAST:
            found += _of_stage(stage, counts)
    for reason in reasons:
        if reason.here >= LEAST and not reason.only.high:
            found.append(Alert(reason.rule, "drops nothing that no other rule drops too: without it the same is kept"))
    return [*found, *_of_languages(stats.get("languages", {}))]


def _of_stage(stage: Stage, counts: dict[str, Any]) -> Iterator[Alert]:
    came = counts["documents_in"]
    share = counts["documents_out"] / came
    if share < FEW:
        yield Alert(stage.name, f"keeps only {percent(counts['documents_out'], came)} of what reaches it")
    if NEARLY_ALL < share < 1:
        yield Alert(stage.name, f"drops {came - counts['documents_out']:,} of {came:,}: nearly nothing")
    for signal, missing in counts["unmeasured"].items():
        name = signal.rpartition(".")[2]
        can_drop = name in stage.signals() and not stage.decisions()[name].is_open
        if can_drop and missing > UNMEASURED * came:
            yield Alert(signal, f"could not be told of {percent(missing, came)} of the documents; they pass")
    if stage.action == "drop":
        yield from _steep(stage, counts)


def _steep(stage: Stage, counts: dict[str, Any]) -> Iterator[Alert]:
    """Bounds with many documents right beside them."""
    for name, signal in stage.signals().items():
        rule = stage.decisions()[name]
        if not is_numeric(signal.type) or not isinstance(rule, Bounds):
            continue
        limits = edges(stage, name)
        histogram = dense(len(limits), counts["histograms"].get(f"{stage.name}.{name}", {}))
        for end, value in (("min", rule.min), ("max", rule.max)):
            if value is None or not histogram.sum():
                continue
            place = int((limits <= float(value)).sum())
            beside = int(histogram[max(place - 1, 0) : place + 1].sum())
            if beside > STEEP * histogram.sum() and (
                histogram[:place].sum() if end == "min" else histogram[place:].sum()
            ):
                share = percent(beside, int(histogram.sum()))
                yield Alert(
                    f"{stage.name}.{name}", f"has {share} of its documents in the two bins beside {end} {value:g}"
                )


def _of_languages(languages: dict[str, Any]) -> Iterator[Alert]:
    read = sum(counts["read"].get("documents", 0) for counts in languages.values())
    kept = sum(counts["kept"].get("documents", 0) for counts in languages.values())
    mean = 1 - kept / read if read else 0.0
    for label, counts in languages.items():
        documents = counts["read"].get("documents", 0)
        lost = 1 - counts["kept"].get("documents", 0) / documents if documents else 0.0
        if documents >= LEAST and mean and lost > TIMES_THE_MEAN * mean:
            yield Alert(label, f"loses {lost:.0%} of its documents, all languages together {mean:.0%}")
