"""The compiled walk over a Parquet footer (Thrift's compact protocol) that tells whether it can be asked for its column
chunks. See `pipeline.io.footer` for why."""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

from numba import int64, njit, types

BYTES = types.Array(types.uint8, 1, "C", readonly=True)
LEVELS = types.Array(int64, 1, "C", readonly=True)
TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
"""Types of the protocol that are not varints, as field headers name them."""
MAX_DEPTH = 48
"""The deepest a footer is nested is about ten."""
ROW_GROUPS, COLUMNS, META_DATA, SIZE_STATISTICS = 4, 1, 3, 16
CRYPTO, ENCRYPTED = 8, 9
UNENCODED, REPETITION, DEFINITION = 1, 2, 3


@njit(types.UniTuple(int64, 2)(BYTES, int64))
def _varint(data, at):
    """A number and where it ends; -1 for one that does not."""
    value, shift = int64(0), int64(0)
    while 0 <= at < data.shape[0] and shift < 64:
        byte = int64(data[at])
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    return int64(0), int64(-1)


@njit(types.UniTuple(int64, 3)(BYTES, int64, int64))
def _field(data, at, number):
    """Number and type (0 = the struct ends) of the field at byte `at`, after field `number`; and where its value is."""
    if not 0 <= at < data.shape[0]:
        return number, int64(0), int64(-1)
    head = int64(data[at])
    if not head & 15:
        return number, int64(0), at + 1
    at += 1
    if head >> 4:
        return number + (head >> 4), head & 15, at
    raw, at = _varint(data, at)
    return (raw >> 1) ^ -(raw & 1), head & 15, at


@njit(types.UniTuple(int64, 3)(BYTES, int64))
def _list(data, at):
    """Elements and their type of the list at byte `at`, and where the first one is."""
    if not 0 <= at < data.shape[0]:
        return int64(0), int64(0), int64(-1)
    head = int64(data[at])
    count = head >> 4
    at += 1
    if count == 15:
        count, at = _varint(data, at)
    if count < 0 or count > data.shape[0]:
        return int64(0), int64(0), int64(-1)
    return count, head & 15, at


@njit(int64(BYTES, int64, int64, int64, int64))
def _skip(data, at, kind, is_field, depth):
    """Where the value at byte `at` ends; -1 if it makes no sense. A truth is in the header of a field, and a byte in a
    list."""
    size = data.shape[0]
    if not 0 <= at <= size or depth > MAX_DEPTH:
        return int64(-1)
    if kind == TRUE or kind == FALSE:
        at += 0 if is_field else 1
    elif kind == BYTE:
        at += 1
    elif 4 <= kind <= 6:
        _, at = _varint(data, at)
    elif kind == DOUBLE:
        at += 8
    elif kind == BINARY:
        length, at = _varint(data, at)
        at = int64(-1) if at < 0 or length < 0 or length > size - at else at + length
    elif kind == LIST or kind == SET:
        count, inner, at = _list(data, at)
        for _ in range(count):
            at = _skip(data, at, inner, int64(0), depth + 1)
            if at < 0:
                break
    elif kind == MAP:
        count, at = _varint(data, at)
        if at < 0 or count < 0 or count > size or (count > 0 and at >= size):
            return int64(-1)
        if count > 0:
            kinds = int64(data[at])
            at += 1
            for _ in range(count):
                at = _skip(data, at, kinds >> 4, int64(0), depth + 1)
                at = _skip(data, at, kinds & 15, int64(0), depth + 1)
                if at < 0:
                    break
    elif kind == STRUCT:
        number, inner, at = _field(data, at, int64(0))
        while inner and at >= 0:
            at = _skip(data, at, inner, int64(1), depth + 1)
            number, inner, at = _field(data, at, number)
    else:
        return int64(-1)
    return at if at <= size else int64(-1)


@njit(int64(BYTES, int64, int64, int64, int64))
def _size_statistics(data, at, repetition, definition, is_bytes):
    """Where they end; -1 if their histograms are of other levels than the column's."""
    number, kind, at = _field(data, at, int64(0))
    while kind and at >= 0:
        if kind == LIST and (number == REPETITION or number == DEFINITION):
            count, _, _ = _list(data, at)
            if count != 0 and count != (repetition if number == REPETITION else definition) + 1:
                return int64(-1)
        if number == UNENCODED and not is_bytes:
            return int64(-1)
        at = _skip(data, at, kind, int64(1), int64(0))
        number, kind, at = _field(data, at, number)
    return at


@njit(int64(BYTES, int64, int64, int64, int64))
def _column_chunk(data, at, repetition, definition, is_bytes):
    number, kind, at = _field(data, at, int64(0))
    while kind and at >= 0:
        if number == CRYPTO or number == ENCRYPTED:
            return int64(-1)
        if number == META_DATA and kind == STRUCT:
            inner_number, inner, at = _field(data, at, int64(0))
            while inner and at >= 0:
                if inner_number == SIZE_STATISTICS and inner == STRUCT:
                    at = _size_statistics(data, at, repetition, definition, is_bytes)
                else:
                    at = _skip(data, at, inner, int64(1), int64(0))
                inner_number, inner, at = _field(data, at, inner_number)
        else:
            at = _skip(data, at, kind, int64(1), int64(0))
        number, kind, at = _field(data, at, number)
    return at


@njit(int64(BYTES, int64, LEVELS, LEVELS, LEVELS))
def _row_group(data, at, repetition, definition, is_bytes):
    num_columns = int64(0)
    number, kind, at = _field(data, at, int64(0))
    while kind and at >= 0:
        if number == COLUMNS and kind == LIST:
            num_columns, inner, at = _list(data, at)
            if inner != STRUCT or num_columns != repetition.shape[0]:
                return int64(-1)
            for i in range(num_columns):
                at = _column_chunk(data, at, repetition[i], definition[i], is_bytes[i])
        else:
            at = _skip(data, at, kind, int64(1), int64(0))
        number, kind, at = _field(data, at, number)
    return at if num_columns == repetition.shape[0] else int64(-1)


@njit(int64(BYTES, LEVELS, LEVELS, LEVELS), nogil=True, cache=True)
def check_footer(data, repetition, definition, is_bytes):
    """The row group, from 1 on, that does not go with the columns; 0 if all do, -1 for what makes no sense otherwise.

    Args:
        repetition, definition: the highest levels of each leaf column, `int64[k]`.
        is_bytes: 1 where it holds byte arrays, else 0.
    """
    number, kind, at = _field(data, int64(0), int64(0))
    while kind and at >= 0:
        if number == ROW_GROUPS and kind == LIST:
            count, inner, at = _list(data, at)
            if count and inner != STRUCT:
                return int64(-1)
            for i in range(count):
                at = _row_group(data, at, repetition, definition, is_bytes)
                if at < 0:
                    return int64(i + 1)
        else:
            at = _skip(data, at, kind, int64(1), int64(0))
        number, kind, at = _field(data, at, number)
    return int64(-1) if at < 0 else int64(0)
