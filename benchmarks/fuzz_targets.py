"""What is fuzzed beside the readers of documents (`benchmarks/fuzz_readers.py`): configs, models, vocabularies, texts
and dialogs to be encoded, packed tokens; and the list of all targets."""

from __future__ import annotations

import base64
import itertools
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.fuzz_inspector import inspector
from benchmarks.fuzz_mutations import Seed, with_other_values
from benchmarks.fuzz_readers import DIALOG, ROOT, TEXTS, Places, Target, jsonl, parquet, text, warc


def config(folder: Path) -> Target:
    """Whole configs, and what is given to `--set`."""
    import yaml

    import stages as registry
    from pipeline.config import dump_config, load_config
    from pipeline.yaml_lines import parse

    places = Places(folder)
    files = [path.read_bytes() for path in sorted((ROOT / "configs").glob("*.yaml"))]
    small = (
        b"input: {path: in.jsonl}\noutput: runs/a\nstages:\n"
        b"- language: {label: [en, 'no'], score: {min: 0.5}}\n- gopher:\n"
        b"    word_count: {min: 5}\n    by_language: {ja: {mean_word_length: {min: 1}}}\n- minhash: {preset: fineweb}\n"
        b"- tokens: {sequence_length: 64}\n"
        b"execution: {workers: 2, slurm: {gpu: {gres: 'gpu:1'}, phases: {merge: {cpus: 2}}}}\n"
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

    places = Places(folder)
    names = (
        "hierarchical_subwords",
        "softmax_wide",
        "quantised/pruned",
        "quantised/output_too",
        "quantised/parts_of_three",
    )
    models = folder.parent / "models"  # training gives another one every time
    models.mkdir(exist_ok=True)
    seeds = []
    for name in names:
        path = models / name.replace("/", "_")
        if not path.exists():
            path.write_bytes(save(folder, name).read_bytes())
        seeds.append(Seed("m.bin", path.read_bytes()))
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

    places = Places(folder)
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
        (tokenizer, 200), (dialogs, 150), (packed, 6), (inspector, 60),
    )
}  # fmt: skip
"""Each target and its part of all inputs."""
