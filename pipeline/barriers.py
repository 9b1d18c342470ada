"""How a barrier sees all documents without anyone holding them: the tables that travel between its steps.

Every task of the segment before writes its sketch in one file, sorted by key and cut into row groups where partitions
meet. A resolve task reads its partition's row groups of all files; the merge task writes one row for each document that
was linked, sorted by address and cut where the tasks of the next segment meet, each of which reads its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from pipeline.io.shards import ROW_BITS
from pipeline.io.write import ParquetSink, Written, open_written
from pipeline.plan import Phase
from pipeline.priority import sortable
from pipeline.records import Record, check_files, commit, read_records
from pipeline.runs import Run
from pipeline.stats import Stats, peak_memory_bytes
from stages.contract import Barrier, SurveyedBarrier
from stages.errors import RunError, StageError
from stages.text.batch import TextBatch

UInt64s = npt.NDArray[np.uint64]
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that keys stay apart; makes the order of the columns count."""


def sketch(barrier: Barrier, batch: TextBatch, addresses: UInt64s, reference: pa.Table | None = None) -> pa.Table:
    """The barrier's rows for a batch, with the documents' addresses and priorities.

    Args:
        reference: of a surveyed barrier, what the survey concluded.

    Raises StageError when the barrier's answer is not what the contract says, or a column it compares within is not
    there.
    """
    found = barrier.sketch(batch, reference) if isinstance(barrier, SurveyedBarrier) else barrier.sketch(batch)
    if found.schema.names[:2] != ["row", "key"] or found["key"].type != pa.uint64():
        raise StageError(f"{barrier.name}: a sketch has the columns row and key (uint64) first, not {found.schema}")
    rows, key = found["row"].to_numpy(), found["key"].to_numpy()
    for name in barrier.within:
        key = (key ^ _hashes(_column(barrier, batch, name))[rows]) * _MULTIPLIER
    columns = {"key": pa.array(key), "address": pa.array(addresses[rows])}
    if barrier.priority:
        wanted = [(_column(barrier, batch, name.removeprefix("-")), name[0] == "-") for name in barrier.priority]
        columns["priority"] = sortable(wanted).take(pa.array(rows))
    return pa.table({**columns, **{name: found[name] for name in found.column_names[2:]}})


def _column(barrier: Barrier, batch: TextBatch, name: str) -> pa.Array:
    if name in batch.signals:
        return batch.signals[name]
    if name in batch.table.column_names:
        column = batch.table[name].combine_chunks()
        return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    known = ", ".join([*batch.table.column_names, *batch.signals])
    raise StageError(f"{barrier.name}: there is no column '{name}' before it; there are: {known}")


def _hashes(column: pa.Array) -> UInt64s:
    """A hash of each value; null is a value of its own."""
    coded = column.dictionary_encode(null_encoding="encode")
    hashes = [xxhash.xxh3_64_intdigest(repr(value).encode()) for value in coded.dictionary.to_pylist()]
    return np.array(hashes, np.uint64)[coded.indices.to_numpy(zero_copy_only=False)]


def write_sketch(sink: ParquetSink, tables: Sequence[pa.Table], num_partitions: int) -> Written:
    """One file of all rows of a task, sorted by key, a row group a partition (or several)."""
    table = pa.concat_tables(tables)
    keys = table["key"].to_numpy()
    order = np.argsort(keys, kind="stable")
    firsts = np.array([first_key(p, num_partitions) for p in range(1, num_partitions)], np.uint64)
    return _write_cut(sink, table.take(pa.array(order)), np.searchsorted(keys[order], firsts).tolist())


