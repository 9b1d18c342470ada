"""Addresses that are one page, and which of its versions is kept."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.contract import run_stage
from stages.dedup.same_url import SameUrl, canonical
from stages.text.batch import TextBatch
from tests.resolution import resolution_of


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a/b?x=1&y=2",
        "http://www.EXAMPLE.com:80/a/b/?y=2&x=1",
        "https://user:secret@example.com/a/b?x=1&utm_source=feed&y=2#part",
        "example.com/a/b;jsessionid=A1B2?fbclid=z&x=1&y=2",
        " https://example.com./a/b?gclid=1&x=1&y=2&UTM_Medium=m ",
    ],
)
def test_one_page_has_one_form(url):
    assert canonical(url) == "example.com/a/b?x=1&y=2"


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a/B",
        "https://example.com:8080/a/b",
        "https://sub.example.com/a/b",
        "https://example.com/a/b?x=2",
    ],
)
def test_other_pages_have_others(url):
    assert canonical(url) not in (None, canonical("https://example.com/a/b"))


def test_encodings_of_one_letter_are_equal():
    assert canonical("https://example.com/caf%c3%a9") == canonical("https://example.com/café")
    assert canonical("https://bücher.example/x") == canonical("https://xn--bcher-kva.example/x")


@given(st.text(max_size=40))
def test_anything_is_an_address_or_none(text):
    form = canonical(text)
    assert form is None or canonical(form) == form


def test_the_newest_version_is_kept():
    urls = ["https://example.com/a", "http://www.example.com/a/", None, "https://example.com/a#x", "", "https://[bad/"]
    dates = ["2024-01-01T00:00:00Z", "2024-03-01T00:00:00Z", "2025-01-01T00:00:00Z", None, None, None]
    batch = TextBatch.from_texts(["text"] * 6, url=pa.array(urls, pa.string()), date=pa.array(dates, pa.string()))
    for priority, kept in (((), "0"), (("-date",), "1"), (("date",), "0")):
        stage = SameUrl(priority=priority)
        _, columns = run_stage(stage, batch, resolution_of(stage, batch))
        members = [0, 1, 3]
        expected = [None if row not in members or str(row) == kept else kept for row in range(6)]
        assert columns["duplicate_of"].to_pylist() == expected
        assert columns["cluster_size"].to_pylist() == [3, 3, 1, 3, 1, 1]


def test_without_addresses_nothing_is_linked():
    stage, batch = SameUrl(), TextBatch.from_texts(["a", "a"])
    _, columns = run_stage(stage, batch, resolution_of(stage, batch))
    assert columns["duplicate"].to_pylist() == [False, False]
