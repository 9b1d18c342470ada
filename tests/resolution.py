"""A barrier's steps in memory, without an engine: for tests of what it decides."""

import numpy as np
import pyarrow as pa

from pipeline.barriers import align, first_key, sketch
from stages.contract import Barrier
from stages.text.batch import TextBatch


def resolution_of(barrier: Barrier, batch: TextBatch, num_partitions: int = 1) -> pa.Table:
    """What the barrier's `measure` is given for the documents of the batch, which are the whole corpus."""
    addresses = np.arange(batch.num_rows, dtype=np.uint64)
    rows = sketch(barrier, batch, addresses)
    keys = rows["key"].to_numpy()
    firsts = np.array([first_key(p, num_partitions) for p in range(1, num_partitions)], np.uint64)
    places = np.searchsorted(firsts, keys, side="right")
    links = [barrier.resolve(rows.filter(pa.array(places == p))) for p in range(num_partitions)]
    found = barrier.merge(pa.concat_tables(links)).sort_by("address")
    ids = batch.table["id"].take(pa.array(found["kept"].to_numpy().astype(np.int64)))
    return align(found.append_column("kept_id", ids), addresses)
