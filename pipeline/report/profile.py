"""`tamis profile --html`: a corpus before there is a config for it, as one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.analysis.columns import finite, numbers
from pipeline.analysis.profile import Profile
from pipeline.analysis.quantiles import beyond
from pipeline.analysis.starting_config import starting_config
from pipeline.catalogue import bounds_of, definition
from pipeline.config import LANGUAGE
from pipeline.histograms import is_numeric
from pipeline.report.distributions import Distributions, Drawn, distributions
from pipeline.report.page import whole_page
from stages.contract import Stage

LANGUAGES_DRAWN, LANGUAGES_LISTED = 5, 12
LEAST_DRAWN = 20
"""Documents of a language, to be drawn by itself."""
SECTIONS = {
    "summary": "Summary",
    "languages": "Languages",
    "recipes": "Published recipes",
    "rules": "Published rules",
    "signals": "Signals",
    "examples": "Near the bounds",
    "config": "A config to start from",
}


@dataclass(frozen=True)
class Cut:
    """What an end of a published bound cuts off."""

    end: str
    bound: float
    share: float


@dataclass(frozen=True)
class Signal:
    """A signal of all documents, then by language; `cuts` of each row."""

    name: str
    unit: str
    definition: str
    drawn: Distributions
    cuts: Sequence[Sequence[Cut]]


def render(found: Profile) -> str:
    """The page as HTML."""
    signals = [signal for stage in found.stages for signal in _signals(found, stage)]
    return whole_page(
        "profile",
        ", ".join(found.source.paths),
        SECTIONS,
        found=found,
        languages=list(found.languages.items())[:LANGUAGES_LISTED],
        other_languages=list(found.languages.items())[LANGUAGES_LISTED:],
        labels=list(found.rules[0].by_language) if found.rules else [],
        signals=signals,
        bounded=[signal for signal in signals if signal.cuts[0]],
        without=[signal for signal in signals if not signal.cuts[0]],
        config=starting_config(found),
    )


def _signals(found: Profile, stage: Stage) -> list[Signal]:
    """The numeric signals of a stage that were measured of any document."""
    labels = found.signals[LANGUAGE]
    large = [label for label, size in found.languages.items() if size >= LEAST_DRAWN][:LANGUAGES_DRAWN]
    rows = {label: pc.fill_null(pc.equal(labels, label), False) for label in large}
    drawn = []
    for name, signal in stage.signals().items():
        column = found.signals[f"{stage.name}.{name}"]
        if not is_numeric(signal.type) or column.null_count == len(column):
            continue
        samples = [Drawn("all", finite(numbers(column)), bounds_of(stage, name, None))]
        samples += [
            Drawn(label, finite(numbers(column.filter(of))), bounds_of(stage, name, label))
            for label, of in rows.items()
        ]
        drawn.append(
            Signal(
                f"{stage.name}.{name}",
                signal.unit,
                definition(stage, name),
                distributions(samples, whole=pa.types.is_integer(signal.type)),
                [_cuts(sample) for sample in samples],
            )
        )
    return drawn


def _cuts(sample: Drawn) -> list[Cut]:
    size = max(len(sample.values), 1)
    return [
        Cut(end, bound, beyond(sample.values, bound, "min" if end == "min" else "max") / size)
        for end, bound in sample.bounds.items()
    ]
