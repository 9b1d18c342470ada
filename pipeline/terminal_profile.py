"""A corpus's profile on a terminal of 80 columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.padding import Padding

from pipeline.analysis.columns import Numbers
from pipeline.analysis.profile import Profile
from pipeline.analysis.safe_text import visible
from pipeline.config import LANGUAGE
from pipeline.numbers import percent, short
from pipeline.terminal_compare import number, picture, print_rows, span
from stages.contract import Bounds

NUM_RULES = 12
NUM_PICTURES = 6


def print_profile(found: Profile, console: Console) -> None:
    """What there is, what each recipe keeps, which rules are loud, how signals are distributed, examples."""
    sample, documents = found.sample, found.documents
    part = "all of it" if sample.is_whole else "a sample"
    _say(
        console, f"{sample.files:,} files, {short(sample.file_bytes, 'B')}; measured: {part}, {documents:,} documents, "
    )
    _say(console, f"{short(found.bytes, 'B')} of text, {found.duplicates:,} of them repeat another one's text")
    for reason, count in sample.rejected.items():
        _say(console, f"unreadable: {count:,} × {reason.removeprefix('input.')}")
    _heading(console, "Languages")
    languages = [f"{label} {percent(size, documents)}" for label, size in list(found.languages.items())[:10]]
    console.print(Padding(" · ".join(languages) or "none", (0, 0, 0, 1)), highlight=False, markup=False)
    _recipes(found, console)
    _rules(found, console)
    _pictures(found, console)
    _examples(found, console)


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False)


def _heading(console: Console, text: str) -> None:
    console.print(f"\n{text}", style="bold", highlight=False, markup=False)


def _recipes(found: Profile, console: Console) -> None:
    _heading(console, "What published recipes would keep, before deduplication")
    rows = []
    for outcome in found.recipes:
        worst = ", ".join(loss.rule for loss in outcome.losses[:1])
        shares = (
            percent(outcome.kept_documents, outcome.documents),
            percent(outcome.kept_bytes, outcome.bytes),
        )
        rows.append((outcome.name, worst, *shares))
    print_rows(("recipe", "drops most by", "documents", "text"), rows, console, left=2)


def _rules(found: Profile, console: Console) -> None:
    loud = [rule for rule in found.rules if rule.documents][:NUM_RULES]
    if not loud:
        return
    _heading(console, "What published rules would drop, each by itself")
    labels = list(loud[0].by_language)[:3]
    rows = [
        (rule.rule, rule.bound, f"{rule.share:.1%}", *(f"{rule.by_language[label]:.0%}" for label in labels))
        for rule in loud
    ]
    print_rows(("rule", "bound", "all", *labels), rows, console, left=2)


def _pictures(found: Profile, console: Console) -> None:
    """Distributions of the loudest numeric signals in the largest languages, with the published bounds."""
    _heading(console, "How they are distributed, by language (bound at ▏)")
    decisions = {f"{stage.name}.{name}": rule for stage in found.stages for name, rule in stage.decisions().items()}
    labels = found.signals[LANGUAGE]
    shown = [rule for rule in found.rules if rule.documents and isinstance(decisions[rule.rule], Bounds)]
    for rule in shown[:NUM_PICTURES]:
        bounds = decisions[rule.rule]
        column = found.signals[rule.rule]
        groups = {label: _values(column.filter(pc.equal(labels, label))) for label in list(rule.by_language)[:3]}
        groups = {label: values for label, values in groups.items() if len(values)}
        if not groups or not isinstance(bounds, Bounds):
            continue
        bound = bounds.min if bounds.min is not None else bounds.max
        low, high = span(list(groups.values()), [float(bound)] if bound is not None else [])
        _say(console, f" {rule.rule}, {number(low)} to {number(high)}")
        for label, values in groups.items():
            _say(console, f"   {label[:8]:<8} {picture(values, low, high, bound)}")


def _values(column: pa.ChunkedArray) -> Numbers:
    values: Numbers = column.drop_null().to_numpy().astype(np.float64)
    return values


def _examples(found: Profile, console: Console) -> None:
    _heading(console, "Just beyond a bound: was that right?")
    for rule in [rule for rule in found.rules if rule.examples][:NUM_PICTURES]:
        _say(console, f" {rule.rule} {rule.bound}")
        for example in rule.examples[:2]:
            line = f"{number(example.value)}  {visible(str(example.id))}: {example.text}"
            console.print(Padding(line, (0, 0, 0, 3)), highlight=False, markup=False)
