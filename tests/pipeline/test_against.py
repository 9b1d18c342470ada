"""Runs held against earlier ones: what is kept in the end is what one run over everything keeps."""

import json
from pathlib import Path

import numpy as np
import pytest

import pipeline
from pipeline.runs import Run
from stages.errors import ConfigError
from tests import naive_dedup, planted
from tests.in_process import run_in_process

VERIFIED = [{"minhash": {"preset": "verified"}}]
PARTS = "abc"


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Families of near documents, spread over three parts of 120."""
    rng, script = np.random.default_rng(3), planted.SCRIPTS["latin"]
    families = [planted.document(script, 80, rng) for _ in range(40)]
    out = []
    for _ in range(360):
        words = families[int(rng.integers(40))]
        share = float(rng.choice([0, 0.01, 0.03, 0.06]))
        out.append(planted.substitute(words, script, rng, share))
    return out


@pytest.fixture(scope="module")
def folder(texts: list[str], tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("against")
    for i in range(6):
        rows = [{"id": str(k), "text": texts[k], "date": (k * 7919) % 1000} for k in range(60 * i, 60 * i + 60)]
        write(folder / f"{PARTS[i // 2]}{i % 2}.jsonl", rows)
    return folder


def write(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def run(folder: Path, name: str, glob: str, stages: list, against=(), partition_bytes: int = 10**9) -> Run:
    runs = [str(folder / "runs" / other) for other in against]
    return run_in_process(
        {
            "input": {"path": str(folder / glob), "against": runs},
            "output": str(folder / "runs" / name),
            "stages": stages,
            "execution": {"task_bytes": 1, "partition_bytes": partition_bytes},
        }
    )


def kept(*runs: Run) -> list[int]:
    return sorted(int(id_) for run in runs for id_ in run.documents.to_table(columns=["id"])["id"].to_pylist())


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("exact", ["exact"]),
        ("verified", VERIFIED),
        ("both", ["exact", *VERIFIED]),
    ],
)
@pytest.mark.parametrize("partition_bytes", [10**9, 40_000])
def test_one_after_the_other_keeps_what_one_run_keeps(folder, name, stages, partition_bytes) -> None:
    name = f"{name}-{partition_bytes}"
    whole = run(folder, f"{name}-whole", "*.jsonl", stages, (), partition_bytes)
    a = run(folder, f"{name}-a", "a*.jsonl", stages, (), partition_bytes)
    b = run(folder, f"{name}-b", "b*.jsonl", stages, [f"{name}-a"], 15_000 if partition_bytes < 10**9 else 10**9)
    c = run(folder, f"{name}-c", "c*.jsonl", stages, [f"{name}-b"], partition_bytes)  # and so against a
    assert c.plan.against == (a.path, b.path)
    assert kept(a, b, c) == kept(whole)
    assert kept(b)
    assert kept(c)


@pytest.mark.parametrize("partition_bytes", [10**9, 40_000])
def test_joined_clusters_keep_what_was_kept_before_and_list_it(folder, partition_bytes) -> None:
    """Without a check, a cluster is all that is linked. Where a new document links two old ones that are kept already,
    both stay, and it goes; the later of the two, which one run over everything would not keep, is superseded."""
    stages, name = [{"minhash": {"preset": "fineweb"}}], f"joined-{partition_bytes}"
    whole = run(folder, f"{name}-whole", "*.jsonl", stages, (), partition_bytes)
    a = run(folder, f"{name}-a", "a*.jsonl", stages, (), partition_bytes)
    b = run(folder, f"{name}-b", "b*.jsonl", stages, [f"{name}-a"], partition_bytes)
    c = run(folder, f"{name}-c", "c*.jsonl", stages, [f"{name}-a", f"{name}-b"], partition_bytes)
    assert set(kept(whole)) < set(kept(a, b, c))
    listed = [row for later in (b, c) for row in later.superseded("minhash").to_pylist()]
    assert listed
    assert sorted(set(kept(a, b, c)) - {int(row["id"]) for row in listed}) == kept(whole)
    runs = {done.path: done for done in (a, b, c)}
    for row in listed:
        assert {row["run"], row["kept_run"]} <= {a.path, b.path}
        (of_whole,) = (one for one in whole.signals.to_table().to_pylist() if one["id"] == row["id"])
        assert of_whole["minhash.duplicate"]
        for where, address, id_ in (("run", "address", "id"), ("kept_run", "kept", "kept_id")):
            signals = runs[row[where]].signals.to_table().to_pylist()
            (found,) = (one for one in signals if one["address"] == row[address])
            assert found["id"] == row[id_]
            assert found["dropped_by"] is None
    with pytest.raises(ConfigError, match="against no earlier run"):
        a.superseded("minhash")
    for row in whole.duplicates("minhash").to_table().to_pylist():
        if int(row["id"]) in kept(a, b, c) and row["duplicate"]:
            assert int(row["id"]) in kept(a, b), "a document of the last run joins nothing"


def test_every_copy_of_an_old_document_goes_and_says_whose_it_is(tmp_path) -> None:
    """datatrove's MinhashDedupBuckets removes the first copy alone (only_dedup_in_index, 0.10.1)."""
    text = "all the copies of this sentence go, since an earlier run has it among its documents already"
    write(tmp_path / "old.jsonl", [{"id": "other", "text": "another text"}, {"id": "old", "text": text}])
    rows = [{"id": f"new-{i}", "text": text} for i in range(3)]
    write(tmp_path / "new.jsonl", [*rows, {"id": "fresh", "text": "nobody has seen this"}])
    old = run(tmp_path, "old", "old.jsonl", ["exact", "minhash"])
    for stage in ("exact", "minhash"):
        new = run(tmp_path, f"new-{stage}", "new.jsonl", [stage], ["old"])
        assert new.documents.to_table()["id"].to_pylist() == ["fresh"]
        signals = new.signals.to_table().to_pylist()
        for row in signals[:3]:
            assert row[f"{stage}.duplicate_of"] == "old"
            assert row[f"{stage}.duplicate_in"] == old.path
            assert row[f"{stage}.similarity"] == 1.0
            assert row[f"{stage}.cluster_size"] == 4
        assert signals[3][f"{stage}.duplicate_in"] is None
        found = new.duplicates(stage).to_table().to_pylist()
        assert [row["id"] for row in found] == ["new-0", "new-1", "new-2"]
        assert {(row["kept"], row["kept_id"], row["kept_run"]) for row in found} == {(1, "old", old.path)}


