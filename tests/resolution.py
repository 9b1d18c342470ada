"""A barrier's steps in memory, without an engine: for tests of what it decides."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipeline.barriers import align, first_key, sketch
from stages.contract import Barrier, Survey, SurveyedBarrier
from stages.text.batch import TextBatch


def reference_of(survey: Survey, batch: TextBatch) -> pa.Table:
    """What a survey concludes of the documents of the batch, which are the whole corpus."""
    rows = survey.combine(survey.tally(batch))
    rows = rows.take(pa.array(np.argsort(rows["key"].to_numpy(), kind="stable")))
    return survey.conclude(rows.slice(0, survey.sample_limit(batch.num_rows)), batch.num_rows)


def resolution_of(
    barrier: Barrier, batch: TextBatch, num_partitions: int = 1, addresses: Sequence[int] | None = None
) -> pa.Table:
    """What the barrier's `transform` is given for the documents of the batch, which are the whole corpus."""
    known = np.array(range(batch.num_rows) if addresses is None else addresses, np.uint64)
    reference = reference_of(barrier, batch) if isinstance(barrier, SurveyedBarrier) else None
    rows = sketch(barrier, batch, known, reference)
    keys = rows["key"].to_numpy()
    firsts = np.array([first_key(p, num_partitions) for p in range(1, num_partitions)], np.uint64)
    places = np.searchsorted(firsts, keys, side="right")
    links = [barrier.resolve(rows.filter(pa.array(places == p))) for p in range(num_partitions)]
    found = barrier.merge(pa.concat_tables(links)).sort_by("address")
    if "kept" in found.column_names:
        order = np.argsort(known)
        at = order[np.searchsorted(known[order], found["kept"].to_numpy())]
        found = found.append_column("kept_id", batch.table["id"].take(pa.array(at)))
    return align(found, known)
