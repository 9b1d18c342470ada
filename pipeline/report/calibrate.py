"""`tamis calibrate --html`: every signal in the reference and in each language, with the bounds of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipeline.analysis.calibrate import Calibration, Match
from pipeline.analysis.columns import finite
from pipeline.analysis.estimates import wilson
from pipeline.catalogue import definition
from pipeline.report.distributions import Distributions, Drawn, distributions
from pipeline.report.page import whole_page

LANGUAGES_DRAWN = 20
"""Languages whose distributions are drawn, the largest; a page of forty signals then has about 2 MB."""
ROWS, WARNED, CONFIG_CHARACTERS = 1500, 60, 500_000
"""Rows of a table, languages that something is said of, and characters of the config: of hundreds of languages a page
has so much, and says what it leaves out."""
SECTIONS = {
    "summary": "Summary",
    "bounds": "Bounds",
    "distributions": "Distributions",
    "config": "Config",
}


@dataclass(frozen=True)
class Side:
    """What a bound cuts off, with its 95 % interval."""

    end: str
    bound: float | None
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Pair:
    """One end of a bound, in the reference and in a language, before and after."""

    match: Match
    reference: Side
    before: Side
    after: Side


@dataclass(frozen=True)
class Signal:
    """A signal in the reference and in all languages; `pairs` by language, in the order of the rows after the first."""

    name: str
    unit: str
    definition: str
    drawn: Distributions
    pairs: Sequence[Sequence[Pair]]

    @property
    def changes(self) -> bool:
        return any(pair.match.is_change for own in self.pairs for pair in own)


def render(found: Calibration, source: str) -> str:
    """The page as HTML; `source` is what was measured: a run's path, or files."""
    pairs = [_pair(match) for match in found.matches]
    drawn = found.languages[:LANGUAGES_DRAWN]
    return whole_page(
        "calibrate",
        source,
        SECTIONS,
        found=found,
        groups=[[pair for pair in pairs if pair.match.is_change is changes] for changes in (True, False)],
        changes=found.changes,
        changed_languages={match.language for match in found.changes},
        warnings=_warnings(found.matches),
        signals=[_signal(found, name, pairs, drawn) for name in dict.fromkeys(match.signal for match in found.matches)],
        drawn=drawn,
        patch=found.patch(source),
        rows=ROWS,
        warned=WARNED,
        characters=CONFIG_CHARACTERS,
    )


def _pair(match: Match) -> Pair:
    def side(bound: float | None, share: float, documents: int) -> Side:
        low, high = wilson(share, documents) if bound is not None and documents else (0.0, 0.0)
        return Side(match.end, bound, share, low if share else 0.0, high)

    return Pair(
        match,
        side(match.reference, match.target, match.documents_reference),
        side(match.before, match.share_before, match.documents),
        side(match.after, match.share_after, match.documents),
    )


def _warnings(matches: Sequence[Match]) -> dict[str, dict[str, list[str]]]:
    """What to know before the bounds are used: signals, by language and by what is said of them."""
    noted: dict[str, dict[str, list[str]]] = {}
    for match in matches:
        for note in match.notes:
            if match.is_change or match.status == "too_few":
                noted.setdefault(match.language, {}).setdefault(note, []).append(f"{match.signal} {match.end}")
    return noted


def _signal(found: Calibration, name: str, pairs: Sequence[Pair], languages: Sequence[str]) -> Signal:
    stage_name, field = name.rsplit(".", 1)
    stage = next(stage for stage in found.config.stages if stage.name == stage_name)
    mine = {label: [p for p in pairs if p.match.signal == name and p.match.language == label] for label in languages}
    reference: dict[str, float] = {pair.match.end: pair.match.reference for pair in pairs if pair.match.signal == name}
    values_of = {label: finite(values) for (label, own), values in found.values.items() if own == name}
    rows = [Drawn(found.reference, values_of[found.reference], reference)]
    for label, own in mine.items():
        matches = [pair.match for pair in own]
        rows.append(
            Drawn(
                label,
                values_of[label],
                {match.end: match.after for match in matches if match.after is not None},
                {match.end: match.before for match in matches if match.is_change and match.before is not None},
                {
                    match.end: (match.low, match.high)
                    for match in matches
                    if match.low is not None and match.high is not None
                },
            )
        )
    signal = stage.signals()[field]
    return Signal(
        name,
        signal.unit,
        definition(stage, field),
        distributions(rows, whole=pa.types.is_integer(signal.type)),
        list(mine.values()),
    )
