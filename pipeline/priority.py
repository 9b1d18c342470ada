"""Values of any column as bytes that sort as they do, so that who is kept is one comparison.

Each column gives a byte that puts nulls last, and its value big-endian: integers, booleans, dates and times with their
sign bit flipped, floats and decimals by the order of a float's bits, strings by their first 24 UTF-8 bytes (enough for
a time in ISO 8601). Descending columns are inverted. Equal bytes leave the choice to the documents' addresses.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

STRING_BYTES = 24
_SIGN = np.uint64(1 << 63)
Bytes = npt.NDArray[np.uint8]


def sortable(columns: Sequence[tuple[pa.Array, bool]]) -> pa.Array:
    """One binary value a row for columns and whether each is descending. Raises ValueError for a type without order."""
    parts = [_encoded(column, descending) for column, descending in columns]
    matrix = np.ascontiguousarray(np.concatenate(parts, axis=1))
    type_ = pa.binary(matrix.shape[1])
    return pa.FixedSizeBinaryArray.from_buffers(type_, len(matrix), [None, pa.py_buffer(matrix)])


def _encoded(column: pa.Array, descending: bool) -> Bytes:
    null = np.asarray(column.is_null(nan_is_null=True))
    values = _strings(column) if _is_text(column.type) else _big_endian(_numbers(column))
    values = ~values if descending else values
    values[null] = 0
    return np.concatenate([null.astype(np.uint8)[:, None], values], axis=1)


def _is_text(type_: pa.DataType) -> bool:
    return any(test(type_) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary))


def _strings(column: pa.Array) -> Bytes:
    texts = [(text or b"")[:STRING_BYTES] for text in column.cast(pa.binary()).to_pylist()]
    return np.array(texts, f"S{STRING_BYTES}").view(np.uint8).reshape(len(texts), STRING_BYTES).copy()


def _numbers(column: pa.Array) -> npt.NDArray[np.uint64]:
    """Numbers whose unsigned order is that of the values."""
    if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        floats = column.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False) + 0.0  # -0.0 is 0.0
        bits = floats.view(np.uint64)
        return np.where(bits >> 63 == 1, ~bits, bits | _SIGN)
    if pa.types.is_unsigned_integer(column.type):
        return column.cast(pa.uint64()).fill_null(0).to_numpy(zero_copy_only=False)
    if pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    try:
        integers = column.cast(pa.int64())
    except pa.ArrowException as error:
        raise ValueError(f"a column of {column.type} has no order to go by") from error
    return integers.fill_null(0).to_numpy(zero_copy_only=False).view(np.uint64) ^ _SIGN


def _big_endian(numbers: npt.NDArray[np.uint64]) -> Bytes:
    return numbers.astype(">u8").view(np.uint8).reshape(len(numbers), 8).copy()
