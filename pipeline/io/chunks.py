"""What readers hand on: tables of documents, and the records that are none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

HEAD_BYTES = 64 << 10
"""As much of a bad record is kept in `rejected/`."""


@dataclass(frozen=True)
class Rejected:
    """A record that cannot be a document.

    Attributes:
        row: its place in the shard, among all records.
        reason: `input.invalid_utf8`, `input.null_text`, `input.wrong_type`, `input.invalid_json`, `input.truncated`,
            `input.empty_file`, `input.duplicate_id`, `input.too_large`, `input.bad_dialog` or `input.bad_record`.
        source: the file.
        offset: where in the file: the row in a Parquet file; else the byte, uncompressed for JSONL and text, as
            stored for WARC and WET.
        raw: its bytes, at most `HEAD_BYTES`.
    """

    row: int
    reason: str
    source: str
    offset: int
    message: str
    id: str | None = None
    raw: bytes = b""


@dataclass(frozen=True)
class Chunk:
    """Documents of a shard: a table of the manifest's schema (text is valid UTF-8 and never null), their rows, bad
    records."""

    table: pa.Table
    rows: npt.NDArray[np.int64]
    rejected: list[Rejected]


class Collector:
    """Gathers single records into chunks of about `batch_bytes` of text."""

    def __init__(self, schema: pa.Schema, source: str, batch_bytes: int) -> None:
        self.schema, self.source, self.batch_bytes = schema, source, batch_bytes
        self.row = 0
        self._clear()

    def _clear(self) -> None:
        self._columns: dict[str, list[Any]] = {name: [] for name in self.schema.names}
        self._rows: list[int] = []
        self._rejected: list[Rejected] = []
        self._bytes = 0

    def add(self, text: str | bytes, values: dict[str, Any]) -> None:
        """The next record is a document; columns that `values` does not name are null."""
        self._bytes += len(text)
        for name, column in self._columns.items():
            column.append(text if name == "text" else values.get(name))
        self._rows.append(self.row)
        self.row += 1

    def reject(self, reason: str, offset: int, message: str, raw: bytes = b"", id: str | None = None) -> None:
        """The next record is none."""
        self._bytes += min(len(raw), HEAD_BYTES)
        self._rejected.append(
            Rejected(self.row, f"input.{reason}", self.source, offset, message, id, bytes(raw[:HEAD_BYTES]))
        )
        self.row += 1

    def full(self) -> Iterator[Chunk]:
        """The chunk, if it has reached its size."""
        if self._bytes >= self.batch_bytes:
            yield from self.rest()

    def rest(self) -> Iterator[Chunk]:
        """What has been gathered, if anything."""
        if self._rows or self._rejected:
            arrays = [pa.array(self._columns[field.name], field.type) for field in self.schema]
            chunk = Chunk(
                pa.Table.from_arrays(arrays, schema=self.schema), np.array(self._rows, np.int64), self._rejected
            )
            self._clear()
            yield chunk


def without_duplicate_ids(chunks: Iterator[Chunk], source: str) -> Iterator[Chunk]:
    """Set aside documents whose id an earlier document of the shard has. Ids are compared by a 64-bit hash."""
    seen: set[int] = set()
    for chunk in chunks:
        ids = chunk.table["id"].to_pylist()
        again = []
        for i, id_ in enumerate(ids):
            key = xxhash.xxh3_64_intdigest(id_.encode("utf-8", "surrogatepass"))
            if key in seen:
                again.append(i)
            seen.add(key)
        yield _set_aside(chunk, again, source) if again else chunk


def _set_aside(chunk: Chunk, places: list[int], source: str) -> Chunk:
    table, rows = chunk.table, chunk.rows
    rejected = [
        Rejected(
            int(rows[i]), "input.duplicate_id", source, int(rows[i]), "an earlier document of the file has this id "
            "(offset: record in the shard); if ids are not unique, write input.id: null to have them made",
            table["id"][i].as_py(), table["text"][i].as_buffer().to_pybytes()[:HEAD_BYTES],
        )
        for i in places
    ]  # fmt: skip
    keep = np.delete(np.arange(table.num_rows), places)
    return Chunk(table.take(keep), rows[keep], sorted([*chunk.rejected, *rejected], key=lambda record: record.row))
