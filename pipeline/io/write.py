"""Parquet out: the same rows give the same bytes, however they were cut into tables on the way in."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from pipeline.io.files import AtomicFile, Source
from pipeline.io.footer import read_footer
from stages.errors import RunError

ROW_GROUP_BYTES = 32 << 20
ROW_GROUP_ROWS = 1 << 17
SMALL_BYTES = 1 << 20
COMPRESSION_LEVEL = 3
FOR_READERS: dict[str, Any] = {"compression": "zstd", "compression_level": COMPRESSION_LEVEL}
FOR_TASKS: dict[str, Any] = {"compression": "lz4"}
"""Of files under `phases/`, which are written once and read once: half as much again on disk, in half the time."""


@dataclass(frozen=True)
class Written:
    """A file that a task wrote, as its completion record lists it; `path` is relative to the run directory."""

    path: str
    rows: int
    bytes: int
    checksum: str


class ParquetSink:
    """A Parquet file in the making, compressed.

    Row groups are cut where the running total of a row's in-memory size reaches `ROW_GROUP_BYTES` (or `ROW_GROUP_ROWS`
    rows), so they depend on the rows alone. Used as a context manager; leaving it without `close` leaves no file.
    """

    def __init__(self, root: str, path: str, schema: pa.Schema) -> None:
        self.path, self.schema = path, schema
        self._file = AtomicFile(f"{root}/{path}")
        self._writer = pq.ParquetWriter(
            self._file,
            schema,
            **(FOR_TASKS if path.startswith("phases/") else FOR_READERS),
            write_page_index=False,
            write_page_checksum=True,
        )
        self._pending: list[pa.Table] = []
        self._pending_bytes = self._pending_rows = self._rows = 0

    def write(self, table: pa.Table) -> None:
        """Add rows. The table has the sink's columns, in its order."""
        table = table.cast(self.schema)
        while table.num_rows:
            room = self._room(table)
            if room >= table.num_rows:
                self._keep(table)
                return
            self._keep(table.slice(0, room))
            self.cut()
            table = table.slice(room)

    def close(self) -> Written:
        """Finish the file; it exists from now on."""
        self.cut()
        self._writer.close()
        self._file.commit()
        return Written(self.path, self._rows, self._file.num_bytes, self._file.checksum)

    def _room(self, table: pa.Table) -> int:
        """Rows of the table until the row group is full, counting the one that fills it; more than there are if none
        does."""
        sizes = np.cumsum(_row_bytes(table)) + self._pending_bytes
        full = int(np.searchsorted(sizes, ROW_GROUP_BYTES)) + 1
        return min(full, ROW_GROUP_ROWS - self._pending_rows)

    def _keep(self, table: pa.Table) -> None:
        self._pending.append(table)
        self._pending_bytes += int(_row_bytes(table).sum())
        self._pending_rows += table.num_rows
        if self._pending_bytes >= ROW_GROUP_BYTES or self._pending_rows >= ROW_GROUP_ROWS:
            self.cut()

    def cut(self) -> None:
        """End the row group here."""
        if self._pending_rows:
            table = pa.concat_tables(self._pending).combine_chunks()
            self._writer.write_table(table, row_group_size=table.num_rows)
            self._rows += table.num_rows
        self._pending = []
        self._pending_bytes = self._pending_rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._file.closed:
            self._file.discard()
            self._writer.close()


@contextmanager
def open_written(root: str, file: Written) -> Iterator[pq.ParquetFile]:
    """A file that a task wrote. A small one is read at once and its checksum verified; of a larger one, that of every
    page as it is read, and its footer, which has none, has to make sense.

    Raises RunError for a damaged one, also while it is being read.
    """
    path = f"{root}/{file.path}"
    try:
        with Source(path) as stream:
            whole = _verified(stream.read(), file) if file.bytes <= SMALL_BYTES else stream
            yield pq.ParquetFile(whole, metadata=read_footer(whole), page_checksum_verification=True)
    except (pa.ArrowException, OSError, KeyError) as error:  # KeyError: a column has another name
        phase = "/".join([root, *file.path.split("/")[:2]])
        raise RunError(f"{path} is damaged: {error}; delete {phase} to have that phase done again") from error


def _verified(content: bytes, file: Written) -> io.BytesIO:
    if xxhash.xxh3_128_hexdigest(content) != file.checksum:
        raise pa.ArrowInvalid("its checksum is not the one on record")
    return io.BytesIO(content)


def _row_bytes(table: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Size of each row: the bytes of its strings, four for each value of a list, and eight for everything else."""
    total = np.full(table.num_rows, 8 * table.num_columns, np.int64)
    for column in table.columns:
        if (
            pa.types.is_string(column.type)
            or pa.types.is_large_string(column.type)
            or pa.types.is_large_binary(column.type)
        ):
            total += pc.fill_null(pc.binary_length(column), 0).to_numpy()
        elif pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type):
            total += 4 * pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    return total
