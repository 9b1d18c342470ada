"""Whole runs of the stages that look for passages: any sharding and number of workers gives the same texts."""

import json
import random

import pytest

import pipeline
from stages.decontamination import report
from tests import naive_passages

VOCABULARY = [f"word{number}" for number in range(3000)]
QUESTION = "which of the seven bridges of the old town was built first and who paid for it"


@pytest.fixture(scope="module")
def rows():
    rng = random.Random(5)
    texts: list[str] = []
    for _ in range(90):
        words = rng.choices(VOCABULARY, k=rng.randint(40, 200))
        if texts and rng.random() < 0.4:
            source = rng.choice(texts).split()
            words[10:10] = source[: rng.randint(30, 90)]
        texts.append(" ".join(words))
    for i in (3, 50):
        texts[i] += f"\n\n{QUESTION.upper()}?"
    return [{"id": f"d{i}", "text": text} for i, text in enumerate(texts)]


def run(folder, rows, name, num_files, workers):
    source = folder / name
    source.mkdir()
    for number in range(num_files):
        part = rows[number * len(rows) // num_files : (number + 1) * len(rows) // num_files]
        (source / f"{number:02d}.jsonl").write_text("\n".join(map(json.dumps, part)))
    (folder / "items.txt").write_text(f"{QUESTION}\n")
    config = {
        "input": str(source / "*.jsonl"),
        "output": str(folder / f"{name}-run"),
        "stages": [
            {"substring": {"min_words": 20, "num_windows": 1}},
            {"decontamination": {"benchmarks": {"town": str(folder / "items.txt")}, "mode": "cut", "margin_words": 0}},
        ],
    }
    if num_files > 1:
        config["execution"] = {"task_bytes": 1, "batch_bytes": 5000, "partition_bytes": 20_000}
    return pipeline.run(config, workers=workers)


def test_files_and_workers_change_nothing(tmp_path, rows):
    one, many = run(tmp_path, rows, "one", 1, 1), run(tmp_path, rows, "many", 7, 2)
    found = {name: done.documents.to_table().sort_by("id") for name, done in (("one", one), ("many", many))}
    assert found["one"]["text"].equals(found["many"]["text"])
    texts = [row["text"] for row in rows]
    gone = naive_passages.repeats(texts, 20)
    assert sum(map(bool, gone)) > 20
    expected = {
        row["id"]: naive_passages.cut(text, words)[0].removesuffix(f"\n\n{QUESTION.upper()}?")
        for row, text, words in zip(rows, texts, gone, strict=True)
    }
    assert dict(zip(found["one"]["id"].to_pylist(), found["one"]["text"].to_pylist(), strict=True)) == expected
    for done in (one, many):
        signals = done.signals.to_table()
        assert sum(signals["substring.removed_count"].to_pylist()) == sum(
            len(naive_passages.runs(words)) for words in gone
        )
        (row,) = report(signals).to_pylist()
        assert row == {"benchmark": "town", "item": "town:1", "documents": 2, "item_ratio": 1.0, "id": row["id"]}
        assert row["id"] in ("d3", "d50")
