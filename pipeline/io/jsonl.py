"""JSON lines, plain or compressed: bounded memory whatever the lines are, and a place for every key.

The columns are those seen in a sample of the files. What does not fit later (a new key, another type) goes into
`extra`, as JSON, so that a value on line 10 million neither stops a run nor is lost.
"""

from __future__ import annotations

import difflib
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import zstandard

from pipeline.io.chunks import HEAD_BYTES, Chunk, Collector
from pipeline.io.files import CHUNK_BYTES, Source
from pipeline.io.input import Input
from stages.errors import MissingInputError
from stages.tokens.dialog import read_messages, text_of

SAMPLE_LINES = 1000
SAMPLE_BYTES = 8 << 20
EXTRA = "extra"
ZSTD_INPUT_BYTES = 16 << 10
BOM = b"\xef\xbb\xbf"
DAMAGED = (EOFError, OSError, zlib.error, zstandard.ZstdError)
"""What reading a compressed file raises that is cut or damaged."""
_SCALARS = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}


@dataclass(frozen=True)
class Line:
    """A line and its byte offset in the uncompressed file; `size` is its full length, also where `content` was cut."""

    offset: int
    content: bytes
    size: int


class CutShort(Exception):
    """A compressed stream that ends early or is damaged; `offset` is where, in uncompressed bytes."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset


class TooDeep(ValueError):
    """A JSON value that is nested too deep to be written again."""


def open_bytes(path: str) -> Any:
    """A file's bytes, decompressed if its name ends in .gz or .zst."""
    stream = Source(path)
    if path.endswith(".gz"):
        return gzip.GzipFile(fileobj=stream)
    if path.endswith(".zst"):
        return _ZstdStream(stream)
    return io.BufferedReader(stream, CHUNK_BYTES)


