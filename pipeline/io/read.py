"""A shard as a stream of chunks, whatever its format. Bad records are handed on as such; they never stop the stream."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from pipeline.io.chunks import Chunk, Collector, Rejected, without_duplicate_ids
from pipeline.io.input import Input
from pipeline.io.jsonl import DAMAGED, open_bytes, read_jsonl
from pipeline.io.shards import Manifest, Shard

__all__ = ["Chunk", "Rejected", "read_shard"]


def read_shard(shard: Shard, manifest: Manifest, source: Input, batch_bytes: int) -> Iterator[Chunk]:
    """The documents of a shard in chunks of about `batch_bytes` of text (a chunk of one larger document is larger).

    Raises InputError when the file cannot be read as what the manifest says it is.
    """
    yield from without_duplicate_ids(_read(shard, manifest, source, batch_bytes), shard.path)


def _read(shard: Shard, manifest: Manifest, source: Input, batch_bytes: int) -> Iterator[Chunk]:
    collector = Collector(manifest.schema, shard.path, batch_bytes)
    name = posixpath.relpath(shard.path, manifest.root) if "://" not in shard.path else shard.path[len(manifest.root) :]
    if shard.size == 0:
        collector.reject("empty_file", 0, "the file has no bytes")
        yield from collector.rest()
    elif shard.format == "parquet":
        from pipeline.io.parquet import read_parquet

        yield from read_parquet(shard, name, manifest.schema, source, batch_bytes)
    elif shard.format == "jsonl":
        yield from read_jsonl(shard.path, shard.start, shard.stop, name, source, collector)
    elif shard.format == "text":
        yield from _read_text(shard.path, name, source, collector)
    else:
        from pipeline.io.warc import read_warc

        yield from read_warc(shard.path, source, collector)


def _read_text(path: str, name: str, source: Input, collector: Collector) -> Iterator[Chunk]:
    """A file that is one document."""
    limit = source.max_document_bytes
    content = b""
    try:
        with open_bytes(path) as stream:
            while len(content) <= limit and (piece := stream.read1(limit + 1 - len(content))):
                content += piece
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        collector.reject("invalid_utf8", error.start, str(error), content, name)
    except DAMAGED as error:
        collector.reject("truncated", len(content), str(error), content, name)
    else:
        if len(content) > limit:
            collector.reject("too_large", 0, f"more than max_document_bytes = {limit}", content, name)
        else:
            collector.add(text, {"id": name})
    yield from collector.rest()
