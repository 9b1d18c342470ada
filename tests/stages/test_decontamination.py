"""Decontamination: what is found, dropped, cut and reported equals its slow twin."""

from __future__ import annotations

import gzip
import json
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.benchmark_items import Item, NgramIndex, file_and_columns, read_items
from stages.contract import decide, run_stage
from stages.decontamination import Decontamination, report
from stages.dedup.folded import FoldedWords
from stages.errors import AssetError
from stages.text.batch import TextBatch
from tests import naive_passages
from tests.naive_decontamination import decontaminate
from tests.naive_dedup import folded_words
from tests.strategies import repetitive_texts, texts

QUESTION = (
    "A train leaves the station at noon and travels north at sixty miles an hour. Another one follows it two hours "
    "later at ninety miles an hour. After how many hours do the two trains meet?"
)
ANSWER = "They meet four hours after the second train has left the station."


@pytest.fixture
def items(tmp_path):
    path = tmp_path / "toy.jsonl"
    records = [
        {"question": QUESTION, "answer": ANSWER},
        {"question": "What is two plus two?", "answer": "4"},
        {"question": "Name the river that runs through the old town of Prague.", "answer": ""},
    ]
    path.write_text("\n".join(json.dumps(record) for record in records))
    return f"{path}:question+answer"


def judged(stage: Decontamination, *documents: str) -> list[dict]:
    after, columns = run_stage(stage, TextBatch.from_texts(list(documents)))
    dropped = decide(stage, columns, None)
    rows = pa.table(columns).to_pylist()
    for i, (row, text) in enumerate(zip(rows, after.table["text"].to_pylist(), strict=True)):
        row |= {"text": text, "dropped_by": [name for name, mask in dropped.items() if mask[i]]}
    return rows


TEXTS = st.lists(
    st.lists(st.sampled_from(["a", "B.", "c,", "d ", "日", "é", "E\u0301", "\n\n"]), max_size=25).map(" ".join)
    | texts()
    | repetitive_texts(),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS, TEXTS, st.integers(1, 6), st.integers(0, 3), st.integers(0, 3))
def test_equals_its_twin(tmp_path, documents, asked, min_words, more, margin):
    stage = Decontamination(
        benchmarks={"toy": "toy.jsonl"}, ngram_size=max(2, min_words + more), min_words=min_words, margin_words=margin
    )
    labelled = [Item(f"toy:{i}", text) for i, text in enumerate(asked, 1)]
    stage.__dict__["index"] = NgramIndex.of(labelled, stage.ngram_size, min_words)
    cutting = stage.model_copy(update={"mode": "cut"})
    cutting.__dict__["index"] = stage.index
    for text, row, cut in zip(documents, judged(stage, *documents), judged(cutting, *documents), strict=True):
        found, size = decontaminate(text, asked, stage.ngram_size, min_words), len(folded_words(text))
        assert row["ngram_count"] == found.ngram_count
        assert row["overlap_ratio"] == (pytest.approx(len(found.words) / size) if size else None)
        assert row["longest_run"] == found.longest_run
        assert row["item"] == (f"toy:{found.best[0][0] + 1}" if found.best else None)
        assert row["item_ratio"] == (pytest.approx(found.best[0][1]) if found.best else None)
        told = json.loads(row["items"] or "{}")
        assert list(told) == [f"toy:{number + 1}" for number, _ in found.best]
        assert list(told.values()) == [pytest.approx(share, rel=0.01) for _, share in found.best]
        assert row["text"] == text
        assert row["dropped_by"] == (["ngram_count"] if found.words else [])
        near = {w + k for w in found.words for k in range(-margin, margin + 1) if 0 <= w + k < size}
        after, count, chars = naive_passages.cut(text, near)
        assert (cut["text"], cut["removed_count"]) == (after, count)
        assert cut["removed_char_ratio"] == (pytest.approx(chars / len(text)) if text else None)
        assert cut["ngram_count"] == 0
        assert cut["dropped_by"] == []
        assert cut["items"] == row["items"]


