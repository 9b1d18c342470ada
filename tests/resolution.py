"""A barrier's steps in memory, without an engine: for tests of what it decides."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipeline import clusters
from pipeline.barriers import align, in_lists
from pipeline.exchange import concat, key_firsts
from pipeline.sketches import fold, sketch
from stages.contract import Barrier, Deduplication, Survey, SurveyedBarrier
from stages.text.batch import TextBatch


class OneBatch:
    """What a Space is to `clusters.settle`, where the batch is the whole corpus."""

    sources = (None,)

    class own:
        shift = 0

    def __init__(self, profiles: pa.Table) -> None:
        self._profiles = profiles.append_column("kept_before", pa.nulls(profiles.num_rows, pa.bool_()))
        self.ranks = [(self, 0)]

    def profiles(self, rank: int) -> pa.Table:
        return self._profiles

    def run_of(self, addresses: np.ndarray) -> pa.Array:
        return pa.nulls(len(addresses), pa.string())


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
    whole = fold(barrier, [sketch(barrier, batch, known, reference)])
    places = np.searchsorted(key_firsts(num_partitions), whole.rows["key"].to_numpy(), side="right") - 1
    said = concat([barrier.resolve(whole.rows.filter(pa.array(places == p))) for p in range(num_partitions)])
    if not isinstance(barrier, Deduplication):
        said = said.take(pa.array(np.argsort(said["address"].to_numpy(), kind="stable")))
        return align(in_lists(said), known)
    found = clusters.all_at_once(barrier, OneBatch(whole.profiles), said).sort_by("address")
    heads = known.copy()
    if whole.folded is not None:
        order = np.argsort(known)
        copies = order[np.searchsorted(known[order], whole.folded["address"].to_numpy())]
        heads[copies] = whole.folded["copy_of"].to_numpy()
    found = align(found, heads)
    told = found["kept"].combine_chunks().is_valid()
    return found.set_column(0, "address", pa.array(known, mask=~np.asarray(told)))
