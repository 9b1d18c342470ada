"""Token ids on their way from documents to sequences: in the order of a hash, whatever file they came from.

A shuffle task reads what one sieve task kept. Every document and epoch becomes a row with a key, a hash of the text,
the id, the epoch and the seed; rows are written sorted by key, in files of no more than `FILE_BYTES`, in parts that are
equal shares of all keys. A pack task reads one range of keys of all files. So the order is a shuffle of everything,
memory holds one range of it at a time, and neither depends on how the input was cut or who worked when.

What is validation depends on the text alone, not on the seed. Where near duplicates are marked and kept, a cluster goes
where its smallest document goes (a hash of ids): the task of the phase `clusters` joins the marks of all stages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipeline import barriers
from pipeline.exchange import key_firsts, read_keys, write_parts
from pipeline.io.write import ParquetSink, Written, open_written
from pipeline.plan import Phase, TokenPhases
from pipeline.records import Record, check_files, commit, read_records
from pipeline.runs import Run
from pipeline.stats import Stats, peak_memory_bytes
from stages.dedup.components import components
from stages.text.batch import TextBatch
from stages.tokens.packing import mixed

UInt64s = npt.NDArray[np.uint64]
Int64s = npt.NDArray[np.int64]

FILE_BYTES = 256 << 20
"""Ids that a shuffle task holds and sorts at a time."""
PART_BYTES = 64 << 10
"""Ids in a part of a file, about; a pack task reads whole parts."""
MAX_PARTS = 4096
SPLIT_SALT = 0x5B1172E5
TRAIN, VALIDATION = "train", "validation"


CLUSTERS = pa.schema([("id_hash", pa.uint64()), ("root", pa.uint64())])


def clusters_task(run: Run, phase: Phase, rank: int, report: Callable[[Stats], None]) -> Record:
    """Join what all stages marked as near duplicates: for every document of a cluster, by a hash of its id, the
    smallest hash in it."""
    started = time.perf_counter()
    sieve, names = run.plan.segments[-1].sieve, _phases(run).duplicates
    edges = [np.zeros((0, 2), np.uint64)]
    for record in read_records(run.path, sieve, range(len(run.plan.tasks))):
        for table, _ in barriers.read_kept(run, sieve, record, ["id", *names]):
            for name in names:
                linked = table.filter(table[name].is_valid())
                edges.append(np.column_stack([_hashes(linked["id"]), _hashes(linked[name])]))
    nodes, roots = components(np.concatenate(edges))
    with ParquetSink(run.path, f"{phase.directory}/clusters/{rank:05d}.parquet", CLUSTERS) as sink:
        sink.write(pa.table([pa.array(nodes), pa.array(roots)], schema=CLUSTERS))
        files = [sink.close()]
    return finish(run, phase, rank, files, {}, started, report)


def shuffle_task(run: Run, phase: Phase, rank: int, report: Callable[[Stats], None]) -> Record:
    """Write the ids that a sieve task kept, sorted by key, in files of their own for each split."""
    started = time.perf_counter()
    ratio = _phases(run).packing.validation_ratio
    series = {split: _Series(run, phase, rank, split) for split in splits_of(ratio)}
    for rows, shares in _keyed(run, rank):
        for split, files in series.items():
            chosen = (shares < ratio) == (split == VALIDATION)
            files.add(rows.filter(pa.array(chosen)))
    for files in series.values():
        files.flush()
    counts = {split: {"documents": files.documents, "tokens": files.tokens} for split, files in series.items()}
    written = [file for files in series.values() for file in files.written]
    return finish(run, phase, rank, written, {"shuffle": counts}, started, report)


def splits_of(validation_ratio: float) -> list[str]:
    return [TRAIN, VALIDATION] if validation_ratio else [TRAIN]


class _Series:
    """Files of one split, each sorted by key."""

    def __init__(self, run: Run, phase: Phase, rank: int, split: str) -> None:
        self.root, self.stem = run.path, f"{phase.directory}/{split}/{rank:05d}"
        self.written: list[Written] = []
        self.documents = self.tokens = 0
        self._rows: list[pa.Table] = []
        self._bytes = 0

    def add(self, rows: pa.Table) -> None:
        tokens = pc.sum(pc.list_value_length(rows["ids"])).as_py() or 0
        self.documents += rows.num_rows
        self.tokens += tokens
        self._rows.append(rows)
        self._bytes += 4 * tokens + 64 * rows.num_rows
        if self._bytes >= FILE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what has been gathered, if anything was."""
        if self._bytes:
            num_parts = min(MAX_PARTS, 1 << (self._bytes // PART_BYTES).bit_length())
            path = f"{self.stem}-{len(self.written):05d}.bin"
            self.written.append(write_parts(self.root, path, pa.concat_tables(self._rows), key_firsts(num_parts)))
        self._rows, self._bytes = [], 0


def _keyed(run: Run, rank: int) -> Iterator[tuple[pa.Table, npt.NDArray[np.float64]]]:
    """A row for each document that a sieve task kept and each of its epochs; and where in [0, 1) its text falls."""
    phases, sieve = _phases(run), run.plan.segments[-1].sieve
    clusters = _read_clusters(run) if phases.clusters else None
    (record,) = read_records(run.path, sieve, [rank])
    names = ["id", "text", phases.ids, *filter(None, (phases.loss_mask, phases.copies))]
    for table, told in barriers.read_kept(run, sieve, record, names):
        addresses = told["address"].to_numpy()
        batch = TextBatch(table.select(["id", "text"]))
        texts = _text_hashes(batch)
        ids = _hashes(table["id"])
        places = texts if clusters is None else _roots(clusters, ids, texts)
        copies = _copies(table, phases)
        rows = np.repeat(np.arange(table.num_rows), copies)
        epochs = np.arange(len(rows)) - np.repeat(np.cumsum(copies) - copies, copies)
        documents = mixed(mixed(texts, ids), np.full(len(ids), phases.packing.seed, np.uint64))
        columns = {
            "key": pa.array(mixed(documents[rows], epochs.astype(np.uint64))),
            "address": pa.array(addresses[rows]),
            "epoch": pa.array(epochs, pa.uint32()),
            "id": table["id"].take(pa.array(rows)),
            "ids": table[phases.ids].take(pa.array(rows)),
        }
        if phases.loss_mask:
            columns["loss_mask"] = table[phases.loss_mask].take(pa.array(rows))
        shares = mixed(places, np.full(len(places), SPLIT_SALT, np.uint64))[rows] / 2.0**64
        yield pa.table(columns), shares


def _copies(table: pa.Table, phases: TokenPhases) -> Int64s:
    """How often each document is written: as `mix` says, once where it says nothing, and not without ids."""
    copies = np.ones(table.num_rows, np.int64)
    if phases.copies:
        copies = pc.fill_null(table[phases.copies], 1).to_numpy().astype(np.int64)
    copies[table[phases.ids].is_null().to_numpy()] = 0
    return copies


def _text_hashes(batch: TextBatch) -> UInt64s:
    data, offsets = batch.utf8.data, batch.utf8.offsets.tolist()
    view = data.data
    hashes = [xxhash.xxh3_64_intdigest(view[offsets[i] : offsets[i + 1]]) for i in range(batch.num_rows)]
    return np.array(hashes, np.uint64)


def _hashes(values: pa.ChunkedArray) -> UInt64s:
    return np.array([xxhash.xxh3_64_intdigest(value.encode()) for value in values.to_pylist()], np.uint64)


def _roots(clusters: pa.Table, ids: UInt64s, otherwise: UInt64s) -> UInt64s:
    """The root of each document's cluster; another hash for those of none."""
    known = clusters["id_hash"].to_numpy()
    places = np.minimum(np.searchsorted(known, ids), len(known) - 1) if len(known) else np.zeros(len(ids), np.int64)
    there = known[places] == ids if len(known) else np.zeros(len(ids), np.bool_)
    found = otherwise.copy()
    found[there] = clusters["root"].to_numpy()[places[there]]
    return found


def _read_clusters(run: Run) -> pa.Table:
    phase = _phases(run).clusters
    assert phase is not None
    (record,) = read_records(run.path, phase, [0])
    check_files(run.path, phase, record, checksums=True)
    with open_written(run.path, record.file("clusters")) as parquet:
        return parquet.read()


def read_partition(run: Run, split: str, low: int, high: int) -> pa.Table:
    """The rows of all files of a split with keys in `low … high`, in the order of the files."""
    phase = _phases(run).shuffle
    tables = []
    for record in read_records(run.path, phase, range(len(run.plan.tasks))):
        check_files(run.path, phase, record)
        tables += [read_keys(run.path, file, low, high) for file in record.files if f"/{split}/" in file.path]
    return pa.concat_tables(tables).combine_chunks()


def _phases(run: Run) -> TokenPhases:
    phases = run.plan.tokens
    assert phases is not None
    return phases


def finish(
    run: Run,
    phase: Phase,
    rank: int,
    files: Iterable[Written],
    stats: Stats,
    started: float,
    report: Callable[[Stats], None],
) -> Record:
    """Commit a task of these phases."""
    stats = {**stats, f"{phase.kind}_seconds": time.perf_counter() - started, "peak_memory_bytes": peak_memory_bytes()}
    report(stats)
    return commit(run.path, phase, rank, files, stats)
