"""Vectors of documents: from an Arrow column to rows of float16, and what is computed of them exactly.

Vectors are stored in float16 (`embedding.vector`, L2-normalised). Of these numbers cosine similarities are exact, see
`kernels_semantic`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.errors import StageError

Halves = npt.NDArray[np.float16]
Singles = npt.NDArray[np.float32]
Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
UNIT_TOLERANCE = 1e-3
"""Squared lengths that differ more from 1 are made 1; less is what rounding to float16 does."""


def to_matrix(column: pa.Array, name: str) -> tuple[Halves, Int64s]:
    """The vectors of a column of fixed-size lists of floats, `float16[m, d]`, and their rows, `int64[m]`.

    Null, and vectors that hold NaN or an infinity or have no length, have no direction and are left out. Others are
    normalised if they are not; -0 becomes 0, so that equal vectors have equal bytes.

    Raises StageError for a column of another type.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    type_ = column.type
    if not pa.types.is_fixed_size_list(type_) or not pa.types.is_floating(type_.value_type) or type_.list_size < 1:
        raise StageError(f"{name} is {type_}, not a fixed-size list of floats: vectors of one length are wanted")
    rows = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    raw = plain_matrix(column)[rows]
    with np.errstate(over="ignore", invalid="ignore"):
        squared = np.einsum("nd,nd->n", raw, raw, dtype=np.float64)
        sound = np.isfinite(squared) & (squared > 0)
        raw, squared, rows = raw[sound], squared[sound], rows[sound]
        odd = np.abs(squared - 1) > UNIT_TOLERANCE
        rounded = raw.astype(np.float16)
        rounded[odd] = (raw[odd] / np.sqrt(squared[odd])[:, None]).astype(np.float16)
    bits = rounded.view(np.uint16)
    bits[bits == 0x8000] = 0
    return rounded, rows


def plain_matrix(column: pa.Array) -> npt.NDArray[Any]:
    """All rows of a column of fixed-size lists without a copy, whatever is in those that are null."""
    width, dtype = column.type.list_size, column.type.value_type.to_pandas_dtype()
    if not len(column):
        return np.empty((0, width), dtype)
    values = np.frombuffer(column.values.buffers()[1], dtype, offset=column.values.offset * np.dtype(dtype).itemsize)
    return values[column.offset * width : (column.offset + len(column)) * width].reshape(-1, width)


def to_column(vectors: Halves) -> pa.Array:
    """Rows as a column of fixed-size lists of float16, without a copy."""
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])


def hashes(vectors: Halves) -> UInt64s:
    """A 64-bit hash of each vector: the same wherever the vector comes again."""
    from stages.dedup import kernels_semantic as kernels

    out = np.empty(len(vectors), np.uint64)
    kernels.hash_rows(np.ascontiguousarray(vectors).view(np.uint16), out)
    return out


def cosines(a: Halves, b: Halves) -> Singles:
    """Exact cosine similarity of the rows of two matrices, one by one, rounded to float32; at most 1."""
    from stages.dedup import kernels_semantic as kernels

    out = np.empty(len(a), np.float32)
    kernels.cosines(a.astype(np.float32), b.astype(np.float32), out)
    return out
