"""Whole runs with `semantic`: a survey, a sketch in a phase of its own, and what may happen to them."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import pipeline
import stages
from stages.errors import ConfigError
from tests.corpus import page
from tests.toy import Bag

SEMANTIC = {"num_clusters": 6, "epsilon": 0.1, "epsilons": [0.02, 0.2], "keep": "hard"}


@pytest.fixture(autouse=True, scope="module")
def toys(tmp_path_factory):
    """A toy encoder as the stage of an installed package, so that workers know it too."""
    info = tmp_path_factory.mktemp("packages") / "tamis_toys-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tamis-toys\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[tamis.stages]\nbag = tests.toy:Bag\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(info.parent))
        stages._third_party.cache_clear()
        yield
    stages._third_party.cache_clear()


def rows(num: int) -> list[dict]:
    """Pages, each three times with some words changed, in other places of the corpus; some have no words."""
    rng = np.random.default_rng(0)
    found = []
    for i in range(num):
        words = [f"{word}{i % (num // 3)}" for word in page(10 * (i % (num // 3))).split()]
        for place in rng.integers(0, len(words), rng.integers(0, 12)).tolist():
            words[place] = f"word{i}"
        found.append({"id": f"d{i}", "text": " ".join(words) if i % 40 else " "})
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("semantic")
    found = rows(240)
    for part in range(4):
        lines = [json.dumps(row) for row in found[part * 60 : part * 60 + 60]]
        (folder / f"{part}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def run(
    folder: Path, name: str, workers: int = 1, fields=SEMANTIC, before=({"bag": {"name": "embedding"}},), **execution
):
    config = {
        "input": {"path": str(folder / "*.jsonl"), "shard_bytes": 30_000},
        "output": str(folder / name),
        "stages": [*before, {"semantic": dict(fields)}],
        "execution": {"task_bytes": 1, "batch_bytes": 20_000, "partition_bytes": 40_000, **execution},
    }
    return pipeline.run(config, workers=workers)


@pytest.fixture(scope="module")
def done(folder):
    return run(folder, "one")


def digests(found: pipeline.Run) -> dict[str, str]:
    root = Path(found.path)
    files = [path for kind in ("documents", "signals", "rejected") for path in sorted((root / kind).iterdir())]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def kept(found: pipeline.Run) -> set[str]:
    return set(found.documents.to_table(columns=["id"])["id"].to_pylist())


def test_one_of_each_three_is_kept(done):
    found = {row["id"]: row for row in done.signals.to_table().to_pylist()}
    assert 80 <= len(kept(done)) < 150
    for id_, row in found.items():
        if int(id_[1:]) % 40 == 0:
            assert row["semantic.duplicate"] is None
            assert row["dropped_by"] is None
            continue
        assert 0 <= row["semantic.cluster"] < 6
        assert (row["dropped_by"] == "semantic.duplicate") == row["semantic.duplicate"]
        if row["semantic.duplicate"]:
            assert row["semantic.duplicate_of"] in kept(done)
            assert row["semantic.similarity"] >= 0.9
    assert "embedding.vector" in done.documents.schema.names


def test_it_is_what_its_functions_say(done, folder):
    """The run and the stage alone, on all documents at once."""
    from stages.contract import run_stage
    from stages.dedup.semantic import Semantic
    from stages.text.batch import TextBatch
    from tests.resolution import resolution_of

    texts = rows(240)
    batch = TextBatch.from_texts([row["text"] for row in texts], id=[row["id"] for row in texts])
    batch, _ = run_stage(Bag(name="embedding"), batch)
    stage = Semantic(**SEMANTIC)
    _, columns = run_stage(stage, batch, resolution_of(stage, batch))
    signals = done.signals.to_table()
    places = {id_: place for place, id_ in enumerate(signals["id"].to_pylist())}
    order = [places[row["id"]] for row in texts]
    for name, column in columns.items():
        assert signals[f"semantic.{name}"].take(order).to_pylist() == column.to_pylist(), name


def test_workers_tasks_and_partitions_change_nothing(done, folder):
    assert digests(run(folder, "two", workers=2)) == digests(done)
    assert kept(run(folder, "three", task_bytes=10**9, partition_bytes=10**9, batch_bytes=10**9)) == kept(done)


@pytest.mark.parametrize("kind", ["conclude", "resolve"])
def test_a_run_that_stopped_anywhere_goes_on(done, folder, kind):
    """From a phase on, half of whose tasks were lost with their files, to the same bytes."""
    shutil.copytree(done.path, folder / kind)
    found = run(folder, kind)
    phases = [phase for phase in found.plan.phases if phase.kind == kind][-1:]
    phases += [phase for phase in found.plan.phases if phase.number > phases[0].number]
    for phase in phases:
        records = sorted(Path(found.path, phase.directory, "completions").iterdir())
        for record in records[len(records) // 2 :]:
            record.unlink()
    assert digests(run(folder, kind)) == digests(done)


def test_a_changed_epsilon_embeds_nothing_again(done, folder):
    shutil.copytree(done.path, folder / "changed")
    before = {phase.name: phase.directory for phase in done.plan.phases}
    after = {phase.name: phase.directory for phase in run(folder, "changed", fields={"epsilon": 0.3}).plan.phases}
    assert [name for name in after if after[name] == before[name]] == ["01-sieve"]


def test_vectors_have_to_be_there(folder):
    with pytest.raises(ConfigError, match=r"semantic needs embedding\.vector: put the stage `embedding` before it"):
        run(folder, "never", before=({"bag": {"name": "other"}},))


def test_nothing_to_compare(tmp_path):
    (tmp_path / "0.jsonl").write_text('{"id": "a", "text": " "}\n{"id": "b", "text": "  "}\n')
    found = run(tmp_path, "run")
    assert kept(found) == {"a", "b"}
    assert found.signals.to_table()["semantic.duplicate"].null_count == 2
