"""What one sieve task does: read documents, run a segment's stages, write what was kept, measured and dropped.

The first segment reads shards; a later one reads what the same task of the segment before kept. Nothing in a file
depends on time, place or other tasks, so a task that was killed is run again and gives the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline import barriers, clusters, shadow, sources, surveys
from pipeline import stats as counting
from pipeline.config import LANGUAGE
from pipeline.counts import count_by_label, reached
from pipeline.gather import write_task
from pipeline.histograms import edges_of
from pipeline.io.files import read_bytes_so_far
from pipeline.io.read import Chunk, Rejected, read_shard
from pipeline.io.shards import ROW_BITS
from pipeline.io.write import ParquetSink, Written
from pipeline.plan import Phase
from pipeline.records import Record, checked, commit, read_records
from pipeline.references import read_references, reference_task
from pipeline.rejected import REJECTED_SCHEMA, RejectedSample, unreadable
from pipeline.runs import Run
from pipeline.schemas import document_schema, duplicate_schema, signal_schema
from pipeline.shadow import Shadow
from pipeline.sieve import Sieved, column_types, sieve, signal_types
from pipeline.sketches import Sketch, fold, sketch, write_sketch
from pipeline.stats import Stats
from pipeline.tokens import pack, shuffle
from stages.contract import Deduplication
from stages.errors import InputError
from stages.text.batch import TextBatch

Report = Callable[[Stats], None]


@dataclass(frozen=True)
class Portion:
    """Documents on their way through a segment, with their addresses; what could not be read beside them."""

    batch: TextBatch
    told: pa.Table
    """`address`, `bytes` and `source` of each."""
    rejected: pa.Table | None = None

    @property
    def addresses(self) -> npt.NDArray[np.uint64]:
        found: npt.NDArray[np.uint64] = self.told["address"].to_numpy()
        return found


def sieve_task(run: Run, phase: Phase, rank: int, report: Report, *, aside: bool = False) -> Record:
    """Run a segment's stages over the documents of a task.

    Args:
        report: called after every batch with the task's stats so far.
        aside: commit the task as if it had nothing to read.

    Raises:
        InputError: more records than `max_errors` cannot be read.
        StageError: a stage failed; the message names it and the documents.
    """
    started = time.perf_counter()
    task = _SieveTask(run, phase, rank)
    with ExitStack() as stack:
        sinks = {
            kind: stack.enter_context(ParquetSink(run.path, f"{phase.directory}/{kind}/{rank:05d}.parquet", schema))
            for kind, schema in task.schemas().items()
        }
        if not aside:
            task.carry_shadow(sinks)
        for portion in () if aside else task.portions():
            task.process(portion, sinks)
            task.stats["task_seconds"] = time.perf_counter() - started
            task.stats["peak_memory_bytes"] = counting.peak_memory_bytes()
            report(counting.light(task.stats))
        task.finish_shadow(sinks)
        began = time.perf_counter()
        files = [sink.close() for sink in sinks.values()]
        task.stats["output"]["seconds"] += time.perf_counter() - began
        files += task.write_for_following()
    task.stats["task_seconds"] = time.perf_counter() - started
    if aside:
        task.stats["set_aside"] = {"tasks": 1}
    return commit(run.path, phase, rank, files, task.stats)


class _SieveTask:
    """One task of a segment: where its documents come from, what its stages are given, what it has counted."""

    def __init__(self, run: Run, phase: Phase, rank: int) -> None:
        segments = run.plan.segments
        self.run, self.phase, self.rank = run, phase, rank
        self.segment = segments[phase.segment]
        self.stages = self.segment.stages
        self.earlier = [stage for segment in segments[: phase.segment] for stage in segment.stages]
        following = segments[phase.segment + 1 :]
        self.following = following[0] if following else None
        self.stats = counting.empty(stage.name for stage in self.stages)
        execution = run.config.execution
        self.sample = RejectedSample(run.manifest.shards, execution.rejected_rate)
        self.edges = edges_of(self.stages)
        self.tallies: list[pa.Table] = []
        self.sketches: list[Sketch] = []
        """For the segment that follows."""
        for stage in [*self.stages, *(self.following.stages[:1] if self.following else ())]:
            stage.setup()
        self.given = read_references(run, self.stages)
        conclude, has_barrier = self.segment.phase("conclude"), self.segment.barrier is not None
        if conclude and not has_barrier:
            self.given[self.stages[0].name] = surveys.read_conclusion(run, conclude)
        self.resolution = barriers.Resolution.read(run, self.segment, rank) if has_barrier else None
        self.shadow = Shadow(
            self.stages, self.given, self.stats, rate=execution.shadow_rate, most_bytes=execution.batch_bytes
        )

    def schemas(self) -> dict[str, pa.Schema]:
        incoming, stages = self.run.manifest.schema, [*self.earlier, *self.stages]
        schemas = {
            "documents": document_schema(incoming, stages),
            "signals": signal_schema(self.stages),
            "rejected": REJECTED_SCHEMA,
            "shadow": shadow.shadow_schema(incoming, stages, is_last=self.following is None),
        }
        barrier = self.segment.barrier
        return schemas | {"duplicates": duplicate_schema(barrier)} if isinstance(barrier, Deduplication) else schemas

    def portions(self) -> Iterator[Portion]:
        """The task's documents in batches, the time of reading counted."""
        source = self._from_shards() if self.phase.segment == 0 else self._from_segment_before()
        while True:
            began = time.perf_counter()
            portion = next(source, None)
            self.stats["input"]["seconds"] += time.perf_counter() - began
            if portion is None:
                return
            yield portion

    def _from_shards(self) -> Iterator[Portion]:
        config = self.run.config
        for shard in self.run.plan.tasks[self.rank]:
            before = read_bytes_so_far()
            for chunk in read_shard(shard, self.run.manifest, config.input, config.execution.batch_bytes):
                self.stats["input"]["file_bytes"] += read_bytes_so_far() - before
                _check_errors(self.stats, config.execution.max_errors, chunk)
                addresses = chunk.rows.astype(np.uint64) | np.uint64(shard.index << ROW_BITS)
                batch = TextBatch(chunk.table)
                sizes = np.diff(batch.utf8.offsets)
                self.stats["input"]["documents"] += batch.num_rows
                self.stats["input"]["bytes"] += int(sizes.sum())
                source = sources.of_table(config.input, batch.table, shard.path)
                told = pa.table({"address": addresses, "bytes": sizes, "source": source})
                yield Portion(batch, told, unreadable(chunk.rejected, shard.index) if chunk.rejected else None)
                before = read_bytes_so_far()

    def _from_segment_before(self) -> Iterator[Portion]:
        before, record = self._before()
        schema = document_schema(self.run.manifest.schema, self.earlier)
        signals = column_types(self.earlier)
        for table, told in barriers.read_kept(self.run, before, record, schema.names):
            measured = {name: table[name].combine_chunks() for name in signals}
            yield Portion(TextBatch(table.drop_columns(list(signals)), measured), told)

    def _before(self) -> tuple[Phase, Record]:
        """The same task of the segment before."""
        before = self.run.plan.segments[self.phase.segment - 1].sieve
        (record,) = read_records(self.run.path, before, [self.rank])
        return before, record

    def carry_shadow(self, sinks: dict[str, ParquetSink]) -> None:
        """Measure on what the segment before handed on of the dropped."""
        if self.phase.segment:
            before, record = self._before()
            file = checked(self.run.path, before, record, "shadow")
            self._write_shadow(self.shadow.carried(self.run.path, file, self.earlier), sinks)

    def finish_shadow(self, sinks: dict[str, ParquetSink]) -> None:
        """Measure on what is left of the dropped."""
        self._write_shadow(self.shadow.rest(), sinks)

    def _write_shadow(self, measured: Iterable[TextBatch], sinks: dict[str, ParquetSink]) -> None:
        for batch in measured:
            sinks["shadow"].write(shadow.rows(batch, sinks["shadow"].schema))

    def process(self, portion: Portion, sinks: dict[str, ParquetSink]) -> None:
        """Run the stages over one batch and write what became of it."""
        if portion.rejected is not None:
            sinks["rejected"].write(portion.rejected)
        if not portion.batch.num_rows:
            return
        given = dict(self.given)
        if self.resolution is not None:
            given[self.stages[0].name] = self.resolution.of(portion.addresses)
        self.shadow.begin(portion.told)
        sieved = sieve(
            portion.batch,
            self.stages,
            self.stats,
            given,
            seed=self.run.config.execution.seed,
            listener=self.shadow,
            edges=self.edges,
            bytes_read=portion.told["bytes"].to_numpy(),
        )
        self._count(portion, sieved)
        self._write_shadow(self.shadow.full(), sinks)
        began = time.perf_counter()
        for lost in sieved.dropped:
            sinks["rejected"].write(self.sample.of(lost, portion.addresses))
        _write_kept(sieved, portion, sinks)
        if "duplicates" in sinks:
            sinks["duplicates"].write(self._duplicates(portion, sieved, given[self.stages[0].name]))
        if self.following is None:
            self.stats["output"]["documents"] += sieved.kept.num_rows
            self.stats["output"]["bytes"] += int(np.diff(sieved.kept.utf8.offsets).sum())
        self.stats["output"]["seconds"] += time.perf_counter() - began
        if self._reduces:
            self._reduce(sieved.kept, portion.addresses[sieved.rows])

    def _count(self, portion: Portion, sieved: Sieved) -> None:
        """Count what became of a batch by source and by language."""
        began = time.perf_counter()
        is_first, is_last = self.phase.segment == 0, self.following is None
        sizes, reasons = portion.told["bytes"].to_numpy(), sieved.dropped_by
        source = portion.told["source"].combine_chunks()
        count_by_label(self.stats["sources"], source, sizes, reasons, is_first=is_first, is_last=is_last)
        own = [number for number, stage in enumerate(self.stages) if LANGUAGE in signal_types([stage])]
        if own:
            rows = np.flatnonzero(reached(reasons, self.stages[: own[0]]))
            labels, sizes, reasons = sieved.signals[LANGUAGE].take(pa.array(rows)), sizes[rows], reasons.take(rows)
        elif portion.batch.languages is None:
            return
        else:
            labels = portion.batch.languages
        count_by_label(self.stats["languages"], labels, sizes, reasons, is_first=bool(own), is_last=is_last)
        self.stats["statistics_seconds"] += time.perf_counter() - began

    def _duplicates(self, portion: Portion, sieved: Sieved, told: pa.Table) -> pa.Table:
        """The documents of a batch that have duplicates, as `run.duplicates` shows them."""
        assert self.resolution is not None
        schema = self.schemas()["duplicates"]
        kept = told["kept"].combine_chunks()
        columns = {
            "address": pa.array(portion.addresses),
            "id": portion.batch.table["id"],
            "kept": self.resolution.space.own_address(kept),
            "kept_id": told["kept_id"],
            "kept_run": told["kept_run"],
            **{name: sieved.signals[f"{self.stages[0].name}.{name}"] for name in schema.names[5:]},
        }
        return pa.table(columns).filter(kept.is_valid())

    @property
    def _reduces(self) -> bool:
        """Whether the segment that follows needs rows of every document: tallies or sketches."""
        return self.following is not None and (self.following.survey or self.following.barrier) is not None

    def _reduce(self, kept: TextBatch, addresses: npt.NDArray[np.uint64]) -> None:
        assert self.following
        began = time.perf_counter()
        survey, barrier = self.following.survey, self.following.barrier
        if survey is not None:
            self.tallies.append(surveys.tally(survey, kept))
        elif barrier is not None:
            self.sketches.append(sketch(barrier, kept, addresses))
        spent = self.stats["stages"].setdefault(self.following.stages[0].name, {"seconds": 0.0})
        spent["seconds"] += time.perf_counter() - began

    def write_for_following(self) -> list[Written]:
        """The files of the task's tallies or sketches, which may be empty; none if nobody needs them."""
        if not self._reduces:
            return []
        assert self.following
        nothing = TextBatch(self.run.manifest.schema.empty_table(), self._no_signals())
        self._reduce(nothing, np.zeros(0, np.uint64))
        run, directory = self.run.path, self.phase.directory
        if self.following.survey:
            return [surveys.write_tally(run, directory, self.rank, self.following.survey, self.tallies)]
        barrier, resolve = self.following.barrier, self.following.phase("resolve")
        assert barrier is not None
        assert resolve is not None
        assert resolve.num_tasks is not None
        return write_sketch(run, directory, self.rank, fold(barrier, self.sketches), resolve.num_tasks)

    def _no_signals(self) -> dict[str, pa.Array]:
        return {name: pa.array([], type_) for name, type_ in column_types([*self.earlier, *self.stages]).items()}


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


def _write_kept(sieved: Sieved, portion: Portion, sinks: dict[str, ParquetSink]) -> None:
    head = {"id": portion.batch.table["id"], **{name: portion.told[name] for name in portion.told.column_names}}
    sinks["signals"].write(pa.table({**head, **sieved.signals, "dropped_by": sieved.dropped_by}))
    documents = sieved.kept.with_columns(sieved.kept.signals)
    sinks["documents"].write(documents.table.select(sinks["documents"].schema.names))


TASKS: dict[str, Callable[[Run, Phase, int, Report], Record]] = {
    "reference": reference_task,
    "sieve": sieve_task,
    "conclude": surveys.conclude_task,
    "sketch": surveys.sketch_task,
    "resolve": barriers.resolve_task,
    **dict.fromkeys(clusters.STEPS, barriers.cluster_task),
    "write": write_task,
    "clusters": shuffle.clusters_task,
    "shuffle": shuffle.shuffle_task,
    "pack": pack.pack_task,
    "publish": pack.publish_task,
}


def perform(run: Run, phase: Phase, rank: int, report: Report) -> Record:
    """Do one task of a phase."""
    return TASKS[phase.kind](run, phase, rank, report)
