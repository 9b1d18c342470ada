"""What one task does: read its shards, run the stages, write what was kept, measured and dropped, then its record.

A task of the sieve phase writes three files under its phase; a task of the write phase gathers those of consecutive
tasks into the run's `documents/`, `signals/` and `rejected/`. Nothing in a file depends on time, place or other
tasks, so a task that was killed is run again and gives the same bytes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from pipeline import stats as counting
from pipeline.io.files import filesystem_of
from pipeline.io.read import Chunk, Rejected, read_shard
from pipeline.io.shards import Shard
from pipeline.io.write import ParquetSink, Written
from pipeline.plan import Phase
from pipeline.records import Record, check_files, read_records, write_record
from pipeline.references import read_references, reference_task
from pipeline.runs import Run
from pipeline.sieve import Dropped, Sieved, sieve, signal_types
from pipeline.stats import Stats
from stages.contract import Stage
from stages.errors import InputError, RunError
from stages.text.batch import TextBatch

KINDS = ("documents", "signals", "rejected")
ROW_BITS = 40
"""A document's address is its shard's index and, in the low bits, its row in the shard."""
ALWAYS_KEPT = 20
"""Dropped documents of each rule whose text every task keeps, whatever `rejected_rate` says."""
REJECTED_SCHEMA = pa.schema(
    [
        ("address", pa.uint64()),
        ("id", pa.string()),
        ("dropped_by", pa.string()),
        ("source", pa.string()),
        ("offset", pa.int64()),
        ("message", pa.string()),
        ("text", pa.large_string()),
        ("raw", pa.large_binary()),
    ]
)

Report = Callable[[Stats], None]


def sieve_task(run: Run, rank: int, report: Report) -> Record:
    """Run the stages over the shards of a task.

    Args:
        report: called after every batch with the task's stats so far.

    Raises:
        InputError: more records than `max_errors` cannot be read.
        StageError: a stage failed; the message names it and the documents.
    """
    phase, config = run.plan.sieve, run.config
    started = time.perf_counter()
    stats = counting.empty(stage.name for stage in config.stages)
    for stage in config.stages:
        stage.setup()
    references = read_references(run)
    with ExitStack() as stack:
        sinks = {
            kind: stack.enter_context(ParquetSink(run.path, f"{phase.directory}/{kind}/{rank:05d}.parquet", schema))
            for kind, schema in output_schemas(run.manifest.schema, config.stages).items()
        }
        sample = _Sample(config.execution.rejected_rate, config.execution.seed)
        for shard, chunk in _timed_chunks(run, rank, stats):
            _check_errors(stats, config.execution.max_errors, chunk)
            _process(chunk, shard, config.stages, references, sinks, sample, stats)
            stats["task_seconds"] = time.perf_counter() - started
            stats["peak_memory_bytes"] = counting.peak_memory_bytes()
            report(stats)
        began = time.perf_counter()
        files = tuple(sinks[kind].close() for kind in KINDS)
        stats["output"]["seconds"] += time.perf_counter() - began
    stats["task_seconds"] = time.perf_counter() - started
    record = Record(rank, phase.fingerprint, files, stats)
    write_record(run.path, phase, record)
    return record


def write_task(run: Run, rank: int, report: Report) -> Record:
    """Gather the output of consecutive sieve tasks into one file of each kind. Checks every byte it reads."""
    phase, source = run.plan.write, run.plan.sieve
    started = time.perf_counter()
    records = read_records(run.path, source, run.write_groups()[rank])
    schemas = output_schemas(run.manifest.schema, run.config.stages)
    files = []
    for record in records:
        check_files(run.path, source, record, checksums=True)
    for kind in KINDS:
        with ParquetSink(run.path, f"{kind}/{rank:05d}.parquet", schemas[kind]) as sink:
            for record in records:
                for table in _read_back(run.path, record.file(kind), schemas[kind]):
                    sink.write(table)
            files.append(sink.close())
    stats: Stats = {"write_seconds": time.perf_counter() - started, "peak_memory_bytes": counting.peak_memory_bytes()}
    report(stats)
    done = Record(rank, phase.fingerprint, tuple(files), stats)
    write_record(run.path, phase, done)
    return done


def output_schemas(incoming: pa.Schema, stages: Sequence[Stage]) -> dict[str, pa.Schema]:
    """Schema of each kind of file. An incoming column that has a signal's name gives way to the signal."""
    signals = signal_types(stages)
    columns = [field for field in incoming if field.name not in signals]
    measured = [pa.field(name, type_) for name, type_ in signals.items()]
    head = [pa.field("id", pa.string()), pa.field("address", pa.uint64())]
    return {
        "documents": pa.schema([*columns, *measured]),
        "signals": pa.schema([*head, *measured, pa.field("dropped_by", pa.string())]),
        "rejected": REJECTED_SCHEMA,
    }


def _timed_chunks(run: Run, rank: int, stats: Stats) -> Iterator[tuple[Shard, Chunk]]:
    """Chunks of the task's shards, the time and size of reading counted."""
    config = run.config
    for shard in run.plan.tasks[rank]:
        chunks = read_shard(shard, run.manifest, config.input, config.execution.batch_bytes)
        while True:
            began = time.perf_counter()
            chunk = next(chunks, None)
            stats["input"]["seconds"] += time.perf_counter() - began
            if chunk is None:
                break
            yield shard, chunk


def _check_errors(stats: Stats, max_errors: int, chunk: Chunk) -> None:
    rejected = stats["input"]["rejected"]
    for record in chunk.rejected:
        of_reason = rejected.setdefault(record.reason, {"documents": 0, "bytes": 0})
        of_reason["documents"] += 1
        of_reason["bytes"] += len(record.raw)
    if chunk.rejected and counting.num_rejected(stats) > max_errors:
        raise InputError(too_many_errors(counting.num_rejected(stats), max_errors, chunk.rejected[-1]))


