"""Deduplication by meaning: `semantic`.

The vectors of documents are clustered, documents of one cluster are compared with each other, and of those that say
the same one is kept. A document lies in the cluster whose centroid is nearest and looks into the next nearest as well:
pairs across a border between clusters, one in twenty, would be lost otherwise.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from stages.contract import Allowed, Bounds, Count, Deduplication, Fact, Flag, Label, Signals, SurveyedBarrier
from stages.dedup.centroids import Centroids
from stages.dedup.greedy import settle
from stages.dedup.neighbours import Search
from stages.dedup.survey import VECTOR, Cosine, VectorSurvey, vectors_of
from stages.dedup.vectors import Halves, Int64s, Mask, Singles, UInt64s, hashes, plain_matrix, to_column
from stages.text.batch import TextBatch

Epsilon = Annotated[float, Field(ge=0, lt=1)]
FEW_DOCUMENTS = 1 << 15
"""Up to so many are all compared with each other, unless `num_clusters` is set."""
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""Multiples of it, 2^64 over the golden ratio, lie evenly among all 64-bit numbers."""


class Semantic(VectorSurvey, SurveyedBarrier, Deduplication):
    """Documents that say what another one says, in other words (SemDeDup: Abbas et al. 2023, arXiv 2303.09540).

    Compares the vectors of `embedding`. A document goes if one that is kept before it has a cosine similarity of at
    least 1 - `epsilon`; SemDeDup's code also drops documents for one that is dropped itself. `priority`, then `keep`
    say who comes before whom. A document without a vector is compared with none. Similarities are exact for the
    stored vectors, so the same documents are kept on any machine, however the corpus is cut.
    """

    reads = (VECTOR,)
    profile = ("centroid", "centroid_similarity")
    tells_of_all = True

    duplicate: Fact = Flag()
    """A document is kept that says the same."""
    duplicate_of: Label = Allowed()
    """Id of the kept document that it resembles most; null for one that is kept."""
    similarity: Cosine = Bounds()
    """The largest similarity to any document that comes before it, kept or not; null below 1 - the largest of
    `epsilons`. What is at least 1 - epsilon is what SemDeDup's own rule drops, for every such epsilon."""
    removed_at: Count = Bounds()
    """The `epsilons` at which it would go, in ascending order, `epsilon` among them: the sum of 2^i for the i-th."""
    cluster: Count = Bounds()
    """Number of its cluster."""
    centroid_similarity: Cosine = Bounds()
    """Similarity to the centroid of its cluster: large for a typical document."""

    epsilon: Epsilon = 0.05
    """Documents at a cosine similarity of at least 1 - epsilon say the same. What that means depends on the encoder:
    see `docs/semantic.md`."""
    epsilons: tuple[Epsilon, ...] = (0.01, 0.02, 0.05, 0.1)
    """Others to be compared with, in the same pass."""
    keep: Literal["hard", "easy", "random", "first"] = "hard"
    """Who is kept among equals in `priority`: the document farthest from its cluster's centroid (SemDeDup's default),
    the nearest, any (by a hash of its vector), or the first in the input."""
    num_probes: int = Field(2, ge=1, le=8)
    """Clusters in which documents near to each are looked for. 2 finds more than 99 % of all pairs, 1 about 95 %."""
    seed: int = 0
    """Of `keep: random`."""

    @field_validator("epsilons")
    @classmethod
    def _few(cls, epsilons: tuple[float, ...]) -> tuple[float, ...]:
        if len(epsilons) > 24:
            raise ValueError(f"{len(epsilons)} epsilons are more than removed_at has room for: name up to 24")
        return epsilons

    @property
    def all_epsilons(self) -> list[float]:
        """`epsilons` with `epsilon`, in ascending order: what the bits of `removed_at` stand for."""
        return sorted({*self.epsilons, self.epsilon})

    @property
    def bounds(self) -> Singles:
        """The least similarity at each of them."""
        return np.array([1 - epsilon for epsilon in self.all_epsilons], np.float32)

    def conclude(self, rows: pa.Table, num_documents: int) -> pa.Table:
        table = super().conclude(rows, num_documents)
        whole = self.num_clusters == "auto" and num_documents <= FEW_DOCUMENTS
        return table.append_column("whole", pa.array([whole] * table.num_rows, pa.bool_()))

    def sketch(self, batch: TextBatch, reference: pa.Table | None = None) -> pa.Table:
        assert reference is not None, "a surveyed barrier is given its reference"
        vectors, rows = vectors_of(batch)
        centroids = self.checked(Centroids.from_table(reference), vectors)
        whole = bool(len(reference) and reference["whole"][0].as_py())
        index, similarity = centroids.nearest(vectors, 1 if whole else self.num_probes, self._products)
        probe = np.zeros_like(index) if whole else index
        row, column = np.nonzero(probe.T >= 0)[::-1]
        return pa.table(
            {
                "row": rows[row],
                "key": (probe[row, column].astype(np.uint64) + np.uint64(1)) * _SPREAD,
                "vector": to_column(vectors[row]),
                "stored": column == 0,
                "order": self._order(vectors, similarity[:, 0])[row],
                "centroid": index[row, 0].astype(np.int32),
                "centroid_similarity": similarity[row, 0],
            }
        )

    def _order(self, vectors: Halves, similarity: Singles) -> UInt64s:
        """Numbers whose order is that of `keep`."""
        if self.keep == "random":
            seeded = hashes(vectors) ^ (np.uint64(self.seed & (2**64 - 1)) * _SPREAD)
            return hashes(seeded.view(np.float16).reshape(-1, 4))
        if self.keep == "first":
            return np.zeros(len(vectors), np.uint64)
        steps = np.round((similarity.astype(np.float64) + 2) * 2**40).astype(np.uint64)
        return steps if self.keep == "hard" else np.uint64(2**43) - steps

    def resolve(self, rows: pa.Table) -> pa.Table:
        rows = rows.combine_chunks()
        columns = {name: rows[name].to_numpy() for name in ("key", "address", "order", "stored")}
        vectors = plain_matrix(rows["vector"].combine_chunks()) if len(rows) else np.empty((0, 1), np.float16)
        order = _ranked(rows, columns)
        keys = columns["key"][order]
        runs = np.split(order, np.flatnonzero(keys[1:] != keys[:-1]) + 1) if len(order) else []
        parts = [self._resolve_cluster(vectors, columns, run) for run in runs]
        return pa.concat_tables([_NO_LINKS, *parts])

    def _resolve_cluster(self, vectors: Halves, columns: dict[str, npt.NDArray[np.generic]], order: Int64s) -> pa.Table:
        """Links of the documents that have one key, which come in the order in which they are kept."""
        own = vectors[order]
        address, stored = columns["address"][order], columns["stored"][order].astype(np.bool_)
        head = _first_equal(own)
        places = np.flatnonzero(head == np.arange(len(own)))
        search = Search(self.bounds, num_probes=self.num_probes)
        links = search.links(own[places], stored[places], self._products)
        copies = np.flatnonzero((head != np.arange(len(own))) & stored)
        same = np.repeat([False, True], [len(links.later), len(copies)])
        return pa.table(
            {
                "address": address[np.concatenate([places[links.later], copies])],
                "linked_to": address[np.concatenate([places[links.earlier], head[copies]])],
                "similarity": np.concatenate([links.similarity, np.ones(len(copies), np.float32)]),
                "same": same,
            }
        )

    def settle(self, members: pa.Table, links: pa.Table) -> pa.Table:
        later, earlier, same = (links[name].to_numpy() for name in ("address", "linked_to", "same"))
        verdict = settle(later, earlier, links["similarity"].to_numpy(), same.astype(np.bool_), self.bounds)
        members = members.sort_by("address")
        address = members["address"].to_numpy()
        at = np.searchsorted(address, verdict.address)
        kept, similarity = address.copy(), np.full(len(address), np.nan, np.float32)
        removed_at, alone = np.zeros(len(address), np.int32), np.ones(len(address), np.bool_)
        kept[at] = verdict.kept[:, self.all_epsilons.index(self.epsilon)]
        alone[at] = False
        similarity[at] = verdict.similarity
        removed_at[at] = verdict.removed @ (1 << np.arange(len(self.bounds), dtype=np.int32))
        return pa.table(
            {
                "address": address,
                "kept": pa.array(kept, mask=alone),
                "similarity": pa.array(similarity, from_pandas=True),
                "removed_at": removed_at,
                "cluster": members["centroid"],
                "centroid_similarity": members["centroid_similarity"],
            }
        )

    def transform(self, batch: TextBatch, resolution: pa.Table) -> tuple[TextBatch, Signals]:
        gone = pc.fill_null(pc.not_equal(resolution["address"], resolution["kept"]), False).combine_chunks()
        duplicate = pc.if_else(resolution["cluster"].combine_chunks().is_valid(), gone, None)
        names = ("similarity", "removed_at", "cluster", "centroid_similarity")
        return batch, {
            "duplicate": duplicate,
            "duplicate_of": pc.if_else(gone, resolution["kept_id"].combine_chunks(), None),
            **{name: resolution[name].combine_chunks() for name in names},
        }


