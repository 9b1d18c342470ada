"""Readers: every format, every kind of bad input by name, and any split of a file gives the same documents."""

import gzip
import io
import json
import zlib

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.io.input import Input
from pipeline.io.read import read_shard
from pipeline.io.shards import Manifest, list_shards
from stages.errors import InputError, MissingInputError

BATCH = 1000


def read(path: object, batch_bytes: int = BATCH, **fields) -> tuple[list[dict], list, Manifest]:
    """Documents, rejected records and manifest of an input."""
    source = Input(path=str(path), **fields)
    manifest = list_shards(source)
    documents, rejected = [], []
    for shard in manifest.shards:
        places = []
        for chunk in read_shard(shard, manifest, source, batch_bytes):
            assert chunk.table.schema == manifest.schema
            chunk.table.validate(full=True)
            assert len(chunk.rows) == chunk.table.num_rows
            documents += chunk.table.to_pylist()
            rejected += chunk.rejected
            places += [*chunk.rows.tolist(), *(record.row for record in chunk.rejected)]
        assert len(set(places)) == len(places), "every record of a shard has a row of its own"
    return documents, rejected, manifest


def reasons(rejected: list) -> list[str]:
    return [record.reason.removeprefix("input.") for record in rejected]


def jsonl(*rows: object) -> bytes:
    return b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)


def test_jsonl_with_all_that_can_be_wrong_with_it(tmp_path):
    good = {"id": "a", "text": "fine", "url": "http://x", "n": 1}
    rows = [
        good,
        {"id": "b", "text": None},
        {"id": "c"},
        {"id": "d", "text": 3},
        b"[1, 2]\n",
        b'{"id": "e", "text": "cut in hal\n',
        b'{"id": "f", "text": "\xff\xfe"}\n',
        b'{"id": "g", "text": "\\ud800"}\n',
        b"\n",
        {"id": "a", "text": "again"},
        {"id": "h", "text": "x" * 3000},
        {"id": "i", "text": "last, no newline"},
    ]
    path = tmp_path / "in.jsonl"
    path.write_bytes(jsonl(*rows).rstrip(b"\n"))
    documents, rejected, _ = read(path, max_document_bytes=2000)
    assert [row["id"] for row in documents] == ["a", "i"]
    assert documents[0] == {"id": "a", "text": "fine", "url": "http://x", "n": 1, "extra": None}
    twice = ["null_text", "wrong_type", "invalid_utf8"]
    assert sorted(reasons(rejected)) == sorted([*twice, *twice, "invalid_json", "duplicate_id", "too_large"])
    for record in rejected:
        assert record.source == str(path)
        assert record.message
        if record.reason not in ("input.duplicate_id",):
            assert path.read_bytes()[record.offset :].startswith(record.raw[:10])


def test_a_byte_order_mark_is_no_text(tmp_path):
    (tmp_path / "in.jsonl").write_bytes(b"\xef\xbb\xbf" + jsonl({"text": "a"}))
    (tmp_path / "in.txt").write_bytes(b"\xef\xbb\xbfplain")
    documents, rejected, _ = read(tmp_path)
    assert [row["text"] for row in documents] == ["a", "plain"]
    assert rejected == []


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_jsonl_compressed_or_not(tmp_path, ending):
    rows = [{"id": str(i), "text": f"text {i}"} for i in range(100)]
    content = jsonl(*rows)
    halves = content[:1500], content[1500:]
    packed = {
        "": content,
        ".gz": b"".join(map(gzip.compress, halves)),  # several members, as crawlers write them
        ".zst": b"".join(map(zstandard.compress, halves)),
    }[ending]
    (tmp_path / f"in.jsonl{ending}").write_bytes(packed)
    documents, rejected, _ = read(tmp_path / f"in.jsonl{ending}")
    assert [row["text"] for row in documents] == [row["text"] for row in rows]
    assert rejected == []


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_compressed_file_gives_what_comes_before(tmp_path, ending, damage):
    content = jsonl(*({"id": str(i), "text": f"{i} {zlib.crc32(bytes([i % 256]))}"} for i in range(60_000)))
    compress = gzip.compress if ending == ".gz" else zstandard.compress
    packed = bytearray(compress(content))
    if damage == "cut":
        packed = packed[: len(packed) * 2 // 3]
    else:
        packed[len(packed) * 2 // 3] ^= 0xFF
    path = tmp_path / f"in.jsonl{ending}"
    path.write_bytes(packed)
    documents, rejected, _ = read(path, batch_bytes=1 << 20)
    sound = 35_000  # gzip notices a flipped byte at its end only, so some garbage may come in between
    assert sound < len(documents) < 60_000
    assert [row["id"] for row in documents[:sound]] == [str(i) for i in range(sound)]
    assert reasons(rejected)[-1] == "truncated"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(max_size=30), max_size=20), shard_bytes=st.integers(1, 400))
