"""What is fuzzed, with the valid inputs to begin from and what has to hold for a broken one.

A target is a function from a folder to its seeds and its judge. The judge takes the kind of a seed and broken content,
and returns whether the input was accepted; a TamisError (or a ValueError where that is the contract of what is called)
means that it was refused. Anything else that it raises is a finding, and so is a broken promise about what was
accepted.
"""

from __future__ import annotations

import base64
import gzip
import io
import itertools
import json
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.fuzz_mutations import Seed, with_other_values

ROOT = Path(__file__).parents[1]
LIMIT_BYTES = 100_000
"""`max_document_bytes` of all readers here."""
TEXTS = (
    "It was a dark and stormy night; the rain fell in torrents.\nExcept at occasional intervals.\r\n\r\nThe end.",
    "Ünïcödé — « 日本語の文章 » ภาษาไทย 👩‍👩‍👧 \u202e\u0000 don't I'LL we've 12345 \t\n\n  x",
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


class _Places:
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
    places = _Places(folder)

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
        Seed("a.warc", plain), Seed("a.warc.gz", plain, _members), Seed("a.wet", records[-1]), Seed("b.warc.gz",
        plain, _gzip),
    ]  # fmt: skip
    words = [
        b"WARC/1.1\r\n", b"\r\n\r\n", b"Content-Length: 99999999999999999999\r\n", b"Content-Length: -1\r\n",
        b"<div>" * 3000,
        b"WARC-Type: response\r\n", b"Content-Encoding: br\r\n", b"HTTP/1.1 200", b"charset=utf-7", b"charset=\xff",
        b"<!--",
        b"<script>", b"&#1114112;", b"</p>", b"\xff\xfe", b"\x1f\x8b\x08",
    ]  # fmt: skip
    return _reader(folder, seeds, words)


def config(folder: Path) -> Target:
    """Whole configs, and what is given to `--set`."""
    import yaml

    import stages as registry
    from pipeline.config import dump_config, load_config
    from pipeline.yaml_lines import parse

    places = _Places(folder)
    files = [path.read_bytes() for path in sorted((ROOT / "configs").glob("*.yaml"))]
    small = (
        b"input: {path: in.jsonl}\noutput: runs/a\nstages:\n- language: {label: [en, 'no'], score: {min: 0.5}}\n"
        b"- gopher:\n"
        b"    word_count: {min: 5}\n    by_language: {ja: {mean_word_length: {min: 1}}}\n- minhash: {preset: fineweb}\n"
        b"- tokens: {sequence_length: 64}\nexecution: {workers: 2, slurm: {gpu: {gres: 'gpu:1'}, "
        b"phases: {merge: {cpus: 2}}}}\n"
    )
    sets = [
        b"stages.gopher.word_count.min=100", b"execution.workers=2", b"input.path=[a, b]",
        b"stages.tokens.packing=best_fit",
        b"stages.gopher.by_language.ja.mean_word_length={min: 1}", b"execution.slurm.phases.merge.cpus=3",
    ]  # fmt: skip
    seeds = [
        *(Seed("c.yaml", small) for _ in range(8)),
        *(Seed("c.yaml", content) for content in files if len(content) < 3000),
    ]
    seeds += [Seed("--set", content) for content in sets] * 2
    words = [
        b"&a ", b"*a", b"<<: ", b"!!python/object:os.system ", b"!!binary ", b"? ", b"- ", b": ", b"{", b"[", b"|\n",
        b"'", b'"',
        b"2001-01-01", b"!!set {a}", b"0x1F", b"1_000", b".inf", b".nan", b"~", b"[" * 900, b"extends: llama3\n",
        b"\t", b"=",
        b"stages.", b"null", b"name: a", b"%YAML 1.2\n---\n", b"\xef\xbb\xbf", b"...\n", b"1:30", b"12e03", b"&a [*a]",
    ]  # fmt: skip
    names = [
        *registry.names(),
        "input",
        "output",
        "stages",
        "execution",
        "path",
        "name",
        "action",
        "min",
        "max",
        "extends",
    ]
    trees = [parse(small.decode()), *(parse(content.decode()) for content in files)]

    def make(rng: random.Random) -> bytes:
        tree = with_other_values(rng.choice((trees[0], *trees)), rng, names)
        try:
            return json.dumps(tree).encode() if rng.random() < 0.9 else yaml.safe_dump(tree).encode()
        except TypeError:  # keys that JSON has not
            return repr(tree).encode("utf-8", "replace")

    def judge(kind: str, content: bytes) -> bool:
        if kind == "--set":
            override = content.decode("utf-8", "replace")
            dump_config(load_config(trees[0], overrides=[override]))
        else:
            dump_config(load_config(places.write(kind, content)))
        return True

    return Target(seeds, words, judge, make=make)


