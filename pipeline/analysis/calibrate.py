"""Bounds by language: what a bound cuts off in a reference language, it shall cut off in each other one.

A published bound says something of English. Words are longer in Finnish, a Japanese word is a character, and the same
number drops half of a good corpus or nothing. FineWeb-2 (Penedo et al. 2025, arXiv 2506.20920, section 4.3) sets the
bounds of 1,900 languages by matching quantiles; so does this, on the signals that a run recorded. It takes for granted
that both languages hold an equal share of bad text, which is least wrong where both come from the same kind of source.

A signal is known of the documents that reached its stage. Where many more of a language than of the reference were
dropped before, the match says so: have the stages annotate, or calibrate a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import stages as registry
from pipeline.analysis.columns import MAX_ROWS, Numbers, count_labels, counted, numbers, read_samples
from pipeline.analysis.config_text import Path, config_content, config_text
from pipeline.analysis.estimates import wilson
from pipeline.analysis.quantiles import beyond, match_quantile, rounded
from pipeline.config import LANGUAGE, Config
from pipeline.runs import Run
from stages.contract import Bounds, Stage
from stages.decisions import End
from stages.errors import ConfigError

MIN_DOCUMENTS = 200
"""A language with fewer documents keeps its bounds."""
SAMPLES_OF_LEAST = 10
"""However many languages there are, so many times the least is looked at of each that has them."""
FEW = 5
"""Fewer documents beyond a bound, in the reference or in the language, are too few to trust it."""
UNEQUAL = 0.2
"""Difference of the shares of two languages that reached a stage, from which it is mentioned."""
TEXT_RULES = ("gopher", "repetition", "c4", "fineweb", "llama3", "code")
"""Kinds of stages whose signals depend on how a language is written. Models' scores are on one scale already, and
lists of words or addresses are not matched by shares."""


@dataclass(frozen=True)
class Match:
    """One end of a bound in one language.

    Attributes:
        signal: `gopher.mean_word_length`; end: `min` or `max`.
        status: `matched`; `outermost` (the reference loses nothing: the bound is the outermost value); `kept` (the
            language's bound does already what the reference's does, as far as can be told); `too_few` (documents).
        reference: the bound of the reference language. before, after: that of the language; None = no limit.
        low, high: 95 % interval of the bound that matches; None where there is no quantile to match.
        target: share of the reference that its bound cuts off. share_before, share_after: of the language.
        documents, documents_reference: that have the signal.
        notes: what to know before it is used.
    """

    language: str
    signal: str
    end: End
    status: str
    reference: float
    before: float | None
    after: float | None
    low: float | None
    high: float | None
    target: float
    share_before: float
    share_after: float
    documents: int
    documents_reference: int
    notes: tuple[str, ...] = ()

    @property
    def is_change(self) -> bool:
        return self.after != self.before


@dataclass(frozen=True)
class Calibration:
    """Bounds of some languages, matched with those of a reference language."""

    reference: str
    languages: tuple[str, ...]
    documents: dict[str, int]
    """Documents of each language, the reference among them."""
    sampled: dict[str, int]
    """Those of them that were looked at."""
    matches: list[Match]
    config: Config = field(repr=False)
    values: dict[tuple[str, str], Numbers] = field(repr=False, default_factory=dict)
    """Values of a signal in a language, by (language, signal): for pictures."""

    @property
    def changes(self) -> list[Match]:
        """Those that the patch writes."""
        return [match for match in self.matches if match.is_change]

    @property
    def sizes(self) -> str:
        """`en 1,200,000 (a sample of 200,000), ja 900`."""
        parts = []
        for label, count in self.documents.items():
            of = f" (a sample of {self.sampled[label]:,})" if self.sampled[label] < count else ""
            parts.append(f"{label} {count:,}{of}")
        return ", ".join(parts)

    def blocks(self) -> dict[str, dict[str, dict[str, dict[str, float | None]]]]:
        """`by_language` of every stage that changes: stage, language, signal, bounds."""
        found: dict[str, dict[str, dict[str, dict[str, float | None]]]] = {}
        for match in self.changes:
            stage, name = match.signal.rsplit(".", 1)
            number = int(match.after) if match.after is not None and float(match.after).is_integer() else match.after
            found.setdefault(stage, {}).setdefault(match.language, {}).setdefault(name, {})[match.end] = number
        return found

    def patch(self, source: str = "") -> str:
        """The run's config with these bounds in it, as YAML that `tamis run` takes, with reasons as comments."""
        content, blocks = config_content(self.config), self.blocks()
        comments: dict[Path, str] = {}
        for i, (stage, entry) in enumerate(zip(self.config.stages, content["stages"], strict=True)):
            if stage.name in blocks:
                kind, fields = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
                content["stages"][i] = {kind: fields | {"by_language": _merged(fields, blocks[stage.name])}}
        for match in self.changes:
            stage_name, name = match.signal.rsplit(".", 1)
            path = ("stages", stage_name, "by_language", match.language, name)
            comments[path] = "; ".join(filter(None, [comments.get(path), _reason(match, self.reference)]))
        heading = (
            f"Bounds by language that cut off of each what those of {self.reference} cut off of {self.reference}"
            f"{f', on {source}' if source else ''}.\nDocuments: {self.sizes}. Behind each bound: its 95 % interval, "
            f"the share of {self.reference} and of the language\nthat it cuts off, and that of the bound before."
        )
        return config_text(content, heading, comments)

    def to_json(self) -> dict[str, Any]:
        return {
            "reference": self.reference,
            "languages": list(self.languages),
            "documents": self.documents,
            "sampled": self.sampled,
            "matches": [asdict(match) for match in self.matches],
            "by_language": self.blocks(),
        }


