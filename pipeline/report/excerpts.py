"""Texts that the report shows: documents near the bound that dropped them, and what copies have that others have not.

With `redacted`, of a text, an id, an address or a source the shape alone is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.analysis import duplicates, samples
from pipeline.analysis.meanings import epsilon_curve
from pipeline.analysis.safe_text import redact, segments, visible
from pipeline.analysis.samples import Bound, Sample
from pipeline.analysis.tables import Tables
from pipeline.report.charts import Points, decades, unit_square
from pipeline.runs import Run

RULES_SHOWN, SAMPLES_SHOWN = 12, 4
CHARACTERS = 1500
CLUSTERS_SHOWN = 10
PAIR_CHARACTERS = 800

Pieces = Sequence[tuple[str, str | None]]


@dataclass(frozen=True)
class Excerpt:
    """A document: names and text that are safe to show, and its signals beside their bounds."""

    id: str
    url: str
    source: str
    language: str
    pieces: Pieces
    length: int
    violated: Sequence[Bound]
    others: Sequence[Bound]


@dataclass(frozen=True)
class Dropped:
    """Documents that a rule dropped; `kept` of `of` texts are there."""

    rule: str
    kept: int
    of: int
    excerpts: Sequence[Excerpt]


@dataclass(frozen=True)
class Clusters:
    """What a deduplication found."""

    stage: str
    sizes: Sequence[tuple[int, int]]
    curve: Points | None
    largest: Sequence[tuple[str, int]]
    documents: int
    banding: Points | None
    """Which share of pairs is found, by their similarity; of a stage with bands."""
    half_found_at: float | None
    epsilons: Sequence[tuple[float, int, bool]]
    """What other settings would remove: epsilon, documents, whether it is the one in use; of `semantic`."""
    pair: tuple[str, str, Pieces, Pieces] | None
    """The kept document and a copy: ids, and texts with what the other one has not."""
    rewritten_later: Sequence[str]
    """Stages through which the kept document of the pair went and the copy did not."""


def dropped_samples(run: Run, tables: Tables, rules: Sequence[str], redacted: bool) -> list[Dropped]:
    """Documents nearest to the bound that dropped them, of some rules."""
    found = []
    for rule in rules[:RULES_SHOWN]:
        near = samples.dropped(run, tables, rule, SAMPLES_SHOWN)
        if near:
            kept, of = samples.rests_on(tables, rule)
            found.append(Dropped(rule, kept, of, [excerpt(sample, redacted) for sample in near]))
    return found


def excerpt(sample: Sample, redacted: bool) -> Excerpt:
    text = sample.text or ""
    shown = redact(text) if redacted else text
    decided = [bound for bound in sample.bounds if bound.decision and not bound.violated]
    return Excerpt(
        _name(sample.id if sample.id is not None else str(sample.address), redacted),
        _name(sample.url, redacted),
        _name(sample.source, redacted),
        visible(sample.language or ""),
        [(piece, note and _note(note, redacted)) for piece, note in segments(shown, sample.spans, CHARACTERS)],
        len(text),
        sample.violated,
        decided,
    )


def _note(note: str, redacted: bool) -> str:
    """Why something is marked; it may quote the text."""
    return "evidence" if redacted else visible(note)


def _name(text: str | None, redacted: bool) -> str:
    return visible(redact(text) if redacted else text) if text else ""


def clusters(run: Run, tables: Tables, *, with_texts: bool, redacted: bool) -> list[Clusters]:
    """What every stage found that looks for duplicates."""
    found = []
    for name in duplicates.stages_of(run):
        sizes = [(row["size"], row["clusters"]) for row in duplicates.size_curve(tables, name).to_pylist()]
        largest = duplicates.largest(tables, name, CLUSTERS_SHOWN)
        banding = duplicates.banding(run, name)
        here = [one.kept for one in largest if one.kept_run is None] if with_texts else []
        found.append(
            Clusters(
                name,
                sizes,
                decades([size for size, _ in sizes], [number for _, number in sizes]) if sizes else None,
                [(_name(one.kept_id or str(one.kept), redacted), one.size) for one in largest],
                sum(size * number for size, number in sizes),
                _curve(banding),
                banding["half_found_at"] if banding else None,
                _epsilons(tables, name),
                _pair(run, tables, name, here, redacted),
                duplicates.rewritten_later(run, name),
            )
        )
    return found


def _epsilons(tables: Tables, name: str) -> list[tuple[float, int, bool]]:
    from stages.dedup.semantic import Semantic

    stage = next(found for found in tables.run.config.stages if found.name == name)
    rows = epsilon_curve(tables, name).to_pylist() if isinstance(stage, Semantic) else []
    return [(row["epsilon"], row["removed"], row["in_use"]) for row in rows]


def _curve(banding: dict[str, Any] | None) -> Points | None:
    if banding is None:
        return None
    steps = len(banding["curve"]) - 1
    return unit_square([n / steps for n in range(steps + 1)], banding["curve"])


def _pair(
    run: Run, tables: Tables, stage: str, kept: Sequence[int], redacted: bool
) -> tuple[str, str, Pieces, Pieces] | None:
    """The first cluster of which both the kept document and a copy that differs have their texts."""
    for address in kept[:5]:
        members = [one for one, _ in duplicates.members(run, tables, stage, address, 6) if one.text]
        if len(members) < 2 or members[0].address != address:
            continue
        first = members[0]
        other = next((one for one in members[1:] if one.text != first.text), members[1])
        assert first.text is not None
        assert other.text is not None
        pieces = duplicates.difference(first.text, other.text)
        sides = [_side(pieces, kind, redacted) for kind in ("removed", "added")]
        return _name(first.id, redacted), _name(other.id, redacted), sides[0], sides[1]
    return None


def _side(pieces: Sequence[tuple[str, str]], own: str, redacted: bool) -> Pieces:
    """One text of a pair: its own words marked; long stretches that both have are shortened."""
    found: list[tuple[str, str | None]] = []
    left = PAIR_CHARACTERS
    for text, kind in pieces:
        if kind not in ("equal", own) or left <= 0:
            continue
        text = visible(redact(text) if redacted else text)
        if kind == "equal" and len(text) > 240:
            text = f"{text[:120]} … {text[-110:]}"
        text = text[:left]
        found.append((text, None if kind == "equal" else "not in the other text"))
        left -= len(text)
    return found if left > 0 else [*found, (" …", None)]