def fasttext(folder: Path) -> Target:
    """Models: read, and asked for labels if they are read."""
    from stages.fasttext import model, predict
    from stages.text.batch import TextBatch
    from tests.stages.fasttext.models import save

    places = _Places(folder)
    names = (
        "hierarchical_subwords",
        "softmax_wide",
        "quantised/pruned",
        "quantised/output_too",
        "quantised/parts_of_three",
    )
    seeds = [Seed("m.bin", save(folder, name).read_bytes()) for name in names]
    batch = TextBatch.from_texts([*TEXTS, "abc def 的一 是 äöü", "ab " * 50])

    def judge(kind: str, content: bytes) -> bool:
        found = model.load(str(places.write(kind, content)))
        rows, _ = predict.top_labels(found, batch, 2)
        assert int(rows.max()) < len(found.labels)
        assert int(rows.min()) >= -1
        return True

    return Target(seeds, [b"__label__", b"</s>\0", b"\0"], judge)


def vocabulary(folder: Path) -> Target:
    """Files of tiktoken's format and of Hugging Face's, and a text encoded with those that are read."""
    from stages.text.batch import TextBatch
    from stages.tokens.bpe import Encoder
    from stages.tokens.library import read_library
    from stages.tokens.vocabulary import read_ranks

    places = _Places(folder)
    tokens = [bytes([i]) for i in range(256)] + [b"th", b"the", b" a", b"\xe6\x97\xa5", b"12", b"123", b"\r\n"]
    ranks = b"".join(b"%s %d\n" % (base64.b64encode(token), i) for i, token in enumerate(tokens))
    chars = {chr(i): i for i in range(33, 127)} | {"ab": 94, "[UNK]": 95}
    library = json.dumps(
        {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": {"type": "NFC"},
            "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": {"type": "BPEDecoder",
            "suffix": ""},
            "model": {"type": "BPE", "unk_token": "[UNK]", "vocab": chars, "merges": [["a", "b"]]},
        }
    ).encode()  # fmt: skip
    utf8 = TextBatch.from_texts(list(TEXTS)).utf8

    def judge(kind: str, content: bytes) -> bool:
        path = places.write(kind, content)
        encoder = read_library(path) if kind.endswith("json") else Encoder(read_ranks(path))
        ids = encoder.encode(utf8)
        assert not len(ids.values) or int(ids.values.max()) < encoder.num_ids
        return True

    seeds = [*(Seed("t.model", ranks) for _ in range(4)), Seed("tokenizer.json", library)]
    return Target(
        seeds, [b"\n", b" ", b"AA==", b" 256", b" -1", b" 1e3", b'"type":', b"null", b"[]", b"\\ud800"], judge
    )


