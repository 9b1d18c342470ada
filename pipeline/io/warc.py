"""WARC and WET: pages of HTML as text, and text that a crawler extracted before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pipeline.io.chunks import HEAD_BYTES, Chunk, Collector
from pipeline.io.files import Source
from pipeline.io.input import Input
from stages.errors import MissingPartError

HTML_TYPES = ("text/html", "application/xhtml+xml")


def read_warc(path: str, source: Input, collector: Collector) -> Iterator[Chunk]:
    """Pages that were fetched well (responses with status 200 and a type of text), and WET's conversion records, in
    order.

    Everything else in the file is no document and is passed over. A file that ends early or is damaged gives what comes
    before, and one rejected record.
    """
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    extract = _extractor(source.extract)
    position = 0
    with Source(path) as stream:
        records = ArchiveIterator(
            stream, record_types=WarcRecordType.response | WarcRecordType.conversion, parse_http=True, fsspec_args=False
        )
        try:
            for record in records:
                position = record.stream_pos
                _read_record(record, position, source.max_document_bytes, extract, collector)
                yield from collector.full()
        except (OSError, ValueError, EOFError) as error:
            collector.reject(
                "truncated", position, f"the file is cut or damaged after the record at {position}: {error}"
            )
    yield from collector.rest()


def _read_record(
    record: Any, position: int, max_bytes: int, extract: Callable[[str], str], collector: Collector
) -> None:
    if record.is_http and record.http_headers is not None:
        kind = (record.http_content_type or "").lower()
        if record.http_headers.status_code != 200 or not (kind in HTML_TYPES or kind == "text/plain"):
            return
    else:
        kind = "text/plain"
    id_ = (record.headers.get("WARC-Record-ID") or f"{position}").strip("<>")
    size = record.content_length
    if size > max_bytes:
        head = record.reader.read(HEAD_BYTES)
        collector.reject("too_large", position, f"{size} bytes, more than max_document_bytes = {max_bytes}", head, id_)
        return
    body = record.reader.read()
    if len(body) < size:
        collector.reject("truncated", position, f"the record has {len(body)} of its {size} bytes", body, id_)
        return
    try:
        text = _decode(body, kind, record.http_charset)
        if kind in HTML_TYPES:
            text = extract(text)
        text.encode()
    except Exception as error:  # extractors meet every kind of broken page; none of it may stop a run
        collector.reject("bad_record", position, f"{type(error).__name__}: {error}", body, id_)
        return
    collector.add(
        text,
        {
            "id": id_,
            "url": record.headers.get("WARC-Target-URI"),
            "date": record.headers.get("WARC-Date"),
            "content_type": kind,
        },
    )


def _decode(body: bytes, kind: str, charset: str | None) -> str:
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding

    encoding = charset or detect_encoding(body, from_html_meta=kind in HTML_TYPES) or "utf-8"
    try:
        return str(bytes_to_str(body, encoding))
    except LookupError:
        return str(bytes_to_str(body, detect_encoding(body, from_html_meta=kind in HTML_TYPES) or "utf-8"))


def _extractor(name: str) -> Callable[[str], str]:
    if name == "resiliparse":
        from resiliparse.extract.html2text import extract_plain_text

        return lambda html: str(extract_plain_text(html, main_content=True))
    try:
        import trafilatura
    except ImportError as error:
        raise MissingPartError(
            "extract: trafilatura is not installed; install it: pip install 'tamis[extract]'"
        ) from error
    return lambda html: trafilatura.extract(html, favor_precision=True, include_comments=False) or ""
