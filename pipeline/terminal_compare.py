"""Two runs side by side, and bounds by language, on a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pipeline.analysis.calibrate import Calibration, Match
from pipeline.analysis.columns import Numbers, finite
from pipeline.analysis.compare import ABSENT, Comparison, Joined
from pipeline.numbers import percent

MAX_ROWS = 15
"""Rows of a table, but for the funnel; what is left out is counted."""
LEVELS = "▁▂▃▄▅▆▇█"
WIDTH = 40
"""Characters of a distribution."""


def print_comparison(found: Comparison, console: Console) -> None:
    """Config, funnel, rules, documents decided otherwise, drift: all that differs."""
    _say(console, f"A  {found.run_a}\nB  {found.run_b}")
    _config(found, console)
    _heading(console, "Documents that each stage let pass")
    _funnel(found, console)
    _rules(found, console)
    _documents(found.documents, console)
    _drift(found, console)


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False)


def _heading(console: Console, text: str) -> None:
    console.print(f"\n{text}", style="bold", highlight=False, markup=False)


def print_rows(names: Sequence[str], rows: Sequence[Sequence[str]], console: Console, left: int = 1) -> None:
    """A table whose first columns are flush left and cut where there is no room; the others are numbers, whole."""
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    while sum(widths) + 2 * len(widths) > console.width and max(widths[:left]) > 8:
        widths[widths.index(max(widths[:left]))] -= 1
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for place, (name, width) in enumerate(zip(names, widths, strict=True)):
        justify: Any = "left" if place < left else "right"
        table.add_column(name, justify=justify, no_wrap=True, overflow="ellipsis", min_width=width, max_width=width)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _rest(console: Console, rows: Sequence[Any]) -> None:
    if len(rows) > MAX_ROWS:
        _say(console, f" … and {len(rows) - MAX_ROWS:,} more (--json has all)")


def _config(found: Comparison, console: Console) -> None:
    _heading(console, "Config")
    if not found.config and found.same_order:
        _say(console, " the same")
        return
    if not found.same_order:
        _say(console, " stages that both have come in another order")
    rows = [
        (change.stage or "–", change.field or "(whole stage)", _value(change.a), _value(change.b))
        for change in found.config[:MAX_ROWS]
    ]
    print_rows(("stage", "field", "A", "B"), rows, console, left=4)
    _rest(console, found.config)


def _value(value: Any) -> str:
    return "–" if value is None or value == ABSENT else str(value)


def _funnel(found: Comparison, console: Console) -> None:
    read, rows = found.funnel[0], []
    for row in found.funnel:
        both = row.out_a is not None and row.out_b is not None
        change = f"{(row.out_b or 0) - (row.out_a or 0):+,}" if both else "–"
        sides = [*_part(row.out_a, read.out_a), *_part(row.out_b, read.out_b)]
        rows.append((row.stage, *sides, "" if change == "+0" else change))
    print_rows(("stage", "A", "of read", "B", "of read", "B − A"), rows, console)


def _part(out: int | None, whole: int | None) -> tuple[str, str]:
    return ("–", "") if out is None else (f"{out:,}", percent(out, whole or 0))


def _rules(found: Comparison, console: Console) -> None:
    rules = found.changed_rules
    if not rules:
        return
    _heading(console, "Documents that rules dropped, where that differs")
    rows = [(rule.rule, f"{rule.a:,}", f"{rule.b:,}", f"{rule.b - rule.a:+,}") for rule in rules[:MAX_ROWS]]
    print_rows(("rule", "A", "B", "B − A"), rows, console)
    _rest(console, rules)


def _documents(joined: Joined, console: Console) -> None:
    _heading(console, "The same documents in both runs")
    apart = [
        f"{count:,} {what}"
        for count, what in (
            (joined.only_a, "only in A"),
            (joined.only_b, "only in B"),
            (joined.ambiguous_a + joined.ambiguous_b, f"left out, since another one has the same {joined.by}"),
        )
        if count
    ]
    _say(console, f" {joined.both:,} documents, told by {joined.by}{'; ' if apart else ''}{', '.join(apart)}")
    _say(console, f" {joined.lost:,} that A keeps are dropped by B; {joined.gained:,} that A drops are kept by B")
    if not joined.flows:
        return
    rows = [(flow.before or "kept", flow.after or "kept", f"{flow.documents:,}") for flow in joined.flows[:MAX_ROWS]]
    print_rows(("in A", "in B", "documents"), rows, console, left=2)
    _rest(console, joined.flows)


def _drift(found: Comparison, console: Console) -> None:
    _heading(console, "Signals that drifted")
    if not found.drifted:
        _say(console, f" none of {found.num_signals:,} signals")
        return
    rows = [
        (
            one.signal,
            one.language or "all",
            one.level,
            f"{one.psi:.2f}",
            f"{one.ks:.2f}" if one.ks is not None else "–",
            _median(one.median_a),
            _median(one.median_b),
        )
        for one in found.drifted[:MAX_ROWS]
    ]
    print_rows(("signal", "of", "drift", "PSI", "KS", "median A", "B"), rows, console)
    _rest(console, found.drifted)
    _say(console, " of the documents that reached the stage; PSI from 0.1 moderate, from 0.25 large")


def _median(value: float | None) -> str:
    return "–" if value is None else number(value)


def number(value: float, digits: int = 3) -> str:
    """A few digits, whole thousands in full."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.{digits}g}"