def test_any_split_of_a_jsonl_file_gives_the_same_documents(tmp_path, texts, shard_bytes):
    path = tmp_path / "in.jsonl"
    path.write_bytes(
        b"".join(json.dumps({"text": text}, ensure_ascii=False).encode("utf-8", "replace") + b"\n" for text in texts)
    )
    if not texts:
        return
    whole, none, _ = read(path)
    split, nothing, manifest = read(path, shard_bytes=shard_bytes)
    assert split == whole
    assert none == nothing == []
    assert [row["text"] for row in whole] == [text.encode("utf-8", "replace").decode() for text in texts]
    assert len({row["id"] for row in whole}) == len(texts), "made ids are places in the file, whatever the split"
    assert len(manifest.shards) == max(-(-path.stat().st_size // shard_bytes), 1)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), min_size=1, max_size=30),
    group=st.integers(1, 10),
    shard_bytes=st.integers(1, 2000),
)
def test_any_split_of_a_parquet_file_gives_the_same_documents(tmp_path, texts, group, shard_bytes):
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"text": texts, "n": range(len(texts))}), path, row_group_size=group)
    documents, rejected, _ = read(path, shard_bytes=shard_bytes)
    assert [(row["id"], row["text"], row["n"]) for row in documents] == [
        (f"in.parquet#{i}", text, i) for i, text in enumerate(texts)
    ]
    assert rejected == []


def test_parquet_with_all_that_can_be_wrong_with_it(tmp_path):
    texts = pa.array([b"fine", None, b"\xff bad", b"x" * 3000, b"again", b"good"], pa.binary())
    table = pa.table({"id": [7, 8, 9, 10, 7, None], "text": texts, "date": ["d"] * 6})
    pq.write_table(table, tmp_path / "in.parquet")
    documents, rejected, manifest = read(tmp_path / "in.parquet", max_document_bytes=2000)
    assert [(row["id"], row["text"]) for row in documents] == [("7", "fine"), ("in.parquet#5", "good")]
    assert sorted((record.row, reason) for record, reason in zip(rejected, reasons(rejected), strict=True)) == [
        (1, "null_text"), (2, "invalid_utf8"), (3, "too_large"), (4, "duplicate_id"),
    ]  # fmt: skip
    assert manifest.schema.names == ["id", "text", "date"]


def test_invalid_utf8_in_a_string_column_is_found(tmp_path):
    """Arrow does not look into strings when it reads."""
    bad = pa.Array.from_buffers(pa.string(), 2, pa.array([b"ok", b"\xc3\x28"], pa.binary()).buffers())
    pq.write_table(pa.table({"text": bad}), tmp_path / "in.parquet")
    documents, rejected, _ = read(tmp_path / "in.parquet")
    assert ([row["text"] for row in documents], reasons(rejected)) == (["ok"], ["invalid_utf8"])
    assert rejected[0].raw == b"\xc3\x28"


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())])
def test_parquet_text_may_have_any_string_type(tmp_path, type_):
    pq.write_table(pa.table({"text": pa.array(["a", "b"]).cast(type_)}), tmp_path / "in.parquet")
    assert [row["text"] for row in read(tmp_path / "in.parquet")[0]] == ["a", "b"]


