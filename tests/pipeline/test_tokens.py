"""Runs that end with packed tokens: nothing lost, nothing twice, the same bytes always, and every token traced."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pipeline
import stages
from pipeline import launch as launching
from pipeline.config import load_config
from pipeline.io.shards import list_shards
from pipeline.plan import make_plan
from pipeline.preview import preview
from pipeline.records import read_record
from pipeline.task import perform
from stages.errors import ConfigError, RunError
from tests.corpus import page

LENGTH = 512
TOKENS = {"sequence_length": LENGTH}
EXECUTION = {"task_bytes": 1, "batch_bytes": 20_000, "rejected_rate": 0, "output_bytes": 200_000}
POINTS = (
    "byte_tokens = tests.toy_tokens:ByteTokens",
    "masked_tokens = tests.toy_tokens:MaskedTokens",
    "copies = tests.toy_tokens:Copies",
    "same_start = tests.toy:SameStart",
)


@pytest.fixture(autouse=True, scope="module")
def toys(tmp_path_factory):
    """The toy stages as those of an installed package, so that workers know them too."""
    info = tmp_path_factory.mktemp("packages") / "tamis_toys-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tamis-toys\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("\n".join(["[tamis.stages]", *POINTS, ""]))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(info.parent))
        stages._third_party.cache_clear()
        yield
    stages._third_party.cache_clear()


def rows() -> list[dict]:
    """Pages, some of them long, empty or in other scripts, a few the same under another id, with numbers of copies."""
    texts = [page(i) for i in range(150)]
    texts += ["", "?", "日本語の文章。" * 300, "a" * 3000, page(1), page(1), "\x00\n😀"]
    return [{"id": f"d{i}", "text": text, "copies": 1 + i % 3} for i, text in enumerate(texts)]


ROWS = rows()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "whole.parquet", row_group_size=10)
    for part in range(4):
        lines = [json.dumps(row) for row in ROWS[part * 40 : part * 40 + 40]]
        (folder / f"{part}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def config(folder: Path, name: str, tokens: dict, *, stage="byte_tokens", before=(), source="*.jsonl", **execution):
    return {
        "input": {"path": str(folder / source), "shard_bytes": execution.pop("shard_bytes", 1 << 26)},
        "output": str(folder / name),
        "stages": [*before, {stage: TOKENS | tokens}],
        "execution": EXECUTION | execution,
    }


def run(folder: Path, name: str, tokens: dict | None = None, workers: int = 0, **changes) -> pipeline.Run:
    return launch(config(folder, name, tokens or {}, **changes), workers)


def launch(spec: dict, workers: int = 0) -> pipeline.Run:
    """A run; without workers in this process, which starts in no time."""
    if workers:
        return pipeline.run(spec, workers=workers)
    resolved = load_config(spec)
    manifest = list_shards(resolved.input)
    plan = make_plan(resolved, manifest)
    Path(resolved.output).mkdir(exist_ok=True)
    launched = launching._prepare(resolved.output, resolved, manifest, plan)
    for phase in plan.phases:
        launching.before_phase(launched, phase)
        for rank in range(launched.num_tasks(phase)):
            if read_record(launched.path, phase, rank) is None:
                perform(launched, phase, rank, lambda stats: None)
    return pipeline.Run(resolved.output)


@pytest.fixture(scope="module")
def done(folder):
    return run(folder, "one")


def recovered(path: str, split: str = "train") -> Counter:
    """Text, id and epoch of every document, put together from the pieces in the sequences."""
    tokens = pipeline.open_tokens(path, split)
    found: dict[tuple, dict[int, bytes]] = {}
    for i, sequence in enumerate(tokens):
        edges = [*sequence.document_starts.tolist(), sequence.num_tokens]
        for low, high in pairwise(edges):
            origin = tokens.trace(i, low)
            assert tokens.trace(i, high - 1) == origin._replace(offset=origin.offset + high - 1 - low)
            pieces = found.setdefault((origin.id, origin.epoch, origin.source, origin.row), {})
            assert origin.offset not in pieces
            pieces[origin.offset] = sequence.input_ids[low:high].tolist()
        assert (sequence.input_ids[sequence.num_tokens :] == 258).all()
    documents = Counter()
    for (id_, epoch, *_), pieces in found.items():
        ids = [token for _, piece in sorted(pieces.items()) for token in piece]
        assert ids[0] == 256
        assert ids[-1] == 257
        documents[bytes(ids[1:-1]).decode(), id_, epoch] += 1
    return documents


def digest(path: str, *, trace: bool = True) -> dict[str, str]:
    """A hash of every file under `tokens`; without the trace, of every column but those that name files and rows."""
    found = {}
    for file in sorted(Path(path, "tokens").rglob("*.*")):
        if trace:
            found[str(file.relative_to(path))] = hashlib.sha256(file.read_bytes()).hexdigest()
        elif file.suffix == ".parquet":
            table = pq.read_table(file).drop_columns(["document_sources", "document_rows"])
            found[str(file.relative_to(path))] = hashlib.sha256(str(table.to_pylist()).encode()).hexdigest()
    return found


EXPECTED = Counter((row["text"], row["id"], 0) for row in ROWS)


@pytest.mark.parametrize("packing", ["best_fit", "concatenate"])
@pytest.mark.parametrize("format", ["parquet", "megatron", "raw", "mds"])
def test_every_document_is_there_once(folder, packing, format):
    found = run(folder, f"{packing}-{format}", {"packing": packing, "format": format})
    assert recovered(found.path) == EXPECTED
    manifest = pipeline.open_tokens(found.path).manifest
    split = manifest["splits"]["train"]
    assert split["documents"] == len(ROWS)
    assert split["tokens"] == sum(len(row["text"].encode()) + 2 for row in ROWS)
    assert split["fill"] > 0.99
    assert sum(source["documents"] for source in split["sources"].values()) == len(ROWS)
    for part in split["parts"]:
        for file in part["files"]:
            assert Path(found.path, "tokens", file["path"]).stat().st_size == file["bytes"]


def test_ids_are_not_among_the_documents(done):
    assert "byte_tokens.ids" not in done.documents.schema.names
    assert "byte_tokens.count" in done.documents.schema.names


@pytest.mark.parametrize("workers", [3])
def test_workers_change_no_byte(folder, done, workers):
    assert digest(run(folder, f"workers-{workers}", workers=workers).path) == digest(done.path)


def test_cuts_of_the_input_change_no_byte(folder):
    one = run(folder, "cut-1", source="whole.parquet")
    many = run(folder, "cut-2", source="whole.parquet", shard_bytes=20_000)
    assert len(many.manifest.shards) > 5 > len(one.manifest.shards)
    assert digest(one.path) == digest(many.path)
    assert len(pipeline.open_tokens(one.path).manifest["splits"]["train"]["parts"]) > 1


def test_files_of_the_input_change_no_sequence(folder, done):
    assert digest(run(folder, "whole", source="whole.parquet").path, trace=False) == digest(done.path, trace=False)


def test_ids_in_several_files_of_a_task_change_no_byte(folder, done, monkeypatch):
    monkeypatch.setattr("pipeline.io.write.ROW_GROUP_BYTES", 10_000)
    monkeypatch.setattr("pipeline.tokens.shuffle.FILE_BYTES", 20_000)
    other = run(folder, "several")
    assert max(len(record.files) for record in other.records(other.plan.tokens.shuffle)) > 2
    monkeypatch.undo()
    assert digest(other.path) == digest(done.path)


def test_tokens_are_traced_to_file_and_row(folder, done):
    tokens = pipeline.open_tokens(done.path)
    by_id = {row["id"]: place for place, row in enumerate(ROWS)}
    origin = tokens.trace(3, 7)
    place = by_id[origin.id]
    assert origin.source == str(folder / f"{place // 40}.jsonl")
    assert origin.row == place % 40
    text = b"\0" + ROWS[place]["text"].encode() + b"\1"
    assert tokens[3].input_ids[7] in (text[origin.offset], 256, 257)
    parts = run(folder, "parts", shard_bytes=20_000)
    sources = {source for table in Path(parts.path, "tokens/train").glob("*.parquet")
               for row in pq.read_table(table)["document_sources"].to_pylist() for source in row}  # fmt: skip
    name = next(source for source in sorted(sources) if "@" in source)
    path, _, start = name.partition("@")
    assert Path(path).stat().st_size > int(start) > 0


def test_copies_are_epochs(folder):
    found = run(folder, "copies", before=["copies"])
    expected = Counter((row["text"], row["id"], epoch) for row in ROWS for epoch in range(row["copies"]))
    assert recovered(found.path) == expected
    tokens = pipeline.open_tokens(found.path)
    assert tokens.manifest["splits"]["train"]["documents"] == sum(row["copies"] for row in ROWS)


def test_the_seed_changes_the_order_and_nothing_else(folder, done):
    first = run(folder, "seed")
    before = Path(first.path, first.plan.segments[-1].sieve.directory, "completions/00000").stat().st_mtime_ns
    other = run(folder, "seed", {"seed": 1})
    sieve = other.plan.segments[-1].sieve
    assert Path(other.path, sieve.directory, "completions/00000").stat().st_mtime_ns == before
    assert recovered(other.path) == EXPECTED
    changed = digest(other.path)
    again = run(folder, "seed")
    assert digest(again.path) == digest(done.path) != changed


def test_a_packing_field_packs_again_and_no_more(folder):
    first = run(folder, "fields")
    files = {path: path.stat().st_mtime_ns for path in Path(first.path, "phases").glob("*-s*/*/*")}
    other = run(folder, "fields", {"packing": "concatenate", "sequence_length": 300})
    assert pipeline.open_tokens(other.path).sequence_length == 300
    now = {path: path.stat().st_mtime_ns for path in Path(first.path, "phases").glob("*-s*/*/*")}
    assert {path: time for path, time in now.items() if "logs" not in str(path)} == {
        path: time for path, time in files.items() if "logs" not in str(path)
    }


def test_tokens_of_another_config_go_away(folder):
    first = run(folder, "away")
    spec = config(folder, "away", {})
    launch(spec | {"stages": ["copies"]})
    assert not Path(first.path, "tokens").exists()
    again = launch(spec)
    assert recovered(again.path) == EXPECTED


def test_tokens_stay_until_another_config_has_the_run(folder, monkeypatch):
    """A launch of another config that dies at any moment leaves a run that the config before finds whole."""
    with_tokens = config(folder, "interrupted", {})
    run = pipeline.run(with_tokens, workers=1)
    before = digest(run.path)
    other = {**with_tokens, "stages": ["exact"]}

    def dies(path: str, *_: object, **__: object) -> None:
        raise KeyboardInterrupt(path)

    for name in ("write_json", "remove_folder"):
        with monkeypatch.context() as patch:
            patch.setattr(launching, name, dies)
            with pytest.raises(KeyboardInterrupt):
                pipeline.run(other, workers=1)
        assert digest(pipeline.run(with_tokens, workers=1).path) == before


def test_validation_is_a_share_and_the_same_for_every_seed(folder):
    found = run(folder, "split", {"validation_ratio": 0.2})
    train, validation = recovered(found.path), recovered(found.path, "validation")
    assert train + validation == EXPECTED
    assert 0.1 < len(validation) / len(ROWS) < 0.3
    other = run(folder, "split-seed", {"validation_ratio": 0.2, "seed": 5, "packing": "concatenate"})
    assert recovered(other.path, "validation") == validation
    texts = {text for text, _, _ in train}
    assert not [text for text, _, _ in validation if text in texts], "copies of a text on both sides"


def test_no_cluster_is_on_both_sides(tmp_path):
    made = [{"id": f"c{i}", "text": page(10 * (i % 40)) + f" and {i}"} for i in range(200)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    marked = {"same_start": {"action": "annotate"}}
    found = run(tmp_path, "run", {"validation_ratio": 0.3}, before=[marked], source="in.jsonl")
    assert [phase.kind for phase in found.plan.phases][-4:] == ["clusters", "shuffle", "pack", "publish"]
    sides = [{text[:40] for text, _, _ in recovered(found.path, split)} for split in ("train", "validation")]
    assert sides[0]
    assert sides[1]
    assert not sides[0] & sides[1]
    unmarked = run(tmp_path, "unmarked", {"validation_ratio": 0.3}, source="in.jsonl")
    sides = [{text[:40] for text, _, _ in recovered(unmarked.path, split)} for split in ("train", "validation")]
    assert sides[0] & sides[1], "the marks make no difference"


def test_what_is_not_to_be_learnt_is_no_label(folder):
    for format in ("parquet", "raw"):
        found = run(folder, f"masked-{format}", {"format": format}, stage="masked_tokens")
        for sequence in pipeline.open_tokens(found.path):
            ids, labels = sequence.input_ids.astype(np.int64), sequence.labels()
            known = labels != -100
            assert (labels[known] == np.append(ids[1:], 0)[known]).all()
            assert not ((labels >= 65) & (labels <= 90)).any()
            following = np.append(ids[1:], 258)
            capital, begins, pads = (following >= 65) & (following <= 90), following == 256, following == 258
            ends = np.isin(np.arange(1, LENGTH + 1), sequence.document_starts)
            assert (known == ~(capital | begins | pads | ends)).all()


@pytest.mark.parametrize("state", ["pack"])
def test_killed_and_resumed_gives_the_same_bytes(folder, done, state):
    """`kill -9` of launcher and workers while a phase of ours is at work."""
    name = f"killed-{state}"
    spec = config(folder, name, {})
    program = (
        "import json, sys, pipeline\nif __name__ == '__main__': pipeline.run(json.loads(sys.argv[1]), workers=2)\n"
    )
    path = os.pathsep.join(sys.path)
    process = subprocess.Popen(
        [sys.executable, "-c", program, json.dumps(spec)],
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            if list((folder / name).glob(f"phases/*-{state}-*/completions/*")):
                break
            time.sleep(0.002)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert digest(run(folder, name, workers=2).path) == digest(done.path)


def test_the_plan_shows_the_phases(folder, done):
    found = preview(load_config(config(folder, "one", {})))["phases"]
    names = [phase["name"] for phase in found]
    assert names == ["01-sieve", "02-write", "03-shuffle", "04-pack", "05-publish"]
    assert all(phase["done"] == phase["tasks"] > 0 for phase in found)


def test_nothing_to_pack(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"id": "a", "text": "x", "copies": 0}\n')
    found = run(tmp_path, "run", {"validation_ratio": 0.5}, before=["copies"], source="in.jsonl")
    for split in ("train", "validation"):
        assert len(pipeline.open_tokens(found.path, split)) == 0


def test_errors_say_what_to_do(folder, done, tmp_path):
    with pytest.raises(RunError, match="holds no tokens"):
        pipeline.open_tokens(tmp_path)
    with pytest.raises(ConfigError, match="has no split 'test'; there are: train"):
        pipeline.open_tokens(done.path, "test")
    tokens = pipeline.open_tokens(done.path)
    with pytest.raises(IndexError, match="of "):
        tokens[len(tokens)]
    with pytest.raises(ConfigError, match="sequence_length"):
        run(folder, "never", {"sequence_length": 1})
