"""Stages that drop documents which another one repeats: `exact` and `minhash`.

Both reduce documents to keys and link documents that share one. Linked documents, directly or through others, are one
cluster, of which one is kept: the first in the input, or whom `priority` says. Which one does not depend on shards,
workers or order.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from stages.contract import Allowed, Barrier, Bounds, Count, Fact, Flag, Label, Signals
from stages.dedup.bands import PRESETS, Bands, band_keys, choose_bands
from stages.dedup.components import components, link_equal, spanning_forest
from stages.dedup.exact import EMPTY_KEY, exact_keys
from stages.dedup.minhash import is_empty, signatures
from stages.text.batch import TextBatch

UInt64s = npt.NDArray[np.uint64]


class Duplicates(Barrier):
    """What `exact` and `minhash` share: all but the sketch, whose columns `key` and perhaps `rest` make up a key."""

    duplicate: Fact = Flag()
    """Another document of its cluster is kept."""
    duplicate_of: Label = Allowed()
    """Id of the document that is kept in its place; null for one that is kept."""
    cluster_size: Count = Bounds()
    """Documents in its cluster, itself included."""

    def resolve(self, rows: pa.Table) -> pa.Table:
        parts = [rows[name].to_numpy() for name in ("key", "rest") if name in rows.column_names]
        addresses = rows["address"].to_numpy()
        forest = spanning_forest(link_equal(np.column_stack(parts), addresses))
        roots = np.unique(forest[:, 0])
        linked = np.concatenate([forest[:, 1], roots])
        columns = {"address": pa.array(linked), "linked_to": pa.array(np.concatenate([forest[:, 0], roots]))}
        if "priority" in rows.column_names:
            columns["priority"] = _look_up(rows, linked)
        return pa.table(columns)

    def merge(self, links: pa.Table) -> pa.Table:
        edges = np.column_stack([links["linked_to"].to_numpy(), links["address"].to_numpy()])
        nodes, roots = components(edges[edges[:, 0] != edges[:, 1]])
        groups = np.unique(roots, return_inverse=True)[1]
        priority = _bytes(_look_up(links, nodes)) if "priority" in links.column_names else None
        sizes = np.bincount(groups) if len(groups) else groups
        return pa.table(
            {"address": nodes, "kept": _best(groups, nodes, priority)[groups], "cluster_size": sizes[groups]}
        )

    def transform(self, batch: TextBatch, resolution: pa.Table) -> tuple[TextBatch, Signals]:
        duplicate = pc.fill_null(pc.not_equal(resolution["address"], resolution["kept"]), False).combine_chunks()
        return batch, {
            "duplicate": duplicate,
            "duplicate_of": pc.if_else(duplicate, resolution["kept_id"].combine_chunks(), None),
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

    preset: Literal["fineweb", "strict"] = "fineweb"
    """`fineweb`: 14 bands of 8 rows, finds 56 % of pairs at a similarity of 0.7 and 92 % at 0.8. `strict`: 20 bands of
    13 rows, finds 18 % and 68 %."""
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
        return {} if self.threshold is None else {"bands": "{} x {}".format(*self.bands)}

    def sketch(self, batch: TextBatch) -> pa.Table:
        num_bands, num_rows = self.bands
        found = signatures(batch, self.ngram_size, num_bands * num_rows)
        rows = np.flatnonzero(~is_empty(found))
        keys = band_keys(found[rows], num_bands, num_rows)
        return pa.table({"row": np.repeat(rows, num_bands), "key": keys.reshape(-1)})


def _look_up(table: pa.Table, addresses: UInt64s) -> pa.Array:
    """The `priority` of documents that the table names."""
    known, places = np.unique(table["address"].to_numpy(), return_index=True)
    return table["priority"].combine_chunks().take(pa.array(places[np.searchsorted(known, addresses)]))


def _bytes(column: pa.Array) -> npt.NDArray[np.bytes_]:
    width = column.type.byte_width
    return np.frombuffer(column.buffers()[1], f"S{width}", len(column), column.offset * width)


def _best(groups: npt.NDArray[np.int64], nodes: UInt64s, priority: npt.NDArray[np.bytes_] | None) -> UInt64s:
    """The document to keep in each group: that of the smallest priority, then of the smallest address."""
    order = np.lexsort([nodes, *([] if priority is None else [priority]), groups])
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    return nodes[order][starts]
