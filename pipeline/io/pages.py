"""How many rows of a Parquet row group may be decoded at once, so that memory stays bounded whatever the rows hold.

Arrow decodes a fixed number of rows a batch, and the footer knows only the sum of a column chunk: a thousand short
rows and ten of 500 MB look like a thousand middling ones, and a dictionary of one long value may stand for a million
rows. The headers of the pages tell: each says how many values it holds and in how many bytes. They are read (a seek
and a few bytes a page) where a chunk is large enough to do harm. Source: the Parquet format, PageHeader in
parquet.thrift, in Thrift's compact protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet as pq

DECODE_BYTES = 256 << 20
"""Rows decoded together hold no more than this, unless one row does."""
MAX_ROWS = 1 << 16
HEADER_BYTES = 1 << 10
MAX_HEADER_BYTES = 1 << 16
DATA_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2 = 5, 7, 8
"""Fields of PageHeader that hold the header of each kind of page."""


@dataclass(frozen=True)
class Page:
    """A page of a column chunk: its values (of a dictionary: distinct ones) and their uncompressed bytes; where in the
    file it begins, its header left out, and with how many bytes of levels (of a page of version 2)."""

    is_dictionary: bool
    values: int
    size: int
    begin: int = 0
    level_bytes: int = 0


def rows_at_once(file: Any, metadata: pq.FileMetaData, group: int, batch_bytes: int) -> int:
    """Rows of a row group to decode at a time: about `batch_bytes` on average, never over `DECODE_BYTES` in a column
    of strings.

    Columns of lists are taken at their average: their pages do not say where rows begin.

    Args:
        file: the open file; its position is changed.
    """
    row_group = metadata.row_group(group)
    average = max(1, row_group.total_byte_size // max(1, row_group.num_rows))
    rows = min(MAX_ROWS, max(1, batch_bytes // average))
    for i in range(row_group.num_columns):
        chunk = row_group.column(i)
        if rows > 1 and chunk.physical_type == "BYTE_ARRAY" and metadata.schema.column(i).max_repetition_level == 0:
            rows = _rows_of_chunk(file, chunk, rows)
    return rows


def _rows_of_chunk(file: Any, chunk: Any, rows: int) -> int:
    """The same for one column chunk; `rows` is the most that is wanted."""
    size = chunk.total_uncompressed_size
    is_large = size > DECODE_BYTES
    has_dictionary = any("DICTIONARY" in encoding for encoding in chunk.encodings)
    if not is_large and (not has_dictionary or size * rows <= DECODE_BYTES):
        return rows
    try:
        pages = list(read_pages(file, chunk)) if is_large else [next(read_pages(file, chunk))]
    except (IndexError, StopIteration):
        return 1
    data = [page for page in pages if not page.is_dictionary]
    for page in pages:
        if page.is_dictionary:
            longest = max(1, page.size - 4 * page.values)  # bytes of its longest value, at most
            rows = min(rows, max(1, DECODE_BYTES // longest))
    while rows > 1 and is_large and worst_window(data, rows) > DECODE_BYTES:
        rows //= 2
    return rows


def worst_window(pages: list[Page], rows: int) -> int:
    """Bytes of all pages that `rows` consecutive rows can touch, at the worst place.

    Rows that touch pages i..j hold all of the pages between, so these have `rows - 2` values at most.
    """
    values = np.cumsum([0, *(page.values for page in pages)])
    sizes = np.cumsum([0, *(page.size for page in pages)])
    last = np.arange(len(pages))
    first = np.minimum(np.searchsorted(values[1:], values[:-1] - (rows - 2)), last)
    return int(np.max(sizes[last + 1] - sizes[first], initial=0))


def read_pages(file: Any, chunk: Any) -> Iterator[Page]:
    """The pages of a column chunk by their headers. Raises IndexError where they make no sense."""
    position = chunk.data_page_offset
    if chunk.dictionary_page_offset is not None and chunk.dictionary_page_offset > 0:
        position = min(position, chunk.dictionary_page_offset)
    end = position + chunk.total_compressed_size
    while position < end:
        for size in (HEADER_BYTES, MAX_HEADER_BYTES):
            file.seek(position)
            thrift = _Thrift(file.read(size))
            try:
                header = thrift.struct()
                break
            except IndexError:
                if size == MAX_HEADER_BYTES:
                    raise
        numbers: dict[int, Any] = next(
            (header[key] for key in (DATA_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2) if key in header), {}
        )
        levels = (numbers.get(5) or 0) + (numbers.get(6) or 0) if DATA_PAGE_V2 in header else 0
        begin = position + thrift.at
        yield Page(DICTIONARY_PAGE in header, numbers.get(1) or 0, header.get(2) or 0, begin, levels)
        step = thrift.at + (header.get(3) or 0)
        if step <= 0:
            raise IndexError("a page of no bytes")
        position += step


class _Thrift:
    """A reader of structs in the compact protocol; what is no number or struct is skipped."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def struct(self) -> dict[int, Any]:
        """Values by field number. Raises IndexError where the data ends too early."""
        found: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._signed()
            found[number] = self._value(head & 15)
        return found

    def _value(self, type_: int) -> Any:
        match type_:
            case 1 | 2:
                return type_ == 1
            case 3:
                return self._byte()
            case 4 | 5 | 6:
                return self._signed()
            case 7:
                return self._skip(8)
            case 8:
                return self._skip(self._varint())
            case 9 | 10:
                head = self._byte()
                count = head >> 4 if head >> 4 < 15 else self._varint()
                return [self._value(head & 15) for _ in range(count)]
            case 12:
                return self.struct()
        raise IndexError(f"type {type_} is not in a page header")

    def _byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 128:
            value |= (byte & 127) << shift
            shift += 7
        return value | byte << shift

    def _signed(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _skip(self, size: int) -> None:
        self.at += size
