"""Stages that learn from the corpus: what they see, that it is kept, and that it does not depend on the workers."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import pipeline
from pipeline.config import load_config
from pipeline.io.input import Input
from pipeline.io.shards import list_shards
from pipeline.plan import make_plan
from pipeline.references import read_references, read_sample
from pipeline.sieve import fit
from stages.contract import Bounds, Count, Fitted, Signals
from stages.errors import RunError
from stages.text.batch import TextBatch
from tests.corpus import page, write_jsonl
from tests.toy import Length

STAGES = ["gopher", {"llama3": {"min_documents": 5, "kl_deviation": {"max": 2}}}]


class Longest(Fitted):
    """Compares with the longest text of the corpus. Source: none, a toy."""

    missing_count: Count = Bounds()
    """Bytes that the longest has more."""

    def fit(self, sample: TextBatch) -> pa.Table:
        return pa.table({"bytes": [int(np.diff(sample.utf8.offsets).max(initial=0))]})

    def measure(self, batch: TextBatch, reference: pa.Table) -> Signals:
        return {"missing_count": reference["bytes"][0].as_py() - np.diff(batch.utf8.offsets)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("references")
    for i in range(4):
        write_jsonl(folder / f"{i}.jsonl", 200, first=200 * i)
    return folder


def config(folder: Path, name: str) -> dict:
    return {
        "input": str(folder / "*.jsonl"),
        "output": str(folder / name),
        "stages": STAGES,
        "execution": {"task_bytes": 1, "batch_bytes": 40_000, "sample_bytes": 10**8},
    }


@pytest.fixture(scope="module")
def run(folder):
    return pipeline.run(config(folder, "one"), workers=1)


def test_a_stage_learns_from_what_the_stages_before_it_keep():
    texts = ["banana", "b" * 50, "x" * 2000, "an apple a day"]
    assert fit([Longest()], TextBatch.from_texts(texts))["longest"]["bytes"].to_pylist() == [2000]
    assert fit([Length(), Longest()], TextBatch.from_texts(texts))["longest"]["bytes"].to_pylist() == [14]


def test_the_sample_is_spread_over_the_input(folder):
    source = Input(path=str(folder / "*.jsonl"))
    manifest = list_shards(source)
    ids = read_sample(manifest, source, 40_000).table["id"].to_pylist()
    numbers = [int(name.removeprefix("page-")) for name in ids]
    assert {number // 200 for number in numbers} == {0, 1, 2, 3}
    assert 8 < len(numbers) < 400
    assert read_sample(manifest, source, 10**9).num_rows == 800


def test_a_run_keeps_what_its_stages_learned(run):
    assert [phase.name for phase in run.plan.phases] == ["00-reference", "01-sieve", "02-write"]
    reference = read_references(run, run.config.stages)["llama3"]
    assert reference["num_documents"].to_pylist()[0] > 100
    assert run.stats["reference_seconds"] > 0
    signals = run.signals.to_table()
    assert signals["llama3.kl_deviation"].null_count < signals.num_rows
    assert run.stats["stages"]["llama3"]["dropped"]["llama3.kl_deviation"]["documents"] > 0


def test_annotating_learns_the_same(folder, run):
    """The whole corpus is smaller than both samples, so both have seen all of it."""
    found = pipeline.annotate(str(folder / "*.jsonl"), STAGES)
    measured = run.signals.to_table()
    theirs = dict(zip(measured["id"].to_pylist(), measured["llama3.kl_divergence"].to_pylist(), strict=True))
    pairs = zip(found["id"].to_pylist(), found["llama3.kl_divergence"].to_pylist(), strict=True)
    known = [(mine, theirs[id_]) for id_, mine in pairs if theirs[id_] is not None]
    assert len(known) > 400
    assert all(mine == other for mine, other in known)


def test_workers_and_a_second_launch_change_nothing(folder, run):
    again = pipeline.run(config(folder, "three"), workers=3)

    def digest(path):
        return {
            file.relative_to(path): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in [*Path(path).glob("documents/*"), *Path(path).glob("signals/*")]
        }

    assert digest(again.path) == digest(run.path)
    record = next(Path(run.path).glob("phases/00-*/completions/00000"))
    before = record.stat().st_mtime_ns
    pipeline.run(config(folder, "one"), workers=1)
    assert record.stat().st_mtime_ns == before


def test_a_later_bound_learns_nothing_anew_and_an_earlier_one_does(folder):
    def reference_of(stages, *overrides):
        resolved = load_config(config(folder, "plans") | {"stages": stages}, overrides=overrides)
        return make_plan(resolved, list_shards(resolved.input)).reference

    before = reference_of(STAGES)
    assert reference_of([*STAGES, "fineweb"]) == before
    assert reference_of(STAGES, "stages.llama3.kl_deviation.max=3") == before
    assert reference_of(STAGES, "stages.llama3.ngram_size=8") != before
    assert reference_of(STAGES, "stages.gopher.word_count.min=60") != before


def test_a_bound_in_the_last_segment_leaves_those_before(folder):
    def prints(*overrides):
        stages = ["gopher", "exact", "fineweb", {"llama3": {"min_documents": 5}}]
        resolved = load_config(config(folder, "plans") | {"stages": stages}, overrides=overrides)
        return [phase.fingerprint for phase in make_plan(resolved, list_shards(resolved.input)).phases]

    before, after = prints(), prints("stages.llama3.kl_deviation.max=3")
    assert before[:3] == after[:3]
    assert before[3:] != after[3:]
    assert prints("stages.fineweb.newline_ratio.max=0.5")[1:3] == before[1:3]


def test_a_damaged_reference_is_refused(folder):
    run = pipeline.run(config(folder, "damaged"), workers=1)
    file = next(Path(run.path).glob("phases/00-*/references/llama3.parquet"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    for record in Path(run.path).glob("phases/01-*/completions/*"):
        record.unlink()
    with pytest.raises(RunError, match=r"llama3\.parquet is damaged"):
        pipeline.run(config(folder, "damaged"), workers=1)


def test_one_page_is_judged_by_a_corpus_of_one_table():
    table = pa.table({"text": [page(i) for i in range(60)]})
    found = pipeline.annotate(table, ["llama3"])
    assert found["llama3.kl_divergence"].null_count == 0