def test_a_damaged_row_group_is_one_record_and_reading_goes_on(tmp_path):
    path = tmp_path / "in.parquet"
    table = pa.table({"text": [f"{i} {zlib.crc32(str(i).encode())}" * 50 for i in range(300)]})
    pq.write_table(table, path, row_group_size=100, compression="zstd", use_dictionary=False, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    chunk = pq.read_metadata(path).row_group(1).column(0)
    content[chunk.data_page_offset + chunk.total_compressed_size - 20] ^= 0xFF
    path.write_bytes(content)
    documents, rejected, _ = read(path, batch_bytes=1 << 20)
    assert len(documents) == 200
    assert reasons(rejected) == ["bad_record"]
    assert "row group 1" in rejected[0].message


@pytest.mark.parametrize("name", ["in.parquet", "in.jsonl", "in.warc.gz", "in.txt"])
def test_an_empty_file_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    documents, rejected, _ = read(tmp_path / name)
    assert (documents, reasons(rejected)) == ([], ["empty_file"])
    assert rejected[0].source.endswith(name)


def test_a_file_that_is_no_parquet(tmp_path):
    (tmp_path / "in.parquet").write_bytes(b"PAR1 and nothing more")
    documents, rejected, _ = read(tmp_path / "in.parquet")
    assert (documents, reasons(rejected)) == ([], ["bad_record"])


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"txet": ["a"]}, "has no column 'text'; it has: txet. Did you mean 'txet'?"),
        ({"text": [1]}, "column 'text' holds int64, not text"),
        ({"text": [["a"]]}, "not text"),
    ],
)
def test_parquet_columns_that_cannot_be(tmp_path, table, expected):
    pq.write_table(pa.table(table), tmp_path / "in.parquet")
    with pytest.raises(MissingInputError, match=expected.replace("?", r"\?")):
        read(tmp_path / "in.parquet")


def test_column_names_are_the_users(tmp_path):
    (tmp_path / "in.jsonl").write_bytes(
        jsonl({"key": 5, "content": "a", "link": "http://x", "text": "other", "id": "old"})
    )
    (row,), _, _ = read(tmp_path / "in.jsonl", text="content", id="key", url="link")
    assert (row["id"], row["text"], row["url"]) == ("5", "a", "http://x")
    assert json.loads(row["extra"]) == {"text": "other", "id": "old"}, "what has no column of its own is kept"


def test_jsonl_values_that_come_late_or_do_not_fit_are_kept(tmp_path):
    rows = [{"text": "a", "n": 1, "nested": {"k": [1]}}] * 1 + [
        {"text": "b", "n": "many", "new": True, "nested": "flat"}
    ]
    first = jsonl(*[{"id": str(i), **rows[0]} for i in range(1100)])
    (tmp_path / "in.jsonl").write_bytes(first + jsonl({"id": "late", **rows[1]}))
    documents, rejected, manifest = read(tmp_path / "in.jsonl", batch_bytes=1 << 20)
    assert rejected == []
    assert manifest.schema.field("n").type == pa.int64()
    assert documents[0]["nested"] == '{"k":[1]}'
    assert documents[-1]["n"] is None
    assert json.loads(documents[-1]["extra"]) == {"n": "many", "new": True}


