"""Files through which rows change hands between the tasks of two phases.

A task sorts its rows by a `uint64` and cuts them where the tasks of the next phase meet; a task of that phase reads its
part of every file. A part costs one entry of sixteen bytes and is found without reading the others, so ten thousand
files of a thousand parts each are no more than their bytes:

    schema with its length | batches of part 0, of part 1, … | offset and checksum of each part | end, number of parts

Batches are Arrow IPC messages, uncompressed: hashes do not compress. All integers are little-endian uint64.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from pipeline.io.files import AtomicFile, Source
from pipeline.io.write import Written
from stages.errors import RunError

UInt64s = npt.NDArray[np.uint64]
BATCH_ROWS = 1 << 20
SMALL_BYTES = 1 << 20
"""A file behind a URL that is no larger is read by one request."""
Stream = Source | io.BytesIO
_WORD = 8
_ENTRY = 2 * _WORD


def first_key(part: int, num_parts: int) -> int:
    """The smallest key of a part: equal shares of all 64-bit numbers."""
    return -(-(part << 64) // num_parts)


def key_firsts(num_parts: int) -> UInt64s:
    """The smallest key of each part."""
    return np.array([first_key(part, num_parts) for part in range(num_parts)], np.uint64)


def write_parts(run: str, path: str, table: pa.Table, firsts: UInt64s) -> Written:
    """Write rows in the order of their first column, a uint64, cut where the values of each part begin.

    Rows of equal value keep their order. Returns what the task's record lists; `path` is relative to the run.
    """
    values = table.column(0).to_numpy()
    order = np.argsort(values, kind="stable")
    table = table.take(pa.array(order)).combine_chunks()
    edges = np.searchsorted(values[order], firsts).tolist()
    file = AtomicFile(f"{run}/{path}")
    try:
        schema = table.schema.remove_metadata().serialize()
        file.write(np.uint64(schema.size).tobytes())
        file.write(schema)
        entries = []
        for low, high in pairwise([*edges, table.num_rows]):
            offset, digest = file.num_bytes, xxhash.xxh3_64(schema)
            for batch in table.slice(low, high - low).to_batches(max_chunksize=BATCH_ROWS):
                content = batch.serialize()
                digest.update(content)
                file.write(content)
            entries.append((offset, digest.intdigest()))
        entries.append((file.num_bytes, len(firsts)))
        file.write(np.array(entries, "<u8").tobytes())
    except BaseException:
        file.discard()
        raise
    file.commit()
    return Written(path, table.num_rows, file.num_bytes, file.checksum)


def read_part(run: str, file: Written, part: int) -> pa.Table:
    """Rows of one part. Raises RunError when the file is not what was written."""
    with _opened(run, file) as stream:
        return _read(stream, file, part, part + 1)


def read_all(run: str, file: Written) -> pa.Table:
    """All rows."""
    with _opened(run, file) as stream:
        return _read(stream, file, 0, _num_parts(stream, file))


def read_keys(run: str, file: Written, low: int, high: int) -> pa.Table:
    """Rows whose first column lies in `low … high`, of a file that is cut in equal shares of all keys."""
    with _opened(run, file) as stream:
        num_parts = _num_parts(stream, file)
        first, last = ((key * num_parts) >> 64 for key in (low, high))
        table = _read(stream, file, first, last + 1)
    values = table.column(0).to_numpy()
    start, stop = np.searchsorted(values, np.uint64(low)), np.searchsorted(values, np.uint64(high), side="right")
    return table.slice(start, stop - start)


def concat(tables: Sequence[pa.Table]) -> pa.Table:
    """All rows in one piece; null in columns that a table does not have."""
    return pa.concat_tables(tables, promote_options="default").combine_chunks()


@contextmanager
def _opened(run: str, file: Written) -> Iterator[Stream]:
    path = f"{run}/{file.path}"
    try:
        with Source(path) as stream:
            at_once = "://" in run and file.bytes <= SMALL_BYTES
            yield io.BytesIO(stream.read()) if at_once else stream
    except (pa.ArrowException, OSError, ValueError) as error:
        phase = "/".join([run, *file.path.split("/")[:2]])
        raise RunError(f"{path} is damaged: {error}; delete {phase} to have that phase done again") from error


def _words(stream: Stream, offset: int, count: int) -> list[int]:
    stream.seek(offset)
    return np.frombuffer(stream.read(count * _WORD), "<u8").tolist()


def _num_parts(stream: Stream, file: Written) -> int:
    (num_parts,) = _words(stream, file.bytes - _WORD, 1)
    if not 0 < num_parts * _ENTRY < file.bytes:
        raise ValueError("its index is not where it should be")
    return num_parts


def _read(stream: Stream, file: Written, first: int, stop: int) -> pa.Table:
    index = file.bytes - (_num_parts(stream, file) + 1) * _ENTRY
    entries = _words(stream, index + first * _ENTRY, 2 * (stop - first) + 1)
    offsets, checksums = entries[::2], entries[1::2]
    (size,) = _words(stream, 0, 1)
    if not _WORD + size <= offsets[0] <= offsets[-1] <= index or offsets != sorted(offsets):
        raise ValueError("its parts are not where they should be")
    head = stream.read(size)
    schema = pa.ipc.read_schema(pa.py_buffer(head))
    batches = []
    for part, ((start, end), checksum) in enumerate(zip(pairwise(offsets), checksums, strict=True), first):
        if start == end:
            continue
        stream.seek(start)
        content = stream.read(end - start)
        digest = xxhash.xxh3_64(head)
        digest.update(content)
        if digest.intdigest() != checksum:
            raise ValueError(f"the checksum of part {part} is not the one on record")
        reader = pa.BufferReader(content)
        while reader.tell() < len(content):
            batches.append(pa.ipc.read_record_batch(pa.ipc.read_message(reader), schema))
    return pa.Table.from_batches(batches, schema)
