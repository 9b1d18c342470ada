"""Vectors of documents between numpy and Arrow: fixed-size lists of float16, null where there is no vector."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

COLUMN = "embedding.vector"


def to_arrow(vectors: npt.NDArray[np.float16], is_there: npt.NDArray[np.bool_]) -> pa.FixedSizeListArray:
    """`float16[n, d]` as a column; null where `is_there`, `bool[n]`, is false."""
    values = pa.array(np.where(is_there[:, None], vectors, np.float16(0)).ravel(), pa.float16())
    return pa.FixedSizeListArray.from_arrays(values, vectors.shape[1], mask=pa.array(~is_there))


def to_numpy(column: pa.Array) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.bool_]]:
    """The vectors of a column, `float16[n, d]`, 0 where there is none, and where there is one, `bool[n]`."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    is_there = column.is_valid().to_numpy(zero_copy_only=False)
    width = column.type.list_size
    low = column.offset * width
    values = column.values.to_numpy(zero_copy_only=False)[low : low + len(column) * width].reshape(len(column), width)
    return np.where(is_there[:, None], values, np.float16(0)).astype(np.float16), is_there


def normalised(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Rows of length 1, `float32[n, d]`; NaN for a row without a finite length, or of length 0."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        length = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1, keepdims=True))
        length[~np.isfinite(length) | (length < 1e-12)] = np.nan
        return (vectors / length).astype(np.float32)