def test_schemas_of_several_files_are_joined(tmp_path):
    pq.write_table(pa.table({"text": ["a"], "n": pa.array([1], pa.int32())}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": ["b"], "n": pa.array([2], pa.int64()), "m": ["x"]}), tmp_path / "b.parquet")
    documents, _, manifest = read(tmp_path)
    assert manifest.schema.field("n").type == pa.int64()
    assert [(row["n"], row["m"]) for row in documents] == [(1, None), (2, "x")]
    pq.write_table(pa.table({"text": ["c"], "n": [["list"]]}), tmp_path / "c.parquet")
    with pytest.raises(InputError, match=r"c\.parquet does not go with .*a\.parquet"):
        read(tmp_path)


PAGE = (
    "<html><head><title>T</title></head><body><nav>Menu Home</nav><main><p>{}</p></main>"
    "<script>no()</script></body></html>"
)


def record(
    kind: str, number: int, body: bytes, status: str = "200 OK", mime: str = "text/html; charset=utf-8"
) -> bytes:
    http = b"" if kind == "conversion" else f"HTTP/1.1 {status}\r\nContent-Type: {mime}\r\n\r\n".encode()
    inner = "text/plain" if kind == "conversion" else "application/http; msgtype=response"
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{number}>\r\nWARC-Target-URI: http://a.test/{number}\r\n"
        f"WARC-Date: 2024-05-01T00:00:00Z\r\nContent-Type: {inner}\r\nContent-Length: {len(http) + len(body)}\r\n\r\n"
    )
    return head.encode() + http + body + b"\r\n\r\n"


def page(text: str, encoding: str = "utf-8") -> bytes:
    return PAGE.format((text + " ") * 40).encode(encoding)


@pytest.mark.parametrize("extract", ["resiliparse", "trafilatura"])
def test_warc_gives_the_main_text_of_good_pages(tmp_path, extract):
    if extract == "trafilatura":
        pytest.importorskip("trafilatura", reason="pip install 'tamis[extract]'")
    records = [
        record("warcinfo", 0, b"software: test\r\n"),
        record("response", 1, page("Grüße aus Köln.")),
        record("response", 2, page("Gone."), status="404 Not Found"),
        record("response", 3, b"\x89PNG", mime="image/png"),
        record("response", 4, page("Привет, мир.", "windows-1251"), mime="text/html; charset=windows-1251"),
        record("response", 5, b"just plain text", mime="text/plain"),
    ]
    (tmp_path / "in.warc.gz").write_bytes(b"".join(map(gzip.compress, records)))
    documents, rejected, _ = read(tmp_path / "in.warc.gz", extract=extract)
    assert rejected == []
    assert [row["id"] for row in documents] == ["urn:uuid:1", "urn:uuid:4", "urn:uuid:5"]
    assert [row["url"] for row in documents] == ["http://a.test/1", "http://a.test/4", "http://a.test/5"]
    assert documents[0]["date"] == "2024-05-01T00:00:00Z"
    assert "Grüße aus Köln." in documents[0]["text"]
    assert "Menu" not in documents[0]["text"]
    assert "Привет, мир." in documents[1]["text"]
    assert documents[2]["text"] == "just plain text"


def test_wet_is_taken_as_it_is(tmp_path):
    records = [
        record("warcinfo", 0, b"x"),
        *(record("conversion", i, f"Text {i}\nline\n".encode()) for i in range(1, 4)),
    ]
    (tmp_path / "in.warc.wet.gz").write_bytes(b"".join(map(gzip.compress, records)))
    documents, rejected, manifest = read(tmp_path / "in.warc.wet.gz")
    assert manifest.shards[0].format == "wet"
    assert [row["text"] for row in documents] == ["Text 1\nline\n", "Text 2\nline\n", "Text 3\nline\n"]
    assert rejected == []


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_warc_gives_what_comes_before(tmp_path, damage):
    members = [gzip.compress(record("response", i, page(f"Text {i}."))) for i in range(6)]
    content = bytearray(b"".join(members))
    if damage == "cut":
        content = content[:-40]
    else:
        content[len(content) - len(members[-1]) // 2] ^= 0xFF
    (tmp_path / "in.warc.gz").write_bytes(content)
    documents, rejected, _ = read(tmp_path / "in.warc.gz")
    assert len(documents) == 5
    assert reasons(rejected) == ["truncated"]
    assert rejected[0].offset > 0


def test_a_record_that_is_too_large_is_set_aside(tmp_path):
    records = [
        record("response", 1, page("small")),
        record("response", 2, page("x" * 500)),
        record("response", 3, page("end")),
    ]
    (tmp_path / "in.warc").write_bytes(b"".join(records))
    documents, rejected, _ = read(tmp_path / "in.warc", max_document_bytes=5000)
    assert [row["id"] for row in documents] == ["urn:uuid:1", "urn:uuid:3"]
    assert (reasons(rejected), rejected[0].id) == (["too_large"], "urn:uuid:2")


def test_text_files_are_documents(tmp_path):
    (tmp_path / "de").mkdir()
    (tmp_path / "a.txt").write_text("one\ntwo")
    (tmp_path / "de" / "b.md").write_text("drei")
    (tmp_path / "c.txt").write_bytes(b"\xff")
    (tmp_path / "d.txt").write_text("x" * 200)
    documents, rejected, _ = read(tmp_path, max_document_bytes=100)
    assert [(row["id"], row["text"]) for row in documents] == [("a.txt", "one\ntwo"), ("de/b.md", "drei")]
    assert reasons(rejected) == ["invalid_utf8", "too_large"]


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress], ids=["gz", "zst"])
def test_a_damaged_compressed_text_file_is_set_aside(tmp_path, compress):
    content = bytearray(compress(bytes(range(256)) * 50))
    content[len(content) // 2] ^= 0xFF
    path = tmp_path / f"a.txt.{'gz' if compress is gzip.compress else 'zst'}"
    path.write_bytes(content)
    documents, rejected, _ = read(path)
    assert not documents
    assert reasons(rejected) in (["truncated"], ["invalid_utf8"])


@pytest.mark.parametrize("deep", ["[" * 300 + "]" * 300, '{"a":' * 260 + "1" + "}" * 260], ids=["lists", "objects"])
def test_json_nested_deeper_than_can_be_written_is_set_aside(tmp_path, deep):
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"text": "first", "id": "1"}}\n{{"text": "x", "y": {deep}}}\n{{"text": "x", "id": {deep}}}\n')
    documents, rejected, _ = read(path)
    assert [row["text"] for row in documents] == ["first"]
    assert reasons(rejected) == ["invalid_json", "invalid_json"]
    assert "nested" in rejected[0].message


