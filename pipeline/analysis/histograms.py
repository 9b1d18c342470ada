"""The values of a signal, counted between edges, of any part of a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
    column, amount = quoted(signal), "count(*)" if weight == "documents" else "sum(bytes)"
    places = f"{{'k': {'[' + ', '.join(repr(float(edge)) for edge in edges) + ']'}}}.k"
    where = [f"{column} IS NOT NULL"]
    if language is not None:
        where.append(f"{quoted('language.label')} = {literal(language)}")
    if source is not None:
        where.append(f"{quoted('source')} = {literal(source)}")
    rows = tables.rows(
        f"SELECT len(list_filter({places}, lambda edge: edge <= CAST({column} AS DOUBLE))) AS bin, "
        f"dropped_by IS NOT NULL AS gone, {amount} FROM signals WHERE {' AND '.join(where)} GROUP BY 1, 2"
    )
    counts, dropped = np.zeros((2, len(edges) + 1), np.int64)
    for place, gone, size in rows:
        counts[place] += int(size)
        dropped[place] += int(size) * gone
    return Histogram(edges, counts, dropped)