_NO_LINKS = pa.schema(
    {"address": pa.uint64(), "linked_to": pa.uint64(), "similarity": pa.float32(), "same": pa.bool_()}
).empty_table()


def _ranked(rows: pa.Table, columns: dict[str, npt.NDArray[np.generic]]) -> Int64s:
    """The order of keys and, within each, that in which documents are kept."""
    by = [columns["address"], columns["order"]]
    if "priority" in rows.column_names:
        priority = rows["priority"].combine_chunks()
        width = priority.type.byte_width
        by.append(np.frombuffer(priority.buffers()[1], f"S{width}", len(priority), priority.offset * width))
    return np.lexsort([*by, columns["key"]])


def _first_equal(vectors: Halves) -> Int64s:
    """For each vector the place of the first one equal to it."""
    _, first, group = np.unique(hashes(vectors), return_index=True, return_inverse=True)
    head = first[group]
    step = 1 << 14
    for start in range(0, len(vectors), step):
        rows = np.arange(start, min(start + step, len(vectors)))
        unequal = (vectors[rows].view(np.uint16) != vectors[head[rows]].view(np.uint16)).any(axis=1)
        head[rows[unequal]] = rows[unequal]  # another vector of the same hash
    return head


def is_removed(removed_at: npt.NDArray[np.int32], place: int) -> Mask:
    """Which documents would go at one of the epsilons, by its place in `all_epsilons`."""
    return (removed_at >> place & 1).astype(np.bool_)