def test_strings_beside_the_text_that_are_no_utf8_are_set_aside(tmp_path):
    bad = pa.array([b"ok", b"\xff", b"ok", b"ok"], pa.binary()).view(pa.string())
    tags = pa.ListArray.from_arrays(pa.array([0, 1, 2, 3, 4], pa.int32()), bad.take(pa.array([0, 0, 1, 0])))
    ids = pa.array([b"a", b"b", b"c", b"\xc0"], pa.binary()).view(pa.string())
    pq.write_table(
        pa.table({"id": ids, "text": ["1", "2", "3", "4"], "url": bad, "tags": tags}), tmp_path / "a.parquet"
    )
    documents, rejected, _ = read(tmp_path / "a.parquet")
    assert [row["text"] for row in documents] == ["1"]
    assert [(record.offset, record.reason) for record in rejected] == [(i, "input.invalid_utf8") for i in (1, 2, 3)]
    assert rejected[2].id == "\ufffd"


def test_dialogs_that_are_no_utf8_are_set_aside(tmp_path):
    texts = pa.array([b"hello", b"\xff"], pa.binary()).view(pa.string())
    message = pa.StructArray.from_arrays([pa.array(["user", "user"]), texts], ["role", "content"])
    table = pa.table({"messages": pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), message)})
    pq.write_table(table, tmp_path / "a.parquet")
    documents, rejected, _ = read(tmp_path / "a.parquet", text="messages")
    assert [row["text"] for row in documents] == ["hello"]
    assert reasons(rejected) == ["bad_dialog"]


def test_a_huge_line_is_passed_over_without_being_held(tmp_path):
    import tracemalloc

    path = tmp_path / "in.jsonl"
    with path.open("wb") as file:
        file.write(jsonl({"id": "a", "text": "before"}))
        file.write(b'{"id": "huge", "text": "' + b"x" * (60 << 20) + b'"}\n')
        file.write(jsonl({"id": "b", "text": "after"}))
    tracemalloc.start()
    documents, rejected, _ = read(path, shard_bytes=1 << 30)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row["id"] for row in documents] == ["a", "b"]
    assert reasons(rejected) == ["too_large"]
    assert len(rejected[0].raw) == 64 << 10
    assert peak < 40 << 20


def test_any_fsspec_url(tmp_path):
    fs = fsspec.filesystem("memory")
    with fs.open("/corpus/in.jsonl", "wb") as file:
        file.write(jsonl({"text": "a"}, {"text": "b"}))
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": ["c"]}), buffer)
    with fs.open("/corpus/sub/in.parquet", "wb") as file:
        file.write(buffer.getvalue())
    for pattern in ("memory://corpus", "memory://corpus/**/in.*"):
        documents, _, _ = read(pattern)
        assert [row["text"] for row in documents] == ["a", "b", "c"]
        assert [row["id"] for row in documents][-1] == "sub/in.parquet#0"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nothing-*.jsonl", "no file matches"),
        ("im.jsonl", r"Did you mean .*in\.jsonl\?"),
        ("nowhere/in.jsonl", "there is no folder"),
        ("odd.xyz", "cannot tell the format by its ending"),
    ],
)
def test_inputs_that_are_not_there(tmp_path, name, expected):
    (tmp_path / "in.jsonl").write_bytes(jsonl({"text": "a"}))
    (tmp_path / "odd.xyz").write_bytes(b"a")
    with pytest.raises(MissingInputError, match=expected):
        read(tmp_path / name)


def test_a_manifest_survives_being_written(tmp_path):
    (tmp_path / "in.jsonl").write_bytes(jsonl({"text": "a", "n": 1.5, "ok": True}))
    manifest = read(tmp_path / "in.jsonl")[2]
    assert Manifest.from_json(json.loads(json.dumps(manifest.to_json()))) == manifest
