"""What a barrier knows of documents: rows with keys for finding what belongs together, and a profile of each document.

Every task writes both, cut where partitions meet. A document's address in a barrier is its own address moved behind the
shards of all earlier runs, so that one number tells documents of several runs apart and the older is the smaller.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipeline.exchange import concat, key_firsts, read_all, read_keys, read_part, write_parts
from pipeline.io.shards import ROW_BITS
from pipeline.io.write import Written
from pipeline.phases import Phase
from pipeline.plan import Segment
from pipeline.priority import sortable
from pipeline.records import checked, read_records
from pipeline.runs import Run
from stages.contract import Barrier, Deduplication, SurveyedBarrier
from stages.dedup.components import scatter
from stages.errors import StageError
from stages.text.batch import TextBatch

UInt64s = npt.NDArray[np.uint64]
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that keys stay apart; makes the order of the columns count."""
EVERYTHING = np.zeros(1, np.uint64)
RECORDS_AT_ONCE = 1000
"""Records are read so many at a time: a request each, but not one after the other."""


class Sketch(NamedTuple):
    """Of some documents: `rows` (`key`, `address`, columns of the barrier's, perhaps `priority`); for deduplication
    `profiles` (`address`, `id`, `copies`, perhaps `priority`, profile columns), a row for each document that has
    rows; and in whose place documents are not there: `folded` (`address`, `copy_of`)."""

    rows: pa.Table
    profiles: pa.Table | None = None
    folded: pa.Table | None = None


def sketch(barrier: Barrier, batch: TextBatch, addresses: UInt64s, reference: pa.Table | None = None) -> Sketch:
    """The barrier's rows and profiles of a batch; nothing is folded yet.

    Args:
        reference: of a surveyed barrier, what the survey concluded.

    Raises StageError when the barrier's answer is not what the contract says, or a column it compares within is not
    there.
    """
    found = barrier.sketch(batch, reference) if isinstance(barrier, SurveyedBarrier) else barrier.sketch(batch)
    if found.schema.names[:2] != ["row", "key"] or found["key"].type != pa.uint64():
        raise StageError(f"{barrier.name}: a sketch has the columns row and key (uint64) first, not {found.schema}")
    places, key = found["row"].to_numpy(), found["key"].to_numpy()
    for name in barrier.within:
        key = (key ^ _hashes(_column(barrier, batch, name))[places]) * _MULTIPLIER
    rows = {"key": pa.array(key), "address": pa.array(addresses[places])}
    priority = _priority(barrier, batch)
    is_deduplication = isinstance(barrier, Deduplication)
    if not (isinstance(barrier, Deduplication) and barrier.by_key):
        rows |= {name: column.take(pa.array(places)) for name, column in priority.items()}
    apart = barrier.profile if isinstance(barrier, Deduplication) else ()
    rows |= {name: found[name] for name in found.column_names[2:] if name not in apart}
    if not is_deduplication:
        return Sketch(pa.table(rows))
    documents, firsts = np.unique(places, return_index=True)
    told = pa.array(documents)
    profile = {"address": pa.array(addresses[documents]), "id": batch.table["id"].take(told)}
    profile["copies"] = pa.array(np.ones(len(documents), np.int32))
    profile |= {name: column.take(told) for name, column in priority.items()}
    profile |= {name: _plain(found[name].take(pa.array(firsts))) for name in apart if name in found.column_names}
    return Sketch(pa.table(rows), pa.table(profile))


def fold(barrier: Barrier, sketches: Sequence[Sketch]) -> Sketch:
    """The sketch of a whole task. Where documents are linked by equal rows alone, those with all rows equal are one
    from here on: the one that is kept before the others."""
    rows = concat([part.rows for part in sketches])
    if not isinstance(barrier, Deduplication):
        return Sketch(rows)
    profiles = concat([part.profiles for part in sketches if part.profiles is not None])
    if not barrier.by_key:
        return Sketch(rows, profiles)
    addresses = profiles["address"].to_numpy()
    order = np.argsort(addresses)
    numbers = order[np.searchsorted(addresses, rows["address"].to_numpy(), sorter=order)]
    hashes = _all_rows(rows, numbers)
    order = np.lexsort([addresses, *([bytes_of(profiles["priority"])] if barrier.priority else []), *hashes])
    alike = np.ones(len(order), np.bool_)
    for same in hashes:
        alike[1:] &= same[order][1:] == same[order][:-1]
    alike[:1] = False
    heads = order[np.maximum.accumulate(np.where(alike, 0, np.arange(len(order))))]
    copies = np.bincount(heads, minlength=len(order)).astype(np.int32)
    stays = copies > 0
    place = profiles.column_names.index("copies")
    profiles = profiles.set_column(place, "copies", pa.array(copies)).filter(pa.array(stays))
    folded = {"address": addresses[order[alike]], "copy_of": addresses[heads[alike]]}
    return Sketch(rows.filter(pa.array(stays[numbers])), profiles, pa.table(folded))