class _ZstdStream:
    """Decompresses frame after frame, and notices when the last one is cut (`zstandard`'s own reader does not)."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._frame: Any = None
        self._input = b""

    def read1(self, size: int) -> bytes:
        """Some bytes; none at the end. Raises EOFError where the file ends in the middle of a frame."""
        output = b""
        while not output:
            self._input = self._input or self._stream.read(ZSTD_INPUT_BYTES)
            if not self._input:
                if self._frame is not None:
                    raise EOFError("the compressed file ends inside a frame")
                break
            if self._frame is None:
                self._frame = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()
            output = self._frame.decompress(self._input)
            self._input = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = None
        return output

    def __enter__(self) -> _ZstdStream:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()


def read_lines(path: str, start: int, stop: int, max_bytes: int) -> Iterator[Line]:
    """The lines that begin in `start <= offset < stop` of a file (for compressed ones, all of them), without their
    newline.

    A line longer than `max_bytes` is passed over without being held: only its head is handed out.
    Raises CutShort when a compressed file ends early; the lines before have been handed out.
    """
    whole = path.endswith((".gz", ".zst"))
    with open_bytes(path) as stream:
        offset = 0 if whole else start
        if offset:
            stream.seek(offset - 1)
            offset -= 1
        yield from _cut(stream, offset, start > 0 and not whole, None if whole else stop, max_bytes)


def _cut(stream: Any, offset: int, skip_first: bool, stop: int | None, max_bytes: int) -> Iterator[Line]:
    pending, size, skipping = bytearray(), 0, skip_first
    while True:
        try:
            chunk = stream.read1(CHUNK_BYTES)  # `read` would lose what comes right before a cut
        except DAMAGED as error:
            raise CutShort(offset + size, str(error)) from error
        low = 0
        while (close := chunk.find(b"\n", low)) >= 0:
            _extend(pending, chunk[low:close], max_bytes)
            size += close - low
            if not skipping:
                yield Line(offset, bytes(pending), size)
            offset += size + 1
            pending.clear()
            size, skipping, low = 0, False, close + 1
            if stop is not None and offset >= stop:
                return
        if not chunk:
            break
        _extend(pending, chunk[low:], max_bytes)
        size += len(chunk) - low
    if size and not skipping:
        yield Line(offset, bytes(pending), size)


def _extend(pending: bytearray, piece: bytes, max_bytes: int) -> None:
    """Add to the line in the making, but never more than the limit and the head of a line beyond it."""
    room = max(max_bytes, HEAD_BYTES) + 1 - len(pending)
    if room > 0:
        pending += piece[:room]


def infer_columns(path: str, source: Input) -> pa.Schema:
    """The columns besides id and text in the first lines of a file; empty if it cannot be read (the reader will say
    so).

    Raises MissingInputError when none of those lines has the text column.
    """
    types: dict[str, set[type]] = {}
    size = 0
    try:
        for number, line in enumerate(read_lines(path, 0, SAMPLE_BYTES, source.max_document_bytes)):
            size += line.size
            if number >= SAMPLE_LINES or size > SAMPLE_BYTES:
                break
            row = _parse(line.content)
            if isinstance(row, dict):
                for key, value in row.items():
                    types.setdefault(key, set()).add(type(value))
    except (CutShort, OSError):
        pass
    if types and source.text not in types:
        near = difflib.get_close_matches(source.text, types, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise MissingInputError(
            f"{path} has no key '{source.text}'; it has: {', '.join(types)}.{hint} Name it: input.text"
        )
    names = {source.id, "text", "id", EXTRA} | ({source.text} if types.get(source.text, {str}) & {str} else set())
    fields = [pa.field("url", pa.string())] if source.url in types else []
    fields += [pa.field(key, _type_of(seen)) for key, seen in types.items() if key not in names | {source.url, "url"}]
    return pa.schema([*fields, pa.field(EXTRA, pa.string())])


def _parse(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None


def _type_of(seen: set[type]) -> pa.DataType:
    kinds = seen - {type(None)}
    if kinds == {int, float}:
        return pa.float64()
    return _SCALARS.get(kinds.pop(), pa.string()) if len(kinds) == 1 else pa.string()


def read_jsonl(path: str, start: int, stop: int, name: str, source: Input, collector: Collector) -> Iterator[Chunk]:
    """Chunks of the lines that begin in a range of the file."""
    try:
        for line in read_lines(path, start, stop, source.max_document_bytes):
            _read_line(line, name, source, collector)
            yield from collector.full()
    except CutShort as error:
        collector.reject("truncated", error.offset, f"the compressed file is cut or damaged: {error}")
    yield from collector.rest()


def _read_line(line: Line, name: str, source: Input, collector: Collector) -> None:
    content = line.content.removeprefix(BOM) if line.offset == 0 else line.content
    if line.size > source.max_document_bytes:
        message = f"{line.size} bytes, more than max_document_bytes = {source.max_document_bytes}"
        collector.reject("too_large", line.offset, message, content)
        return
    if not content.strip():
        return
    try:
        row = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        collector.reject(_why_not_json(content), line.offset, str(error), content)
        return
    if not isinstance(row, dict):
        collector.reject("wrong_type", line.offset, f"the line is no JSON object but {type(row).__name__}", content)
        return
    try:
        _take_row(row, line, name, source, collector)
    except TooDeep as error:
        collector.reject("invalid_json", line.offset, str(error), content)


def _take_row(row: dict[str, Any], line: Line, name: str, source: Input, collector: Collector) -> None:
    content = line.content
    id_ = row.pop(source.id, None) if source.id else None
    id_ = f"{name}@{line.offset}" if id_ is None else fit(id_, pa.string())[0]
    text = row.pop(source.text, None)
    if isinstance(text, list) and source.text in collector.schema.names and source.text != "text":
        row[source.text] = text  # a dialog: it travels along
        try:
            text = text_of(read_messages(text))
        except ValueError as error:
            collector.reject("bad_dialog", line.offset, str(error), content, id_)
            return
    if text is None:
        collector.reject("null_text", line.offset, f"'{source.text}' is null or missing", content, id_)
    elif not isinstance(text, str):
        message = f"'{source.text}' is {type(text).__name__}, not a string"
        collector.reject("wrong_type", line.offset, message, content, id_)
    else:
        collector.add(text, {"id": id_, **_columns(row, source, collector.schema)})


def _why_not_json(content: bytes) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return "invalid_utf8"
    return "invalid_utf8" if _is_json(text) else "invalid_json"  # what json reads and orjson does not: lone surrogates


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _columns(row: dict[str, Any], source: Input, schema: pa.Schema) -> dict[str, Any]:
    """The row's values under the manifest's columns; what has no place there, as JSON under `extra`."""
    values, rest = {}, {}
    for key, value in row.items():
        name = "url" if key == source.url else key
        if name in schema.names and name not in ("id", "text", EXTRA):
            values[name], fits = fit(value, schema.field(name).type)
            if fits:
                continue
        rest[key] = value
    if rest and EXTRA in schema.names:
        values[EXTRA] = _to_json(rest)
    return values


def _to_json(value: Any) -> str:
    """A value that came out of JSON as JSON again. Raises TooDeep: orjson reads 1,024 levels and writes 254."""
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:
        raise TooDeep("lists and objects are nested more than 250 deep") from error


def fit(value: Any, type_: pa.DataType) -> tuple[Any, bool]:
    """A JSON value as a column of that type holds it, and whether it does; nested values become JSON in string
    columns."""
    if value is None:
        return None, True
    if type_ == pa.string():
        return (value if isinstance(value, str) else _to_json(value)), True
    if type_ == pa.float64():
        return (
            (float(value), True) if isinstance(value, (int, float)) and not isinstance(value, bool) else (None, False)
        )
    if type_ == pa.int64():
        fits = isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < 1 << 63
        return (value, True) if fits else (None, False)
    if type_ == pa.bool_():
        return (value, True) if isinstance(value, bool) else (None, False)
    return None, False