def test_documents_that_an_earlier_run_dropped_are_known_too(tmp_path) -> None:
    """A chain, each like the next: what resembles a dropped document is a duplicate of the one kept for that."""
    rng, script = np.random.default_rng(5), planted.SCRIPTS["latin"]
    words = planted.document(script, 300, rng)
    chain = [[*planted.document(script, i * 15, rng), *words[i * 15 :]] for i in range(9)]
    rows = [{"id": str(i), "text": planted.write(part, script)} for i, part in enumerate(chain)]
    write(tmp_path / "old.jsonl", rows[:-1])
    write(tmp_path / "new.jsonl", rows[-1:])
    stages = [{"minhash": {"num_bands": 60, "num_rows": 4}}]
    old = run(tmp_path, "old", "old.jsonl", stages)
    assert kept(old) == [0]
    new = run(tmp_path, "new", "new.jsonl", stages, ["old"])
    (row,) = new.signals.to_table().to_pylist()
    assert row["minhash.duplicate_of"] == "0"
    assert row["minhash.similarity"] < naive_dedup.similarity(rows[-2]["text"], rows[-1]["text"], 5)


def test_earlier_runs_come_first_whatever_the_priority(folder) -> None:
    stages = [{"exact": {"priority": ["-date"]}}]
    a = run(folder, "dated-a", "a*.jsonl", ["exact"])
    b = run(folder, "dated-b", "b*.jsonl", stages, ["dated-a"])
    old = set(kept(a))
    for row in b.duplicates("exact").to_table().to_pylist():
        if row["kept_run"] == a.path:
            assert int(row["kept_id"]) in old
            assert row["duplicate"]
    dates = {str(k): (k * 7919) % 1000 for k in range(360)}
    own = [row for row in b.duplicates("exact").to_table().to_pylist() if row["kept_run"] is None]
    assert own
    assert all(dates[row["kept_id"]] >= dates[row["id"]] for row in own)


