"""Repeated passages: found as brute force finds them, cut as the slow twin cuts, and the first copy stays."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.contract import run_stage
from stages.dedup import kernels_passages
from stages.dedup.folded import FoldedWords
from stages.dedup.passages import Passages, cut_passages
from stages.dedup.substring import Substring
from stages.text.batch import TextBatch
from stages.text.views import hash_word
from tests import naive_passages
from tests.naive_dedup import MASK, finish, folded_words
from tests.resolution import resolution_of
from tests.strategies import documents, repetitive_texts, texts

FACTOR = int(kernels_passages.FACTOR)
VOCABULARY = [f"w{number}" for number in range(5000)]


def window_hash(window: tuple[str, ...]) -> int:
    chain = 0
    for word in window:
        chain = (chain * FACTOR + hash_word(word)) & MASK
    return finish(chain)


def cleaned(stage: Substring, batch: TextBatch, num_partitions: int = 1) -> tuple[list[str], list[dict]]:
    after, columns = run_stage(stage, batch, resolution_of(stage, batch, num_partitions))
    return after.table["text"].to_pylist(), pa.table(columns).to_pylist()


def spans(gone: list[set[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = [(d, a, b) for d, words in enumerate(gone) for a, b in naive_passages.runs(words)]
    columns = np.array(rows, np.int64).reshape(-1, 3)
    return columns[:, 0], columns[:, 1], columns[:, 2]


@settings(deadline=None, max_examples=150)
@given(documents(), st.integers(2, 4), st.integers(1, 3))
def test_sketch_is_robust_winnowing(documents, size, num_windows):
    stage = Substring(min_words=size + num_windows - 1, num_windows=min(num_windows, size))
    found = stage.sketch(TextBatch.from_texts(documents)).to_pylist()
    expected = []
    for d, text in enumerate(documents):
        hashes = [window_hash(window) for window in naive_passages.windows(folded_words(text), stage.window)]
        expected += [(d, hashes[i], i) for i in naive_passages.winnow(hashes, stage.num_windows)]
    assert [(row["row"], row["key"], row["first"]) for row in found] == expected
    checks = {row["key"]: row["check"] for row in found}
    assert all(checks[row["key"]] == row["check"] for row in found)
    assert len(set(checks.values())) == len(checks)


@settings(deadline=None, max_examples=300)
@given(st.lists(texts() | repetitive_texts(), max_size=4), st.data())
def test_cutting_equals_its_twin(documents, data):
    gone = []
    for text in documents:
        size = len(folded_words(text))
        gone.append(data.draw(st.sets(st.integers(0, size - 1), max_size=6)) if size else set())
    batch = TextBatch.from_texts(documents)
    if data.draw(st.booleans()):
        assert batch.words is not None
    text, count, chars = cut_passages(batch, Passages.union(len(documents), *spans(gone)))
    text.validate(full=True)
    expected = [naive_passages.cut(text, words) for text, words in zip(documents, gone, strict=True)]
    assert list(zip(text.to_pylist(), count.tolist(), chars.tolist(), strict=True)) == expected


def test_what_stays_around_a_cut():
    def without(text: str, *words: int) -> str:
        batch = TextBatch.from_texts([text])
        return cut_passages(batch, Passages.union(1, *spans([set(words)]))).text[0].as_py()

    assert without("One two. Three four. Five six.", 2, 3) == "One two. Five six."
    assert without("One two.\n\n“Three four.”\n\nFive.", 2, 3) == "One two.\n\nFive."
    assert without("One two. Three four.\nFive.", 2, 3) == "One two.\nFive."
    assert without("One two.", 0, 1) == ""
    assert without("  (One) two! ", 0) == "two! "
    assert without("One two.", 1) == "One"
    assert without("第一句。第二句。第三句。", 3, 4, 5) == "第一句。第三句。"


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30), st.integers(1, 9)), max_size=12), st.integers(0, 4))
def test_union_of_spans(rows, margin):
    gone: list[set[int]] = [set() for _ in range(4)]
    wide: list[set[int]] = [set() for _ in range(4)]
    for row, first, size in rows:
        gone[row] |= set(range(first, first + size))
    columns = np.array([(row, first, first + size) for row, first, size in rows], np.int64).reshape(-1, 3)
    found = Passages.union(4, *columns.T)
    assert (found.rows.tolist(), found.first.tolist(), found.stop.tolist()) == tuple(a.tolist() for a in spans(gone))
    assert found.num_words.tolist() == [len(words) for words in gone]
    longest = [max([b - a for a, b in naive_passages.runs(words)], default=0) for words in gone]
    assert found.longest.tolist() == longest
    for d, words in enumerate(gone):
        wide[d] = {near for word in words for near in range(word - margin, word + margin + 1) if 0 <= near < 40}
    widened = found.widened(margin, np.full(4, 40))
    assert (widened.first.tolist(), widened.stop.tolist()) == tuple(a.tolist() for a in spans(wide)[1:])


CORPUS = st.lists(
    st.lists(st.sampled_from(["a", "B.", "c,", "d ", "日", "é", "E\u0301"]), max_size=40).map(" ".join), max_size=5
)


@settings(deadline=None, max_examples=300)
@given(CORPUS, st.integers(2, 5), st.integers(1, 5), st.integers(1, 3))
def test_equals_its_twin(documents, size, num_windows, num_partitions):
    num_windows = min(num_windows, size)
    stage = Substring(min_words=size + num_windows - 1, num_windows=num_windows)
    found, signals = cleaned(stage, TextBatch.from_texts(documents), num_partitions)
    gone = naive_passages.repeated(documents, list(range(len(documents))), size, num_windows, window_hash)
    expected = [naive_passages.cut(text, words) for text, words in zip(documents, gone, strict=True)]
    assert found == [text for text, _, _ in expected]
    assert [row["removed_count"] for row in signals] == [count for _, count, _ in expected]


def planted_corpus(rng: random.Random) -> list[str]:
    """Unique text with passages of other documents in it, or of its own."""
    texts: list[list[str]] = []
    for _ in range(30):
        words = rng.choices(VOCABULARY, k=rng.randint(5, 200))
        for _ in range(rng.randint(0, 2)):
            source = rng.choice([*texts, words])
            low, at = rng.randrange(len(source)), rng.randrange(len(words))
            words[at:at] = source[low : low + rng.randint(5, 120)]
        texts.append(words)
    return [" ".join(words) for words in texts]


@pytest.mark.parametrize(("min_words", "num_windows"), [(20, 1), (20, 6), (20, 10), (50, 16)])
def test_finds_what_brute_force_finds(min_words, num_windows):
    """Of any words in a row that stand elsewhere before, a whole window goes, and nothing goes that is no repeat."""
    stage = Substring(min_words=min_words, num_windows=num_windows)
    found = 0
    for seed in range(8):
        corpus = planted_corpus(random.Random(seed))
        lists = resolution_of(stage, TextBatch.from_texts(corpus))["passages"].to_pylist()
        mine = [{w for p in row or [] for w in range(p >> 32, p & 0xFFFFFFFF)} for row in lists]
        perhaps = naive_passages.repeats(corpus, stage.window)
        assert all(words <= allowed for words, allowed in zip(mine, perhaps, strict=True))
        if num_windows == 1:
            assert mine == naive_passages.repeats(corpus, min_words)
        for d, at in naive_passages.later_copies(corpus, min_words):
            inside = naive_passages.runs(mine[d] & set(range(at, at + min_words)))
            assert max((stop - first for first, stop in inside), default=0) >= stage.window
            found += 1
    assert found > 300


def test_the_first_copy_stays_whole_in_a_text_that_repeats_itself():
    for size in (60, 100, 10_000):
        found, signals = cleaned(Substring(num_windows=1), TextBatch.from_texts(["la " * size, "x " * 49]))
        assert found == ["la " * 49 + "la", "x " * 49]
        assert [row["removed_count"] for row in signals] == [1, 0]
    verse = " ".join(VOCABULARY[:60])
    found, _ = cleaned(Substring(num_windows=1), TextBatch.from_texts([f"{verse}\n\n{verse}. {verse}"]))
    assert found == [verse]
    assert cleaned(Substring(), TextBatch.from_texts(["la " * 10_000]))[0][0].count("la") < 100


def test_case_punctuation_and_encoding_do_not_matter():
    plain = " ".join(f"{word}é" for word in VOCABULARY[:80])
    copies = [plain.upper(), plain.replace(" ", ", "), plain.replace("é", "e\u0301"), plain.replace(" ", "\n")]
    found, _ = cleaned(Substring(num_windows=1), TextBatch.from_texts([plain, *copies]))
    assert found == [plain, "", "", "", ""]


def test_any_script():
    rng = random.Random(1)
    han = "".join(chr(0x4E00 + rng.randrange(2000)) for _ in range(90))
    found, _ = cleaned(Substring(num_windows=1), TextBatch.from_texts([f"前文。{han}。后文", f"另外，{han}。结束"]))
    assert found == [f"前文。{han}。后文", "另外，结束"]


def test_priority_and_within():
    passage = " ".join(VOCABULARY[:70])
    batch = TextBatch.from_texts(
        [f"a {passage}", f"b {passage}", f"c {passage}"], score=[1, 3, 2], lang=["x", "x", "y"]
    )
    keep = Substring(num_windows=1, priority=("-score",))
    assert cleaned(keep, batch)[0] == ["a", f"b {passage}", "c"]
    assert cleaned(Substring(num_windows=1, within=("lang",)), batch)[0] == [f"a {passage}", "b", f"c {passage}"]


def test_partitions_and_batches_change_nothing():
    corpus = planted_corpus(random.Random(99))
    batch = TextBatch.from_texts(corpus)
    whole = cleaned(Substring(min_words=20, num_windows=6), batch)
    assert sum(row["removed_count"] for row in whole[1]) > 5
    for num_partitions in (2, 7):
        assert cleaned(Substring(min_words=20, num_windows=6), batch, num_partitions) == whole


def test_counting_alone_leaves_texts_alone():
    passage = " ".join(VOCABULARY[:70])
    texts = [passage, f"{passage} end"]
    found, signals = cleaned(Substring(remove=False), TextBatch.from_texts(texts))
    assert found == texts
    assert signals[1]["removed_count"] == 1
    assert signals[1]["removed_char_ratio"] > 0.5


def test_windows_must_overlap():
    with pytest.raises(ValueError, match="at most 25 for min_words 50"):
        Substring(num_windows=26)
    assert Substring(num_windows=25).window == 26


def test_words_are_those_of_the_shared_view():
    text = "One two.\n\nthree, don't 3.14 日本"
    assert FoldedWords.of(TextBatch.from_texts([text])).count.tolist() == [7]
