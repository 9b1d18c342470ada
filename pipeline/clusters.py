"""Clusters of linked documents, and who is kept of them: in tasks none of which holds more than a partition.

    resolve   by key      links between documents whose keys lie in the partition
    shrink    by place    every document is hung to the first one that the partition knows of; twice
    root      by place    every document's root, and what is still to be joined between roots: next to nothing
    connect   one task    the roots that are joined, with all but a range of them on disk
    collect   by address  documents with their clusters and profiles
    settle    by cluster  whole clusters: the stage says who is kept

A document's place is its address scattered over all 64-bit numbers, so that places, like keys, are cut in equal shares;
a cluster's number is made of the address of one of its documents. The steps and how many there are do not depend on
the data. One partition needs none of the steps between, and does it all in the resolve task.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.exchange import concat, first_key, key_firsts, read_all, read_part, write_parts
from pipeline.io.write import Written
from pipeline.phases import Phase
from pipeline.plan import Segment
from pipeline.records import check_files, read_records
from pipeline.runs import SUPERSEDED, Run
from pipeline.sketches import EVERYTHING, Source, Space, bytes_of
from stages.contract import Deduplication
from stages.dedup.components import (
    both_ways,
    components,
    components_by_range,
    look_up_roots,
    provisional_roots,
    scatter,
    spanning_forest,
    unscatter,
)

UInt64s = npt.NDArray[np.uint64]
RANGE_EDGES = 1 << 24
"""Edges that the connect task holds at a time, about: 256 MiB."""
LINK_COLUMNS = ["address", "linked_to"]


def all_at_once(barrier: Deduplication, space: Space, links: pa.Table) -> pa.Table:
    """What is to be said of the documents of a corpus that is one partition."""
    links = between_two(links)
    labels = np.column_stack(components(edges_of(links)))
    members = collect(barrier, space.ranks, labels)
    return settle(barrier, space, members, clustered(links, labels))


def between_two(links: pa.Table) -> pa.Table:
    """Links but for those of a document to itself."""
    return links.filter(pc.not_equal(links["address"], links["linked_to"]))


def edges_of(links: pa.Table) -> UInt64s:
    """Links as edges between addresses."""
    return _array(links.select(LINK_COLUMNS))


def cluster_numbers(roots: UInt64s) -> UInt64s:
    """Numbers of clusters, spread evenly: the places of their roots are not, since the smallest are chosen."""
    return scatter(scatter(roots))


def clustered(links: pa.Table, labels: UInt64s) -> pa.Table:
    """Links that have columns of their own, with their clusters first; no rows if they have none."""
    links = links if links.num_columns > len(LINK_COLUMNS) else links.slice(0, 0)
    places = np.searchsorted(labels[:, 0], links["address"].to_numpy())
    return links.add_column(0, "cluster", pa.array(labels[:, 1][places]))


def collect(barrier: Deduplication, ranks: Sequence[tuple[Source, int]], labels: UInt64s) -> pa.Table:
    """Profiles of the documents of some tasks that are in a cluster, or stand for others (all if the barrier wants
    them), with their clusters first.

    Args:
        labels: (address, cluster) in ascending order.
    """
    found = []
    for source, rank in ranks:
        profiles = source.profiles(rank)
        addresses = profiles["address"].to_numpy()
        places = np.searchsorted(labels[:, 0], addresses)
        places = np.minimum(places, max(len(labels) - 1, 0))
        linked = labels[places, 0] == addresses if len(labels) else np.zeros(len(addresses), np.bool_)
        clusters = cluster_numbers(addresses)
        clusters[linked] = labels[places[linked], 1]
        profiles = profiles.add_column(0, "cluster", pa.array(clusters))
        wanted = linked | (profiles["copies"].to_numpy() > 1) | barrier.tells_of_all
        found.append(profiles.filter(pa.array(wanted)))
    return concat(found)


def settle(barrier: Deduplication, space: Space, members: pa.Table, links: pa.Table) -> pa.Table:
    """What the stage says of whole clusters, with the ids of all documents and ids and runs of those kept. Clusters
    without a document of this run are left out."""
    addresses, clusters = members["address"].to_numpy(), members["cluster"].to_numpy()
    own = addresses >= space.own.shift
    if len(space.sources) > 1:
        wanted = np.isin(clusters, np.unique(clusters[own]))
        members = members.filter(pa.array(wanted))
        addresses, clusters, own = addresses[wanted], clusters[wanted], own[wanted]
    keys = [addresses, own, clusters]
    if barrier.priority:
        priority = bytes_of(members["priority"])
        keys[1:1] = [np.where(own, priority, b"")]
    members = members.take(pa.array(np.lexsort(keys)))
    found = barrier.settle(members.drop_columns(["id"]), links.drop_columns(["cluster"]))
    addresses = members["address"].to_numpy()
    order = np.argsort(addresses)

    def id_of(wanted: UInt64s) -> pa.ChunkedArray:
        return members["id"].take(pa.array(order[np.searchsorted(addresses, wanted, sorter=order)]))

    kept = pc.coalesce(found["kept"], found["address"]).to_numpy()
    found = found.append_column("kept_id", id_of(kept)).append_column("kept_run", space.run_of(kept))
    return found.append_column("id", id_of(found["address"].to_numpy()))


@dataclass(frozen=True)
class Step:
    """One task of one of the steps, and what it reads of those before."""

    run: Run
    segment: Segment
    phase: Phase
    rank: int

    @property
    def barrier(self) -> Deduplication:
        barrier = self.segment.barrier
        assert isinstance(barrier, Deduplication)
        return barrier

    @property
    def num_partitions(self) -> int:
        resolve = self.segment.phase("resolve")
        assert resolve is not None
        return resolve.num_tasks or 1

    @cached_property
    def space(self) -> Space:
        return Space.of(self.run, self.segment)

    @property
    def before(self) -> Phase:
        return self.segment.before[self.segment.before.index(self.phase) - 1]

    def files(self, phase: Phase | None, kind: str) -> Iterator[Written]:
        assert phase is not None
        for record in read_records(self.run.path, phase, range(phase.num_tasks or 0)):
            check_files(self.run.path, phase, record)
            yield from (file for file in record.files if f"/{kind}/" in file.path)

    def part(self, phase: Phase | None, kind: str) -> pa.Table:
        """What all tasks of a phase have for this one."""
        return concat([read_part(self.run.path, file, self.rank) for file in self.files(phase, kind)])

    def write_settled(self, found: pa.Table) -> list[Written]:
        """What was said of documents of this run; apart from it, what was said of those that earlier runs kept."""
        addresses = found["address"].to_numpy()
        own = addresses >= self.space.own.shift
        written = [self.write("resolution", found.filter(pa.array(own)).drop_columns(["id"]), self.space.own.firsts)]
        if len(self.space.sources) > 1:
            old = found.filter(pa.array(~own)).append_column("run", self.space.run_of(addresses[~own]))
            written.append(self.write(SUPERSEDED, old, EVERYTHING))
        return written

    def write(self, kind: str, table: pa.Table, firsts: UInt64s, number: int | None = None) -> Written:
        name = f"{self.rank:05d}" + ("" if number is None else f"-{number:05d}")
        return write_parts(self.run.path, f"{self.phase.directory}/{kind}/{name}.bin", table, firsts)

    def write_edges(self, edges: UInt64s) -> Written:
        """Every edge for the tasks of both its ends."""
        both = both_ways(edges)
        table = _pairs("place", np.column_stack([scatter(both[:, 0]), both[:, 1]]), "other")
        return self.write("edges", table, key_firsts(self.num_partitions))

    def edges(self) -> UInt64s:
        """Those that touch the addresses of this task."""
        both = _array(self.part(self.before, "edges"))
        both[:, 0] = unscatter(both[:, 0])
        return both

    @property
    def group_firsts(self) -> UInt64s:
        """Where the tasks of the collect phase meet."""
        return self.space.group_firsts(self.num_groups)

    @property
    def num_groups(self) -> int:
        collect = self.segment.phase("collect")
        assert collect is not None
        return collect.num_tasks or 1


def _pairs(first: str, edges: UInt64s, second: str) -> pa.Table:
    return pa.table({first: edges[:, 0], second: edges[:, 1]})


def _array(table: pa.Table) -> UInt64s:
    return np.column_stack([column.to_numpy() for column in table.columns])


def write_links(step: Step, links: pa.Table) -> list[Written]:
    """The last act of a resolve task."""
    links = between_two(links)
    files = [step.write_edges(spanning_forest(edges_of(links)))]
    if links.num_columns > len(LINK_COLUMNS):
        files.append(step.write("links", links, step.group_firsts))
    return files


def _shrink(step: Step) -> list[Written]:
    return [step.write_edges(spanning_forest(step.edges()))]


def _root(step: Step) -> list[Written]:
    low, high = (first_key(step.rank + i, step.num_partitions) - i for i in (0, 1))
    labels, joins = provisional_roots(step.edges(), low, high)
    files = [step.write("labels", _pairs("address", labels, "root"), step.group_firsts)]
    return [*files, step.write("joins", _pairs("root", scatter(joins), "place"), key_firsts(1))]


def _connect(step: Step) -> list[Written]:
    files = list(step.files(step.before, "joins"))
    num_ranges = max(1, sum(file.rows for file in files) // RANGE_EDGES)
    parts = (_array(read_all(step.run.path, file)) for file in files)
    with tempfile.TemporaryDirectory() as folder:
        return [
            step.write("roots", _pairs("place", roots, "root"), key_firsts(1), number)
            for number, roots in enumerate(components_by_range(parts, num_ranges, Path(folder)))
        ]


def _collect(step: Step) -> list[Written]:
    labels = _array(step.part(step.segment.phase("root"), "labels"))
    labels = labels[np.argsort(labels[:, 0])]
    roots = scatter(labels[:, 1])
    for file in step.files(step.before, "roots"):
        roots = look_up_roots(_array(read_all(step.run.path, file)), roots)
    labels[:, 1] = cluster_numbers(unscatter(roots))
    members = collect(step.barrier, step.space.group(step.rank, step.num_groups), labels)
    written = [step.write("members", members, key_firsts(step.num_partitions))]
    links = list(step.files(step.segment.phase("resolve"), "links"))
    if links:
        table = concat([read_part(step.run.path, file, step.rank) for file in links])
        written.append(step.write("links", clustered(table, labels), key_firsts(step.num_partitions)))
    return written


def _settle(step: Step) -> list[Written]:
    members = step.part(step.before, "members")
    links = [read_part(step.run.path, file, step.rank) for file in step.files(step.before, "links")]
    return step.write_settled(settle(step.barrier, step.space, members, concat(links) if links else NO_LINKS))


def read_superseded(run: Run, segment: Segment, schema: pa.Schema) -> pa.Table:
    """What was said of documents that earlier runs kept, the oldest first, with their addresses in their own runs."""
    assert segment.earlier
    phase, space = segment.before[-1], Space.of(run, segment)
    records = read_records(run.path, phase, range(phase.num_tasks or 0))
    found = concat([read_all(run.path, record.file(SUPERSEDED)) for record in records]).sort_by("address")
    for name in ("address", "kept"):
        place = found.column_names.index(name)
        found = found.set_column(place, name, space.own_address(found[name].combine_chunks()))
    return found.select(schema.names).cast(schema)


NO_LINKS = pa.table({name: pa.array([], pa.uint64()) for name in ["cluster", *LINK_COLUMNS]})
STEPS: dict[str, Callable[[Step], list[Written]]] = {
    "shrink": _shrink,
    "root": _root,
    "connect": _connect,
    "collect": _collect,
    "settle": _settle,
}