def test_a_page_with_the_question_on_it(items):
    page = f"Homework for Monday.\n\n{QUESTION.upper()}\n\nHand it in on paper, please."
    stage = Decontamination(benchmarks={"toy": items})
    found, clean, short, river = judged(
        stage,
        page,
        "A train leaves the station at noon and travels north at eighty miles.",  # eleven words of the item
        "What is two plus two? 4",
        "Tell me: name the river that runs through the old town of Prague!",
    )
    words = len(folded_words(QUESTION))
    assert found["dropped_by"] == ["ngram_count"]
    assert found["longest_run"] == words
    assert found["ngram_count"] == words - 12
    assert found["item"] == "toy:1"
    assert found["item_ratio"] == pytest.approx(words / len(folded_words(f"{QUESTION} {ANSWER}")))
    assert found["overlap_ratio"] == pytest.approx(words / len(folded_words(page)))
    assert (clean["ngram_count"], clean["item"], clean["dropped_by"]) == (0, None, [])
    assert short["ngram_count"] == 0  # five words: too few to mean anything
    assert (river["item"], river["item_ratio"], river["ngram_count"]) == ("toy:3", 1.0, 1)


def test_cutting_takes_the_passage_and_its_margin(items):
    page = f"Homework for Monday.\n\n{QUESTION}\n\nHand it in on paper, please."
    (cut,) = judged(Decontamination(benchmarks={"toy": items}, mode="cut", margin_words=0), page)
    assert cut["text"] == "Homework for Monday.\n\nHand it in on paper, please."
    assert (cut["removed_count"], cut["ngram_count"], cut["dropped_by"]) == (1, 0, [])
    assert cut["item"] == "toy:1"
    (cut,) = judged(Decontamination(benchmarks={"toy": items}, mode="cut", margin_words=2), page)
    assert cut["text"] == "Homework in on paper, please."
    (cut,) = judged(Decontamination(benchmarks={"toy": items}, mode="cut"), page)
    assert cut["text"] == ""


def test_bounds_on_the_share_of_an_item(items):
    stage = Decontamination.model_validate(
        {"benchmarks": {"toy": items}, "ngram_count": {"max": None}, "item_ratio": {"max": 0.7}}
    )
    part, whole = judged(stage, QUESTION[:90], f"{QUESTION} {ANSWER}")
    assert part["item_ratio"] < 0.7
    assert part["dropped_by"] == []
    assert whole["dropped_by"] == ["item_ratio"]


def test_every_format_and_column_gives_the_same_items(tmp_path):
    records = [{"q": "one two", "c": {"label": [1, 2], "text": ["x", "y"]}, "n": 7}, {"q": "", "c": None, "n": 8}]
    lines = "\n".join(json.dumps(record) for record in records)
    (tmp_path / "a.jsonl").write_text(lines + "\n")
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "a.parquet")
    expected = [("b:1", "one two\nx\ny"), ("b:2", "")]
    for name in ("a.jsonl", "a.jsonl.gz", "a.parquet"):
        assert read_items({"b": [f"{tmp_path / name}:q+c"]}) == expected
    assert read_items({"b": [f"file://{tmp_path}/a.jsonl:q+c"]}) == expected
    (tmp_path / "t.txt").write_text("first item\n\nsecond item\n")
    (tmp_path / "t.jsonl").write_text('{"text": "third"}')
    found = read_items({"b": [str(tmp_path / "t.txt"), str(tmp_path / "t.jsonl")], "c": [str(tmp_path / "t.txt")]})
    assert [item.label for item in found] == ["b:1", "b:2", "b:3", "c:1", "c:2"]
    assert found[2].text == "third"


