"""Tallies of a mix: how much every group has, in fine bins along the order in which its documents are taken.

Documents of a group are taken in the order of a 32-bit number: a hash of their text, or how much they are preferred.
A bin is a range of that number, `order >> level`, and holds how many documents fall into it and how much text. `level`
is the least at which all groups together have no more than a limit of bins, so memory is bounded whatever the corpus;
a corpus with fewer documents than that has a bin a document. The level follows from the set of documents alone: a part
of them never needs a higher one than the whole, so sums may be made of any parts in any order and come out the same.

Where documents are ordered by preference, many may be equal, so every bin is cut into 64 by hash.

    key        uint64   hash of the group
    group      string   its label
    level      uint8    the same in all rows
    order      uint32   number of the bin: order >> level
    part       uint8    64th of the bin, by hash; 0 without a preference
    documents  int64
    amount     int64    tokens, bytes or documents
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from stages.errors import StageError
from stages.text.batch import TextBatch

MAX_BINS = 1 << 20
"""Bins of all groups together: with four groups, each is cut to about 1/262,144."""
PARTS = 64
ORDER_BITS = 32

UInt32s = npt.NDArray[np.uint32]
UInt64s = npt.NDArray[np.uint64]
Int64s = npt.NDArray[np.int64]
UInt8s = npt.NDArray[np.uint8]
Float64s = npt.NDArray[np.float64]


def text_hashes(batch: TextBatch, seed: int) -> UInt64s:
    """A hash of each text, XXH3 of 64 bits: what chance is made of. Equal texts share their fate."""
    view, digest = batch.utf8.data.data, xxhash.xxh3_64_intdigest
    return np.array([digest(view[a:b], seed) for a, b in pairwise(batch.utf8.offsets.tolist())], np.uint64)


def preference_order(column: pa.Array) -> UInt32s:
    """Numbers that rise as the values fall: the largest value first, nulls and NaN last. As precise as a float32."""
    values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    bits = (values.astype(np.float32) + np.float32(0)).view(np.uint32)  # -0.0 is 0.0
    rising = np.where(bits >> 31 == 1, ~bits, bits | np.uint32(1 << 31))
    return np.where(np.isnan(values), np.uint32(0xFFFFFFFF), ~rising)


def tally(groups: pa.Array, order: UInt32s, parts: UInt8s, amounts: Int64s) -> pa.Table:
    """The rows of some documents: their groups (string), places in the order, parts and amounts."""
    coded = groups.dictionary_encode()
    codes, labels = coded.indices.to_numpy(), coded.dictionary
    hashes = np.array([xxhash.xxh3_64_intdigest(label.encode()) for label in labels.to_pylist()], np.uint64)
    n = len(groups)
    return pa.table(
        {
            "key": hashes[codes],
            "group": labels.take(pa.array(codes)),
            "level": np.zeros(n, np.uint8),
            "order": order,
            "part": parts,
            "documents": np.ones(n, np.int64),
            "amount": amounts,
        }
    )


def combine(rows: pa.Table, max_bins: int) -> pa.Table:
    """The same tally in as few rows as there are bins, sorted by key, label, order and part.

    Args:
        max_bins: bins of all groups together, their parts not counted.

    Raises StageError for more groups than bins.
    """
    if not rows.num_rows:
        return rows
    coded = rows["group"].combine_chunks().dictionary_encode()
    groups = coded.indices.to_numpy().astype(np.int64)
    key, levels, order, part, documents, amount = (
        rows[name].to_numpy() for name in ("key", "level", "order", "part", "documents", "amount")
    )
    start = levels.astype(np.uint32)
    first = np.lexsort((order << start, groups))  # of bins that are coarse already, the first number
    level = max(_level(groups[first], (order << start)[first], max_bins), int(levels.max()))
    order = order >> (np.uint32(level) - start) if level < ORDER_BITS else np.zeros_like(order)
    sorted_by = np.lexsort((part, order, _ranks(coded.dictionary)[groups], key))
    groups, order, part = groups[sorted_by], order[sorted_by], part[sorted_by]
    begin = np.flatnonzero(_changes(groups) | _changes(order) | _changes(part))
    return pa.table(
        {
            "key": key[sorted_by][begin],
            "group": coded.dictionary.take(pa.array(groups[begin])),
            "level": np.full(len(begin), level, np.uint8),
            "order": order[begin],
            "part": part[begin],
            "documents": np.add.reduceat(documents[sorted_by], begin),
            "amount": np.add.reduceat(amount[sorted_by], begin),
        }
    )


def _level(groups: Int64s, order: UInt32s, max_bins: int) -> int:
    """The least level at which there are at most `max_bins` bins; rows sorted by group and order."""
    new_group = np.diff(groups) != 0
    differing = np.frexp((order[1:] ^ order[:-1]).astype(np.float64))[1]  # bits up to the highest that differs
    differing[new_group] = ORDER_BITS + 1
    ends_at = np.bincount(differing, minlength=ORDER_BITS + 2)  # neighbours that are one bin from this level on
    num_bins = len(groups) - np.cumsum(ends_at)[: ORDER_BITS + 1]
    if num_bins[-1] > max_bins:
        raise StageError(f"there are more than {max_bins:,} groups: a mix is made of fewer; `cap` bounds each of many")
    return int(np.argmax(num_bins <= max_bins))


def _ranks(labels: pa.Array) -> Int64s:
    """Place of each label in alphabetical order: two groups may have one hash."""
    ranks = np.empty(len(labels), np.int64)
    ranks[np.asarray(pc.sort_indices(labels))] = np.arange(len(labels))
    return ranks


def _changes(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where a value differs from the one before; true for the first."""
    changed = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=changed[1:])
    return changed


class Cut(NamedTuple):
    """How far into a group's order documents are taken: the bins before this one, and of it a part by hash."""

    order: int
    part: int
    ratio: float
    amount: float
    """What is taken, but for chance within the bin."""


NOTHING = Cut(0, 0, 0.0, 0.0)


def cut_at(rows: pa.Table, wanted: float) -> Cut:
    """Where to cut one group so that the documents before hold an amount.

    A bin of several documents is divided by hash; one of a single document goes as a whole, to the nearer side.

    Args:
        rows: the group's rows as `combine` gives them.
    """
    amounts = rows["amount"].to_numpy()
    reached = np.cumsum(amounts)
    at = int(np.searchsorted(reached, wanted, side="right"))
    if at == len(amounts):  # all of it
        return Cut(1 << ORDER_BITS, 0, 0.0, float(amounts.sum()))
    before = float(reached[at - 1]) if at else 0.0
    ratio = max(0.0, wanted - before) / float(amounts[at])
    if rows["documents"][at].as_py() == 1:
        ratio = float(ratio >= 0.5)
    return Cut(rows["order"][at].as_py(), rows["part"][at].as_py(), ratio, before + ratio * float(amounts[at]))


def is_taken(
    order: UInt32s, parts: UInt8s, chance: UInt32s, cut_order: Int64s, cut_part: UInt8s, cut_ratio: Float64s
) -> npt.NDArray[np.bool_]:
    """Which documents are before their group's cut; all arrays have a value a document.

    Args:
        order: number of the bin, `order >> level`.
        chance: evenly distributed, independent of the rest.
    """
    same = order == cut_order
    before = (order < cut_order) | (same & (parts < cut_part))
    return np.asarray(before | (same & (parts == cut_part) & (chance < cut_ratio * (1 << ORDER_BITS))))
