"""Answers of `pipeline.analysis` on a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.analysis.estimates import Estimate
from pipeline.analysis.outcomes import Flip
from pipeline.analysis.safe_text import visible
from pipeline.analysis.whatif import GroupRow, WhatIf
from pipeline.numbers import short

MAX_GROUPS = 20


def print_what_if(found: WhatIf, flips: Sequence[Flip], by: str, console: Console) -> None:
    """Funnel before and after, the change by group, documents that change side, and how to make it so."""
    unit = "B" if found.weight == "bytes" else ""
    console.print(_funnel(found, unit))
    console.print(Text(_verdict(found, unit)))
    if by:
        console.print(_groups(by, found.by_language if by == "language" else found.by_source, unit))
    if flips:
        console.print(_flips(flips))
    console.print("\nTo make it so, put this into the config:", highlight=False)
    console.print(found.patch().rstrip(), highlight=False, markup=False, soft_wrap=True)


def shown(estimate: Estimate, unit: str) -> str:
    """`1,234`, or `1,234 ± 50` with the larger side of its interval."""
    value = short(estimate.value, unit) if unit else f"{estimate.value:,.0f}"
    if estimate.exact:
        return value
    margin = max(estimate.high - estimate.value, estimate.value - estimate.low)
    return f"{value} ± {short(margin, unit) if unit else f'{margin:,.0f}'}"


def _funnel(found: WhatIf, unit: str) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column("kept by", no_wrap=True, max_width=20)
    for name in ("before", "after", "change"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    unasked = ""
    for row in found.funnel:
        unasked = row.stage if row.stage in found.not_rerun else unasked
        before = short(row.before_out, unit) if unit else f"{row.before_out:,}"
        note = "" if row.after_out.exact else "estimated"
        if unasked:
            note = "not re-run" if unasked == row.stage else "past one not re-run"
        table.add_row(row.stage, before, shown(row.after_out, unit), _change(row.before_out, row.after_out), note)
    return table


def _change(before: int, after: Estimate) -> str:
    if not before:
        return "–"
    change = after.value / before - 1
    return f"{change:+.1%}" if round(change, 3) else "0"


def _verdict(found: WhatIf, unit: str) -> str:
    def number(value: float) -> str:
        return short(value, unit) if unit else f"{value:,.0f}"

    noun = "of text" if unit else "documents"
    lines = [
        f"\nKept: {number(found.kept_before)} before, {shown(found.kept, unit)} after. {number(found.newly_dropped)} "
        f"{noun} go; {number(found.released)} pass the stage that dropped them."
    ]
    if not found.kept.exact:
        drawn = sum(cell.documents for cell in found.sampled)
        lines.append(f"± is the 95 % interval; it rests on {drawn:,} documents of the shadow sample.")
    if found.set_aside:
        lines.append(f"{number(found.set_aside)} {noun} of tasks that were set aside are in no stage's numbers.")
    if found.not_rerun:
        lines.append(f"Not re-run, since they look at all documents: {', '.join(found.not_rerun)}.")
    return "\n".join(lines)


def _groups(by: str, rows: Sequence[GroupRow], unit: str) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column(by, no_wrap=True, max_width=30, overflow="ellipsis")
    for name in ("before", "after", "change"):
        table.add_column(name, justify="right", no_wrap=True)
    ranked = sorted(rows, key=lambda row: -abs(row.after.value - row.before))[:MAX_GROUPS]
    for row in ranked:
        before = short(row.before, unit) if unit else f"{row.before:,}"
        table.add_row(visible(row.label or "(unknown)"), before, shown(row.after, unit), _change(row.before, row.after))
    if len(rows) > len(ranked):
        table.add_row(f"and {len(rows) - len(ranked)} more", "", "", "")
    return table


def _flips(flips: Sequence[Flip]) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column("changes side", no_wrap=True, max_width=40, overflow="ellipsis")
    table.add_column("before", no_wrap=True, max_width=32, overflow="ellipsis")
    table.add_column("after", no_wrap=True, max_width=32, overflow="ellipsis")
    for flip in flips:
        table.add_row(visible(flip.id or str(flip.address)), flip.before or "kept", flip.after or "kept")
    return table
