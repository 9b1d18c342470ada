"""The values of a signal, counted between edges, of any part of a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.analysis.languages import is_of
from pipeline.analysis.tables import Tables, literal, quoted

Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Histogram:
    """`counts[i]` values lie in `[edges[i - 1], edges[i])`: the first below all edges, the last from the last one on.
    `dropped` of them are of documents that were dropped, by whatever rule."""

    edges: Float64s
    counts: Int64s
    dropped: Int64s


def by_query(
    tables: Tables,
    signal: str,
    *,
    edges: Float64s,
    language: str | None = None,
    source: str | None = None,
    weight: str = "documents",
) -> Histogram:
    """Count the values of a numeric signal (`gopher.word_count`) of all documents that it was measured of.

    Args:
        edges: `float64[k]`, ascending.
        language, source: only documents of these.
        weight: `documents` or `bytes`.
    """
    column = quoted(signal)
    where = [f"{column} IS NOT NULL"]
    if language is not None:
        where.append(is_of(language))
    if source is not None:
        where.append(f"{quoted('source')} = {literal(source)}")
    found = tables.query(
        f"SELECT CAST({column} AS DOUBLE) AS value, dropped_by IS NOT NULL AS gone"
        f"{', bytes' if weight == 'bytes' else ''} FROM signals WHERE {' AND '.join(where)}"
    )
    places = np.searchsorted(edges, found["value"].to_numpy(), side="right")
    sizes = found["bytes"].to_numpy() if weight == "bytes" else np.ones(len(places), np.int64)
    gone = found["gone"].to_numpy()
    size = len(edges) + 1
    return Histogram(edges, _sums(places, sizes, size), _sums(places[gone], sizes[gone], size))


def _sums(places: Int64s, sizes: Int64s, size: int) -> Int64s:
    return np.bincount(places, sizes, minlength=size).astype(np.int64)
