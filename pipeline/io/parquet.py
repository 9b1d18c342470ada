"""Row groups of a Parquet file as chunks, in bounded memory also where rows are huge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.io.chunks import HEAD_BYTES, Chunk, Rejected
from pipeline.io.dialogs import is_dialog, texts_of
from pipeline.io.files import Source
from pipeline.io.footer import read_footer
from pipeline.io.input import Input
from pipeline.io.pages import rows_at_once
from pipeline.io.shards import Shard
from stages.errors import InputError

READ_BYTES = 8 << 20


def read_parquet(shard: Shard, name: str, schema: pa.Schema, source: Input, batch_bytes: int) -> Iterator[Chunk]:
    """Chunks of a shard. A row group that cannot be decoded is one rejected record; reading goes on after it."""
    gathered = _Gathered(schema, batch_bytes)
    with Source(shard.path) as stream:
        try:
            parquet = pq.ParquetFile(
                stream,
                metadata=read_footer(stream),
                pre_buffer=False,
                buffer_size=1 << 20,
                page_checksum_verification=True,
            )
        except (pa.ArrowException, OSError) as error:
            yield Chunk(schema.empty_table(), np.zeros(0, np.int64), [_bad(shard, 0, f"not a Parquet file: {error}")])
            return
        first = 0
        for group in range(shard.start, shard.stop):
            for batch, row in _batches(parquet, stream, group, first):
                if isinstance(batch, str):
                    lost = [_bad(shard, row, f"row group {group} cannot be read from here on: {batch}")]
                    yield from gathered.add(schema.empty_table(), np.zeros(0, np.int64), lost)
                else:
                    yield from gathered.add(*_clean(batch, row, shard, name, schema, source))
                batch = None  # the next one may need the memory
            first += parquet.metadata.row_group(group).num_rows
    yield from gathered.rest()


def _batches(parquet: pq.ParquetFile, stream: Any, group: int, row: int) -> Iterator[tuple[pa.RecordBatch | str, int]]:
    """Batches of a row group with the row of the shard that each starts at; if it is damaged, at last the reason."""
    try:
        rows = rows_at_once(stream, parquet.metadata, group, READ_BYTES)
        batches = parquet.iter_batches(rows, row_groups=[group], use_threads=False)
        while (batch := next(batches, None)) is not None:
            size = batch.num_rows
            yield batch, row
            batch = None
            row += size
    except (pa.ArrowException, OSError) as error:
        yield str(error), row


def _bad(shard: Shard, row: int, message: str) -> Rejected:
    return Rejected(row, "input.bad_record", shard.path, shard.first_row + row, message)


class _Gathered:
    """Tables on their way to a chunk of the wanted size."""

    def __init__(self, schema: pa.Schema, batch_bytes: int) -> None:
        self._schema, self._batch_bytes = schema, batch_bytes
        self._clear()

    def _clear(self) -> None:
        self._tables: list[pa.Table] = []
        self._rows: list[npt.NDArray[np.int64]] = []
        self._rejected: list[Rejected] = []
        self._bytes = 0

    def add(self, table: pa.Table, rows: npt.NDArray[np.int64], rejected: list[Rejected]) -> Iterator[Chunk]:
        size = (pc.sum(pc.binary_length(table["text"])).as_py() or 0) + sum(len(record.raw) for record in rejected)
        if self._bytes and self._bytes + size > self._batch_bytes:
            yield from self.rest()
        self._tables.append(table)
        self._rows.append(rows)
        self._rejected += rejected
        self._bytes += size

    def rest(self) -> Iterator[Chunk]:
        if self._tables:
            table = pa.concat_tables(self._tables)
            chunk = Chunk(table, np.concatenate(self._rows), self._rejected)
            self._clear()
            yield chunk


def _clean(
    batch: pa.RecordBatch, first: int, shard: Shard, name: str, schema: pa.Schema, source: Input
) -> tuple[pa.Table, npt.NDArray[np.int64], list[Rejected]]:
    """The batch's documents as the manifest's schema has them, their rows in the shard, and the records that are
    none."""
    texts = batch.column(source.text)
    if pa.types.is_dictionary(texts.type):
        texts = texts.dictionary_decode()
    no_dialogs: dict[int, tuple[str, str]] = {}
    if is_dialog(texts.type):
        texts, no_dialogs = texts_of(texts)
    texts = texts.cast(pa.large_binary())
    ids = _ids(batch, first, shard, name, source)
    faults = _faults(texts, source.max_document_bytes) | no_dialogs | _broken_rows(batch, source.text)
    rejected = [
        Rejected(
            first + i, f"input.{reason}", shard.path, shard.first_row + first + i, message, _id_of(ids[i]),
            bytes(_bytes_of(texts, i)[:HEAD_BYTES]),
        )
        for i, (reason, message) in sorted(faults.items())
    ]  # fmt: skip
    good = np.delete(np.arange(batch.num_rows), list(faults))
    picked = batch if len(good) == batch.num_rows else batch.take(pa.array(good))
    texts, ids = (texts, ids) if len(good) == batch.num_rows else (texts.take(pa.array(good)), ids.take(pa.array(good)))
    columns = {"id": ids, "text": texts.cast(pa.large_string(), safe=False)}
    arrays = [
        columns[field.name] if field.name in columns else _column(picked, field, shard, source) for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema), first + good, rejected


def _faults(texts: pa.Array, max_bytes: int) -> dict[int, tuple[str, str]]:
    """Why some of the texts are no documents, by their place."""
    faults = dict.fromkeys(np.flatnonzero(texts.is_null()).tolist(), ("null_text", "the text is null"))
    sizes = pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False)
    for place in np.flatnonzero(sizes > max_bytes).tolist():
        faults[place] = ("too_large", f"{sizes[place]} bytes, more than max_document_bytes = {max_bytes}")
    try:
        pa.Array.from_buffers(pa.large_string(), len(texts), texts.buffers(), offset=texts.offset).validate(full=True)
    except pa.ArrowInvalid:
        for place in range(len(texts)):
            if place not in faults:
                try:
                    str(_bytes_of(texts, place), "utf-8")
                except UnicodeDecodeError as error:
                    faults[place] = ("invalid_utf8", str(error))
    return faults


def _broken_rows(batch: pa.RecordBatch, text: str) -> dict[int, tuple[str, str]]:
    """Why some rows cannot travel along: a string in a column beside the text is no UTF-8, at any depth."""
    faults: dict[int, tuple[str, str]] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            if name != text:
                column.validate(full=True)
        except pa.ArrowInvalid:
            for place in range(len(column)):
                try:  # a slice is checked with all that its buffers hold: a copy of the row is not
                    pa.concat_arrays([column.slice(place, 1)]).take(pa.array([0])).validate(full=True)
                except pa.ArrowInvalid as error:
                    faults.setdefault(place, ("invalid_utf8", f"column '{name}': {error}"))
    return faults


def _id_of(scalar: pa.Scalar) -> str | None:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return bytes(scalar.as_buffer()).decode("utf-8", "replace")


def _bytes_of(texts: pa.LargeBinaryArray, place: int) -> memoryview:
    """The bytes of one text without a copy, which Arrow's scalars are; none of a null."""
    _, offsets, data = texts.buffers()
    low, high = np.frombuffer(offsets, np.int64, 2, 8 * (texts.offset + place)).tolist()
    return memoryview(data)[low:high] if high > low else memoryview(b"")


def _ids(batch: pa.RecordBatch, first: int, shard: Shard, name: str, source: Input) -> pa.Array:
    """Ids as strings; made from file name and row where there is none."""
    row = shard.first_row + first
    made = pa.array([f"{name}#{row + i}" for i in range(batch.num_rows)], pa.string())
    if source.id is None or source.id not in batch.schema.names:
        return made
    return pc.coalesce(_cast(batch.column(source.id), pa.string(), source.id, shard), made)


def _column(batch: pa.RecordBatch, field: pa.Field, shard: Shard, source: Input) -> pa.Array:
    name = source.url if field.name == "url" and source.url else field.name
    if name not in batch.schema.names:
        return pa.nulls(batch.num_rows, field.type)
    return _cast(batch.column(name), field.type, name, shard)


def _cast(column: Any, type_: pa.DataType, name: str, shard: Shard) -> pa.Array:
    try:
        return column.cast(type_)
    except pa.ArrowException as error:
        raise InputError(
            f"{shard.path}: column '{name}' is {column.type} and cannot be read as {type_}: {error}"
        ) from error
