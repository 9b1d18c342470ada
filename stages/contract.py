"""What a stage is: its config, what it measures, and the decisions that bounds make.

A stage is a frozen pydantic model; its fields are its YAML keys and their docstrings the user's documentation. A field
of a decision type (`Bounds`, `Allowed`, `Flag`) declares a signal of the same name: one name is Python field, YAML key,
column (`gopher.word_count`) and drop reason. Stages measure and never drop. The engine compares signals with decisions,
so every decision can be read off the recorded numbers, and made again without measuring.

    class Gopher(Filter):
        \"\"\"Document rules of Gopher (Rae et al. 2021, appendix A1.1).\"\"\"

        word_count: Count = Bounds(min=50, max=100_000)
        \"\"\"Words, punctuation excluded.\"\"\"

        def measure(self, batch: TextBatch) -> Signals:
            return {"word_count": ...}          # one value a document; null = could not tell
"""

from __future__ import annotations

import difflib
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from stages.decisions import (
    Allowed,
    Bounds,
    Chars,
    Count,
    Decision,
    Fact,
    Flag,
    Label,
    Mask,
    Ratio,
    Score,
    Signal,
)
from stages.evidence import Span
from stages.text.batch import TextBatch

__all__ = [
    "Allowed",
    "Barrier",
    "Bounds",
    "Census",
    "Chars",
    "Count",
    "Decision",
    "Fact",
    "Filter",
    "Fitted",
    "Flag",
    "Label",
    "Map",
    "Ratio",
    "Score",
    "Signal",
    "Signals",
    "Stage",
    "Survey",
    "SurveyedBarrier",
    "decide",
    "run_stage",
]

Values: TypeAlias = "pa.Array | npt.NDArray[Any]"
Signals: TypeAlias = "dict[str, Values]"


class Stage(BaseModel, ABC):
    """The part that every stage has. Subclass `Filter`, `Map`, `Fitted`, `Census` or a barrier, not this."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    version: ClassVar[int] = 1
    """Raised by whoever changes what the stage measures, so that runs do not reuse old signals."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Signals of earlier stages that it reads from `batch.signals`; the planner checks the order."""
    own_overrides: ClassVar[dict[str, str]] = {}
    """Fields that replace bounds as `by_language` does, and the label among the stage's own signals that they go by."""
    output_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that say how a later phase writes what the stage gives, and change nothing that it gives."""
    transient: ClassVar[tuple[str, ...]] = ()
    """Attachments that later stages need and the reader of `documents/` does not."""

    name: str = ""
    """Prefix of its signals; set it when a stage appears twice in a config."""
    action: Literal["drop", "annotate"] = "drop"
    """`drop` applies the bounds; `annotate` records the signals and drops nothing."""
    by_language: dict[str, dict[str, Any]] = {}
    """Bounds that replace the stage's own in documents of a language: `{ja: {mean_word_length: {min: 1}}}`."""

    def setup(self) -> None:
        """Load models and lists; called once in every worker, before the first batch."""

    def assets(self) -> Mapping[str, str]:
        """Name and hash of every file the stage reads (models, word lists): part of a run's fingerprint."""
        return {}

    @property
    def accelerated(self) -> bool:
        """True if it works on a GPU where there is one: such stages get a phase of their own."""
        return False

    def columns(self) -> Sequence[tuple[str, str]]:
        """Fields that name a column or a signal, and the name: it has to be there before the stage."""
        return ()

    def attachments(self) -> Mapping[str, pa.DataType]:
        """Columns beside the signals that it gives a document: vectors, token ids. `measure` or `transform` returns
        them with the signals; they travel with the document, to `documents/`, and decide nothing."""
        return {}

    def counters(self) -> Mapping[str, float]:
        """What it has done since it was last asked, beyond documents, bytes and seconds; added to its stats. Of names
        that begin with `peak_` the largest counts."""
        return {}

    def evidence(self, text: str, signal: str) -> list[Span]:
        """Where in a text, as it came to the stage, the evidence for a signal stands, for people; none where it is the
        whole text, or nothing in it."""
        return []

    @classmethod
    def signals(cls) -> dict[str, Signal]:
        """The signals the stage records, by field name, in the order in which they decide."""
        return {
            name: next(item for item in field.metadata if isinstance(item, Signal))
            for name, field in cls.model_fields.items()
            if any(isinstance(item, Signal) for item in field.metadata)
        }

    def decisions(self, language: str | None = None) -> dict[str, Decision]:
        """The rule on every signal; with a language, as its overrides have it."""
        own = {name: getattr(self, name) for name in self.signals()}
        return own if language is None else own | self.by_language.get(language, {})

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,60}", name):
            raise ValueError(f"a stage's name has letters, digits, _ and -, and at most 60 of them, not {name!r}")
        return name

    @model_validator(mode="before")
    @classmethod
    def _merge_partial(cls, data: Any) -> Any:
        """A partial bound keeps the default's other end; overrides merge with the stage's own bounds."""
        if not isinstance(data, dict):
            return data
        data = {"name": cls.__name__.lower()} | data
        for name in cls.signals():
            if name in data:
                data[name] = _merged(cls.model_fields[name].default, data[name])
        for kind in ("by_language", *cls.own_overrides):
            overrides = data.get(kind) or {}
            if not isinstance(overrides, dict) or not all(isinstance(rules, dict) for rules in overrides.values()):
                raise ValueError(f"{kind} maps a language to bounds: {{ja: {{word_count: {{min: 20}}}}}}")
            data[kind] = {
                language: {
                    field: cls._override(data, f"{kind}.{language}", field, rule) for field, rule in rules.items()
                }
                for language, rules in overrides.items()
            }
        return data

    @classmethod
    def _override(cls, data: dict[str, Any], place: str, field: str, rule: Any) -> Decision:
        if field not in cls.signals():
            near = difflib.get_close_matches(field, cls.signals(), n=1)
            hint = f"Did you mean '{near[0]}'?" if near else f"This stage has: {', '.join(cls.signals())}"
            raise ValueError(f"{place} has no signal '{field}'. {hint}")
        default = cls.model_fields[field].default
        own = data.get(field, default)
        whole = type(default).model_validate(_merged(type(default).model_validate(own), rule))
        if isinstance(whole, Bounds) and isinstance(rule, dict):
            return Bounds.model_construct(set(rule), **dict(whole))  # knows which ends are its own
        return whole


