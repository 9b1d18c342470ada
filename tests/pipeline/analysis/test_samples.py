"""Single documents of a run: the right text, the right decision, no more read than needed."""

import json
import random

import fsspec
import pyarrow.parquet as pq
import pytest

from pipeline.analysis import labels, samples
from pipeline.analysis.rules import distance_sql
from pipeline.analysis.tables import open_tables
from pipeline.analysis.texts import dropped_texts, kept_rows
from pipeline.io import write
from pipeline.runs import Run
from stages.errors import ConfigError, RunError
from tests.corpus import WORDS
from tests.in_process import run_in_process

STAGES = [
    {"language": {"score": {"min": None}}},
    {"gopher": {"word_count": {"min": 60}, "by_language": {"de": {"word_count": {"min": 5}}}}},
    {"c4": {"terminal_punctuation": False, "sentence_count": {"min": 3}}},
    {"fineweb": {"short_line_ratio": {"max": 0.2}, "duplicate_line_char_ratio": {"max": 0.1}}},
]


def pages(num: int) -> list[dict]:
    rng = random.Random(5)
    found = []
    for i in range(num):
        lines = [" ".join(rng.choices(WORDS, k=rng.randint(2, 20))) + "." for _ in range(rng.randint(2, 14))]
        lines += lines[: rng.choice([0, 0, 0, 3])] + ["use of JavaScript here"] * (rng.random() < 0.2)
        found.append({"id": f"d{i}", "text": f"Page {i} of all. " + "\n".join(lines), "url": f"https://a.test/{i}"})
    return found


@pytest.fixture(scope="module")
def corpus():
    return pages(700)


@pytest.fixture(scope="module")
def run(tmp_path_factory, corpus):
    """Several shards and tasks, files of several row groups, half of the dropped texts kept."""
    folder = tmp_path_factory.mktemp("samples")
    for part in range(5):
        lines = [json.dumps(page) + "\n" for page in corpus[part * 140 : part * 140 + 140]]
        (folder / f"{part}.jsonl").write_text("".join(lines))
    config = {
        "input": {"path": str(folder / "*.jsonl"), "url": "url"},
        "output": str(folder / "run"),
        "stages": STAGES,
        "execution": {"task_bytes": 1, "output_bytes": 150_000, "rejected_rate": 0.5, "batch_bytes": 20_000},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "ROW_GROUP_ROWS", 16)
        return run_in_process(config)


@pytest.fixture(scope="module")
def tables(run):
    with open_tables(run) as tables:
        yield tables


def test_the_run_is_one_to_look_into(run):
    assert len(run.signals.files) > 1
    assert pq.ParquetFile(run.signals.files[0]).num_row_groups > 1


def test_every_text_is_that_of_its_document(run, corpus):
    texts = {page["id"]: page["text"] for page in corpus}
    rows = run.signals.to_table(columns=["address", "id", "dropped_by"]).to_pylist()
    kept = {row["address"]: row["id"] for row in rows if row["dropped_by"] is None}
    found = kept_rows(run, list(kept), ["text", "id"])
    assert found.keys() == kept.keys()
    assert all(row["id"] == kept[address] for address, row in found.items())
    lost = {row["address"]: row["id"] for row in rows if row["dropped_by"] is not None}
    told = dropped_texts(run, list(lost))
    rejected = run.rejected.to_table(columns=["address", "text"]).to_pylist()
    assert told == {row["address"]: row["text"] for row in rejected}
    first = {row["address"] for row in rows if row["dropped_by"] == "gopher.word_count"} & told.keys()
    assert first
    assert all(told[address] == texts[lost[address]] for address in first)


def test_only_row_groups_that_may_hold_a_document_are_read(run, monkeypatch):
    rows = run.signals.to_table(columns=["address", "dropped_by"]).to_pylist()
    address = next(row["address"] for row in reversed(rows) if row["dropped_by"] is None)
    read = []
    plain = pq.ParquetFile.read_row_group

    def counting(self, group, columns=None, **options):
        read.append((group, tuple(columns)))
        return plain(self, group, columns, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counting)
    assert list(kept_rows(run, [address], ["text"])) == [address]
    assert [columns for _, columns in read] == [("address", "dropped_by"), ("text",)]


def test_dropped_documents_come_nearest_first(run, tables):
    rejected = run.rejected.to_table(columns=["address", "dropped_by"]).to_pylist()
    told = {row["address"] for row in rejected if row["dropped_by"] == "gopher.word_count"}
    rows = run.signals.to_table(filter=None).to_pylist()
    expected = sorted((60 - row["gopher.word_count"], row["address"]) for row in rows if row["address"] in told)
    found = samples.dropped(run, tables, "gopher.word_count", limit=1000)
    assert [sample.address for sample in found] == [address for _, address in expected]
    assert all(sample.text is not None and sample.dropped_by == "gopher.word_count" for sample in found)
    page = samples.dropped(run, tables, "gopher.word_count", limit=5, offset=3)
    assert page == found[3:8]
    lost = sum(row["dropped_by"] == "gopher.word_count" for row in rows)
    assert samples.rests_on(tables, "gopher.word_count") == (len(told), lost)
    assert len(told) < lost


