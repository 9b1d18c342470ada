"""The last phase: what the sieve tasks wrote in pieces, gathered into files of a good size."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
import pyarrow as pa

from pipeline.clusters import read_superseded
from pipeline.io.write import ParquetSink, Written, open_written
from pipeline.plan import Phase
from pipeline.records import Record, check_files, commit, read_records
from pipeline.rejected import REJECTED_SCHEMA
from pipeline.runs import SUPERSEDED, Run
from pipeline.schemas import (
    HEAD,
    document_schema,
    duplicate_schema,
    final_document_schema,
    signal_schema,
    superseded_schema,
)
from pipeline.stats import Stats, peak_memory_bytes
from stages.contract import Deduplication
from stages.errors import RunError

KINDS = ("documents", "signals", "rejected", "shadow")
DUPLICATES = "duplicates"
"""The folder of the tables of deduplication stages, one folder each."""
SET_ASIDE = "execution.set_aside"
"""`dropped_by` of documents that a task which could not be done left behind."""


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


def write_task(run: Run, phase: Phase, rank: int, report: Callable[[Stats], None]) -> Record:
    """Gather the output of consecutive sieve tasks into one file of each kind. Checks every byte it reads."""
    started = time.perf_counter()
    ranks = run.groups(phase)[rank]
    passes = [read_records(run.path, segment.sieve, ranks) for segment in run.plan.segments]
    for segment, records in zip(run.plan.segments, passes, strict=True):
        for record in records:
            check_files(run.path, segment.sieve, record, checksums=True)
    incoming, stages = run.manifest.schema, run.config.stages
    tables = {
        "documents": (final_document_schema(incoming, stages), _documents(run, passes[-1])),
        "signals": (signal_schema(stages), _signals(run, list(zip(*passes, strict=True)))),
        "rejected": (REJECTED_SCHEMA, _all(run, chain(*passes), "rejected", REJECTED_SCHEMA)),
        "shadow": (signal_schema(stages), _all(run, passes[-1], "shadow", signal_schema(stages))),
    }
    for segment, records in zip(run.plan.segments, passes, strict=True):
        if isinstance(segment.barrier, Deduplication):
            schema = duplicate_schema(segment.barrier)
            tables[f"{DUPLICATES}/{segment.barrier.name}"] = schema, _all(run, records, DUPLICATES, schema)
            if segment.earlier and rank == 0:
                schema = superseded_schema(segment.barrier)
                tables[f"{SUPERSEDED}/{segment.barrier.name}"] = schema, iter([read_superseded(run, segment, schema)])
    files = []
    for kind, (schema, parts) in tables.items():
        with ParquetSink(run.path, f"{kind}/{rank:05d}.parquet", schema) as sink:
            for table in parts:
                sink.write(table)
            files.append(sink.close())
    stats: Stats = {"write_seconds": time.perf_counter() - started, "peak_memory_bytes": peak_memory_bytes()}
    report(stats)
    return commit(run.path, phase, rank, files, stats)


def _documents(run: Run, records: Sequence[Record]) -> Iterator[pa.Table]:
    schema = document_schema(run.manifest.schema, run.config.stages)
    columns = final_document_schema(run.manifest.schema, run.config.stages).names
    for record in records:
        yield from _read_back(run.path, record.file("documents"), schema, columns)


def _all(run: Run, records: Iterable[Record], kind: str, schema: pa.Schema) -> Iterator[pa.Table]:
    for record in records:
        yield from _read_back(run.path, record.file(kind), schema)


def _signals(run: Run, passes: Sequence[tuple[Record, ...]]) -> Iterator[pa.Table]:
    """The signals of each task's documents, over all segments; a later one measured only what the earlier ones kept."""
    schemas = [signal_schema(segment.stages) for segment in run.plan.segments]
    for records in passes:
        first, *later = (
            pa.concat_tables([schema.empty_table(), *_read_back(run.path, record.file("signals"), schema)])
            for record, schema in zip(records, schemas, strict=True)
        )
        reasons = first["dropped_by"].to_pylist()
        table, addresses = first.drop_columns(["dropped_by"]), first["address"].to_numpy()
        for part in later:
            rows = np.searchsorted(addresses, part["address"].to_numpy())
            if not np.array_equal(addresses.take(rows, mode="clip"), part["address"].to_numpy()):
                raise RunError(
                    f"{run.path}: the signals of task {records[0].rank} are of other documents in a later phase"
                )
            places = np.full(len(addresses), -1, np.int64)
            places[rows] = np.arange(len(rows))
            for row in np.flatnonzero(places < 0).tolist():
                reasons[row] = reasons[row] or SET_ASIDE
            spread = part.take(pa.array(places, mask=places < 0))
            for name in part.column_names[len(HEAD) : -1]:
                table = table.append_column(name, spread[name])
            for row, reason in zip(rows.tolist(), part["dropped_by"].to_pylist(), strict=True):
                reasons[row] = reason
        yield table.append_column("dropped_by", pa.array(reasons, pa.string()))


def _read_back(run: str, file: Written, schema: pa.Schema, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Row groups of a file that a task wrote; raises RunError when it is not what its record and the plan say."""
    path = f"{run}/{file.path}"
    with open_written(run, file) as parquet:
        if parquet.schema_arrow != schema:
            raise RunError(f"{path} has other columns or types than the plan; delete {run}/phases to start afresh")
        if parquet.metadata.num_rows != file.rows:
            raise RunError(f"{path} has {parquet.metadata.num_rows} rows, its record says {file.rows}")
        for group in range(parquet.num_row_groups):
            yield parquet.read_row_group(group, columns)
