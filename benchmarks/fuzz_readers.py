"""Readers of documents that are fuzzed, with the valid inputs to begin from and what has to hold for a broken one.

A target is a function from a folder to its seeds and its judge. The judge takes the kind of a seed and broken
content, and returns whether the input was accepted; a TamisError (or a ValueError where that is the contract of what
is called) means that it was refused. Anything else that it raises is a finding, and so is a broken promise about what
was accepted.
"""

from __future__ import annotations

import gzip
import io
import itertools
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.fuzz_mutations import Seed

ROOT = Path(__file__).parents[1]
LIMIT_BYTES = 100_000
"""`max_document_bytes` of all readers here."""
TEXTS = (
    "It was a dark and stormy night; the rain fell in torrents.\nExcept at occasional intervals.\r\n\r\nThe end.",
    "Ünïcödé — « 日本語の文章 » ภาษาไทย 👩‍👧 \u202e\u0000 don't I'LL we've 12345 \t\n\n  x",
    "",
    "<|begin_of_text|><|eot_id|> " + "a" * 300 + " " + "1234567890" * 20,
)
DIALOG = [{"role": "user", "content": TEXTS[0]}, {"role": "assistant", "content": TEXTS[1]}]


@dataclass(frozen=True)
class Target:
    """Seeds, what is often written in such inputs, and the judge."""

    seeds: Sequence[Seed]
    words: Sequence[bytes]
    judge: Callable[[str, bytes], bool]
    refused: tuple[type[Exception], ...] = ()
    """What is raised for input that is none, besides TamisError."""
    make: Callable[[random.Random], bytes] | None = None
    """Half of the inputs, where bytes alone would not get past the parser."""


