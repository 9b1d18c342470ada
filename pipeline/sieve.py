"""One batch through the stages of a phase: who is dropped, by which rule, and every signal measured on the way.

A document that a stage drops is not measured by later ones; its later signals are null. It is dropped by the first
rule, in the order of the stage's fields, that its signals violate. What came after a drop never changes it, so each
dropped document has exactly one reason, and its own signals explain it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from pipeline.counts import Sizes, count_rules, count_signals
from pipeline.histograms import Floats, edges_of
from pipeline.stats import Stats, merge_counters
from stages.contract import Barrier, Census, Fitted, Stage, Survey, SurveyedBarrier, decide, run_stage
from stages.decisions import Mask
from stages.errors import StageError, TamisError
from stages.text.batch import TextBatch


@dataclass(frozen=True)
class Dropped:
    """Documents that one stage dropped: their rows in the batch, their rules, their text as the stage received it."""

    rows: npt.NDArray[np.int64]
    rules: list[str]
    batch: TextBatch
    seed: int = 0

    @cached_property
    def hashes(self) -> npt.NDArray[np.uint64]:
        """A hash of each text, by which samples of dropped documents are taken."""
        data, offsets = self.batch.utf8.data.data, self.batch.utf8.offsets.tolist()
        found = [xxhash.xxh3_64_intdigest(data[low:high], self.seed) for low, high in pairwise(offsets)]
        return np.array(found, np.uint64)

    def in_sample(self, rate: float) -> npt.NDArray[np.bool_]:
        """Which of them a sample of that rate takes; one of a higher rate takes them too."""
        below = round(rate * 2**64)
        return np.ones(len(self.rows), np.bool_) if below >= 2**64 else self.hashes < np.uint64(below)


class Listener(Protocol):
    """Hears of what stages drop, while it is there."""

    def hear(self, number: int, lost: Dropped, after: TextBatch, places: npt.NDArray[np.int64]) -> None:
        """The stage of that number dropped documents; they are at `places` of the batch that it left."""


@dataclass(frozen=True)
class Sieved:
    """What became of a batch of `n` documents.

    `signals` has one array of `n` values for each signal, null where the document was dropped before; `dropped_by` is
    null for kept documents; `kept` holds the survivors with their text as the last stage left it, `rows` their
    places.
    """

    kept: TextBatch
    rows: npt.NDArray[np.int64]
    signals: dict[str, pa.Array]
    dropped_by: pa.Array
    dropped: list[Dropped]


def signal_types(stages: Sequence[Stage]) -> dict[str, pa.DataType]:
    """Column name and type of every signal that the stages record, in their order."""
    return {f"{stage.name}.{name}": signal.type for stage in stages for name, signal in stage.signals().items()}


def column_types(stages: Sequence[Stage]) -> dict[str, pa.DataType]:
    """Column name and type of every signal and attachment, stage by stage."""
    found: dict[str, pa.DataType] = {}
    for stage in stages:
        found |= signal_types([stage])
        found |= {f"{stage.name}.{name}": type_ for name, type_ in stage.attachments().items()}
    return found


def sieve(
    batch: TextBatch,
    stages: Sequence[Stage],
    stats: Stats,
    given: Mapping[str, pa.Table] | None = None,
    *,
    seed: int = 0,
    listener: Listener | None = None,
    edges: Mapping[str, Floats] | None = None,
    bytes_read: Sizes | None = None,
) -> Sieved:
    """Run the stages over a batch and add what happened to `stats["stages"]`.

    Args:
        given: by the stage's name, what a Fitted stage (see `fit`) or a Census learned of the corpus; for a Barrier,
            which only comes first, what was resolved of the batch's documents.
        seed: changes which dropped documents a sample takes.
        listener: is told of dropped documents, with their text as the stage left it.
        edges: those of the stages' histograms, if they are known.
        bytes_read: bytes of each document as it was read, if earlier stages have changed the batch's texts.

    Raises StageError, naming the stage, when one fails.
    """
    num_rows = batch.num_rows
    rows = np.arange(num_rows, dtype=np.int64)
    reasons = np.full(num_rows, None, dtype=object)
    signals: dict[str, pa.Array] = {}
    dropped: list[Dropped] = []
    edges = edges_of(stages) if edges is None else edges
    bytes_read = np.diff(batch.utf8.offsets) if bytes_read is None else bytes_read
    for number, stage in enumerate(stages):
        started = time.perf_counter()
        after, columns = guarded(stage, batch, (given or {}).get(stage.name))
        verdicts = _verdicts(stage, columns, after)
        mask, rules = _reasons(stage, verdicts, after.num_rows)
        for name, column in columns.items():
            signals[f"{stage.name}.{name}"] = _spread(column, rows, num_rows)
        counts = stats["stages"][stage.name]
        sizes = np.diff(batch.utf8.offsets)
        _count(counts, sizes, np.diff(after.utf8.offsets), mask, rules)
        began = time.perf_counter()
        count_rules(counts, stage, verdicts, bytes_read[rows])
        count_signals(counts, stage, columns, edges)
        counting = time.perf_counter() - began
        if mask.any():
            lost = np.flatnonzero(mask)
            dropped.append(Dropped(rows[lost], rules, batch.take(lost), seed))
            if listener is not None:
                listener.hear(number, dropped[-1], after, lost)
            reasons[rows[lost]] = rules
            kept = np.flatnonzero(~mask)
            rows, after = rows[kept], after.take(kept)
        batch = after
        merge_counters(counts, stage.counters())
        counts["seconds"] += time.perf_counter() - started - counting
        stats["statistics_seconds"] += counting
    return Sieved(batch, rows, signals, pa.array(reasons, pa.string()), dropped)


def fit(stages: Sequence[Stage], sample: TextBatch) -> dict[str, pa.Table]:
    """What every Fitted stage learns from a sample of the corpus, by its name.

    Each stage sees the documents that those before it keep, but for a Barrier or a Census, which cannot judge a sample.
    Raises StageError, naming the stage, when one fails.
    """
    references: dict[str, pa.Table] = {}
    last = max((i for i, stage in enumerate(stages) if isinstance(stage, Fitted)), default=-1)
    for stage in stages[: last + 1]:
        if isinstance(stage, Fitted):
            references[stage.name] = stage.fit(sample)
        if isinstance(stage, (Barrier, Census)):
            continue
        after, columns = guarded(stage, sample, references.get(stage.name))
        mask, _ = _reasons(stage, _verdicts(stage, columns, after), after.num_rows)
        sample = after.take(np.flatnonzero(~mask)) if mask.any() else after
    return references


def rehearse(stages: Sequence[Stage], incoming: pa.Schema) -> None:
    """Set stages up and run them over no documents, so that models are loaded and the kernels they use compiled (or
    loaded from Numba's cache) before there is anything to do."""
    batch = TextBatch(incoming.empty_table())
    for stage in stages:
        if not stage.accelerated:  # a large model is loaded by the tasks that need it
            stage.setup()
            _rehearse(stage, batch)
        batch = batch.with_signals({name: pa.array([], type_) for name, type_ in column_types([stage]).items()})


def _rehearse(stage: Stage, batch: TextBatch) -> None:
    reference = stage.fit(batch) if isinstance(stage, Fitted) else None
    if isinstance(stage, Survey):
        reference = stage.conclude(stage.combine(stage.tally(batch)), 0)
    if isinstance(stage, SurveyedBarrier):
        stage.sketch(batch, reference)
    elif isinstance(stage, Barrier):
        stage.sketch(batch)
    else:
        run_stage(stage, batch, reference)


def guarded(stage: Stage, batch: TextBatch, given: pa.Table | None) -> tuple[TextBatch, dict[str, pa.Array]]:
    """`run_stage`; raises StageError, naming the documents, when the stage fails."""
    try:
        return run_stage(stage, batch, given)
    except TamisError:
        raise
    except Exception as error:
        ids = batch.table["id"]
        where = f"the documents from id {ids[0]} to {ids[-1]}" if len(ids) else "no documents"
        raise StageError(f"stage {stage.name} failed on {where}: {type(error).__name__}: {error}") from error


def _verdicts(stage: Stage, columns: dict[str, pa.Array], batch: TextBatch) -> dict[str, Mask]:
    """Documents that each rule of a stage drops, whatever the others say."""
    return {} if stage.action == "annotate" else decide(stage, columns, batch.languages)


def _reasons(stage: Stage, verdicts: dict[str, Mask], num_rows: int) -> tuple[Mask, list[str]]:
    """Mask of the documents to drop, and for each of them the rule: the first one violated in the order of the
    fields."""
    dropped = np.zeros(num_rows, np.bool_)
    rule_of = np.full(num_rows, None, dtype=object)
    for name, mask in verdicts.items():
        rule_of[mask & ~dropped] = f"{stage.name}.{name}"
        dropped |= mask
    return dropped, list(rule_of[dropped])


def _spread(column: pa.Array, rows: npt.NDArray[np.int64], num_rows: int) -> pa.Array:
    """Values of the documents at `rows`, spread over the whole batch; null elsewhere."""
    if len(rows) == num_rows:
        return column
    places = np.full(num_rows, -1, np.int64)
    places[rows] = np.arange(len(rows))
    return column.take(pa.array(places, mask=places < 0))


def _count(
    counts: Stats,
    sizes: npt.NDArray[np.int64],
    sizes_after: npt.NDArray[np.int64],
    mask: Mask,
    rules: list[str],
) -> None:
    counts["documents_in"] += len(sizes)
    counts["bytes_in"] += int(sizes.sum())
    counts["documents_out"] += int((~mask).sum())
    counts["bytes_out"] += int(sizes_after[~mask].sum())
    for rule, size in zip(rules, sizes[mask].tolist(), strict=True):
        of_rule = counts["dropped"].setdefault(rule, {"documents": 0, "bytes": 0})
        of_rule["documents"] += 1
        of_rule["bytes"] += size
