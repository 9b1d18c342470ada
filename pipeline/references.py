"""What stages that hold documents against their corpus know of it: learned from a sample, before a run measures
anything.

The sample is the beginning of shards that lie evenly in the input, so it depends on the input alone. Each Fitted stage
sees the documents of it that the stages before it keep; what it learns is a small table, kept with the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa

from pipeline.io.input import Input
from pipeline.io.read import read_shard
from pipeline.io.shards import Manifest
from pipeline.io.write import ParquetSink, open_written
from pipeline.plan import Phase
from pipeline.records import Record, check_files, commit, read_records
from pipeline.runs import Run
from pipeline.sieve import fit
from pipeline.stats import Stats, peak_memory_bytes
from stages.contract import Fitted, Stage
from stages.text.batch import TextBatch

MAX_SHARDS = 64
"""Shards that a sample is taken from, at most."""


def read_sample(manifest: Manifest, source: Input, sample_bytes: int) -> TextBatch:
    """About `sample_bytes` of text, an equal share from each of up to `MAX_SHARDS` shards; all of a smaller input."""
    shards = manifest.shards
    places = np.unique(np.linspace(0, len(shards) - 1, min(len(shards), MAX_SHARDS)).round().astype(int))
    tables = [manifest.schema.empty_table()]
    left = sample_bytes
    for visited, place in enumerate(places.tolist()):
        share = max(left // (len(places) - visited), 1)
        for chunk in read_shard(shards[place], manifest, source, share):
            size = chunk.table["text"].nbytes
            tables.append(chunk.table)
            share, left = share - size, left - size
            if share <= 0:
                break
    return TextBatch(pa.concat_tables(tables))


def learn(stages: Sequence[Stage], manifest: Manifest, source: Input, sample_bytes: int) -> dict[str, pa.Table]:
    """What every Fitted stage learns from a sample of the input, by its name. Reads nothing if there is none."""
    if not any(isinstance(stage, Fitted) for stage in stages):
        return {}
    return fit(stages, read_sample(manifest, source, sample_bytes))


def reference_task(run: Run, phase: Phase, rank: int, report: Callable[[Stats], None]) -> Record:
    """Let every Fitted stage of the run learn from the sample, and keep what it learned, a file a stage."""
    config = run.config
    started = time.perf_counter()
    learned = learn(config.stages, run.manifest, config.input, config.execution.sample_bytes)
    files = []
    for name, table in learned.items():
        with ParquetSink(run.path, f"{phase.directory}/references/{name}.parquet", table.schema) as sink:
            sink.write(table)
            files.append(sink.close())
    stats: Stats = {"reference_seconds": time.perf_counter() - started, "peak_memory_bytes": peak_memory_bytes()}
    report(stats)
    return commit(run.path, phase, rank, files, stats)


def read_references(run: Run, stages: Sequence[Stage]) -> dict[str, pa.Table]:
    """What those of some stages that are Fitted learned, by their names; reads nothing if none is.

    Raises RunError when a file is not what its record says.
    """
    phase, names = run.plan.reference, {stage.name for stage in stages if isinstance(stage, Fitted)}
    if phase is None or not names:
        return {}
    (record,) = read_records(run.path, phase, [0])
    check_files(run.path, phase, record, checksums=True)
    references = {}
    for file in record.files:
        if (name := PurePosixPath(file.path).stem) in names:
            with open_written(run.path, file) as parquet:
                references[name] = parquet.read()
    return references
