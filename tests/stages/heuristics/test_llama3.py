"""Repeated n-grams and the divergence from the corpus: equal to slow twins, and sensible on text of a known kind."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings

from stages.contract import run_stage
from stages.heuristics.kernels_divergence import BUCKET_BITS, NUM_BUCKETS, count_words, divergence
from stages.heuristics.llama3 import Llama3
from stages.text.batch import TextBatch
from stages.text.views import hash_word
from tests import naive
from tests.corpus import page
from tests.strategies import documents

CORPUS = [page(seed) for seed in range(100)]


def bucket_of(word: str) -> int:
    return hash_word(word) >> (64 - BUCKET_BITS)


def judge(stage: Llama3, corpus: list[str], texts: list[str]) -> dict[str, list]:
    _, columns = run_stage(stage, TextBatch.from_texts(texts), stage.fit(TextBatch.from_texts(corpus)))
    return {name: column.to_pylist() for name, column in columns.items()}


@given(documents())
@example(["a b a b a b a", "a a a a", "a"])
@settings(deadline=None, max_examples=150)
def test_repeated_ngrams_equal_their_twin(texts):
    for size in (2, 3, 10):
        found = judge(Llama3(ngram_size=size), CORPUS[:2], texts)["repeated_ngram_ratio"]
        assert found == [naive.repeated_ngram_ratio(text, size) for text in texts]


@given(documents())
@example([""])
@settings(deadline=None, max_examples=60)
def test_divergence_equals_its_twin(texts):
    corpus = CORPUS[:3]
    found = judge(Llama3(min_documents=2), corpus, texts)["kl_divergence"]
    for mine, text in zip(found, texts, strict=True):
        expected = naive.divergence(text, corpus, NUM_BUCKETS, bucket_of)
        assert mine == (expected if expected is None else pytest.approx(expected, abs=1e-9))


def test_strange_words_stand_out():
    rng = np.random.default_rng(5)
    strange = " ".join("".join(rng.choice(list("qxzjkvw"), 7)) for _ in range(200))
    found = judge(Llama3(min_documents=10), CORPUS, [page(200), strange])
    usual, unusual = found["kl_deviation"]
    assert usual < 3
    assert unusual > 6


def test_a_sample_document_is_compared_with_the_others():
    """Otherwise a rare document would look usual in its own sample and strange outside of it."""
    counts, found = np.zeros((2, NUM_BUCKETS), np.int64), np.empty(len(CORPUS), np.float64)
    words = TextBatch.from_texts(CORPUS).words
    rows = np.array([0] * (len(CORPUS) - 1) + [1], np.int64)
    count_words(words.begin, words.end, words.hash, rows, counts)
    divergence(words.begin, words.end, words.hash, 0 * rows, counts[:1], 0, found)
    without = found[-1]
    divergence(words.begin, words.end, words.hash, 0 * rows, counts.sum(0, keepdims=True), 1, found)
    assert found[-1] == without


def test_a_language_is_compared_with_itself():
    stage = Llama3(min_documents=10)
    german = ["Die Katze sitzt auf der Matte und sieht aus dem Fenster. " * 5] * 20
    texts = [*CORPUS[:40], *german]
    labels = pa.array(["en"] * 40 + ["de"] * 20)
    reference = stage.fit(TextBatch.from_texts(texts).with_signals({"language.label": labels}))
    assert reference["language"].to_pylist() == ["de", "en"]
    batch = TextBatch.from_texts([german[0]] * 4)
    batch = batch.with_signals({"language.label": pa.array(["de", "en", "fr", None])})
    _, columns = run_stage(stage, batch, reference)
    own, other, unknown, none = columns["kl_divergence"].to_pylist()
    assert own < other
    assert unknown is None
    assert none is None


def test_too_small_a_sample_says_nothing():
    found = judge(Llama3(min_documents=30), CORPUS[:29], CORPUS[:2])
    assert found["kl_divergence"] == [None, None]
    assert found["kl_deviation"] == [None, None]
    assert None not in found["repeated_ngram_ratio"]