def _merged(default: Decision, value: Any) -> Any:
    if isinstance(default, Bounds) and isinstance(value, dict):
        return default.model_dump() | value
    return value


class Filter(Stage):
    """A stage that measures and leaves the text alone."""

    @abstractmethod
    def measure(self, batch: TextBatch) -> Signals:
        """One value a document for every signal that the class declares; null = could not tell."""


class Fitted(Stage):
    """A stage that holds every document against the corpus it is part of, and leaves the text alone.

    Before a run measures anything, `fit` sees a sample of the documents that reach the stage. What it learns is kept
    with the run and handed to every `measure`, so a document's signals depend on it and on the document, on nothing
    else.
    """

    @abstractmethod
    def fit(self, sample: TextBatch) -> pa.Table:
        """What the stage needs to know of the corpus, as a small table; the sample may be empty."""

    @abstractmethod
    def measure(self, batch: TextBatch, reference: pa.Table) -> Signals:
        """One value a document for every signal that the class declares; null = could not tell."""


class Barrier(Stage):
    """A stage that has to see all documents before it can say anything of one.

    It works in three steps, none of which holds more than a partition of the corpus. `sketch` reduces documents to
    small rows with a key. Rows of the whole corpus with equal keys come together in one partition, where `resolve` says
    something of documents; what all partitions said of a document comes to its `transform`. The engine carries rows
    between the steps and adds the columns `address` and `priority`. `Deduplication` has a step more.
    """

    within: tuple[str, ...] = ()
    """Columns or signals (`language.label`) within which documents are compared; none for the whole corpus."""
    priority: tuple[str, ...] = ()
    """Columns or signals that say which of several documents is kept: the smallest value, with a `-` before its name
    the largest (`[-date, -quality.score]`); null comes last, and of a string the first 24 bytes count. The first in the
    input is kept among equals."""

    def columns(self) -> Sequence[tuple[str, str]]:
        named = [("within", name) for name in self.within]
        return [*named, *(("priority", name.removeprefix("-")) for name in self.priority)]

    @abstractmethod
    def sketch(self, batch: TextBatch) -> pa.Table:
        """Any number of rows a document: `row` (int64, its place in the batch), `key` (uint64), columns of its own."""

    @abstractmethod
    def resolve(self, rows: pa.Table) -> pa.Table:
        """What one partition says: any number of rows a document, `address` and columns of its own.

        Args:
            rows: all rows with some of the keys: `key`, `address` (uint64: the document), columns of its own and, if
                the stage has a `priority`, `priority` (binary: the smaller is kept, among equals the smaller address).
        """

    @abstractmethod
    def transform(self, batch: TextBatch, resolution: pa.Table) -> tuple[TextBatch, Signals]:
        """The batch, with new text if the stage rewrites it, and the signals. `resolution` has a row for each document
        of the batch: `address`, and each column of `resolve` as a list; null where nothing was said."""


