"""Dropped documents that are measured on: what a looser bound would have let through.

A document that a stage drops is not measured by later ones, so nothing on record says what these would have done with
it. A sample of the dropped (by a hash of the text, `execution.shadow_rate`) goes on through the later stages, apart
from all others: these rows count nowhere, join no sketch, tally or output, and are written to `shadow/` alone. Stages
that have to know all documents (barriers and censuses) do not meet them, and their signals are null; so are those of a
stage that fails on documents which it was not meant to be given.

Between segments they travel as kept documents do, in a file of their own with text and attachments.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.exchange import concat
from pipeline.io.write import Written, open_written
from pipeline.schemas import HEAD, document_schema, signal_schema
from pipeline.sieve import Dropped, column_types, guarded
from pipeline.stats import Stats
from stages.contract import Barrier, Census, Stage
from stages.errors import StageError
from stages.text.batch import TextBatch

_PREFIX = "shadow."
_TOLD = [pa.field(_PREFIX + field.name, field.type) for field in [*list(HEAD)[1:], pa.field("dropped_by", pa.string())]]
"""What is known of a shadow document besides its own columns, under names that no column of an input has."""


def shadow_schema(incoming: pa.Schema, stages: Sequence[Stage], *, is_last: bool) -> pa.Schema:
    """The columns of a segment's file: signals, or documents and what is told of them if another segment follows.

    Args:
        stages: those of this segment and of all before.
    """
    return signal_schema(stages) if is_last else pa.schema([*document_schema(incoming, stages), *_TOLD])


class Shadow:
    """The shadow documents of one sieve task, gathered stage by stage and measured many at a time.

    Args:
        stages: those of the segment.
        given: what Fitted stages learned, by name.
        stats: of the task; `shadow` is added to.
        rate: share of the dropped documents that is taken.
        most_bytes: text that is gathered before it is measured.
    """

    def __init__(
        self, stages: Sequence[Stage], given: Mapping[str, pa.Table], stats: Stats, *, rate: float, most_bytes: int
    ) -> None:
        self._stages, self._given, self._rate, self._most_bytes = stages, given, rate, most_bytes
        self._stats = stats["shadow"] = {"documents": 0, "bytes": 0, "seconds": 0.0, "unmeasured": {}}
        self._told = pa.table({})
        self._gathered: list[list[TextBatch]] = [[] for _ in range(len(stages) + 1)]
        """By the number of stages of the segment that they have met."""
        self._bytes = 0

    def begin(self, told: pa.Table) -> None:
        """A batch of documents comes next; `told` has `address`, `bytes` and `source` of each."""
        self._told = told.rename_columns([_PREFIX + name for name in told.column_names])

    def hear(self, number: int, lost: Dropped, after: TextBatch, places: npt.NDArray[np.int64]) -> None:
        """Take the sample of what a stage dropped; see `pipeline.sieve.Listener`."""
        if not self._rate:
            return
        chosen = np.flatnonzero(lost.in_sample(self._rate))
        if not len(chosen):
            return
        told = self._told.take(pa.array(lost.rows[chosen]))
        columns = {name: told[name] for name in told.column_names}
        columns[_TOLD[-1].name] = pa.array([lost.rules[i] for i in chosen], pa.string())
        self._stats["documents"] += len(chosen)
        self._stats["bytes"] += int(told[f"{_PREFIX}bytes"].to_numpy().sum())
        self._gather(number + 1, after.take(places[chosen]).with_columns(columns))

    def carried(self, run: str, file: Written, earlier: Sequence[Stage]) -> Iterator[TextBatch]:
        """What the segment before handed on, gone through this one."""
        signals = list(column_types(earlier))
        with open_written(run, file) as parquet:
            for group in range(parquet.num_row_groups):
                table = parquet.read_row_group(group)
                measured = {name: table[name].combine_chunks() for name in signals}
                self._gather(0, TextBatch(table.drop_columns(signals), measured))
                yield from self.full()

    def full(self) -> Iterator[TextBatch]:
        """All that has been gathered, gone through the segment, if it is much."""
        if self._bytes >= self._most_bytes:
            yield from self.rest()

    def rest(self) -> Iterator[TextBatch]:
        """All that has been gathered, gone through the segment, if there is any."""
        began = time.perf_counter()
        batches = self._gathered[0]
        for number, stage in enumerate(self._stages, 1):
            if batches:
                batches = [self._measured(stage, _joined(batches))]
            batches = [*batches, *self._gathered[number]]
        self._gathered = [[] for _ in self._gathered]
        self._bytes = 0
        whole = _joined(batches) if batches else None
        self._stats["seconds"] += time.perf_counter() - began
        if whole is not None:
            yield whole

    def _gather(self, number: int, batch: TextBatch) -> None:
        self._gathered[number].append(batch)
        self._bytes += int(np.diff(batch.utf8.offsets).sum())

    def _measured(self, stage: Stage, batch: TextBatch) -> TextBatch:
        """The batch as the stage leaves it."""
        if not isinstance(stage, (Barrier, Census)):
            try:
                after, _ = guarded(stage, batch, self._given.get(stage.name))
            except StageError:
                unmeasured = self._stats["unmeasured"]
                unmeasured[stage.name] = unmeasured.get(stage.name, 0) + batch.num_rows
            else:
                return after
            finally:
                stage.counters()  # what it did here is no part of what it counts
        types = column_types([stage])
        return batch.with_signals({name: pa.nulls(batch.num_rows, type_) for name, type_ in types.items()})


def rows(batch: TextBatch, schema: pa.Schema) -> pa.Table:
    """Shadow documents as rows of `shadow_schema`."""
    columns = {name: batch.table[name] for name in batch.table.column_names} | dict(batch.signals)
    if _TOLD[0].name not in schema.names:
        columns |= {field.name.removeprefix(_PREFIX): columns[field.name] for field in _TOLD}
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _joined(batches: Sequence[TextBatch]) -> TextBatch:
    if len(batches) == 1:
        return batches[0]
    signals = {name: pa.concat_arrays([batch.signals[name] for batch in batches]) for name in batches[0].signals}
    return TextBatch(concat([batch.table for batch in batches]), signals)