def print_calibration(found: Calibration, console: Console) -> None:
    """Bounds that change, language by language, each with its interval and both distributions; then warnings."""
    _say(console, f"reference {found.reference}; documents: {found.sizes}")
    for language in found.languages:
        shown = [match for match in found.changes if match.language == language]
        _heading(console, f"{language}: {len(shown) or 'no'} bounds change")
        if shown:
            names = ("signal", "now", f"{found.reference} cuts", f"{language} cuts", "matched", "95 % interval")
            print_rows(names, [_match(match) for match in shown], console)
    _pictures(found, console)
    _warnings(found, console)


def _match(match: Match) -> tuple[str, ...]:
    sign = "≥" if match.end == "min" else "≤"
    return (
        match.signal.split(".", 1)[1],
        f"{sign} {number(match.before)}" if match.before is not None else "–",
        _cut(match.target),
        _cut(match.share_before),
        f"{sign} {number(match.after)}" if match.after is not None else "–",
        f"{number(match.low, 2)}…{number(match.high or 0, 2)}" if match.low is not None else "–",
    )


def _cut(share: float) -> str:
    return f"{100 * share:.1f}%"


def _pictures(found: Calibration, console: Console) -> None:
    """The distributions of the signals whose bounds change most, the reference above the language."""
    changes = sorted(found.changes, key=lambda match: -abs(match.share_before - match.target))[:5]
    if changes:
        _heading(console, "Where the bound changes most (bounds at ▏)")
    for match in changes:
        rows = {
            label: (found.values[label, match.signal], bound)
            for label, bound in ((found.reference, match.reference), (match.language, match.after))
        }
        low, high = span([values for values, _ in rows.values()], [bound for _, bound in rows.values() if bound])
        _say(console, f" {match.signal} {match.end}, {low:.3g} to {high:.3g}")
        for label, (values, bound) in rows.items():
            _say(console, f"   {label[:8]:<8} {picture(values, low, high, bound)}")


def span(samples: Sequence[Numbers], bounds: Sequence[float]) -> tuple[float, float]:
    """The range in which nearly all values and the bounds lie."""
    drawn = [finite(values) for values in samples]
    lows = [float(np.quantile(values, 0.005)) for values in drawn if len(values)]
    highs = [float(np.quantile(values, 0.995)) for values in drawn if len(values)]
    return min([*lows, *bounds], default=0.0), max([*highs, *bounds], default=0.0)


def picture(values: Numbers, low: float, high: float, bound: float | None) -> str:
    """A histogram in one line of characters, with the bound between two of them."""
    values = finite(values)
    width = (high - low) or 1.0
    places = np.clip((values - low) / width * WIDTH, 0, WIDTH - 1).astype(np.int64)
    counts = np.bincount(places, minlength=WIDTH)
    tops = np.ceil(counts / max(counts.max(), 1) * len(LEVELS)).astype(int)
    bars = [LEVELS[top - 1] if top else " " for top in tops.tolist()]
    if bound is not None:
        bars.insert(min(max(round((bound - low) / width * WIDTH), 0), WIDTH), "▏")
    return "".join(bars)


def _warnings(found: Calibration, console: Console) -> None:
    noted: dict[str, dict[str, None]] = {}  # a signal has two ends
    for match in found.matches:
        for note in match.notes:
            if match.is_change or match.status == "too_few":
                noted.setdefault(f"{match.language}: {note}", {})[match.signal] = None
    if not noted:
        return
    _heading(console, "Before it is used")
    for note, signals in list(noted.items())[:MAX_ROWS]:
        more = f" and {len(signals) - 2} more" if len(signals) > 2 else ""
        console.print(
            Padding(f"{note} ({', '.join(list(signals)[:2])}{more})", (0, 0, 0, 1)), highlight=False, markup=False
        )
    _rest(console, list(noted))
