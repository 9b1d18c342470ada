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

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from stages.errors import StageError

MAX_BINS = 1 << 20
"""Bins of all groups together: with four groups, each is cut to about 1/262,144."""
PARTS = 64
ORDER_BITS = 32
_PART_BITS = np.uint64(6)
_GROUP_SHIFT = np.uint64(ORDER_BITS + 6)

UInt32s = npt.NDArray[np.uint32]
UInt64s = npt.NDArray[np.uint64]
Int64s = npt.NDArray[np.int64]
UInt8s = npt.NDArray[np.uint8]
Float64s = npt.NDArray[np.float64]


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
    n = len(groups)
    return pa.table(
        {
            "key": _keys(labels)[codes],
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
    labels, groups = coded.dictionary, coded.indices.to_numpy()
    levels, order, part, documents, amount = (
        rows[name].to_numpy() for name in ("level", "order", "part", "documents", "amount")
    )
    rank = _ranks(labels)[groups]
    place = rank << _GROUP_SHIFT | order.astype(np.uint64) << levels << _PART_BITS | part  # one number a row
    sorted_by = np.argsort(place, kind="stable")  # merges what is in order already
    place = place[sorted_by]
    level = max(_level(place, max_bins), int(levels.max()))
    if level:
        bins = place >> _PART_BITS >> np.uint64(level) << _PART_BITS | place & np.uint64(PARTS - 1)
        again = np.argsort(bins, kind="stable")
        place, sorted_by = bins[again], sorted_by[again]
    begin = np.flatnonzero(np.diff(place, prepend=~place[:1]))
    first = sorted_by[begin]
    return pa.table(
        {
            "key": rows["key"].to_numpy()[first],
            "group": labels.take(pa.array(groups[first])),
            "level": np.full(len(first), level, np.uint8),
            "order": (order[first].astype(np.uint64) << levels[first] >> np.uint64(level)).astype(np.uint32),
            "part": part[first],
            "documents": np.add.reduceat(documents[sorted_by], begin),
            "amount": np.add.reduceat(amount[sorted_by], begin),
        }
    )


def _level(place: UInt64s, max_bins: int) -> int:
    """The least level at which there are at most `max_bins` bins."""
    differing = np.frexp(((place[1:] ^ place[:-1]) >> _PART_BITS).astype(np.float64))[1]  # bits up to the highest
    ends_at = np.bincount(np.minimum(differing, ORDER_BITS + 1), minlength=ORDER_BITS + 2)
    num_bins = len(place) - np.cumsum(ends_at)[: ORDER_BITS + 1]  # neighbours are one bin from their highest bit on
    if num_bins[-1] > max_bins:
        raise StageError(f"there are more than {max_bins:,} groups: a mix is made of fewer; `cap` bounds each of many")
    return int(np.argmax(num_bins <= max_bins))


def _keys(labels: pa.Array) -> UInt64s:
    return np.array([xxhash.xxh3_64_intdigest(label.encode()) for label in labels.to_pylist()], np.uint64)


def _ranks(labels: pa.Array) -> UInt64s:
    """Place of each label by its key, and of those with one key in alphabetical order."""
    alphabetical = np.argsort(np.asarray(pc.sort_indices(labels)))
    ranks = np.empty(len(labels), np.uint64)
    ranks[np.lexsort((alphabetical, _keys(labels)))] = np.arange(len(labels), dtype=np.uint64)
    return ranks


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
