"""Lines that come again and again: taken out of every document, and nothing else."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.contract import run_stage
from stages.dedup.boilerplate import Lines
from stages.text.batch import TextBatch
from tests.corpus import page
from tests.resolution import resolution_of

TEXTS = st.lists(st.sampled_from(["menu", " menu ", "a", "b", "cc", ""]), max_size=5).map("\n".join)


def cleaned(stage: Lines, batch: TextBatch, num_partitions: int = 1) -> tuple[list[str], list[dict]]:
    after, columns = run_stage(stage, batch, resolution_of(stage, batch, num_partitions))
    return after.table["text"].to_pylist(), pa.table(columns).to_pylist()


@given(st.lists(TEXTS, max_size=8), st.integers(1, 4), st.integers(1, 3))
@settings(deadline=None, max_examples=150)
def test_equals_counting_by_hand(texts, max_copies, num_partitions):
    found, signals = cleaned(Lines(max_copies=max_copies), TextBatch.from_texts(texts), num_partitions)
    counts = Counter(line.strip() for text in texts for line in text.split("\n") if line.strip())
    for text, mine, signal in zip(texts, found, signals, strict=True):
        lines = text.split("\n")
        gone = [line for line in lines if counts[line.strip()] > max_copies]
        kept = [line.strip() for line in lines if counts[line.strip()] <= max_copies and line.strip()]
        assert [line.strip() for line in mine.split("\n") if line.strip()] == kept
        assert signal["removed_count"] == len(gone)
        if text:
            assert signal["removed_char_ratio"] == pytest.approx(sum(map(len, gone)) / len(text), abs=0.5)


def test_a_menu_goes_and_pages_stay():
    pages = [page(seed) for seed in range(0, 100, 10)]
    found, signals = cleaned(Lines(), TextBatch.from_texts([f"Home | About\n{text}\nShare" for text in pages]))
    assert found == pages
    assert {row["removed_count"] for row in signals} == {2}


def test_six_copies_are_left_and_seven_are_not():
    for copies, removed in ((6, 0), (7, 1)):
        assert cleaned(Lines(), TextBatch.from_texts(["menu\na"] + ["menu"] * (copies - 1)))[1][0] == {
            "removed_count": removed,
            "removed_char_ratio": pytest.approx(removed * 4 / 6, abs=0.2),
        }


def test_within_counts_each_language_by_itself():
    texts = ["menu"] * 8
    batch = TextBatch.from_texts(texts).with_signals({"language.label": pa.array(["en"] * 7 + ["de"])})
    found, _ = cleaned(Lines(within=("language.label",)), batch)
    assert found == [""] * 7 + ["menu"]


def test_buckets_are_counted_apart():
    texts = [f"menu\n{number}" for number in range(40)]
    whole, _ = cleaned(Lines(max_copies=30), TextBatch.from_texts(texts))
    parts, _ = cleaned(Lines(max_copies=30, num_buckets=4), TextBatch.from_texts(texts))
    assert "menu" not in "".join(whole)
    assert parts == texts


def test_short_lines_and_paragraphs():
    texts = ["ok\nmenu of ours"] * 7
    assert cleaned(Lines(min_chars=5), TextBatch.from_texts(texts))[0] == ["ok"] * 7
    texts = [f"one\ntwo\n\n{number}" for number in range(7)]
    assert cleaned(Lines(unit="paragraph"), TextBatch.from_texts(texts))[0] == [str(number) for number in range(7)]


def test_documents_dropped_before_do_not_shift_lines():
    batch = TextBatch.from_texts(["x", *["menu\na"] * 7, "y", "menu\nb"])
    assert batch.lines.count.sum() == 18
    batch = batch.take(np.array([1, 2, 3, 4, 5, 6, 7, 9]))
    assert cleaned(Lines(), batch)[0] == ["", "", "", "", "", "", "", "b"]
