"""`tamis compare --html`: two runs side by side, with pictures of the signals that drifted most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.analysis.columns import counted, finite, numbers, read_sample
from pipeline.analysis.compare import ABSENT, Comparison
from pipeline.analysis.drift import Drift
from pipeline.config import LANGUAGE, Config
from pipeline.histograms import is_numeric
from pipeline.report.distributions import Distributions, Drawn, distributions
from pipeline.report.page import value, whole_page
from pipeline.runs import Run
from stages.contract import Bounds

DRAWN, DRAWN_IF_NONE = 12, 4
"""Signals that are drawn: of those that drifted, or of those that differ most where none did."""
LABELS_SHOWN = 8
ROWS = 200
"""Rows of a table; what is left out is counted."""
SECTIONS = {
    "summary": "Summary",
    "config": "Config",
    "funnel": "Funnel",
    "rules": "Rules",
    "documents": "Documents",
    "drift": "Drift",
}


@dataclass(frozen=True)
class Label:
    """A label's share of the documents of each run."""

    label: str
    a: float
    b: float


@dataclass(frozen=True)
class Picture:
    """A signal of both runs: distributions of a number, or the largest labels."""

    drift: Drift
    drawn: Distributions | None
    labels: Sequence[Label]
    more: int


def render(found: Comparison, a: Run, b: Run) -> str:
    """The page as HTML."""
    return whole_page(
        "compare",
        f"{found.run_a} and {found.run_b}",
        SECTIONS,
        found=found,
        kept_of={"a": a.stats["output"]["documents"], "b": b.stats["output"]["documents"]},
        config=[(change, _said(change.a), _said(change.b)) for change in found.config],
        pictures=pictures(found, a, b),
        rows=ROWS,
    )


def _said(setting: object) -> str:
    if setting == ABSENT:
        return "not there"
    return "–" if setting is None else str(setting)


def pictures(found: Comparison, a: Run, b: Run) -> list[Picture]:
    """Pictures of the signals that drifted most, from the same documents as the comparison."""
    drifts = found.drifted[:DRAWN] or found.drift[:DRAWN_IF_NONE]
    columns = list(dict.fromkeys(one.signal for one in drifts))
    if not columns:
        return []
    schemas = [run.signals.schema.names for run in (a, b)]
    known = [LANGUAGE] if all(LANGUAGE in names for names in schemas) else []
    samples = [read_sample(run.signals, [*known, *columns]) for run in (a, b)]
    return [_picture(one, [a.config, b.config], samples) for one in drifts]


def _picture(one: Drift, configs: Sequence[Config], samples: Sequence[pa.Table]) -> Picture:
    columns = []
    for sample in samples:
        mine = sample if one.language is None else sample.filter(pc.equal(sample[LANGUAGE], one.language))
        columns.append(mine[one.signal].drop_null())
    type_ = columns[0].type
    if not is_numeric(type_):
        labels = _labels(columns)
        return Picture(one, None, labels[:LABELS_SHOWN], max(len(labels) - LABELS_SHOWN, 0))
    rows = [
        Drawn(name, finite(numbers(column)), _bounds(config, one))
        for name, column, config in zip("AB", columns, configs, strict=True)
    ]
    return Picture(one, distributions(rows, whole=pa.types.is_integer(type_)), (), 0)


def _labels(columns: Sequence[pa.ChunkedArray]) -> list[Label]:
    """Those that differ most first."""
    shares: list[dict[str, float]] = []
    for column in columns:
        shares.append({value(label): count / len(column) for label, count in counted(column).items()})
    found = [Label(label, *(side.get(label, 0.0) for side in shares)) for label in {**shares[0], **shares[1]}]
    return sorted(found, key=lambda label: (-abs(label.a - label.b), label.label))


def _bounds(config: Config, one: Drift) -> dict[str, float]:
    """The run's own bounds on the signal."""
    name, field = one.signal.rsplit(".", 1)
    stage = next((stage for stage in config.stages if stage.name == name), None)
    rule = stage.decisions(one.language).get(field) if stage else None
    return {end: float(bound) for end, bound in rule.ends.items()} if isinstance(rule, Bounds) else {}
