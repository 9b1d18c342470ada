"""What there is to read: the files of an input, split into shards, and the one schema that all of them are read as.

The list is made once, at the first launch of a run, and kept in its `run.json`. It depends on the files alone, never
on the number of workers.
"""

from __future__ import annotations

import difflib
import posixpath
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.io.dialogs import is_dialog
from pipeline.io.files import Source, etag_of, filesystem_of
from pipeline.io.footer import read_footer
from pipeline.io.input import Input
from pipeline.io.jsonl import infer_columns
from pipeline.io.retry import again, is_local
from stages.errors import MissingInputError

ENDINGS = {
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".warc": "warc",
    ".wet": "wet",
    ".txt": "text",
    ".md": "text",
    ".rst": "text",
}
COMPRESSIONS = (".gz", ".zst")
TEXT_TYPES = (pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary())
ROW_BITS = 40
"""A document's address is its shard's index and, in the low bits, its row in the shard."""
NUM_SAMPLED = 32
"""Files whose schema is looked at: the first, the last and some between."""


@dataclass(frozen=True)
class Shard:
    """One unit of input.

    `start` and `stop` are row groups of a Parquet file, bytes of a plain JSONL file, and otherwise 0 and the file's
    size; `first_row` is the file's row number of a Parquet shard's first row; `size` and `etag` are the whole file's.
    """

    index: int
    path: str
    format: str
    size: int
    etag: str
    start: int
    stop: int
    first_row: int
    num_bytes: int
    """About how many bytes of the file the shard covers."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Manifest:
    """The shards of a run, in order, and the schema of every table read from them: id, text, url if any, then the
    rest."""

    shards: tuple[Shard, ...]
    schema: pa.Schema
    root: str
    """Folder that all paths have in common; made ids are relative to it."""

    def to_json(self) -> dict[str, Any]:
        columns = {field.name: str(field.type) for field in self.schema}
        serialized = self.schema.serialize().to_pybytes().hex()
        return {
            "root": self.root,
            "columns": columns,
            "schema": serialized,
            "shards": [s.to_json() for s in self.shards],
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Manifest:
        schema = pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(content["schema"])))
        return cls(tuple(Shard(**shard) for shard in content["shards"]), schema, content["root"])


@dataclass(frozen=True)
class _File:
    path: str
    format: str
    size: int
    etag: str


def list_shards(source: Input) -> Manifest:
    """Find the input's files and split them. Sorted by path, so the result depends on the files alone.

    Raises MissingInputError: nothing matches; a file's format cannot be told; a column is missing or not text; two
    files whose schemas contradict each other.
    """
    files = sorted(_find(source), key=lambda file: file.path)
    if not files:
        raise MissingInputError(f"nothing to read: no file matches {', '.join(source.paths)}")
    sampled = (
        files
        if len(files) <= NUM_SAMPLED
        else [files[i * (len(files) - 1) // (NUM_SAMPLED - 1)] for i in range(NUM_SAMPLED)]
    )
    parquet = {file.path: _open_parquet(file) for file in files if file.format == "parquet"}
    looked_at = [file for file in files if file.format == "parquet" or file in sampled]
    schema = _common_schema(source, looked_at, parquet)
    shards: list[Shard] = []
    for file in files:
        for start, stop, first_row, num_bytes in _parts(file, parquet.get(file.path), source.shard_bytes):
            shards.append(
                Shard(len(shards), file.path, file.format, file.size, file.etag, start, stop, first_row, num_bytes)
            )
    return Manifest(tuple(shards), schema, _common_root([file.path for file in files]))


def format_of(path: str) -> str | None:
    """Format by a path's ending, None if it says nothing."""
    stem = path.lower()
    for ending in COMPRESSIONS:
        stem = stem.removesuffix(ending)
    return next((format_ for ending, format_ in ENDINGS.items() if stem.endswith(ending)), None)


def _find(source: Input) -> Iterator[_File]:
    seen = set()
    for pattern in source.paths:
        fs, name = filesystem_of(pattern)
        names = again(fs, f"{pattern} cannot be listed", partial(_matching, fs, name, source.format))
        if not names:
            raise MissingInputError(f"nothing to read: no file matches {pattern}{_near(fs, name)}")
        for found, info in names.items():
            if info["type"] != "file" or found in seen:
                continue
            seen.add(found)
            path = found if is_local(fs) else fs.unstrip_protocol(found)
            format_ = source.format if source.format != "auto" else format_of(found)
            if format_ is None:
                raise MissingInputError(
                    f"{path}: cannot tell the format by its ending; write input.format: one of {_formats()}"
                )
            yield _File(path, format_, int(info["size"]), etag_of(info))


def _matching(fs: Any, name: str, format_: str) -> dict[str, dict[str, Any]]:
    """What is known of the files that a pattern, folder or name stands for; of a listing, without asking for each."""
    if any(char in name for char in "*?["):
        return dict(fs.glob(name, detail=True))
    try:
        info = fs.info(name)
    except FileNotFoundError:
        return {}
    if info["type"] != "directory":
        return {name: info}
    return {
        found: about for found, about in fs.find(name, detail=True).items() if format_ != "auto" or format_of(found)
    }


