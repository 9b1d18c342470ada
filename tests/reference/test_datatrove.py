"""Decisions equal datatrove's on real web pages, document by document and rule by rule.

A sample of the pages, to be quick; `python -m benchmarks.agreement` takes all of them and writes the table.
"""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from stages.contract import run_stage
from stages.heuristics.c4 import C4
from stages.text.batch import TextBatch
from tests.reference import oracle

pytest.importorskip("spacy", reason="datatrove's filters need the extra `datatrove`")
pytest.importorskip("tldextract", reason="datatrove's filters need the extra `datatrove`")
PAGES = oracle.data_path("web_sample.parquet")
pytestmark = [
    pytest.mark.skipif(not PAGES.exists(), reason=f"{PAGES} is not there; name its folder in TAMIS_DATA"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning:numpy"),  # datatrove takes means of nothing
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
EVERY = 12


@pytest.fixture(scope="module")
def texts() -> list[str]:
    column = pq.read_table(PAGES, columns=["main_text"])["main_text"].to_pylist()
    return [oracle.normalised(text or "") for text in column[::EVERY]] + ["", " \n", "!?", "one"]


@pytest.fixture(scope="module")
def theirs(texts: list[str]) -> list[set[str]]:
    return [oracle.broken_rules(text) for text in texts]


def test_c4_rewrites_text_as_datatrove_does(texts: list[str]) -> None:
    after, _ = run_stage(C4(), TextBatch.from_texts(texts))
    assert after.table["text"].to_pylist() == [oracle.c4_text(text) for text in texts]


def test_with_datatroves_words_every_broken_rule_is_the_same(texts: list[str], theirs: list[set[str]]) -> None:
    batch = oracle.with_datatrove_words(TextBatch.from_texts(texts))
    after, _ = run_stage(C4(), batch)
    counts = oracle.sentence_counts(after.table["text"].to_pylist())
    assert oracle.our_broken_rules(batch, counts) == theirs


def test_with_our_words_nearly_every_document_meets_the_same_end(texts: list[str], theirs: list[set[str]]) -> None:
    ours = oracle.our_broken_rules(TextBatch.from_texts(texts))
    same = sum(bool(mine) == bool(yours) for mine, yours in zip(ours, theirs, strict=True))
    assert same / len(texts) >= 0.98


def test_sentences_are_counted_nearly_as_spacy_does(texts: list[str]) -> None:
    after, columns = run_stage(C4(), TextBatch.from_texts(texts))
    ours = columns["sentence_count"].to_numpy()
    theirs = oracle.sentence_counts(after.table["text"].to_pylist())
    assert abs(int(ours.sum()) - int(theirs.sum())) <= 0.02 * theirs.sum()
    assert ((ours >= 5) == (theirs >= 5)).mean() >= 0.98