def _all_rows(rows: pa.Table, numbers: npt.NDArray[np.int64]) -> list[UInt64s]:
    """Two hashes (128 bits in all) of the rows of each document, in any order, given the documents' numbers."""
    count = int(numbers.max()) + 1 if len(numbers) else 0
    hashes = scatter(rows["key"].to_numpy())
    for name in rows.column_names[2:]:
        hashes = scatter(hashes ^ rows[name].to_numpy())
    out = []
    for values in (hashes, scatter(hashes ^ _MULTIPLIER)):
        total = np.zeros(count, np.uint64)
        np.add.at(total, numbers, values)
        out.append(total)
    return out


def write_sketch(run: str, directory: str, rank: int, whole: Sketch, num_partitions: int) -> list[Written]:
    """The files of a task's sketch."""
    files = [write_parts(run, f"{directory}/sketch/{rank:05d}.bin", whole.rows, key_firsts(num_partitions))]
    for kind, table in (("profiles", whole.profiles), ("folded", whole.folded)):
        if table is not None:
            files.append(write_parts(run, f"{directory}/{kind}/{rank:05d}.bin", table, EVERYTHING))
    return files


@dataclass(frozen=True)
class Source:
    """Tasks that sketched documents for a barrier, of this run or an earlier one."""

    run: str
    sketch: Phase
    firsts: UInt64s
    """The first address of each task, in the space of the barrier."""
    shift: int
    """What the addresses in its sketches are moved by."""
    settled: Phase | None = None
    """Of an earlier run: the phase whose tasks say who was kept, by addresses that are moved by `settled_shift`."""
    settled_shift: int = 0

    def files(self, kind: str) -> Iterator[Written]:
        """A file of every task."""
        for start in range(0, len(self.firsts), RECORDS_AT_ONCE):
            ranks = range(start, min(start + RECORDS_AT_ONCE, len(self.firsts)))
            for record in read_records(self.run, self.sketch, ranks):
                yield checked(self.run, self.sketch, record, kind)

    def file(self, rank: int, kind: str) -> Written:
        (record,) = read_records(self.run, self.sketch, [rank])
        return checked(self.run, self.sketch, record, kind)

    def profiles(self, rank: int) -> pa.Table:
        """Profiles of a task's documents, and whether an earlier run kept them, `kept_before`; what that run went by is
        left out."""
        found = moved(read_all(self.run, self.file(rank, "profiles")), self.shift)
        if self.settled is None:
            return found.append_column("kept_before", pa.nulls(found.num_rows, pa.bool_()))
        told = concat(list(self._told(rank)))
        address = told["address"].to_numpy()
        dropped = address[address != told["kept"].to_numpy()] - self.settled_shift + self.shift
        found = found.append_column("kept_before", pa.array(~np.isin(found["address"].to_numpy(), dropped)))
        return found.select([name for name in found.column_names if name != "priority"])

    def _told(self, rank: int) -> Iterator[pa.Table]:
        assert self.settled is not None
        for record in read_records(self.run, self.settled, range(self.settled.num_tasks or 0)):
            yield read_part(self.run, record.file("resolution"), rank).select(["address", "kept"])


