"""How a barrier sees all documents without anyone holding them, and what comes back to their own tasks.

Every task of the segment before writes its sketch in one file, sorted by key and cut where partitions meet. A resolve
task reads its partition of all files. What it says of documents, or for deduplication what `pipeline.clusters` makes of
it, is written sorted by address and cut where the tasks of the next segment meet, each of which reads its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline import clusters
from pipeline.exchange import concat, first_key, read_all, read_part, write_parts
from pipeline.io.write import Written, open_written
from pipeline.phases import Phase
from pipeline.plan import Segment
from pipeline.records import Record, check_files, checked, commit, read_records
from pipeline.runs import Run
from pipeline.sketches import Space
from pipeline.stats import Stats, peak_memory_bytes
from stages.contract import Deduplication
from stages.errors import RunError

UInt64s = npt.NDArray[np.uint64]
Report = Callable[[Stats], None]


def resolve_task(run: Run, phase: Phase, rank: int, report: Report) -> Record:
    """Have the barrier look at the rows of one partition."""
    started = time.perf_counter()
    segment = run.plan.segments[phase.segment]
    barrier, num_partitions = segment.barrier, phase.num_tasks
    assert barrier is not None
    assert num_partitions is not None
    space = Space.of(run, segment)
    said = barrier.resolve(space.rows(first_key(rank, num_partitions), first_key(rank + 1, num_partitions) - 1))
    if not isinstance(barrier, Deduplication):
        files = [write_parts(run.path, f"{phase.directory}/resolution/{rank:05d}.bin", said, space.own.firsts)]
    elif num_partitions == 1:
        step = clusters.Step(run, segment, phase, rank)
        files = step.write_settled(clusters.all_at_once(barrier, space, said))
    else:
        files = clusters.write_links(clusters.Step(run, segment, phase, rank), said)
    return finish(run, phase, rank, files, started, report)


def cluster_task(run: Run, phase: Phase, rank: int, report: Report) -> Record:
    """One of the steps by which clusters are found in several partitions, and settled."""
    started = time.perf_counter()
    segment = run.plan.segments[phase.segment]
    files = clusters.STEPS[phase.kind](clusters.Step(run, segment, phase, rank))
    return finish(run, phase, rank, files, started, report)


@dataclass(frozen=True)
class Resolution:
    """What was said of the documents of one sieve task."""

    space: Space
    table: pa.Table
    """A row for each document that something was said of, in ascending order of `address`."""
    folded: pa.Table | None

    @classmethod
    def read(cls, run: Run, segment: Segment, rank: int) -> Resolution:
        phase, barrier = segment.before[-1], segment.barrier
        space = Space.of(run, segment)
        parts = []
        for record in read_records(run.path, phase, range(phase.num_tasks or 0)):
            parts.append(read_part(run.path, checked(run.path, phase, record, "resolution"), rank))
        said = concat(parts)
        said = said.take(pa.array(np.argsort(said["address"].to_numpy(), kind="stable")))
        if not isinstance(barrier, Deduplication):
            return cls(space, in_lists(said), None)
        folded = read_all(run.path, space.own.file(rank, "folded")) if barrier.by_key else None
        return cls(space, said, folded)

    def of(self, addresses: UInt64s) -> pa.Table:
        """The row of each document of this run; nulls where nothing was said of it."""
        heads = addresses
        if self.folded is not None and self.folded.num_rows:
            heads = np.where(*_found(self.folded["address"].to_numpy(), addresses, self.folded["copy_of"].to_numpy()))
        found = align(self.table, heads + self.space.own.shift)
        own = pa.array(
            addresses + self.space.own.shift, mask=found["address"].combine_chunks().is_null().to_numpy(False)
        )
        return found.set_column(found.column_names.index("address"), "address", own)


def _found(known: UInt64s, wanted: UInt64s, values: UInt64s) -> tuple[npt.NDArray[np.bool_], UInt64s, UInt64s]:
    """Which of some numbers are known, the values of those, and the numbers themselves for the others."""
    places = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return known[places] == wanted, values[places], wanted


def in_lists(said: pa.Table) -> pa.Table:
    """A row for each address, given rows in the order of their addresses; other columns become lists."""
    addresses = said["address"].to_numpy()
    starts = np.flatnonzero(np.diff(addresses, prepend=~addresses[:1]) != 0)
    offsets = pa.array(np.append(starts, len(addresses)).astype(np.int32))
    names = [name for name in said.column_names if name != "address"]
    lists = {name: pa.ListArray.from_arrays(offsets, said[name].combine_chunks()) for name in names}
    return pa.table({"address": addresses[starts], **lists})


def align(resolution: pa.Table, addresses: UInt64s) -> pa.Table:
    """The row of each address; nulls where there is none."""
    known = resolution["address"].to_numpy()
    places = np.searchsorted(known, addresses)
    there = places < len(known)
    there[there] = known[places[there]] == addresses[there]
    return resolution.take(pa.array(places, mask=~there))


def read_kept(run: Run, phase: Phase, record: Record, columns: list[str]) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Documents that a sieve task kept, a row group at a time, with `address`, `bytes` and `source` of each. Raises
    RunError when they and the task's signals do not belong together."""
    check_files(run.path, phase, record)
    with open_written(run.path, record.file("signals")) as parquet:
        signals = parquet.read(["address", "bytes", "source", "dropped_by"])
    told = signals.filter(signals["dropped_by"].is_null()).drop_columns(["dropped_by"])
    file = record.file("documents")
    if told.num_rows != file.rows:
        raise RunError(
            f"{run.path}/{file.path} has {file.rows} documents, but the signals beside it say that {told.num_rows} "
            f"were kept; delete {run.path}/{phase.directory} to do its phase again"
        )
    with open_written(run.path, file) as parquet:
        start = 0
        for group in range(parquet.num_row_groups):
            table = parquet.read_row_group(group, columns)
            yield table, told.slice(start, table.num_rows)
            start += table.num_rows


def finish(run: Run, phase: Phase, rank: int, files: Sequence[Written], started: float, report: Report) -> Record:
    """Commit a task that worked for one stage."""
    seconds = time.perf_counter() - started
    stats: Stats = {"stages": {phase.stage: {"seconds": seconds}}, "peak_memory_bytes": peak_memory_bytes()}
    report(stats)
    return commit(run.path, phase, rank, files, stats)