class Deduplication(Barrier):
    """A barrier that finds documents which repeat another one, and keeps one of them.

    Its `resolve` says which documents are linked. The engine finds the clusters, documents that are linked directly or
    through others, however many partitions their links lie in; `settle` sees whole clusters and says who is kept.
    """

    by_key: ClassVar[bool] = False
    """Documents are linked because rows are equal, and for nothing else. Then documents of a task with all rows equal
    are one from there on, rows carry no `priority`, and earlier runs may be compared with."""
    profile: ClassVar[tuple[str, ...]] = ()
    """Columns of the sketch that tell of the document, not of the row: they are kept apart, and come to `settle`."""
    settled_by: ClassVar[tuple[str, ...]] = ()
    """Fields that only `settle` depends on."""
    tells_of_all: ClassVar[bool] = False
    """`settle` is also shown the documents that are linked to none, each of them a cluster."""

    @abstractmethod
    def resolve(self, rows: pa.Table) -> pa.Table:
        """The links of one partition: `address`, `linked_to` (uint64), columns of its own."""

    @abstractmethod
    def settle(self, members: pa.Table, links: pa.Table) -> pa.Table:
        """Who is kept of whole clusters: `address`, `kept` (uint64, of the same cluster; itself if it is kept; null for
        one that repeats none), columns of its own; a row for each document of this run that there is anything to be
        said of, and for each that an earlier run has kept and one run over everything would not have.

        Args:
            members: all documents of some clusters, cluster by cluster and in order of preference: `cluster` (uint64),
                `address`, `copies` (int32: documents that it stands for, itself included), `kept_before` (bool: an
                earlier run has kept or dropped it; those come first; null for this run's), `profile` columns.
            links: those that `resolve` gave between them if it has columns of its own; else without rows.
        """

    @abstractmethod
    def transform(self, batch: TextBatch, resolution: pa.Table) -> tuple[TextBatch, Signals]:
        """As any barrier's. `resolution` has `address`, the columns of `settle`, `kept_id`, and `kept_run`: the earlier
        run that has the kept document, null if this one does. A document that another one stood for has its row."""


class Survey(Stage):
    """A stage that has to know something of all documents that reach it, before it can work on any of them.

    Every batch is reduced to small rows with a key; from the rows of the whole corpus follows a small table, the
    reference. Subclass `Census` or `SurveyedBarrier`, not this.
    """

    tallied: ClassVar[tuple[str, ...]] = ()
    """Fields that `tally` and `combine` depend on; a change of any other leaves the phase before alone."""

    @abstractmethod
    def tally(self, batch: TextBatch) -> pa.Table:
        """Any number of rows: `key` (uint64), columns of its own. Rows of equal key must be interchangeable, so that
        nothing depends on the order of the documents."""

    def combine(self, rows: pa.Table) -> pa.Table:
        """Fewer rows that say the same, if there are such: sums of those with equal keys, for example."""
        return rows

    def sample_limit(self, num_documents: int) -> int | None:
        """How many rows `conclude` wants, those of the smallest keys; None for all of them."""
        return None

    @abstractmethod
    def conclude(self, rows: pa.Table, num_documents: int) -> pa.Table:
        """The reference: a small table, from the rows of all documents in ascending order of their keys."""


class Census(Survey):
    """A survey whose reference says what becomes of each document; leaves the text alone."""

    @abstractmethod
    def measure(self, batch: TextBatch, reference: pa.Table) -> Signals:
        """One value a document for every signal that the class declares; null = could not tell."""


