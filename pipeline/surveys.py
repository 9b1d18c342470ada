"""Stages that have to know something of all documents first: tallies of every task, one conclusion, and the sketches
that wait for it.

Every task of the segment before writes its tally in one file, sorted by key. The conclude task reads all of them, or
the rows of the smallest keys only, which is a sample by hash. What it concludes is kept with the run, a small table,
and given to every task that the stage has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline import barriers
from pipeline.exchange import concat, key_firsts, read_keys, write_parts
from pipeline.io.write import ParquetSink, Written, open_written
from pipeline.plan import Phase, Plan
from pipeline.records import Record, check_files, read_records
from pipeline.runs import Run
from pipeline.sieve import column_types
from pipeline.sketches import fold, sketch, write_sketch
from pipeline.stats import Stats
from stages.contract import Survey, SurveyedBarrier
from stages.errors import StageError
from stages.text.batch import TextBatch

COMBINE_ROWS = 1 << 22
"""Rows that are gathered before they are combined."""
TALLY_PARTS = 256
"""Parts of a tally: a sample reads the first ones alone."""
_SLACK = 1.1
_NUM_KEYS = 1 << 64


def tally(survey: Survey, batch: TextBatch) -> pa.Table:
    """The survey's rows for a batch; raises StageError when they are not what the contract says."""
    found = survey.tally(batch)
    if found.schema.names[:1] != ["key"] or found["key"].type != pa.uint64():
        raise StageError(f"{survey.name}: a tally has the column key (uint64) first, not {found.schema}")
    return found


def write_tally(run: str, directory: str, rank: int, survey: Survey, tables: Sequence[pa.Table]) -> Written:
    """One file of all rows of a task, sorted by key."""
    rows = survey.combine(concat(tables))
    return write_parts(run, f"{directory}/tally/{rank:05d}.bin", rows, key_firsts(TALLY_PARTS))


def conclude_task(run: Run, phase: Phase, rank: int, report: Callable[[Stats], None]) -> Record:
    """Let a survey conclude from the tallies of all tasks, and keep the reference."""
    started = time.perf_counter()
    reference = conclude(run, run.plan, phase.segment)
    with ParquetSink(run.path, f"{phase.directory}/references/{phase.stage}.parquet", reference.schema) as sink:
        sink.write(reference)
        file = sink.close()
    return barriers.finish(run, phase, rank, [file], started, report)


def conclude(run: Run, plan: Plan, number: int) -> pa.Table:
    """The reference of a segment's survey, from the tallies that lie in the run directory. Raises RunError where they
    are not there, or not what their records say.

    Args:
        plan: that of the run, or another one whose phase before the segment has been done in the run's directory.
    """
    survey, before = plan.segments[number].survey, plan.segments[number - 1].sieve
    assert survey is not None
    survey.setup()
    records = read_records(run.path, before, range(len(plan.tasks)))
    num_documents = sum(record.file("documents").rows for record in records)
    return survey.conclude(_gather(run, before, survey, records, num_documents), num_documents)


def _gather(run: Run, before: Phase, survey: Survey, records: Sequence[Record], num_documents: int) -> pa.Table:
    """The rows that a survey concludes from, in the order of their keys; never many more than it combines them to."""
    limit = survey.sample_limit(num_documents)
    num_rows = sum(record.file("tally").rows for record in records)
    high = _NUM_KEYS - 1
    if limit is not None and limit < num_rows:
        high = min(high, int(limit / num_rows * _NUM_KEYS * _SLACK))
    found = _read_tallies(run, before, survey, records, high)
    if limit is not None and found.num_rows < min(limit, num_rows):  # keys that lie unevenly
        found = _read_tallies(run, before, survey, records, _NUM_KEYS - 1)
    return found if limit is None else found.slice(0, limit)


def _read_tallies(run: Run, before: Phase, survey: Survey, records: Sequence[Record], high: int) -> pa.Table:
    gathered: list[pa.Table] = []
    for record in records:
        check_files(run.path, before, record)
        gathered.append(read_keys(run.path, record.file("tally"), 0, high))
        if sum(table.num_rows for table in gathered) > COMBINE_ROWS:
            gathered = [survey.combine(concat(gathered))]
    return _by_key(survey.combine(concat(gathered)))


def _by_key(rows: pa.Table) -> pa.Table:
    return rows.take(pa.array(np.argsort(rows["key"].to_numpy(), kind="stable")))


def read_conclusion(run: Run, phase: Phase) -> pa.Table:
    """The reference that a conclude phase kept; raises RunError when its file is not what the record says."""
    (record,) = read_records(run.path, phase, [0])
    check_files(run.path, phase, record, checksums=True)
    with open_written(run.path, record.file("references")) as parquet:
        return parquet.read()


def sketch_task(run: Run, phase: Phase, rank: int, report: Callable[[Stats], None]) -> Record:
    """Sketch the documents of a task, now that the survey is concluded; reads the columns that the barrier names."""
    started = time.perf_counter()
    segment = run.plan.segments[phase.segment]
    barrier, conclude, resolve = segment.barrier, segment.phase("conclude"), segment.phase("resolve")
    assert isinstance(barrier, SurveyedBarrier)
    assert conclude is not None
    assert resolve is not None
    assert resolve.num_tasks is not None
    barrier.setup()
    reference = read_conclusion(run, conclude)
    parts = [
        sketch(barrier, batch, addresses, reference) for batch, addresses in _columns_of(run, phase, barrier, rank)
    ]
    files = write_sketch(run.path, phase.directory, rank, fold(barrier, parts), resolve.num_tasks)
    return barriers.finish(run, phase, rank, files, started, report)


def _columns_of(
    run: Run, phase: Phase, barrier: SurveyedBarrier, rank: int
) -> Iterator[tuple[TextBatch, npt.NDArray[np.uint64]]]:
    """No documents, then those of the task: with the columns that the barrier's sketch needs, and no others."""
    segments = run.plan.segments[: phase.segment]
    types = column_types([stage for segment in segments for stage in segment.stages])
    names = {*barrier.reads, *barrier.within, *(name.removeprefix("-") for name in barrier.priority)}
    incoming = {field.name: field.type for field in run.manifest.schema}
    wanted = {"id": pa.string(), **{name: (types.get(name) or incoming[name]) for name in sorted(names)}}
    (record,) = read_records(run.path, segments[-1].sieve, [rank])
    yield _batch(pa.schema(list(wanted.items())).empty_table(), types), np.zeros(0, np.uint64)
    for table, told in barriers.read_kept(run, segments[-1].sieve, record, list(wanted)):
        yield _batch(table, types), told["address"].to_numpy()


def _batch(table: pa.Table, types: dict[str, pa.DataType]) -> TextBatch:
    measured = {name: table[name].combine_chunks() for name in table.column_names if name in types}
    table = table.drop_columns(list(measured))
    if "text" not in table.column_names:
        table = table.append_column("text", pa.array([""] * table.num_rows, pa.large_string()))
    return TextBatch(table, measured)