def too_many_errors(count: int, max_errors: int, last: Rejected) -> str:
    return (
        f"{count} records could not be read, more than max_errors = {max_errors}; the last one: {last.source} at "
        f"{last.offset}: {last.reason}: {last.message}. If that many are expected: --set execution.max_errors=N"
    )


def _process(
    chunk: Chunk,
    shard: Shard,
    stages: Sequence[Stage],
    references: dict[str, pa.Table],
    sinks: dict[str, ParquetSink],
    sample: _Sample,
    stats: Stats,
) -> None:
    base = np.uint64(shard.index << ROW_BITS)
    if chunk.rejected:
        sinks["rejected"].write(_unreadable(chunk.rejected, shard.index))
    if not chunk.table.num_rows:
        return
    addresses = chunk.rows.astype(np.uint64) | base
    batch = TextBatch(chunk.table)
    stats["input"]["documents"] += batch.num_rows
    stats["input"]["bytes"] += int(np.diff(batch.utf8.offsets).sum())
    sieved = sieve(batch, stages, stats, references)
    began = time.perf_counter()
    for lost in sieved.dropped:
        sinks["rejected"].write(sample.of(lost, addresses, shard.path))
    _write_kept(sieved, chunk.table, addresses, sinks)
    stats["output"]["documents"] += sieved.kept.num_rows
    stats["output"]["bytes"] += int(np.diff(sieved.kept.utf8.offsets).sum())
    stats["output"]["seconds"] += time.perf_counter() - began


def _write_kept(
    sieved: Sieved, table: pa.Table, addresses: npt.NDArray[np.uint64], sinks: dict[str, ParquetSink]
) -> None:
    columns = {"id": table["id"], "address": pa.array(addresses), **sieved.signals, "dropped_by": sieved.dropped_by}
    sinks["signals"].write(pa.table(columns))
    kept = pa.array(sieved.rows)
    documents = sieved.kept.with_columns({name: column.take(kept) for name, column in sieved.signals.items()})
    sinks["documents"].write(documents.table.select(sinks["documents"].schema.names))


class _Sample:
    """Which dropped documents are kept with their text: chosen by a hash of the text, and the first few of each
    rule."""

    def __init__(self, rate: float, seed: int) -> None:
        self._below = round(rate * 2**64)
        self._seed = seed
        self._seen: Counter[str] = Counter()

    def of(self, lost: Dropped, addresses: npt.NDArray[np.uint64], source: str) -> pa.Table:
        data, offsets = lost.batch.utf8.data, lost.batch.utf8.offsets
        chosen = []
        for i, rule in enumerate(lost.rules):
            self._seen[rule] += 1
            if (
                self._seen[rule] <= ALWAYS_KEPT
                or xxhash.xxh3_64_intdigest(data[offsets[i] : offsets[i + 1]].tobytes(), self._seed) < self._below
            ):
                chosen.append(i)
        picked = lost.batch.table.take(pa.array(chosen, pa.int64()))
        nothing = {
            name: pa.nulls(len(chosen), REJECTED_SCHEMA.field(name).type) for name in ("offset", "message", "raw")
        }
        columns = {
            "address": pa.array(addresses[lost.rows[chosen]]),
            "id": picked["id"],
            "dropped_by": pa.array([lost.rules[i] for i in chosen], pa.string()),
            "source": pa.array([source] * len(chosen), pa.string()),
            "text": picked["text"],
            **nothing,
        }
        return pa.table({name: columns[name] for name in REJECTED_SCHEMA.names}, REJECTED_SCHEMA)


def _unreadable(records: Sequence[Rejected], shard: int) -> pa.Table:
    rows = [
        {
            "address": shard << ROW_BITS | record.row,
            "id": record.id,
            "dropped_by": record.reason,
            "source": record.source,
            "offset": record.offset,
            "message": record.message,
            "raw": record.raw,
        }
        for record in records
    ]
    return pa.Table.from_pylist(rows, REJECTED_SCHEMA)


def _read_back(run: str, file: Written, schema: pa.Schema) -> Iterator[pa.Table]:
    """Row groups of a file that a task wrote; raises RunError when it is not what its record and the plan say."""
    path = f"{run}/{file.path}"
    fs, name = filesystem_of(path)
    with fs.open(name, "rb") as stream:
        parquet = pq.ParquetFile(stream)
        if parquet.schema_arrow != schema:
            raise RunError(f"{path} has other columns or types than the plan; delete {run}/phases to start afresh")
        if parquet.metadata.num_rows != file.rows:
            raise RunError(f"{path} has {parquet.metadata.num_rows} rows, its record says {file.rows}")
        for group in range(parquet.num_row_groups):
            yield parquet.read_row_group(group)


def group_outputs(records: Sequence[Record], output_bytes: int) -> list[list[int]]:
    """Consecutive tasks whose kept text together reaches `output_bytes`: the tasks of the write phase."""
    groups: list[list[int]] = []
    size = output_bytes
    for record in records:
        if size >= output_bytes:
            groups.append([])
            size = 0
        groups[-1].append(record.rank)
        size += record.stats["output"]["bytes"]
    return groups


TASKS: dict[str, Callable[[Run, int, Report], Record]] = {
    "00-reference": reference_task,
    "01-sieve": sieve_task,
    "02-write": write_task,
}


def perform(run: Run, phase: Phase, rank: int, report: Report) -> Record:
    """Do one task of a phase."""
    return TASKS[phase.name](run, rank, report)