@pytest.fixture(scope="module")
def old(folder) -> Run:
    return run(folder, "old", "a*.jsonl", [{"minhash": {"ngram_size": 4}}, "exact"])


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ([{"minhash": {"ngram_size": 5}}], r"old was made with minhash\.ngram_size: 4, not 5\. Take the same settings"),
        ([{"minhash": {"ngram_size": 4, "preset": "strict"}}], r"made with minhash\.preset: fineweb, not strict"),
        ([{"minhash": {"ngram_size": 4, "min_similarity": 0.5}}], "made with assets {} of minhash, not"),
        ([{"exact": {"within": ["date"]}}], r"old was made with exact\.within: \[\], not \['date'\]"),
        (["same_url"], r"old has no stage 'same_url' to compare with; of its kind it has: minhash, exact"),
    ],
)
def test_other_settings_are_refused(folder, old, stages, expected) -> None:
    with pytest.raises(ConfigError, match=expected):
        run(folder, "refused", "b*.jsonl", stages, ["old"])


def test_another_version_is_refused(folder, old, monkeypatch) -> None:
    from stages.dedup.duplicates import Exact

    monkeypatch.setattr(Exact, "version", Exact.version + 1)
    with pytest.raises(ConfigError, match=r"old was made with version \d of exact, not \d"):
        run(folder, "refused", "b*.jsonl", ["exact"], ["old"])


def test_runs_that_cannot_be_compared_with_are_refused(folder, old, tmp_path) -> None:
    with pytest.raises(ConfigError, match="nowhere is not a run directory"):
        run(folder, "refused", "b*.jsonl", ["exact"], ["nowhere"])
    with pytest.raises(ConfigError, match="old is the output of this run; give it another one"):
        run(folder, "old", "b*.jsonl", ["exact"], ["old"])
    description = json.loads(Path(old.path, "run.json").read_text())
    Path(tmp_path, "run.json").write_text(json.dumps(description | {"state": "failed"}))
    with pytest.raises(ConfigError, match="is not done; `tamis run` goes on where it stopped"):
        run(folder, "refused", "b*.jsonl", ["exact"], [str(tmp_path)])


def test_priority_and_bounds_are_not_settings_of_the_index(folder, old) -> None:
    stages = [{"exact": {"priority": ["date"], "cluster_size": {"max": 100}}}]
    assert kept(run(folder, "free", "b*.jsonl", stages, ["old"]))


def test_a_run_that_was_done_again_is_read_again(folder) -> None:
    run(folder, "again-a", "a0.jsonl", ["exact"])
    before = kept(run(folder, "again-b", "b*.jsonl", ["exact"], ["again-a"]))
    run(folder, "again-a", "a0.jsonl", [{"gopher": {"word_count": {"min": 80, "max": 80}}}, "exact"])
    after = kept(run(folder, "again-b", "b*.jsonl", ["exact"], ["again-a"]))
    assert len(after) > len(before)


def test_stages_that_count_see_this_run_alone(folder) -> None:
    run(folder, "lines-a", "a*.jsonl", ["exact"])
    found = run(folder, "lines-b", "b*.jsonl", ["exact", "lines"], ["lines-a"])
    assert found.documents.count_rows() == len(kept(run(folder, "plain-b", "b*.jsonl", ["exact"], ["lines-a"])))


def test_a_launch_with_workers(folder, old) -> None:
    spec = {"input": {"path": str(folder / "b*.jsonl"), "against": [old.path]}, "output": str(folder / "runs/launched")}
    found = pipeline.run({**spec, "stages": ["exact"], "execution": {"task_bytes": 1}}, workers=2)
    assert kept(found) == kept(run(folder, "here", "b*.jsonl", ["exact"], ["old"]))