class SurveyedBarrier(Survey, Barrier):
    """A barrier that needs a survey before it can sketch. Its sketch is a phase of its own."""

    reads: ClassVar[tuple[str, ...]] = ()
    """Columns and signals that `sketch` reads, beside those of `within` and `priority`; all others are not there."""

    @abstractmethod
    def sketch(self, batch: TextBatch, reference: pa.Table | None = None) -> pa.Table:
        """As any barrier's, with the reference at hand. Texts are empty unless `reads` names `text`."""


class Map(Stage):
    """A stage that rewrites text. Its signals describe the text as it left it, and may carry bounds too."""

    @abstractmethod
    def transform(self, batch: TextBatch) -> tuple[TextBatch, Signals]:
        """The batch with its new text (`batch.with_text`), and the signals; same documents, same order."""


def run_stage(stage: Stage, batch: TextBatch, given: pa.Table | None = None) -> tuple[TextBatch, dict[str, pa.Array]]:
    """Apply a stage; returns the batch with the stage's signals on it, and the signals as declared columns.

    Args:
        given: what a Fitted stage or a Census learned of the corpus, or what a Barrier resolved of the batch's
            documents.

    Raises StageError when the stage's answer is not what it declares: a missing or unknown signal, a wrong length or
    type.
    """
    from stages.errors import StageError

    after, measured = _apply(stage, batch, given)
    if after.num_rows != batch.num_rows:
        raise StageError(f"{stage.name} returned {after.num_rows} documents for {batch.num_rows}: a stage keeps all")
    signals = {name: signal.type for name, signal in stage.signals().items()}
    declared = {**signals, **stage.attachments()}
    if measured.keys() != declared.keys():
        odd = sorted(measured.keys() ^ declared.keys())
        raise StageError(f"{stage.name} measures {sorted(measured)} but declares {sorted(declared)}: {odd} differ")
    columns = {}
    for name, type_ in declared.items():
        columns[name] = column = _column(stage, name, type_, measured[name])
        if len(column) != batch.num_rows:
            raise StageError(f"{stage.name}.{name} has {len(column)} values for {batch.num_rows} documents")
    after = after.with_signals({f"{stage.name}.{name}": column for name, column in columns.items()})
    return after, {name: columns[name] for name in signals}


def _apply(stage: Stage, batch: TextBatch, given: pa.Table | None) -> tuple[TextBatch, Signals]:
    from stages.errors import StageError

    if isinstance(stage, Map):
        return stage.transform(batch)
    if isinstance(stage, Filter):
        return batch, stage.measure(batch)
    if not isinstance(stage, (Fitted, Census, Barrier)):
        raise StageError(f"{stage.name} is none of Filter, Map, Fitted, Census and Barrier")
    if given is None:
        raise StageError(f"{stage.name} holds documents against their corpus and was not shown any of it")
    if isinstance(stage, Barrier):
        return stage.transform(batch, given)
    return batch, stage.measure(batch, given)


def _column(stage: Stage, name: str, type_: pa.DataType, values: Values) -> pa.Array:
    from stages.errors import StageError

    try:
        array = values if isinstance(values, pa.Array) else pa.array(values)
        if pa.types.is_floating(array.type):  # NaN and null mean the same: could not tell
            array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
        return array if array.type == type_ else array.cast(type_)
    except pa.ArrowException as error:
        raise StageError(f"{stage.name}.{name} should be {type_}: {error}") from error


def decide(stage: Stage, columns: Mapping[str, pa.Array], languages: pa.Array | None) -> dict[str, Mask]:
    """For every rule of the stage that can drop, the documents it drops, whatever the other rules say.

    Args:
        columns: the stage's signals by field name.
        languages: `language.label` of the same documents, if this stage or an earlier one measured it.
    """
    verdicts = {name: rule.drops(columns[name]) for name, rule in stage.decisions().items()}
    chosen = [(stage.by_language, languages)]
    chosen += [(getattr(stage, field), columns[label]) for field, label in stage.own_overrides.items()]
    overridden = {name for overrides, _ in chosen for rules in overrides.values() for name in rules}
    for overrides, labels in chosen:
        for language, rules in overrides.items() if labels is not None else ():
            rows = pc.fill_null(pc.equal(labels, language), False).to_numpy(zero_copy_only=False).astype(np.bool_)
            for name, rule in rules.items():
                verdicts[name] = np.where(rows, rule.drops(columns[name]), verdicts[name])
    open_rules = {name for name, rule in stage.decisions().items() if rule.is_open} - overridden
    return {name: mask for name, mask in verdicts.items() if name not in open_rules}
