"""Texts of single documents of a run, by address.

No table is read as a whole: statistics say which row groups may hold an address, and only those are read. That is
what keeps a look at twenty documents as quick in a run of ten million as in one of a thousand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.io.files import filesystem_of
from pipeline.runs import Run

UInt64s = npt.NDArray[np.uint64]
Places = dict[int, int]
BATCH_ROWS = 1024


def dropped_texts(run: Run, addresses: Sequence[int]) -> dict[int, str]:
    """Texts that `rejected/` has of some documents, as the stage that dropped them received them."""
    found: dict[int, str] = {}
    wanted = np.array(sorted(addresses), np.uint64)
    for path in run.rejected.files if len(wanted) else ():
        with filesystem_of(run.path)[0].open(path, "rb") as file:
            parquet = pq.ParquetFile(file)
            for group in range(parquet.num_row_groups):
                if _may_hold(parquet, group, wanted):
                    found |= _texts_of_group(parquet, group, wanted)
        if len(found) == len(wanted):
            break
    return found


def _texts_of_group(parquet: pq.ParquetFile, group: int, wanted: UInt64s) -> dict[int, str]:
    """Addresses first, then texts a thousand at a time and no further than the last one wanted."""
    here = parquet.read_row_group(group, ["address"])["address"].to_numpy()
    places = np.flatnonzero(np.isin(here, wanted))
    found: dict[int, str] = {}
    start = 0
    batches = parquet.iter_batches(BATCH_ROWS, row_groups=[group], columns=["text"]) if len(places) else ()
    for batch in batches:
        mine = places[(places >= start) & (places < start + len(batch))]
        texts = batch["text"].take(pa.array(mine - start)).to_pylist()
        found |= {address: text for address, text in zip(here[mine].tolist(), texts, strict=True) if text is not None}
        start += len(batch)
        if places[-1] < start:
            break
    return found


def kept_rows(run: Run, addresses: Sequence[int], columns: Sequence[str]) -> dict[int, dict[str, Any]]:
    """Rows of `documents/` of some documents that were kept.

    The row `k` of a file of `documents/` is the `k`-th kept one of the file of `signals/` beside it. A file that has
    more or fewer of them says nothing, sooner than the text of another document.
    """
    found: dict[int, dict[str, Any]] = {}
    wanted = np.array(sorted(addresses), np.uint64)
    fs = filesystem_of(run.path)[0]
    for signals, documents in zip(run.signals.files, run.documents.files, strict=True) if len(wanted) else ():
        with fs.open(signals, "rb") as file:
            places, num_kept = _kept_places(pq.ParquetFile(file), wanted)
        if not places:
            continue
        with fs.open(documents, "rb") as file:
            parquet = pq.ParquetFile(file)
            if parquet.metadata.num_rows == num_kept:
                found |= dict(zip(places, _rows_at(parquet, list(places.values()), columns), strict=True))
        if len(found) == len(wanted):
            break
    return found


def _kept_places(parquet: pq.ParquetFile, wanted: UInt64s) -> tuple[Places, int]:
    """Kept documents among those wanted, with their places among the kept ones of a file of `signals/`, ascending; and
    how many it has."""
    places: Places = {}
    num_kept = 0
    for group in range(parquet.num_row_groups):
        known = _statistics(parquet, group, "dropped_by")
        if not _may_hold(parquet, group, wanted) and known is not None and known.null_count is not None:
            num_kept += known.null_count
            continue
        table = parquet.read_row_group(group, ["address", "dropped_by"])
        here = table.filter(pc.is_null(table["dropped_by"]))["address"].to_numpy()
        for place in np.flatnonzero(np.isin(here, wanted)).tolist():
            places[int(here[place])] = num_kept + place
        num_kept += len(here)
    return places, num_kept


def _may_hold(parquet: pq.ParquetFile, group: int, wanted: UInt64s) -> bool:
    """Whether a row group may hold some of the addresses, as far as its statistics say."""
    told = _statistics(parquet, group, "address")
    if told is None or not told.has_min_max:
        return True
    return bool(((wanted >= np.uint64(told.min)) & (wanted <= np.uint64(told.max))).any())


def _statistics(parquet: pq.ParquetFile, group: int, column: str) -> Any:
    return parquet.metadata.row_group(group).column(parquet.schema_arrow.names.index(column)).statistics


def _rows_at(parquet: pq.ParquetFile, places: Sequence[int], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Rows of a file, by their places in ascending order."""
    start = 0
    wanted = np.array(places, np.int64)
    for group in range(parquet.num_row_groups):
        size = parquet.metadata.row_group(group).num_rows
        mine = wanted[(wanted >= start) & (wanted < start + size)] - start
        if len(mine):
            yield from parquet.read_row_group(group, list(columns)).take(mine).to_pylist()
        start += size