def tokenizer(folder: Path) -> Target:
    """Texts through Llama 3's vocabulary where it is installed, else bytes and a few merges, and back."""
    from stages.errors import MissingPartError
    from stages.text.batch import TextBatch
    from stages.tokens.bpe import Encoder
    from stages.tokens.vocabulary import build, read_ranks, vocabulary_path

    try:
        found = Encoder(read_ranks(vocabulary_path("llama3")))
    except MissingPartError:
        found = Encoder(build([*(bytes([i]) for i in range(256)), b"th", b"the", b" a"], "none"))
    first_special = min(found.specials.values())

    def judge(kind: str, content: bytes) -> bool:
        texts = [part.decode("utf-8", "replace") for part in content.split(b"\xff")]
        batch = TextBatch.from_texts(texts)
        ids = found.encode(batch.utf8)
        assert not len(ids.values) or int(ids.values.max()) < first_special
        assert found.decode(ids.values) == b"".join(text.encode() for text in texts)
        return True

    seeds = [Seed("text", "".join(TEXTS).encode()), Seed("text", b"\xff".join(text.encode() for text in TEXTS))]
    words = [
        b"\xff",
        b"'s",
        b"'\xc5\xbf",
        b" " * 70,
        b"\r\n",
        b"a" * 70,
        "日本".encode() * 30,
        b"<|eot_id|>",
        b"\xe2\x80\xaf",
        b"999",
    ]
    return Target(seeds, words, judge)


def dialogs(folder: Path) -> Target:
    """Messages as JSON, rendered; no text makes a special token."""
    from stages.tokens.bpe import Encoder
    from stages.tokens.dialog import read_messages, render
    from stages.tokens.vocabulary import build

    encoder = Encoder(build([*(bytes([i]) for i in range(256)), b"th", b"the", b" a"], "none"))
    specials = min(encoder.specials.values())

    def judge(kind: str, content: bytes) -> bool:
        messages = read_messages(content if kind == "bytes" else content.decode("utf-8", "replace"))
        ids, mask = render([messages], encoder)
        assert int((ids.values >= specials).sum()) == 3 * len(messages)
        assert len(mask) == len(ids.values)
        return True

    content = json.dumps(DIALOG, ensure_ascii=False).encode()
    seeds = [Seed("text", content), Seed("bytes", content), Seed("text", json.dumps(DIALOG * 3).encode())]
    words = [
        b'"role":',
        b'"content":',
        b"null",
        b"{}",
        b"[]",
        b"[" * 2000,
        b"\\ud800",
        b"<|eot_id|>",
        b"1",
        b'"assistant"',
    ]
    names = ["role", "content", "user", "assistant"]

    def make(rng: random.Random) -> bytes:
        return json.dumps(with_other_values(DIALOG, rng, names)).encode()

    return Target(seeds, words, judge, refused=(ValueError,), make=make)


def packed(folder: Path) -> Target:
    """One file of a folder of packed tokens is damaged; then sequences, labels, origins, a batch and its mask are asked
    for."""
    import pipeline
    from pipeline.tokens.loader import TokenDataset
    from pipeline.tokens.masks import dense_mask
    from tests.pipeline.test_token_loader import write_tokens

    seeds = []
    for format in ("parquet", "mds", "raw"):
        write_tokens(folder / format, format, 8)
        for path in sorted((folder / format).rglob("*")):
            if path.suffix in (".parquet", ".bin", ".mds") or path.name == "manifest.json":
                seeds += [Seed(str(path.relative_to(folder)), path.read_bytes())] * (4 if path.suffix == ".json" else 1)
    numbers = itertools.count()

    def judge(kind: str, content: bytes) -> bool:
        format, _, name = kind.partition("/")
        place = folder / f"broken{next(numbers)}"
        shutil.copytree(folder / format, place)
        try:
            (place / name).write_bytes(content)
            tokens = pipeline.open_tokens(str(place))
            total = sum(int(sequence.labels().sum()) + int(sequence.position_ids.sum()) for sequence in tokens)
            if len(tokens):
                tokens.trace(0, 0)
                dense_mask(TokenDataset(tokens, 2).batch(range(min(2, len(tokens))))["document_index"])
            return bool(total)
        finally:
            shutil.rmtree(place)

    return Target(seeds, [b"null", b"-1", b"[]", b"1e9", b'"', b"99999999999"], judge, refused=(IndexError,))


TARGETS: dict[str, tuple[Callable[[Path], Target], int]] = {
    function.__name__: (function, share)
    for function, share in (
        (jsonl, 220), (text, 160), (parquet, 100), (warc, 150), (config, 40), (fasttext, 70), (vocabulary, 30),
        (tokenizer, 200), (dialogs, 150), (packed, 6),
    )
}  # fmt: skip
"""Each target and its part of all inputs."""
