"""Decisions against datatrove's own filters, document by document and rule by rule.

Fed with datatrove's words, every rule must give the same verdict on every document. With our own words verdicts differ here
and there; of the final decisions at least 98 % must be the same. `python -m benchmarks.agreement` does this on everything.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.heuristics.repetition import Repetition
from tests.paths import data_file
from tests.strategies import TEXTS

pytest.importorskip("spacy", reason="datatrove's tokenizer needs spaCy: pip install 'tamis[datatrove]'")

from tests.reference.datatrove_rules import comparable, compare, keeps, rules
from tests.stages.heuristics.test_heuristics import dropped_by

NUM_DOCUMENTS = 150


@pytest.fixture(scope="module")
def agreement():
    import pyarrow.parquet as pq

    texts = [text for text in pq.read_table(data_file("web_sample.parquet"))["main_text"].to_pylist() if text]
    step = len(texts) // NUM_DOCUMENTS
    return compare([comparable(text) for text in texts[::step]])


def test_with_their_words_every_rule_agrees_on_every_document(agreement):
    assert agreement.num_documents >= NUM_DOCUMENTS
    assert sum(agreement.theirs.values()) > 100, "the sample must break rules, or agreement means nothing"
    assert agreement.fed.total() == 0, agreement.fed


def test_with_our_words_98_percent_of_the_final_decisions_agree(agreement):
    assert agreement.final_ratio >= 0.98, agreement.final


PUNCTUATED = st.lists(st.sampled_from(["the", "of", "a b c d e", "Word.", "x", "\n", "\n\n", "- y", "...", "#"]), max_size=40)


@settings(max_examples=60, deadline=None)
@given(PUNCTUATED.map(" ".join))
def test_generated_text_with_their_words(text):
    if text.strip():
        assert compare([comparable(text)]).fed.total() == 0


@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_duplicate_lines_and_paragraphs_agree_on_any_text(text):
    """Lines and paragraphs are ours on both sides."""
    text = comparable(text)
    if not text.strip():
        return
    ours = dropped_by(Repetition(), text)
    for name, make in rules():
        if "line" in name or "paragraph" in name:
            stage, _, rule = name.partition(".")
            if stage == "repetition":
                assert (rule in ours) == (not keeps(make(), text)[0]), (name, text)
