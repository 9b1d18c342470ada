"""The values of a signal in documents of one language, counted between edges; those of all are in `stats.json`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.analysis.languages import is_of
from pipeline.analysis.tables import Tables, quoted


def histogram_of(tables: Tables, signal: str, edges: npt.NDArray[np.float64], language: str) -> npt.NDArray[np.int64]:
    """Count the values of a numeric signal (`gopher.word_count`).

    Args:
        edges: `float64[k]`, ascending.

    Returns `int64[k + 1]`: how many lie below all edges, how many in each `[edges[i - 1], edges[i])`, and from the last
    one on.
    """
    column = quoted(signal)
    found = tables.query(
        f"SELECT CAST({column} AS DOUBLE) AS value FROM signals WHERE {column} IS NOT NULL AND {is_of(language)}"
    )
    places = np.searchsorted(edges, found["value"].to_numpy(), side="right")
    return np.bincount(places, minlength=len(edges) + 1)