@dataclass(frozen=True)
class Space:
    """All documents that a barrier compares: those of earlier runs, and this one's behind them."""

    sources: tuple[Source, ...]

    @classmethod
    def of(cls, run: Run, segment: Segment) -> Space:
        sources, num_shards = [], 0
        for index in segment.earlier:
            shards = np.array(index.first_shards, np.uint64) + np.uint64(num_shards)
            shift = _shift(num_shards)
            settled_shift = _shift(index.num_shards_before)
            firsts = shards << np.uint64(ROW_BITS)
            sources.append(Source(index.run, index.sketch, firsts, shift, index.settled, settled_shift))
            num_shards += index.num_shards
        sketched = segment.phase("sketch") or run.plan.segments[segment.sieve.segment - 1].sieve
        shards = np.array([task[0].index + num_shards for task in run.plan.tasks], np.uint64)
        own = Source(run.path, sketched, shards << np.uint64(ROW_BITS), _shift(num_shards))
        return cls((*sources, own))

    @property
    def own(self) -> Source:
        """This run's tasks."""
        return self.sources[-1]

    @cached_property
    def ranks(self) -> list[tuple[Source, int]]:
        """Every task of every source, by the addresses of its documents."""
        return [(source, rank) for source in self.sources for rank in range(len(source.firsts))]

    def group(self, number: int, num_groups: int) -> list[tuple[Source, int]]:
        """Consecutive tasks: one of so many equal shares of all."""
        ranks = self.ranks
        return ranks[number * len(ranks) // num_groups : (number + 1) * len(ranks) // num_groups]

    def group_firsts(self, num_groups: int) -> UInt64s:
        """The first address of each group."""
        firsts = np.concatenate([source.firsts for source in self.sources])
        return firsts[[number * len(firsts) // num_groups for number in range(num_groups)]]

    def rows(self, low: int, high: int) -> pa.Table:
        """The sketches' rows whose keys lie in `low … high`."""
        found = []
        for source in self.sources:
            for file in source.files("sketch"):
                table = read_keys(source.run, file, low, high)
                found.append(moved(table, source.shift, column="address"))
        return concat(found)

    def run_of(self, addresses: UInt64s) -> pa.Array:
        """The earlier run that each document is of; null for this one's."""
        starts = np.array([source.shift for source in self.sources], np.uint64)
        places = np.searchsorted(starts, addresses, side="right") - 1
        names = pa.array([source.run for source in self.sources[:-1]] + [None], pa.string())
        return names.take(pa.array(places))

    def own_address(self, addresses: pa.Array) -> pa.Array:
        """Addresses in the runs that the documents are of; null stays null."""
        starts = np.array([source.shift for source in self.sources], np.uint64)
        known = pc.fill_null(addresses, 0).to_numpy()
        moved_back = known - starts[np.searchsorted(starts, known, side="right") - 1]
        return pa.array(moved_back, mask=addresses.is_null().to_numpy(zero_copy_only=False))


def moved(table: pa.Table, shift: int, column: str = "address") -> pa.Table:
    """The table with the addresses in a column moved."""
    if shift == 0:
        return table
    place = table.column_names.index(column)
    return table.set_column(place, column, pa.array(table[column].to_numpy() + shift))


def bytes_of(column: pa.ChunkedArray) -> npt.NDArray[np.bytes_]:
    """Fixed-size binary values as bytes that compare."""
    array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    width = array.type.byte_width
    return np.frombuffer(array.buffers()[1] or b"", f"S{width}", len(array), array.offset * width)


def _shift(num_shards: int) -> int:
    return num_shards << ROW_BITS


def _priority(barrier: Barrier, batch: TextBatch) -> dict[str, pa.Array]:
    if not barrier.priority:
        return {}
    wanted = [(_column(barrier, batch, name.removeprefix("-")), name[0] == "-") for name in barrier.priority]
    return {"priority": sortable(wanted)}


def _column(barrier: Barrier, batch: TextBatch, name: str) -> pa.Array:
    if name in batch.signals:
        return batch.signals[name]
    if name in batch.table.column_names:
        return _plain(batch.table[name])
    known = ", ".join([*batch.table.column_names, *batch.signals])
    raise StageError(f"{barrier.name}: there is no column '{name}' before it; there are: {known}")


def _plain(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _hashes(column: pa.Array) -> UInt64s:
    """A hash of each value; null is a value of its own."""
    coded = column.dictionary_encode(null_encoding="encode")
    hashes = [xxhash.xxh3_64_intdigest(repr(value).encode()) for value in coded.dictionary.to_pylist()]
    return np.array(hashes, np.uint64)[coded.indices.to_numpy(zero_copy_only=False)]
