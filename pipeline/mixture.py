"""What a mix came to: every group beside its target, after a run, or before it where the tallies are already there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from pipeline.numbers import percent, short
from pipeline.plan import Plan
from pipeline.records import read_record
from pipeline.runs import Run
from pipeline.surveys import conclude, read_conclusion
from stages.mix import Mix

Mixture: TypeAlias = dict[str, Any]
"""`unit`, and `groups`: for each its `group`, `documents`, `available`, `share` (null for epochs), `wanted`, `amount`,
`missing`, `mix_share`, `epochs`."""
MAX_ROWS = 20
LEAST_MISSING = 0.0005
"""Part of a target that is not worth a word: a document more or less."""


def achieved(run: Run) -> dict[str, Mixture]:
    """The mix of a finished run, by the stage's name: what its documents came to, counted as they were taken; of more
    than 200 groups, what was planned."""
    found = {}
    for segment in run.plan.segments:
        conclude_phase = segment.phase("conclude")
        if isinstance(segment.survey, Mix) and conclude_phase:
            mix = segment.survey
            counters = run.stats["stages"][mix.name].get("counters", {})
            found[mix.name] = _mixture(mix, read_conclusion(run, conclude_phase), counters)
    return found


def predicted(path: str, plan: Plan) -> dict[str, Mixture | None]:
    """The mix that a plan will come to, by the stage's name; None where its run directory does not hold the tallies of
    all documents yet, without which nobody knows."""
    found: dict[str, Mixture | None] = {}
    for number, segment in enumerate(plan.segments):
        if isinstance(segment.survey, Mix):
            before = plan.segments[number - 1].sieve
            there = all(read_record(path, before, rank) is not None for rank in range(len(plan.tasks)))
            reference = conclude(Run(path), plan, number) if there else None
            found[segment.survey.name] = None if reference is None else _mixture(segment.survey, reference, {})
    return found


def _mixture(mix: Mix, reference: pa.Table, counters: Mapping[str, float]) -> Mixture:
    rows = reference.select(["group", "documents", "available", "share", "wanted", "planned"]).to_pylist()
    for row in rows:
        planned = row.pop("planned")
        row["amount"] = counters.get(f"amount.{row['group']}", 0) if counters else planned
    total = sum(row["amount"] for row in rows)
    for row in rows:
        row["missing"] = max(0.0, row["wanted"] - row["amount"])
        row["mix_share"] = row["amount"] / total if total else 0.0
        row["epochs"] = row["amount"] / row["available"] if row["available"] else 0.0
    return {"unit": mix.unit, "groups": rows}


def print_mixture(name: str, mixture: Mixture | None, console: Console) -> None:
    """Every group beside its target, and what is missing; the twenty largest targets of more."""
    if mixture is None:
        console.print(f"{name}     not known before the documents have been counted, which a run does", highlight=False)
        return
    groups = sorted(mixture["groups"], key=lambda row: -row["wanted"])
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column(name, no_wrap=True, overflow="ellipsis", max_width=32)
    for column in (f"{mixture['unit']} there", "target", "reached", mixture["unit"], "epochs", "missing"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in groups[:MAX_ROWS]:
        is_short = row["missing"] > LEAST_MISSING * row["wanted"]
        table.add_row(
            row["group"], short(row["available"]), "–" if row["share"] is None else _percent(row["share"]),
            _percent(row["mix_share"]), short(row["amount"]), f"{row['epochs']:.2f}",
            f"{short(row['missing'])} ({percent(row['missing'], row['wanted'])})" if is_short else "",
            style="bold" if is_short else "",
        )  # fmt: skip
    console.print(table)
    if len(groups) > MAX_ROWS:
        console.print(f"and {len(groups) - MAX_ROWS:,} groups more: pipeline.mixture.achieved(run)", highlight=False)


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