def _merged(fields: dict[str, Any], blocks: dict[str, dict[str, dict[str, float | None]]]) -> dict[str, Any]:
    """The `by_language` of a stage's fields with the new ends in it."""
    merged = {language: dict(rules) for language, rules in fields.get("by_language", {}).items()}
    for language, bounds in blocks.items():
        own = merged.setdefault(language, {})
        own |= {name: own.get(name, {}) | ends for name, ends in bounds.items()}
    return merged


def _reason(match: Match, reference: str) -> str:
    interval = f"{match.low:.4g} … {match.high:.4g}; " if match.low is not None else ""
    shares = f"{reference} {_percent(match.target)}, {match.language} {_percent(match.share_after)}"
    before = f" (at {match.before:g}: {_percent(match.share_before)})" if match.before is not None else ""
    return f"{match.end}: {interval}{shares}{before}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


def calibrate(
    run: Run,
    reference: str,
    languages: Sequence[str] = (),
    *,
    signals: Sequence[str] = (),
    min_documents: int = MIN_DOCUMENTS,
    max_rows: int = MAX_ROWS,
    reference_text: str | None = None,
) -> Calibration:
    """Match the bounds of a run's text rules; see `calibrate_table`.

    Args:
        reference_text: a file or glob of text in the reference and the other languages, to match on instead of what the
            run read: an encyclopedia, as FineWeb-2 does. It is measured with the run's stages.
        max_rows: documents of the reference that are looked at, about, and of all others together; more where that
            were few of each.

    Raises ConfigError when the run knows no languages, or too few documents of the reference; MissingInputError when
    there is no such file.
    """
    config, dataset = run.config, run.signals
    wanted = [name for name, _, _ in text_bounds(config, reference, signals)]
    if reference_text is not None:
        from pipeline.analysis.profile import measure_files

        return calibrate_table(
            measure_files(config, wanted, reference_text),
            config,
            reference,
            languages,
            signals=signals,
            min_documents=min_documents,
            where=reference_text,
        )
    if LANGUAGE not in dataset.schema.names:
        raise ConfigError(f"{run.path} knows no languages; put the stage `language` before the others")
    sizes = count_labels(dataset, LANGUAGE)
    others = _chosen(sizes, reference, languages, min_documents, run.path)
    least = SAMPLES_OF_LEAST * min_documents
    rates = {label: max(max_rows // len(others), least) / sizes[label] for label in others}
    rates[reference] = max(max_rows, least) / sizes[reference]
    return calibrate_table(
        read_samples(dataset, wanted, LANGUAGE, rates),
        config,
        reference,
        others,
        signals=signals,
        min_documents=min_documents,
        sizes=sizes,
    )


def calibrate_table(
    table: pa.Table,
    config: Config,
    reference: str,
    languages: Sequence[str] = (),
    *,
    signals: Sequence[str] = (),
    min_documents: int = MIN_DOCUMENTS,
    where: str = "the sample",
    sizes: dict[str, int] | None = None,
) -> Calibration:
    """Match every numeric bound of the text rules.

    Args:
        table: `language.label` and a column for every signal.
        languages: all others that have `min_documents` if none is named.
        signals: instead of those of the text rules: `gopher.mean_word_length`.
        sizes: documents of each language, if `table` is a sample of them.

    Raises ConfigError: a language that is not there, too few documents of the reference, a signal without bounds.
    """
    sampled = counted(table[LANGUAGE])
    sizes = sizes or sampled
    languages = _chosen(sizes, reference, languages, min_documents, where)
    bounds = text_bounds(config, reference, signals)
    groups = {label: table.filter(pc.equal(table[LANGUAGE], label)) for label in (reference, *languages)}
    values = {(label, name): numbers(group[name]) for label, group in groups.items() for name, _, _ in bounds}
    matches = []
    for name, stage, rule in bounds:
        for label in languages:
            for end in ("min", "max"):
                if getattr(rule, end) is not None:
                    own = stage.decisions(label)[name.rsplit(".", 1)[1]]
                    both = sampled[reference], sampled[label]
                    pair = _Pair(label, name, end, getattr(rule, end), getattr(own, end), *both)
                    matches.append(pair.match(values[reference, name], values[label, name], min_documents))
    documents, looked_at = ({label: of[label] for label in groups} for of in (sizes, sampled))
    return Calibration(reference, tuple(languages), documents, looked_at, matches, config, values)


def text_bounds(config: Config, reference: str, signals: Sequence[str] = ()) -> list[tuple[str, Stage, Bounds]]:
    """Signals whose bounds depend on the language, with their stage and the reference's bounds.

    Those of stages before `language` cannot, and are left out. Raises ConfigError where none is left.
    """
    kinds = {registry.load(kind) for kind in TEXT_RULES}
    given = next((place for place, stage in enumerate(config.stages) if _gives_language(stage)), len(config.stages))
    found: list[tuple[str, Stage, Bounds]] = []
    before: list[tuple[str, Stage, Bounds]] = []
    for place, stage in enumerate(config.stages):
        for name, rule in stage.decisions(reference).items():
            full = f"{stage.name}.{name}"
            wanted = full in signals if signals else type(stage) in kinds
            if wanted and isinstance(rule, Bounds) and not rule.is_open:
                (found if place >= given else before).append((full, stage, rule))
    if before and (signals or not found):
        raise ConfigError(f"{before[0][1].name} cannot have bounds by language: put the stage `language` before it")
    if missing := [name for name in signals if name not in [full for full, _, _ in found]]:
        known = ", ".join(full for full, _, _ in text_bounds(config, reference))
        raise ConfigError(f"{missing[0]} is no signal with a bound in this config; there are: {known}")
    if not found:
        raise ConfigError(f"the config has none of the stages whose bounds depend on language: {', '.join(TEXT_RULES)}")
    return found


def _gives_language(stage: Stage) -> bool:
    return LANGUAGE in [f"{stage.name}.{name}" for name in stage.signals()]


def _chosen(
    sizes: dict[str, int], reference: str, languages: Sequence[str], min_documents: int, where: str
) -> list[str]:
    large = [f"{label} {size:,}" for label, size in sizes.items() if size >= min_documents]
    there = f"Languages with {min_documents:,} or more: {', '.join(large) or 'none'}."
    if sizes.get(reference, 0) < min_documents:
        raise ConfigError(
            f"--reference {reference}: {where} has {sizes.get(reference, 0):,} documents of it, and a reference takes "
            f"{min_documents:,} (--min-documents). {there}"
        )
    if not languages:
        return [label for label, size in sizes.items() if size >= min_documents and label != reference]
    for label in languages:
        if label not in sizes:
            raise ConfigError(f"--languages {label}: {where} has no document of it. {there}")
        if label == reference:
            raise ConfigError(f"--languages {label}: that is the reference; leave it out")
    return list(dict.fromkeys(languages))


@dataclass(frozen=True)
class _Pair:
    """One end of one signal's bounds, in the reference and in a language."""

    language: str
    signal: str
    end: End
    reference: float
    before: float | None
    size_reference: int
    size: int

    def match(self, reference: Numbers, values: Numbers, least: int) -> Match:
        """What the bound of the language becomes."""
        cut = beyond(reference, self.reference, self.end)
        if min(len(values), len(reference)) < least:
            reached, of = min((len(values), self.size), (len(reference), self.size_reference))
            few = f"only {reached:,} of the {of:,} documents looked at reached the stage; it takes {least:,}"
            return self._told("too_few", reference, values, self.before, notes=(few,))
        if cut == len(reference):
            return self._told("kept", reference, values, self.before, notes=("it cuts off the whole reference",))
        if cut == 0:
            return self._guard(reference, values)
        found = match_quantile(reference, values, self.reference, self.end)
        if self.before is not None and found.low <= self.before <= found.high:
            near = ("the bound lies in the interval of the one that matches",)
            return self._told("kept", reference, values, self.before, found.low, found.high, near)
        notes = self._notes(reference, values)
        if min(cut, beyond(values, found.bound, self.end)) < FEW:
            notes.append(f"fewer than {FEW} documents lie beyond the bound")
        harmonic = 1 / (1 / len(reference) + 1 / len(values))
        least_share, most_share = wilson(found.target, harmonic)
        if not least_share <= found.share <= most_share:
            notes.append("the signal comes in steps; no bound is nearer")
        return self._told("matched", reference, values, found.bound, found.low, found.high, tuple(notes))

    def _guard(self, reference: Numbers, values: Numbers) -> Match:
        """The bound cuts off nothing of the reference: the language's stays if that is true of it too, but for chance;
        else it is the outermost value."""
        harmonic = 1 / (1 / len(reference) + 1 / len(values))
        share = beyond(values, self.before, self.end) / len(values) if self.before is not None else 0.0
        if share <= wilson(0.0, harmonic)[1]:
            return self._told("kept", reference, values, self.before, notes=tuple(self._notes(reference, values)))
        outer = rounded(float(values.min() if self.end == "min" else values.max()), values, self.end)
        notes = ["cuts off nothing of the reference, so there is no quantile to match", *self._notes(reference, values)]
        return self._told("outermost", reference, values, outer, notes=tuple(notes))

    def _notes(self, reference: Numbers, values: Numbers) -> list[str]:
        reached, expected = len(values) / self.size, len(reference) / self.size_reference
        if abs(reached - expected) <= UNEQUAL:
            return []
        return [
            f"{reached:.0%} of its documents reached the stage, {expected:.0%} of the reference: let earlier stages "
            "annotate, or calibrate again after this"
        ]

    def _told(
        self,
        status: str,
        reference: Numbers,
        values: Numbers,
        after: float | None,
        low: float | None = None,
        high: float | None = None,
        notes: tuple[str, ...] = (),
    ) -> Match:
        def share(of: Numbers, bound: float | None) -> float:
            return beyond(of, bound, self.end) / len(of) if bound is not None and len(of) else 0.0

        return Match(
            language=self.language,
            signal=self.signal,
            end=self.end,
            status=status,
            reference=self.reference,
            before=self.before,
            after=after,
            low=low,
            high=high,
            target=share(reference, self.reference),
            share_before=share(values, self.before),
            share_after=share(values, after),
            documents=len(values),
            documents_reference=len(reference),
            notes=notes,
        )
