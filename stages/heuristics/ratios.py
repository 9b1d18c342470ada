"""Division of counts, the one way it is done for signals."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """`part / whole` in float64; NaN, which is "could not tell", where `whole` is 0."""
    out = np.full(len(part), np.nan)
    np.divide(part, whole, out=out, where=np.asarray(whole) != 0)
    return out


def sum_per_document(
    values: npt.NDArray[Any], begin: npt.NDArray[np.int64], end: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Sum of `values[begin[d]:end[d]]` for every document."""
    cumulated = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=cumulated[1:])
    return cumulated[end] - cumulated[begin]