def first_key(partition: int, num_partitions: int) -> int:
    """The smallest key of a partition: equal shares of all 64-bit numbers."""
    return -(-(partition << 64) // num_partitions)


def resolve_task(run: Run, phase: Phase, rank: int, report: Callable[[Stats], None]) -> Record:
    """Link the documents of one partition."""
    started = time.perf_counter()
    barrier = _barrier(run, phase)
    before = run.plan.segments[phase.segment].sketch or run.plan.segments[phase.segment - 1].sieve
    num_partitions = run.num_tasks(phase) or 1
    low, high = first_key(rank, num_partitions), first_key(rank + 1, num_partitions) - 1
    records = read_records(run.path, before, range(len(run.plan.tasks)))
    for record in records:
        check_files(run.path, before, record)
    rows = pa.concat_tables([read_range(run, record.file("sketch"), "key", low, high) for record in records])
    links = barrier.resolve(rows)
    with ParquetSink(run.path, f"{phase.directory}/links/{rank:05d}.parquet", links.schema) as sink:
        sink.write(links)
        return finish(run, phase, rank, sink.close(), started, report)


def merge_task(run: Run, phase: Phase, rank: int, report: Callable[[Stats], None]) -> Record:
    """Turn the links of all partitions into one row for each document that has any, with the id of the kept one."""
    started = time.perf_counter()
    segment = run.plan.segments[phase.segment]
    assert segment.resolve is not None
    tables = []
    for record in read_records(run.path, segment.resolve, range(segment.resolve.num_tasks or 0)):
        check_files(run.path, segment.resolve, record, checksums=True)
        tables.append(_read(run, record.file("links")))
    found = _barrier(run, phase).merge(pa.concat_tables(tables))
    found = found.take(pa.array(np.argsort(found["address"].to_numpy(), kind="stable")))
    addresses = found["address"].to_numpy()
    starts = [task[0].index << ROW_BITS for task in run.plan.tasks[1:]]
    if "kept" in found.column_names:
        found = found.append_column("kept_id", _ids_of(run, phase, found["kept"].to_numpy()))
    edges = np.searchsorted(addresses, np.array(starts, np.uint64)).tolist()
    with ParquetSink(run.path, f"{phase.directory}/resolution/{rank:05d}.parquet", found.schema) as sink:
        return finish(run, phase, rank, _write_cut(sink, found, edges), started, report)


def read_resolution(run: Run, phase: Phase, rank: int) -> pa.Table:
    """What a merge phase says of the documents of one sieve task, sorted by address."""
    (record,) = read_records(run.path, phase, [0])
    check_files(run.path, phase, record)
    shards = run.plan.tasks[rank]
    low, high = shards[0].index << ROW_BITS, (shards[-1].index + 1 << ROW_BITS) - 1
    return read_range(run, record.file("resolution"), "address", low, high)


def align(resolution: pa.Table, addresses: UInt64s) -> pa.Table:
    """The row of each address; nulls where there is none."""
    known = resolution["address"].to_numpy()
    places = np.searchsorted(known, addresses)
    there = places < len(known)
    there[there] = known[places[there]] == addresses[there]
    return resolution.take(pa.array(places, mask=~there))


def read_kept(run: Run, phase: Phase, record: Record, columns: list[str]) -> Iterator[tuple[pa.Table, UInt64s]]:
    """Documents that a sieve task kept, a row group at a time, with their addresses. Raises RunError when they and the
    task's signals do not belong together."""
    check_files(run.path, phase, record)
    signals = _read(run, record.file("signals"), ["address", "dropped_by"])
    addresses = signals.filter(signals["dropped_by"].is_null())["address"].to_numpy()
    file = record.file("documents")
    if len(addresses) != file.rows:
        raise RunError(
            f"{run.path}/{file.path} has {file.rows} documents, but the signals beside it say that {len(addresses)} "
            f"were kept; delete {run.path}/{phase.directory} to do its phase again"
        )
    with open_written(run.path, file) as parquet:
        start = 0
        for group in range(parquet.num_row_groups):
            table = parquet.read_row_group(group, columns)
            yield table, addresses[start : start + table.num_rows]
            start += table.num_rows


def _ids_of(run: Run, phase: Phase, addresses: UInt64s) -> pa.Array:
    """Ids of documents anywhere in the corpus."""
    before = run.plan.segments[phase.segment - 1].sieve
    wanted, places = np.unique(addresses, return_inverse=True)
    ids: list[str | None] = [None] * len(wanted)
    firsts = np.array([task[0].index << ROW_BITS for task in run.plan.tasks], np.uint64)
    for rank in np.unique(np.searchsorted(firsts, wanted, side="right") - 1).tolist():
        (record,) = read_records(run.path, before, [rank])
        for table, found in read_kept(run, before, record, ["id"]):
            at = np.searchsorted(wanted, found)
            hits = np.flatnonzero(at < len(wanted))
            hits = hits[wanted[at[hits]] == found[hits]]
            for place, id_ in zip(at[hits].tolist(), table["id"].take(pa.array(hits)).to_pylist(), strict=True):
                ids[place] = id_
    return pa.array(ids, pa.string()).take(pa.array(places))


def _barrier(run: Run, phase: Phase) -> Barrier:
    barrier = run.plan.segments[phase.segment].barrier
    assert barrier is not None
    return barrier


def finish(run: Run, phase: Phase, rank: int, file: Written, started: float, report: Callable[[Stats], None]) -> Record:
    """Commit a task that worked for one stage and wrote one file."""
    seconds = time.perf_counter() - started
    stats: Stats = {"stages": {phase.stage: {"seconds": seconds}}, "peak_memory_bytes": peak_memory_bytes()}
    report(stats)
    return commit(run.path, phase, rank, [file], stats)


def _read(run: Run, file: Written, columns: list[str] | None = None) -> pa.Table:
    with open_written(run.path, file) as parquet:
        return parquet.read(columns)


def _write_cut(sink: ParquetSink, table: pa.Table, edges: Iterable[int]) -> Written:
    start = 0
    for edge in [*edges, table.num_rows]:
        sink.write(table.slice(start, edge - start))
        sink.cut()
        start = edge
    return sink.close()


def read_range(run: Run, file: Written, column: str, low: int, high: int) -> pa.Table:
    """Rows of a file sorted by a uint64 column whose value lies in `low … high`; reads row groups with some only."""
    with open_written(run.path, file) as parquet:
        place = parquet.schema_arrow.get_field_index(column)
        groups = [
            group
            for group in range(parquet.num_row_groups)
            if (found := parquet.metadata.row_group(group).column(place).statistics).max >= low and found.min <= high
        ]
        table = parquet.read_row_groups(groups) if groups else parquet.schema_arrow.empty_table()
    values = table[column].to_numpy()
    first, last = np.searchsorted(values, np.uint64(low)), np.searchsorted(values, np.uint64(high), side="right")
    return table.slice(first, last - first)