class Places:
    """A fresh file for every input, the last one removed: readers keep what they know of a file by its name."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers, self._last = folder, itertools.count(), folder / "none"

    def write(self, name: str, content: bytes) -> Path:
        self._last.unlink(missing_ok=True)
        self._last = self._folder / f"{next(self._numbers)}-{name}"
        self._last.write_bytes(content)
        return self._last


def _zstd(content: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor().compress(content)


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, 1, mtime=0)


def _members(content: bytes) -> bytes:
    """A gzip member for every WARC record, as crawls have them."""
    return b"".join(_gzip(b"WARC/1.0" + part) for part in content.split(b"WARC/1.0")[1:]) or _gzip(content)


def _read_all(path: Path, **options: Any) -> bool:
    """Read a file as a run does. Every document is valid UTF-8 and has an id, and every record a row of its own."""
    from pipeline.io.input import Input
    from pipeline.io.read import read_shard
    from pipeline.io.shards import list_shards

    source = Input(path=str(path), max_document_bytes=LIMIT_BYTES, **options)
    manifest = list_shards(source)
    found = 0
    for shard in manifest.shards:
        rows: list[int] = []
        for chunk in read_shard(shard, manifest, source, 20_000):
            chunk.table.validate(full=True)
            assert chunk.table.schema == manifest.schema
            assert not chunk.table["text"].null_count
            assert not chunk.table["id"].null_count
            rows += [*chunk.rows.tolist(), *(record.row for record in chunk.rejected)]
            found += chunk.table.num_rows
        assert len(set(rows)) == len(rows)
    return found > 0


def _reader(folder: Path, seeds: Sequence[Seed], words: Sequence[bytes], **options: Any) -> Target:
    places = Places(folder)

    def judge(kind: str, content: bytes) -> bool:
        text = {"text": "messages"} if "messages" in kind else {}
        return _read_all(places.write(kind, content), **text, **options)

    return Target(seeds, words, judge)


def jsonl(folder: Path) -> Target:
    rows = [
        {
            "id": f"page-{i}",
            "url": "https://example.org/a",
            "text": text,
            "n": i,
            "f": i / 3,
            "b": i > 1,
            "x": {"y": [i]},
        }
        for i, text in enumerate(TEXTS)
    ]
    plain = "".join(json.dumps(row, ensure_ascii=bool(i % 2)) + "\n" for i, row in enumerate(rows)).encode()
    dialogs = (json.dumps({"messages": DIALOG, "id": 7}) + "\n").encode() * 2
    seeds = [
        Seed("a.jsonl", plain), Seed("messages.jsonl", dialogs), Seed("a.jsonl.gz", plain, _gzip),
        Seed("a.jsonl.zst", plain, _zstd), Seed("b.jsonl", plain),
    ]  # fmt: skip
    words = [
        b"\n", b'"text":', b"null", b"{", b"}", b"[", b"]", b"[" * 2000, b'{"a":' * 2000, b"1e999", b"-0", b"NaN",
        b"\\ud800", b"\\u0000", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"9" * 400,
        b'"deep":' + b"[" * 300 + b"]" * 300 + b",", b'"deep":' + b'{"a":' * 260 + b"1" + b"}" * 260 + b",",
        b'"id":', b'"extra":1,', b'"text":1,',
    ]  # fmt: skip
    return _reader(folder, seeds, words)


def text(folder: Path) -> Target:
    plain = "\n".join(TEXTS).encode()
    seeds = [Seed("a.txt", plain), Seed("a.txt.gz", plain, _gzip), Seed("a.md.zst", plain, _zstd)]
    return _reader(folder, seeds, [b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\0" * 100, b"y" * 200_000])


def parquet(folder: Path) -> Target:
    table = pa.table(
        {
            "id": [f"page-{i}" for i in range(40)],
            "text": [TEXTS[i % 4] + str(i // 8) for i in range(40)],
            "url": pa.array(["https://example.org/a", None] * 20, pa.large_string()),
            "n": pa.array(range(40), pa.int32()),
            "tags": pa.array([[str(i)] * (i % 3) for i in range(40)]),
            "when": pa.array(range(40), pa.timestamp("ms")),
        }
    )
    dialogs = pa.table({"messages": [DIALOG, None, DIALOG[:1], []] * 5, "id": pa.array(range(20))})
    named = {
        "plain.parquet": (table, {"compression": "none", "use_dictionary": False}),
        "groups.parquet": (table, {"row_group_size": 7, "compression": "snappy", "use_dictionary": ["text"]}),
        "checked.parquet": (table, {"write_page_checksum": True, "compression": "zstd"}),
        "second.parquet": (table, {"data_page_version": "2.0", "compression": "gzip", "data_page_size": 100}),
        "delta.parquet": (
            table.select(["id", "text"]),
            {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY", "id": "DELTA_LENGTH_BYTE_ARRAY"}},
        ),
        "messages.parquet": (dialogs, {"compression": "none"}),
    }
    seeds = []
    for name, (content, options) in named.items():
        sink = io.BytesIO()
        pq.write_table(content, sink, store_schema=name != "plain.parquet", **options)
        seeds.append(Seed(name, sink.getvalue()))
    return _reader(folder, seeds, [b"PAR1", b"\xff\xff\xff\xff\x0f", b"\x15\x00", b"\x19\x1c", b"text"])


def warc(folder: Path) -> Target:
    def record(kind: str, body: bytes, **headers: str) -> bytes:
        lines = {
            "WARC-Type": kind,
            "WARC-Record-ID": f"<urn:uuid:{len(body)}-{kind}>",
            "WARC-Date": "2024-01-01T00:00:00Z",
        }
        lines |= {name.replace("_", "-"): value for name, value in headers.items()} | {"Content-Length": str(len(body))}
        return (
            b"WARC/1.0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()).encode() + b"\r\n" + body + b"\r\n\r\n"
        )

    page = (
        f"<html><head><meta charset=utf-8><title>T</title></head><body><p>{TEXTS[0] * 3}</p><ul><li>a<li>b</ul></body>"
    )
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=%s\r\n%s\r\n"
    records = [
        record("warcinfo", b"software: none\r\n", Content_Type="application/warc-fields"),
        *(
            record(
                "response",
                http % (charset.encode(), b"Transfer-Encoding: chunked\r\n" if charset == "cp1252" else b"")
                + page.encode(),
                Content_Type="application/http; msgtype=response",
                WARC_Target_URI="https://example.org/ä",
            )
            for charset in ("utf-8", "shift_jis", "cp1252")
        ),
        record("conversion", TEXTS[1].encode(), Content_Type="text/plain", WARC_Target_URI="https://example.org/b"),
    ]
    plain = b"".join(records)
    seeds = [
        Seed("a.warc", plain), Seed("a.warc.gz", plain, _members), Seed("a.wet", records[-1]),
        Seed("b.warc.gz", plain, _gzip),
    ]  # fmt: skip
    words = [
        b"WARC/1.1\r\n", b"\r\n\r\n", b"Content-Length: 99999999999999999999\r\n", b"Content-Length: -1\r\n",
        b"<div>" * 3000,
        b"WARC-Type: response\r\n", b"Content-Encoding: br\r\n", b"HTTP/1.1 200", b"charset=utf-7", b"charset=\xff",
        b"<!--",
        b"<script>", b"&#1114112;", b"</p>", b"\xff\xfe", b"\x1f\x8b\x08",
    ]  # fmt: skip
    return _reader(folder, seeds, words)
