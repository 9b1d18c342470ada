"""Rows of `rejected/`: dropped documents with their text and rule, and records that could not be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.io.read import Rejected
from pipeline.io.shards import ROW_BITS, Shard
from pipeline.sieve import Dropped

ALWAYS_KEPT = 20
"""Dropped documents of each rule whose text every task keeps, whatever `rejected_rate` says."""
REJECTED_SCHEMA = pa.schema(
    [
        ("address", pa.uint64()),
        ("id", pa.string()),
        ("dropped_by", pa.string()),
        ("source", pa.string()),
        ("offset", pa.int64()),
        ("message", pa.string()),
        ("text", pa.large_string()),
        ("raw", pa.large_binary()),
    ]
)


class RejectedSample:
    """Which dropped documents are kept with their text: chosen by a hash of the text, and the first few of each
    rule."""

    def __init__(self, shards: Sequence[Shard], rate: float) -> None:
        self._shards = shards
        self._rate = rate
        self._seen: Counter[str] = Counter()

    def of(self, lost: Dropped, addresses: npt.NDArray[np.uint64]) -> pa.Table:
        """Rows for those chosen; `addresses` are those of the whole batch."""
        in_sample = lost.in_sample(self._rate)
        chosen = []
        for i, rule in enumerate(lost.rules):
            self._seen[rule] += 1
            if in_sample[i] or self._seen[rule] <= ALWAYS_KEPT:
                chosen.append(i)
        picked = lost.batch.table.take(pa.array(chosen, pa.int64()))
        places = addresses[lost.rows[chosen]]
        nothing = {
            name: pa.nulls(len(chosen), REJECTED_SCHEMA.field(name).type) for name in ("offset", "message", "raw")
        }
        columns = {
            "address": pa.array(places),
            "id": picked["id"],
            "dropped_by": pa.array([lost.rules[i] for i in chosen], pa.string()),
            "source": pa.array([self._shards[shard].path for shard in (places >> ROW_BITS).tolist()], pa.string()),
            "text": picked["text"],
            **nothing,
        }
        return pa.table({name: columns[name] for name in REJECTED_SCHEMA.names}, REJECTED_SCHEMA)


def unreadable(records: Sequence[Rejected], shard: int) -> pa.Table:
    """Rows for records of a shard that are no documents."""
    rows = [
        {
            "address": shard << ROW_BITS | record.row,
            "id": record.id,
            "dropped_by": record.reason,
            "source": record.source,
            "offset": record.offset,
            "message": record.message,
            "raw": record.raw,
        }
        for record in records
    ]
    return pa.Table.from_pylist(rows, REJECTED_SCHEMA)
