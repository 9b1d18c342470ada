"""Files of packed sequences: Parquet, Megatron's `.bin` and `.idx`, a plain `.bin` with datatrove's index, MDS.

Beside the ids, every format keeps the same table of where each sequence comes from (`TRACE`): in Parquet it is the
same file, for the others a `.parquet` of the same name. The ids are never compressed, so that sequence `i` has a place
in the file that can be computed and mapped into memory; the table is, and holds a few bytes a document.

    parquet    input_ids, a fixed-size list of uint32, and the table
    megatron   .bin: int32 after int32. .idx: `MMIDIDX`, version 1, one sequence, in a document of its own, for each
               packed sequence. Source: megatron/core/datasets/indexed_dataset.py
    raw        .bin: uint32 after uint32. .bin.index: uint64, the end of every piece of a document and of all padding.
               Source: datatrove's TokenizedFile and DatatroveFileDataset; nanoGPT maps the .bin
    mds        .mds: a count and offsets (uint32), a description in JSON, samples of `document_starts` (JSON) and
               `input_ids`. Source: streaming/base/format/mds
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.io.files import AtomicFile
from pipeline.io.write import COMPRESSION_LEVEL, Written

UInt32s = npt.NDArray[np.uint32]
Chunk = tuple[UInt32s, npt.NDArray[np.uint8] | None]
"""Some sequences, `uint32[k, length]`, and which of their tokens are to be learnt, if that is known."""

TRACE = pa.schema(
    [
        pa.field("num_tokens", pa.uint32(), nullable=False),
        pa.field("document_starts", pa.list_(pa.uint32()), nullable=False),
        pa.field("document_ids", pa.list_(pa.string()), nullable=False),
        pa.field("document_epochs", pa.list_(pa.uint32()), nullable=False),
        pa.field("document_offsets", pa.list_(pa.uint32()), nullable=False),
        pa.field("document_sources", pa.list_(pa.string()), nullable=False),
        pa.field("document_rows", pa.list_(pa.uint64()), nullable=False),
    ]
)
"""A row for each sequence: how many of its tokens are of documents (the rest is padding), and for every piece of a
document in it where it starts, the document's id and epoch, the place of the piece's first token in the framed document
(0 is `<|begin_of_text|>`), the file that the document came from and its row there."""
IDS, LOSS_MASK = "input_ids", "loss_mask"
BODIES = {"megatron": ".bin", "raw": ".bin", "mds": ".mds"}
"""Where the ids are, if not in the Parquet file."""
PAGE_BYTES = 4 << 20
GROUP_TOKENS = 1 << 23
"""Tokens in a row group."""
MEGATRON_MAGIC, MEGATRON_INT32 = b"MMIDIDX\x00\x00", 4


def write_sequences(
    root: str, stem: str, format: str, trace: pa.Table, chunks: Iterator[Chunk], length: int
) -> list[Written]:
    """Write the files of some sequences; returns them, the Parquet file last.

    Args:
        root, stem: the files are `{root}/{stem}.parquet` and, in other formats, `.bin` and the like beside it.
        trace: the table of `TRACE`, a row for each sequence.
        chunks: all sequences in order, some at a time.
    """
    first: Chunk = next(chunks, (np.zeros((0, length), np.uint32), None))
    schema = sequence_schema(length, with_ids=format == "parquet", with_mask=first[1] is not None)
    files = []
    with ExitStack() as stack:
        table = stack.enter_context(_ParquetFile(root, f"{stem}.parquet", schema))
        body = stack.enter_context(_File(root, f"{stem}{BODIES[format]}")) if format in BODIES else None
        if body and format == "mds":
            body.write(mds_head(trace, length))
        start = 0
        for ids, mask in chain([first], chunks):
            part = trace.slice(start, len(ids))
            start += len(ids)
            if body:
                body.write(mds_samples(part, ids) if format == "mds" else ids.astype("<u4", copy=False))
            table.write(part, ids, mask)
        if body:
            files.append(body.close(start))
        for ending, content in _indices(format, trace, length).items():
            with _File(root, f"{stem}{ending}") as index:
                index.write(content)
                files.append(index.close(start))
        return [*files, table.close(start)]


def sequence_schema(length: int, *, with_ids: bool, with_mask: bool = False) -> pa.Schema:
    """The columns of a Parquet file of sequences."""
    fields = list(TRACE)
    for name, type_, wanted in ((LOSS_MASK, pa.uint8(), with_mask), (IDS, pa.uint32(), with_ids)):
        if wanted:
            element = pa.field("element", type_, nullable=False)
            fields.insert(0, pa.field(name, pa.list_(element, length), nullable=False))
    return pa.schema(fields)


class _File:
    """A file that is there when it is closed, whole."""

    def __init__(self, root: str, path: str) -> None:
        self.path = path
        self._file = AtomicFile(f"{root}/{path}")

    def write(self, content: Any) -> None:
        self._file.write(content)

    def close(self, rows: int) -> Written:
        self._file.commit()
        return Written(self.path, rows, self._file.num_bytes, self._file.checksum)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.discard()


class _ParquetFile:
    """The table, with the ids if the format is Parquet. Pages end where rows do, and those of the ids are plain."""

    def __init__(self, root: str, path: str, schema: pa.Schema) -> None:
        self.path, self.schema = path, schema
        self._file = AtomicFile(f"{root}/{path}")
        leaves = [f"{field.name}.list.element" if pa.types.is_nested(field.type) else field.name for field in schema]
        plain = f"{IDS}.list.element"
        self._writer = pq.ParquetWriter(
            self._file,
            schema,
            compression={leaf: "none" if leaf == plain else "zstd" for leaf in leaves},
            compression_level={leaf: COMPRESSION_LEVEL for leaf in leaves if leaf != plain},
            use_dictionary=[leaf for leaf in leaves if leaf.startswith(("document_ids.", "document_sources."))],
            data_page_version="2.0",
            data_page_size=PAGE_BYTES,
            write_statistics=False,
            write_page_checksum=True,
        )

    def write(self, trace: pa.Table, ids: UInt32s, mask: npt.NDArray[np.uint8] | None) -> None:
        columns = []
        for field in self.schema:
            if field.name in (IDS, LOSS_MASK):
                values = ids if field.name == IDS else mask
                assert values is not None
                columns.append(pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), type=field.type))
            else:
                columns.append(trace[field.name].combine_chunks())
        self._writer.write_table(pa.table(columns, schema=self.schema), row_group_size=max(1, len(ids)))

    def close(self, rows: int) -> Written:
        self._writer.close()
        self._file.commit()
        return Written(self.path, rows, self._file.num_bytes, self._file.checksum)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.discard()
        self._writer.close()


def _indices(format: str, trace: pa.Table, length: int) -> dict[str, bytes]:
    """Ending and content of the index files of a format."""
    if format == "megatron":
        return {".idx": megatron_index(trace.num_rows, length)}
    if format == "raw":
        return {".bin.index": datatrove_index(trace, length)}
    return {}


def megatron_index(num_sequences: int, length: int) -> bytes:
    """Megatron's `.idx`: magic, version, type, counts, lengths (int32), places in bytes and documents (int64).

    Each sequence is a document of its own, so that Megatron's shuffling of documents keeps its samples of `length`
    tokens what they are here.
    """
    head = MEGATRON_MAGIC + struct.pack("<QBQQ", 1, MEGATRON_INT32, num_sequences, num_sequences + 1)
    lengths = np.full(num_sequences, length, "<i4")
    places = np.arange(num_sequences, dtype="<i8") * 4 * length
    return head + lengths.tobytes() + places.tobytes() + np.arange(num_sequences + 1, dtype="<i8").tobytes()


def datatrove_index(trace: pa.Table, length: int) -> bytes:
    """Where pieces of documents end, and padding, in tokens from the beginning of the file: uint64 each."""
    starts = trace["document_starts"].combine_chunks()
    rows = np.repeat(np.arange(trace.num_rows), np.diff(starts.offsets.to_numpy()))
    begins = np.concatenate(
        [
            rows * length + starts.flatten().to_numpy(),
            np.arange(trace.num_rows) * length + trace["num_tokens"].to_numpy(),
            [trace.num_rows * length],
        ]
    )
    return np.unique(begins[begins > 0]).astype("<u8").tobytes()


def mds_head(trace: pa.Table, length: int) -> bytes:
    """What an MDS file holds before its samples."""
    description = json.dumps(mds_description(length), sort_keys=True).encode()
    sizes = [4 + len(_starts_json(starts)) + 4 * length for starts in trace["document_starts"].to_pylist()]
    offsets = np.cumsum([0, *sizes]) + 4 + 4 * (len(sizes) + 1) + len(description)
    if offsets[-1] >= 1 << 32:
        raise ValueError(f"an MDS file of {offsets[-1]} bytes: it ends at 4 GiB")
    return struct.pack("<I", len(sizes)) + offsets.astype("<u4").tobytes() + description


def mds_description(length: int) -> dict[str, Any]:
    """The columns of an MDS file, as it and its `index.json` have them."""
    return {
        "version": 2,
        "format": "mds",
        "compression": None,
        "hashes": [],
        "size_limit": None,
        "column_names": ["document_starts", "input_ids"],
        "column_encodings": ["json", f"ndarray:uint32:{length}"],
        "column_sizes": [None, 4 * length],
    }


def mds_samples(trace: pa.Table, ids: UInt32s) -> bytes:
    """Samples of an MDS file: the size of what has no fixed one, then the columns."""
    parts = []
    for starts, row in zip(trace["document_starts"].to_pylist(), ids, strict=True):
        text = _starts_json(starts)
        parts += [struct.pack("<I", len(text)), text, row.astype("<u4", copy=False).tobytes()]
    return b"".join(parts)


def _starts_json(starts: list[int]) -> bytes:
    return json.dumps(starts).encode()
