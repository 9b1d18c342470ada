"""Stages that drop documents which another one repeats: `exact` and `minhash`.

Both reduce documents to keys and link documents that share one. Linked documents, directly or through others, are one
cluster, of which one is kept: the first in the input, or whom `priority` says. Which one does not depend on shards,
workers or order.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from stages.contract import Allowed, Bounds, Count, Deduplication, Fact, Flag, Label, Score, Signals
from stages.dedup.bands import PRESETS, VERIFIED, Bands, band_keys, choose_bands
from stages.dedup.components import link_equal, spanning_forest
from stages.dedup.exact import EMPTY_KEY, exact_keys
from stages.dedup.minhash import compact, compact_jaccard, is_empty, least_equal, signatures
from stages.text.batch import TextBatch

UInt64s = npt.NDArray[np.uint64]
Int64s = npt.NDArray[np.int64]


class Duplicates(Deduplication):
    """What `exact`, `minhash` and `same_url` share: all but the sketch, whose columns `key` and perhaps `rest` make up
    a key."""

    by_key = True

    duplicate: Fact = Flag()
    """Another document of its cluster is kept."""
    duplicate_of: Label = Allowed()
    """Id of the document that is kept in its place; null for one that is kept."""
    duplicate_in: Label = Allowed()
    """The earlier run that has the document kept in its place; null if this one does."""
    similarity: Score = Bounds()
    """To the document that is kept in its place: 1 for equal keys; null for one that is kept."""
    cluster_size: Count = Bounds()
    """Documents in its cluster, itself included, those of earlier runs too."""

    def resolve(self, rows: pa.Table) -> pa.Table:
        parts = [rows[name].to_numpy() for name in ("key", "rest") if name in rows.column_names]
        forest = spanning_forest(link_equal(np.column_stack(parts), rows["address"].to_numpy()))
        return pa.table({"address": forest[:, 1], "linked_to": forest[:, 0]})

    def settle(self, members: pa.Table, links: pa.Table) -> pa.Table:
        """In each cluster the first document in order of preference is kept: of an earlier run, one that it kept.
        Others that earlier runs kept are superseded: documents of this run have joined their clusters."""
        clusters, old = members["cluster"].to_numpy(), ~_mask(members["kept_before"].is_null())
        starts = cluster_starts(clusters)
        mine = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        eligible = ~old | _mask(pc.fill_null(members["kept_before"], False))
        kept = _first_true(starts, eligible)[mine]
        copies = np.bincount(mine, members["copies"].to_numpy(), minlength=len(starts) - 1)[mine]
        superseded = old & eligible & (kept != np.arange(len(kept)))
        return self.told(members, np.flatnonzero(~old | superseded), kept, copies)

    def told(self, members: pa.Table, rows: Int64s, kept: Int64s, sizes: npt.NDArray[Any]) -> pa.Table:
        """What `settle` says of some members, given the place of the kept document and the size of the cluster of
        every member; nothing of those that are alone."""
        rows, address = rows[sizes[rows] > 1], members["address"].to_numpy()
        removed = kept[rows] != rows
        similarity = np.full(len(rows), np.nan)
        similarity[removed] = self.similarities(members, rows[removed], kept[rows][removed])
        return pa.table(
            {
                "address": address[rows],
                "kept": address[kept[rows]],
                "similarity": pa.array(similarity, pa.float32(), from_pandas=True),
                "cluster_size": pa.array(sizes[rows].astype(np.int32)),
            }
        )

    def similarities(self, members: pa.Table, first: Int64s, second: Int64s) -> npt.NDArray[np.float64]:
        """Of pairs of members, given by their places."""
        return np.ones(len(first))

    def transform(self, batch: TextBatch, resolution: pa.Table) -> tuple[TextBatch, Signals]:
        duplicate = pc.fill_null(pc.not_equal(resolution["address"], resolution["kept"]), False).combine_chunks()
        copy_of_kept = pc.and_(duplicate, resolution["similarity"].combine_chunks().is_null())
        similarity = pc.if_else(copy_of_kept, pa.scalar(1.0, pa.float32()), resolution["similarity"].combine_chunks())
        return batch, {
            "duplicate": duplicate,
            "duplicate_of": pc.if_else(duplicate, resolution["kept_id"].combine_chunks(), None),
            "duplicate_in": pc.if_else(duplicate, resolution["kept_run"].combine_chunks(), None),
            "similarity": pc.if_else(duplicate, similarity, None),
            "cluster_size": pc.fill_null(resolution["cluster_size"], 1).combine_chunks(),
        }


class Exact(Duplicates):
    """Documents whose text is that of another one, known by 128 bits of a hash (XXH3).

    By default the words alone count: case, punctuation, white space, composed or decomposed letters and full or half
    width make no difference (`stages.text.unicode_fold`); accents, numbers and order do. A document without words is
    equal to none.
    """

    normalise: Literal["none", "words"] = "words"
    """`words` compares folded words, `none` every byte."""

    def sketch(self, batch: TextBatch) -> pa.Table:
        keys = exact_keys(batch, self.normalise)
        rows = np.flatnonzero((keys != EMPTY_KEY).any(axis=1))
        return pa.table({"row": rows, "key": keys[rows, 0], "rest": keys[rows, 1]})


class MinHash(Duplicates):
    """Documents whose word n-grams are nearly those of another one (Broder 1997; FineWeb, arXiv 2406.17557).

    Signatures are made by Fast Similarity Sketching (Dahlgaard et al. 2017, arXiv 1704.04370) over n-grams of folded
    words, of single letters in scripts without spaces. They are cut into bands; documents that agree in all rows of
    any band are linked, which happens to two of Jaccard similarity s with a probability of 1 - (1 - s^rows)^bands. A
    document of fewer words than an n-gram is linked only to those of the same words, one without words to none.
    """

    version = 2
    profile = ("signature", "bands")
    settled_by = ("min_similarity",)

    preset: Literal["fineweb", "strict", "verified"] = "fineweb"
    """`fineweb`: 14 bands of 8 rows, finds 56 % of pairs at a similarity of 0.7 and 92 % at 0.8. `strict`: 20 bands of
    13 rows, finds 18 % and 68 %. `verified`: 32 bands of 8 rows, finds 85 % and 99.7 %, and `min_similarity` is
    0.75."""
    min_similarity: float | None = Field(None, ge=0, le=1)
    """Estimated similarity to the kept document that a duplicate has at least. Documents of a cluster are taken in
    order of preference: one that is less similar to each kept document with which it shares a band (of the first 64 of
    every band) is kept as well. `null` leaves it to the preset."""
    num_bands: int | None = Field(None, ge=1)
    """Instead of the preset's."""
    num_rows: int | None = Field(None, ge=1)
    """Instead of the preset's. Given together with `num_bands`."""
    threshold: float | None = Field(None, ge=0, le=1)
    """Similarity for which datasketch chooses bands and rows, of at most 256 slots, instead of the preset's."""
    ngram_size: int = Field(5, ge=1)
    """Words in an n-gram."""

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> MinHash:
        if (self.num_bands is None) != (self.num_rows is None):
            raise ValueError("num_bands and num_rows go together: write both, or a preset")
        if self.threshold is not None and self.num_bands is not None:
            raise ValueError("threshold chooses bands and rows: write it, or them")
        return self

    @cached_property
    def bands(self) -> Bands:
        """The setting in force."""
        if self.threshold is not None:
            return choose_bands(self.threshold)
        if self.num_bands is None or self.num_rows is None:
            return PRESETS[self.preset]
        return Bands(self.num_bands, self.num_rows)

    def assets(self) -> Mapping[str, str]:
        chosen = {} if self.threshold is None else {"bands": "{} x {}".format(*self.bands)}
        return chosen if self.least_similarity is None else {**chosen, "profile": "with bands"}

    def sketch(self, batch: TextBatch) -> pa.Table:
        num_bands, num_rows = self.bands
        found = signatures(batch, self.ngram_size, num_bands * num_rows)
        rows = np.flatnonzero(~is_empty(found))
        keys = band_keys(found[rows], num_bands, num_rows)
        places = pa.array(np.repeat(np.arange(len(rows), dtype=np.int32), num_bands))
        columns = {"row": pa.array(np.repeat(rows, num_bands)), "key": pa.array(keys.reshape(-1))}
        profile = {"signature": compact(found[rows])}
        if self.least_similarity is not None:
            profile["bands"] = keys.astype(np.uint32).view(np.uint8)
        told = {name: pa.DictionaryArray.from_arrays(places, _binary(matrix)) for name, matrix in profile.items()}
        return pa.table({**columns, **told})

    @property
    def least_similarity(self) -> float | None:
        """The `min_similarity` in force."""
        is_preset = self.num_bands is None and self.threshold is None
        return (
            VERIFIED if self.min_similarity is None and is_preset and self.preset == "verified" else self.min_similarity
        )

    def settle(self, members: pa.Table, links: pa.Table) -> pa.Table:
        if self.least_similarity is None:
            return super().settle(members, links)
        from stages.dedup import kernels_similarity

        signature, bands = (_matrix(members[name]) for name in ("signature", "bands"))
        kept_before = members["kept_before"]
        settled = ~_mask(kept_before.is_null())
        kept = np.empty(members.num_rows, np.int64)
        kernels_similarity.keep_greedily(
            cluster_starts(members["cluster"].to_numpy()),
            signature,
            bands.view(np.uint32),
            settled,
            _mask(pc.fill_null(kept_before, False)),
            least_equal(self.least_similarity, signature.shape[1]),
            kept,
        )
        told = kept >= 0
        sizes = np.bincount(kept[told], members["copies"].to_numpy()[told], minlength=members.num_rows)
        return self.told(members, np.flatnonzero(~settled), kept, sizes[kept])

    def similarities(self, members: pa.Table, first: Int64s, second: Int64s) -> npt.NDArray[np.float64]:
        return compact_jaccard(_matrix(members["signature"]), first, second)


def cluster_starts(clusters: UInt64s) -> Int64s:
    """Where each run of equal numbers begins, and the end."""
    return np.append(np.flatnonzero(np.diff(clusters, prepend=~clusters[:1]) != 0), len(clusters)).astype(np.int64)


def _first_true(starts: Int64s, mask: npt.NDArray[np.bool_]) -> Int64s:
    """The first place in each run where the mask is true; every run has one."""
    places = np.flatnonzero(mask)
    return places[np.searchsorted(places, starts[:-1])]


def _mask(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    return column.to_numpy(zero_copy_only=False).astype(np.bool_) if len(column) else np.zeros(0, np.bool_)


def _binary(matrix: npt.NDArray[np.uint8]) -> pa.Array:
    """The rows of a matrix of bytes, one value each."""
    matrix = np.ascontiguousarray(matrix)
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(matrix.shape[1]), len(matrix), [None, pa.py_buffer(matrix)])


def _matrix(column: pa.ChunkedArray) -> npt.NDArray[np.uint8]:
    """The inverse of `_binary`."""
    array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    width = column.type.byte_width
    values = np.frombuffer(array.buffers()[1] or b"", np.uint8, len(array) * width, array.offset * width)
    return values.reshape(len(array), width)