def _near(fs: Any, name: str) -> str:
    """A hint where a path that does not exist may have been meant."""
    parent = fs._parent(name)
    if not fs.isdir(parent):
        return f" (there is no folder {parent})"
    names = [posixpath.basename(found) for found in fs.ls(parent, detail=False)]
    near = difflib.get_close_matches(posixpath.basename(name), names, n=1)
    return f". Did you mean {posixpath.join(parent, near[0])}?" if near else ""


def _formats() -> str:
    return ", ".join(sorted(set(ENDINGS.values())))


def _common_root(paths: list[str]) -> str:
    folders = [posixpath.dirname(path) for path in paths]
    return (
        posixpath.commonpath(folders) if "://" not in paths[0] else posixpath.commonprefix([f"{f}/" for f in folders])
    )


def _open_parquet(file: _File) -> pq.FileMetaData | None:
    """A Parquet file's metadata; None if it is empty or damaged, which the reader then reports as a rejected record."""
    try:
        with Source(file.path) as stream:
            return read_footer(stream)
    except (pa.ArrowException, OSError):
        return None


def _parts(file: _File, metadata: pq.FileMetaData | None, shard_bytes: int) -> Iterator[tuple[int, int, int, int]]:
    """(start, stop, first row, bytes) of each part of a file."""
    if metadata is not None:
        yield from _row_group_parts(metadata, shard_bytes)
    elif file.format == "jsonl" and not file.path.endswith(COMPRESSIONS) and file.size > shard_bytes:
        num_parts = -(-file.size // shard_bytes)
        edges = [file.size * i // num_parts for i in range(num_parts + 1)]
        for start, stop in pairwise(edges):
            yield start, stop, 0, stop - start
    else:
        yield 0, file.size, 0, file.size


def _row_group_parts(metadata: pq.FileMetaData, shard_bytes: int) -> Iterator[tuple[int, int, int, int]]:
    start = first_row = rows = size = 0
    for group in range(metadata.num_row_groups):
        about = metadata.row_group(group)
        rows += about.num_rows
        size += sum(about.column(i).total_compressed_size for i in range(about.num_columns))
        if size >= shard_bytes or group == metadata.num_row_groups - 1:
            yield start, group + 1, first_row, size
            start, first_row, rows, size = group + 1, first_row + rows, 0, 0
    if not metadata.num_row_groups:
        yield 0, 0, 0, 0


def _common_schema(source: Input, files: list[_File], parquet: dict[str, pq.FileMetaData | None]) -> pa.Schema:
    """The schema that all files are read as: the columns of all, types promoted where files differ."""
    schema: pa.Schema | None = None
    for file in files:
        metadata = parquet.get(file.path)
        if file.format == "parquet":
            if metadata is None:
                continue
            columns = _parquet_columns(source, file, metadata.schema.to_arrow_schema())
        elif file.format == "jsonl":
            columns = infer_columns(file.path, source)
        elif file.format in ("warc", "wet"):
            columns = pa.schema([("url", pa.string()), ("date", pa.string()), ("content_type", pa.string())])
        else:
            columns = pa.schema([])
        try:
            schema = columns if schema is None else pa.unify_schemas([schema, columns], promote_options="permissive")
        except pa.ArrowException as error:
            raise MissingInputError(f"{file.path} does not go with {files[0].path}: {error}") from error
    rest = [field for field in schema or [] if field.name not in ("id", "text", "url")]
    head = [pa.field("id", pa.string()), pa.field("text", pa.large_string())]
    url = [pa.field("url", pa.string())] if schema is not None and "url" in schema.names else []
    return pa.schema([*head, *url, *rest])


def _parquet_columns(source: Input, file: _File, found: pa.Schema) -> pa.Schema:
    """Incoming columns of a Parquet file under the names that Tamis gives them; the text column is checked here."""
    if source.text not in found.names:
        near = difflib.get_close_matches(source.text, found.names, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise MissingInputError(
            f"{file.path} has no column '{source.text}'; it has: {', '.join(found.names)}.{hint} Name it: input.text"
        )
    type_ = found.field(source.text).type
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if type_ not in TEXT_TYPES and not (is_dialog(type_) and source.text != "text"):
        raise MissingInputError(
            f"{file.path}: column '{source.text}' holds {type_}, not text. Name another one: input.text"
        )
    fields = []
    for field in found.remove_metadata():
        if field.name == source.id or (field.name == source.text and not is_dialog(field.type)):
            continue
        name, type_ = ("url", pa.string()) if field.name == source.url else (field.name, field.type)
        if name in ("id", "text"):
            continue  # the user's choice of another column hides this one
        fields.append(pa.field(name, type_))
    return pa.schema(fields)