def test_names_of_files():
    assert file_and_columns("a/b.jsonl:q+a") == ("a/b.jsonl", ("q", "a"))
    assert file_and_columns("https://host:80/b.jsonl") == ("https://host:80/b.jsonl", ())
    assert file_and_columns("hf://datasets/x/b.parquet:text") == ("hf://datasets/x/b.parquet", ("text",))
    assert file_and_columns("b.txt") == ("b.txt", ())


@pytest.mark.parametrize(
    ("name", "content", "columns", "message"),
    [
        ("x.jsonl", '{"q": "a"}', "", "no column 'text'; it has: q. Say which make up an item"),
        ("x.jsonl", '{"q": "a"}', ":q+z", "record 1 has no column 'z'"),
        ("x.jsonl", '{"q": "a"}\n{oops', ":q", "x.jsonl:2 is no JSON"),
        ("x.jsonl", "[1]", ":q", "record 1 is no object"),
        ("x.csv", "q\na", ":q", "the format goes by the ending"),
        ("x.parquet", "no", ":q", "cannot be read"),
        ("x.jsonl", '{"q": "only four words here"}', ":q", "has no item of 8 words"),
        (None, "", "", "cannot be read: No such file"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path, name, content, columns, message):
    if name:
        (tmp_path / name).write_text(content)
    stage = Decontamination(benchmarks={"b": f"{tmp_path / (name or 'none.txt')}{columns}"})
    with pytest.raises(AssetError, match=message.replace(".", r"\.")):
        stage.setup()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"benchmarks": {}}, "name a benchmark"),
        ({"benchmarks": {"a b": "x.txt"}}, "letters, digits"),
        ({"benchmarks": {"a": []}}, "has no files"),
        ({"benchmarks": {"a": "x.txt"}, "min_words": 14}, "at most ngram_size, which is 13"),
    ],
)
def test_wrong_fields_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Decontamination.model_validate(fields)


def test_assets_follow_the_files(tmp_path, items):
    (tmp_path / "t.txt").write_text(QUESTION)
    stage = Decontamination(benchmarks={"a": items, "b": [str(tmp_path / "t.txt")]})
    before = stage.assets()
    assert set(before) == {items.removesuffix(":question+answer"), str(tmp_path / "t.txt")}
    (tmp_path / "t.txt").write_text(ANSWER)
    assert stage.assets() != before


def test_the_report_counts_documents_of_every_item(items):
    stage = Decontamination(benchmarks={"toy": items})
    river = "Name the river that runs through the old town of Prague."
    rows = judged(stage, QUESTION, f"{QUESTION} {ANSWER} {river}", "nothing", f"x {QUESTION}")
    table = pa.table(
        {"id": ["a", "b", "c", "d"], "decontamination.items": pa.array([row["items"] for row in rows], pa.string())}
    )
    share = round(rows[0]["item_ratio"], 3)
    assert share < 1
    assert report(table).to_pylist() == [
        {"benchmark": "toy", "item": "toy:1", "documents": 3, "item_ratio": 1.0, "id": "b"},
        {"benchmark": "toy", "item": "toy:3", "documents": 1, "item_ratio": 1.0, "id": "b"},
    ]
    assert report(table.slice(2, 1)).num_rows == 0


def test_a_large_index_finds_what_is_there_and_nothing_else():
    rng = random.Random(3)
    vocabulary = [f"w{number}" for number in range(3000)]
    asked = [Item(f"b:{i}", " ".join(rng.choices(vocabulary, k=rng.randint(1, 60)))) for i in range(5000)]
    index = NgramIndex.of(asked, 13, 8)
    clean = [" ".join(rng.choices(vocabulary, k=500)) for _ in range(300)]
    assert len(index.find(FoldedWords.of(TextBatch.from_texts(clean)))) == 0
    planted = [f"{text} {item.text} {text}" for text, item in zip(clean, asked, strict=False)]
    found = index.find(FoldedWords.of(TextBatch.from_texts(planted)))
    told = [len(folded_words(item.text)) >= 8 for item in asked[:300]]
    assert np.isin(np.arange(300), found[:, 0]).tolist() == told
