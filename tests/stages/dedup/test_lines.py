"""Lines and paragraphs: hashes, counts and removal equal their slow twins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stages.dedup.lines import (
    Listed,
    bucket_of,
    is_listed,
    remove_spans,
    span_hashes,
)
from stages.text.batch import TextBatch
from stages.text.views import hash_word
from tests import naive, naive_dedup
from tests.strategies import documents

UNITS = pytest.mark.parametrize(("unit", "twin"), [("lines", naive.lines), ("paragraphs", naive.paragraphs)])
Twin = Callable[[str], list[naive.Span]]
HASHES = st.lists(st.one_of(st.integers(0, 5), st.integers(2**64 - 4, 2**64 - 1), st.integers(0, 2**64 - 1)))


def column(values: list[int]) -> np.ndarray:
    return np.array(values, np.uint64)


@UNITS
@settings(deadline=None, max_examples=200)
@given(documents(), st.integers(1, 4))
def test_hashes_are_those_of_stripped_text(unit: str, twin: Twin, documents: list[str], min_chars: int) -> None:
    batch = TextBatch.from_texts(documents)
    stripped = [naive.strip(span.text) for text in documents for span in twin(text)]
    expected = [hash_word(text) if len(text) >= min_chars else 0 for text in stripped]
    assert span_hashes(batch, getattr(batch, unit), min_chars).tolist() == expected


@UNITS
@settings(deadline=None, max_examples=300)
@example(["a\nb\nc", "menu\na\nmenu\n", "menu", "menu\r\na\r\nmenu\r\nb", " menu \n\n\n a \r\n\r\n menu\n\nb \n\n"], 0)
@given(documents(), st.integers(0, 2**10 - 1))
def test_texts_lose_what_is_listed(unit: str, twin: Twin, documents: list[str], choice: int) -> None:
    texts = sorted({naive.strip(span.text) for text in documents for span in twin(text)} | {"menu"} - {""})
    listed = {text for i, text in enumerate(texts) if choice >> i % 10 & 1 or text == "menu"}
    batch = TextBatch.from_texts(documents)
    spans = getattr(batch, unit)
    drop = is_listed(span_hashes(batch, spans), Listed.of(column([hash_word(text) for text in listed])))
    text, count, chars = remove_spans(batch, spans, drop)
    text.validate(full=True)
    expected = [naive_dedup.remove(text, twin(text), listed, 1) for text in documents]
    assert list(zip(text.to_pylist(), count.tolist(), chars.tolist(), strict=True)) == expected


def test_removal_leaves_the_rest_as_it_was() -> None:
    def without(text: str, unit: str) -> str:
        batch = TextBatch.from_texts([text])
        spans = getattr(batch, unit)
        listed = Listed.of(column([hash_word("menu"), hash_word("cookies")]))
        return remove_spans(batch, spans, is_listed(span_hashes(batch, spans), listed)).text[0].as_py()

    assert without("menu\n a \n\n  menu\t\nb\ncookies\n", "lines") == " a \n\nb\n"
    assert without("a\r\nmenu\r\nb", "lines") == "a\r\nb"
    assert without("menu\ncookies", "lines") == ""
    assert without("the menu\n", "lines") == "the menu\n"
    assert without("menu\n\n a\nmenu \n\n\ncookies\n\nb\n", "paragraphs") == " a\nmenu \n\nb"


@settings(deadline=None)
@given(HASHES, HASHES)
def test_lookups_find_what_is_in_the_set(hashes: list[int], listed: list[int]) -> None:
    found = is_listed(column(hashes + listed), Listed.of(column(listed)))
    assert found.tolist() == [value in set(listed) - {0} for value in hashes + listed]


def test_documents_that_were_dropped_are_not_looked_at() -> None:
    whole = TextBatch.from_texts(["a\nb", "c\nd", "e\nc"])
    assert len(whole.lines.start) == 6
    batch = whole.take(np.array([2, 1]))
    hashes = span_hashes(batch, batch.lines)
    assert np.count_nonzero(hashes) == 4
    drop = is_listed(hashes, Listed.of(column([hash_word("c")])))
    assert remove_spans(batch, batch.lines, drop).text.to_pylist() == ["e", "d"]


def test_buckets_are_even() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**64, 100_000, np.uint64)
    count = np.bincount(bucket_of(hashes, 10), minlength=10)
    assert len(count) == 10
    assert abs(count - 10_000).max() < 5 * 100
    assert bucket_of(column([0, 2**64 - 1]), 1).tolist() == [0, 0]
    with pytest.raises(ValueError, match="num_buckets is 0"):
        bucket_of(hashes, 0)