def test_a_sample_says_what_was_measured_beside_the_bound_that_counts(run, tables):
    (sample,) = samples.dropped(run, tables, "gopher.word_count", limit=1)
    bounds = {bound.signal: bound for bound in sample.bounds}
    assert bounds["gopher.word_count"].decision == "60 to 100000"
    assert bounds["gopher.word_count"].violated
    assert sample.violated[0].signal == "gopher.word_count"
    assert "c4.sentence_count" not in bounds  # it was not measured any more


def test_overrides_by_language_count(run, tables):
    rule = samples.known_rule(run, "gopher.word_count")
    sql = distance_sql(rule, has_language=True)
    (row,) = tables.rows(f'SELECT {sql} FROM (SELECT 7 AS "gopher.word_count", \'de\' AS "language.label")')
    assert row == (pytest.approx(0.4),)  # 2 of 5
    row = {f"gopher.{signal}": None for signal in rule.stage.signals()}
    row |= {"gopher.word_count": 7, "language.label": "de"}
    (bound,) = samples._bounds(rule.stage, row)
    assert (bound.decision, bound.violated) == ("5 to 100000", False)


@pytest.mark.parametrize("rule", ["fineweb.short_line_ratio", "fineweb.duplicate_line_char_ratio"])
def test_evidence_is_in_the_text_that_is_shown(run, tables, rule):
    found = samples.dropped(run, tables, rule)
    assert found
    for sample in found:
        assert sample.spans
        assert all(0 <= span.start < span.end <= len(sample.text) for span in sample.spans)
    again = [span for sample in found for span in sample.spans if span.note == "line seen before"]
    assert bool(again) or rule != "fineweb.duplicate_line_char_ratio"


def test_kept_documents_have_their_final_text_and_the_evidence_of_the_rule(run, tables):
    found = samples.kept(run, tables, "fineweb.short_line_ratio", limit=30)
    ratios = [next(b.value for b in sample.bounds if b.signal == "fineweb.short_line_ratio") for sample in found]
    assert ratios == sorted(ratios, reverse=True)
    final = dict(zip(*run.documents.to_table(columns=["id", "text"]).to_pydict().values(), strict=True))
    for sample, ratio in zip(found, ratios, strict=True):
        assert sample.text == final[sample.id]
        assert sample.url == f"https://a.test/{sample.id[1:]}"
        assert not sample.violated
        assert bool(sample.spans) == (ratio > 0)


def test_one_language_and_unknown_rules(run, tables):
    labels_ = {sample.language for sample in samples.kept(run, tables, limit=300)}
    some = next(label for label in sorted(labels_, key=str) if label)
    assert {sample.language for sample in samples.kept(run, tables, language=some)} == {some}
    with pytest.raises(ConfigError, match=r"no rule 'gopher\.words'; it has: .*gopher\.word_count"):
        samples.dropped(run, tables, "gopher.words")
    assert samples.of_addresses(run, tables, [2**63]) == []


def test_a_run_behind_a_url_is_read_the_same_way(run, tables):
    fs = fsspec.filesystem("memory")
    fs.put(run.path, "/samples-run", recursive=True)
    try:
        remote = Run("memory://samples-run")
        with open_tables(remote) as there:
            for rule in ("gopher.word_count", "fineweb.short_line_ratio"):
                assert samples.dropped(remote, there, rule) == samples.dropped(run, tables, rule)
            assert samples.kept(remote, there) == samples.kept(run, tables)
        assert labels.of_rule(remote, "gopher.word_count") == {}
        with pytest.raises(ConfigError, match="on a disk"):
            labels.add(remote, "gopher.word_count", 1, "agree")
    finally:
        fs.rm("/samples-run", recursive=True)


def test_labels_give_a_precision_and_the_last_one_counts(tmp_path):
    run = Run(str(tmp_path))
    assert labels.precision(run, "a.b", 100) is None
    for address, label in ((1, "agree"), (2, "agree"), (3, "wrong drop"), (1, "wrong drop")):
        labels.add(run, "a.b", address, label)
    labels.add(run, "a.c", 1, "agree")
    found = labels.precision(run, "a.b", 100)
    assert (found.agree, found.labelled, found.share.exact) == (1, 3, False)
    assert found.share.low < found.share.value == pytest.approx(1 / 3)
    assert found.share.value < found.share.high < 1
    whole = labels.precision(run, "a.b", 3)
    assert whole.share.exact
    assert whole.share.value == pytest.approx(1 / 3)
    with pytest.raises(ConfigError, match="agree or wrong drop"):
        labels.add(run, "a.b", 1, "maybe")
    with (tmp_path / "labels.jsonl").open("a") as file:
        file.write('{"rule": "a.b", "addr')
    with pytest.raises(RunError, match=r"labels\.jsonl:6 is no label"):
        labels.of_rule(run, "a.b")
