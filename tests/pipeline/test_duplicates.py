"""Whole runs of the deduplication stages: who is kept does not depend on how the work was cut up, and is on record."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.runs import Run
from pipeline.task import perform
from stages.errors import ConfigError, RunError
from tests import planted
from tests.in_process import run_in_process

STAGES = ["exact", {"minhash": {"preset": "verified", "priority": ["-rank"]}}]


def documents() -> list[dict]:
    """Families of near and equal documents, and texts that are hardly any."""
    rng, script = np.random.default_rng(2), planted.SCRIPTS["latin"]
    families = [planted.document(script, 90, rng) for _ in range(25)]
    texts = [
        planted.substitute(families[int(k)], script, rng, 0.06 * rng.random() ** 2) for k in rng.integers(0, 25, 220)
    ]
    texts += [texts[3]] * 9 + ["", " \n", "..."] * 5 + ["word", "Word!", "word", "other", "ein Wort"] * 3
    return [{"id": f"d{i}", "text": text, "rank": (i * 7919) % 1009} for i, text in enumerate(texts)]


def run(folder: Path, name: str, rows: list[dict], stages: list = STAGES, num_files: int = 3, **execution) -> Run:
    files = folder / f"in-{name.partition('@')[0]}"
    files.mkdir(exist_ok=True)
    for i, part in enumerate(np.array_split(np.arange(len(rows)), num_files)):
        lines = [json.dumps(rows[k]) + "\n" for k in part.tolist()]
        (files / f"{i:02d}.jsonl").write_text("".join(lines))
    config = {"input": str(files), "output": str(folder / name), "stages": stages}
    return run_in_process(config | {"execution": {"task_bytes": 1, "rejected_rate": 1, **execution}})


def kept(run: Run) -> set[str]:
    return set(run.documents.to_table(columns=["id"])["id"].to_pylist())


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("duplicates")


@pytest.fixture(scope="module")
def done(folder: Path) -> Run:
    return run(folder, "one", documents(), num_files=1)


@pytest.mark.parametrize(
    ("num_files", "execution"),
    [
        (1, {"partition_bytes": 20_000}),
        (7, {"partition_bytes": 60_000}),
        (12, {"partition_bytes": 15_000, "batch_bytes": 2_000}),
        (4, {"batch_bytes": 700}),
    ],
)
def test_files_tasks_batches_and_partitions_change_nothing(folder, done, num_files, execution) -> None:
    name = f"cut-{num_files}-{execution.get('batch_bytes')}"
    found = run(folder, name, documents(), num_files=num_files, **execution)
    columns = [name for name in found.signals.schema.names if name not in ("address", "source")]
    assert found.signals.to_table(columns=columns).equals(done.signals.to_table(columns=columns))
    for stage in ("exact", "minhash"):
        tables = [other.duplicates(stage).to_table(columns=["id", "kept_id", "similarity"]) for other in (found, done)]
        assert tables[0].equals(tables[1])


def test_order_changes_nothing_where_a_priority_decides(folder, done) -> None:
    rows = documents()
    shuffled = [rows[i] for i in np.random.default_rng(1).permutation(len(rows))]
    stages = [{"exact": {"priority": ["-rank"]}}, {"minhash": {"preset": "verified", "priority": ["-rank"]}}]
    first = run(folder, "ordered", rows, stages)
    assert kept(run(folder, "shuffled", shuffled, stages, partition_bytes=30_000)) == kept(first)
    assert kept(first) != kept(done)


def test_a_second_run_over_what_was_kept_removes_nothing(folder, done) -> None:
    rows = done.documents.to_table(columns=["id", "text", "rank"]).to_pylist()
    assert len(kept(run(folder, "second", rows, partition_bytes=20_000))) == len(rows)


@pytest.mark.parametrize("preset", ["fineweb", "strict", "verified"])
def test_the_account_is_whole(folder, preset) -> None:
    """Every removed document names a kept one; the table of duplicates and the signals tell the same."""
    rows = documents()
    found = run(folder, f"account-{preset}", rows, [{"minhash": {"preset": preset}}], partition_bytes=25_000)
    signals = {row["id"]: row for row in found.signals.to_table().to_pylist()}
    table = {row["id"]: row for row in found.duplicates("minhash").to_table().to_pylist()}
    alive = kept(found)
    sizes: dict[str, int] = {}
    for id_, row in signals.items():
        head = row["minhash.duplicate_of"] or id_
        sizes[head] = sizes.get(head, 0) + 1
        assert (id_ in alive) == (row["dropped_by"] is None) == (not row["minhash.duplicate"])
        assert head in alive
    for id_, row in signals.items():
        head = row["minhash.duplicate_of"] or id_
        assert row["minhash.cluster_size"] == sizes[head]
        assert (id_ in table) == (sizes[head] > 1)
        if id_ in table:
            told = table[id_]
            assert told["address"] == row["address"]
            assert (told["kept_id"], told["kept"]) == (head, signals[head]["address"])
            assert told["kept_run"] is None
            assert told["similarity"] == row["minhash.similarity"]
            assert (told["similarity"] is None) == (id_ in alive)
            assert told["cluster_size"] == sizes[head]


def test_words_alone_and_nothing_at_all(folder) -> None:
    rows = documents()[-30:]
    for stage in ("exact", "minhash"):
        found = run(folder, f"short-{stage}", rows, [stage], partition_bytes=400)
        assert len(found.plan.segments[1].before) == 7
        texts = [row["text"] for row in found.documents.to_table().to_pylist()]
        assert sorted(texts) == sorted(["", " \n", "..."] * 5 + ["word", "other", "ein Wort"])


@pytest.mark.parametrize("texts", [[], [""] * 40, ["...", " "] * 20])
def test_nothing_to_link(folder, texts) -> None:
    rows = [{"id": str(i), "text": text} for i, text in enumerate(texts)]
    name = f"nothing-{len(texts)}-{len(set(texts))}"
    stages = ["exact", "lines", {"minhash": {"preset": "verified"}}]
    found = run(folder, name, rows, stages, num_files=2, partition_bytes=300)
    assert found.documents.count_rows() == len(texts)
    assert found.duplicates("minhash").count_rows() == 0


def test_a_hundred_thousand_copies(folder) -> None:
    """One of each task goes further; the account is that of all."""
    rows = [{"id": str(i), "text": "the same words in each of these documents"} for i in range(100_000)]
    found = run(folder, "copies", rows, [{"minhash": {"preset": "verified"}}], num_files=4, partition_bytes=2_000_000)
    first = found.plan.segments[0].sieve
    assert [record.file("profiles").rows for record in found.records(first)] == [1] * 4
    table = found.duplicates("minhash").to_table()
    assert table.num_rows == 100_000
    assert table["kept_id"].unique().to_pylist() == ["0"]
    assert table["cluster_size"].unique().to_pylist() == [100_000]
    assert found.documents.to_table()["id"].to_pylist() == ["0"]


def test_lines_are_counted_over_all_partitions(folder) -> None:
    rows = [{"id": str(i), "text": f"menu\npage {i}\n{'twice' if i < 2 else i}\nfooter"} for i in range(20)]
    whole = run(folder, "lines-1", rows, ["lines"])
    parts = run(folder, "lines-9", rows, ["lines"], num_files=5, partition_bytes=100)
    assert [phase.kind for phase in parts.plan.phases] == ["sieve", "resolve", "sieve", "write"]
    texts = parts.documents.to_table()["text"].to_pylist()
    assert texts == whole.documents.to_table()["text"].to_pylist()
    assert texts[0] == "page 0\ntwice"


def test_damage_of_what_travels_between_tasks_is_seen(folder) -> None:
    found = run(folder, "damaged", documents(), partition_bytes=30_000)
    (file,) = Path(found.path).glob("phases/03-exact-shrink-*/edges/00000.bin")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(
        RunError, match=r"damaged: .*delete .*/phases/03-exact-shrink-\w+ to have that phase done again"
    ):
        run_again(found)


def run_again(found: Run) -> None:
    phase = found.plan.segments[1].before[2]
    for rank in range(phase.num_tasks or 0):
        perform(found, phase, rank, lambda stats: None)


def test_every_task_done_again_gives_the_same_bytes(folder) -> None:
    """A task that was killed is run again, in any order, with whatever it left behind."""
    found = run(folder, "again", documents(), ["lines", *STAGES], partition_bytes=30_000)
    before = every_file(found)
    tasks = [(phase, rank) for phase in found.plan.phases for rank in range(found.num_tasks(phase) or 0)]
    assert {phase.kind for phase, _ in tasks} >= {"resolve", "shrink", "root", "connect", "collect", "settle"}
    for i in np.random.default_rng(4).permutation(len(tasks)).tolist():
        perform(found, *tasks[i], lambda stats: None)
    assert every_file(found) == before


def every_file(run: Run) -> dict[str, str]:
    files = [file for suffix in ("bin", "parquet") for file in Path(run.path).rglob(f"*.{suffix}")]
    return {str(file.relative_to(run.path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_stages_without_a_table_are_named(done) -> None:
    with pytest.raises(ConfigError, match=r"no table of duplicates of 'gopher'; it has: exact, minhash"):
        done.duplicates("gopher")


def digests(run: Run) -> dict[str, str]:
    files = [
        file
        for kind in ("documents", "signals", "rejected", "duplicates")
        for file in Path(run.path, kind).rglob("*.*")
    ]
    return {str(file.relative_to(run.path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_the_number_of_partitions_changes_no_byte(folder) -> None:
    first = run(folder, "bytes@1", documents())
    assert digests(run(folder, "bytes@5", documents(), partition_bytes=30_000)) == digests(first)
    assert any(name.startswith("duplicates/minhash/") for name in digests(first))


def test_a_table_of_the_right_types(done) -> None:
    schema = done.duplicates("minhash").schema
    names = ["address", "id", "kept", "kept_id", "kept_run", "duplicate", "similarity", "cluster_size"]
    assert schema.names == names
    assert schema.field("kept").type == pa.uint64()
