"""E-mail and IPv4 addresses that `pii` finds on real pages, beside datatrove's PIIFormatter; every difference has a
reason."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow.parquet as pq
import pytest

from stages.contract import run_stage
from stages.pii import Kind, Pii
from stages.text.batch import TextBatch
from tests import naive_pii
from tests.reference.oracle import data_path

OURS_ALONE = {
    "mcason@al.com": "datatrove takes the photographer before the slash as well",
    "fyzw88@126.com": "a word boundary between Chinese and Latin letters is none to a regular expression",
    "info@tüv.co": "datatrove knows no internationalised domains",
}
DATATROVES_ALONE = {
    "Cason/mcason@al.com": "see above",
    "1.1.1.1": "four one-digit numbers, which stay",
    "30.0.101.166": "part of the driver version 30.0.101.1660",
    "30.0.101.163": "part of a driver version",
    "30.0.101.196": "part of a driver version",
    "1234@192.168.1.100": "a password before an address",
}


def _pages(column: str) -> list[str]:
    path = data_path("web_sample.parquet")
    if not path.exists():
        pytest.skip(f"{path} is not there; name its folder in TAMIS_DATA")
    return [text for text in pq.read_table(path, columns=[column])[column].to_pylist() if text]


def _datatrove(kind: Kind) -> Callable[[str], list[str]]:
    formatters = pytest.importorskip("datatrove.pipeline.formatters")
    formatter = formatters.PIIFormatter()
    replacer = formatter.emails_replacer if kind == "email" else formatter.ip_replacer

    def find(text: str) -> list[str]:
        found = (match[0] for match in replacer.regex.finditer(text))
        return [match for match in found if not replacer.validator or replacer.validator(match)]

    return find


@pytest.mark.parametrize("kind", ["email", "ipv4"])
@pytest.mark.parametrize("column", ["main_text", "text"])
def test_every_difference_is_known(kind: Kind, column: str) -> None:
    theirs, pages = _datatrove(kind), _pages(column)
    for text in pages:
        ours = [text[slice(*span)] for span in naive_pii.FINDERS[kind](text)]
        assert set(ours) - set(theirs(text)) <= OURS_ALONE.keys()
        assert set(theirs(text)) - set(ours) <= DATATROVES_ALONE.keys()


def test_the_scan_equals_its_twin_on_real_pages() -> None:
    pages = _pages("main_text")
    after, _ = run_stage(Pii(), TextBatch.from_texts(pages))
    assert after.table["text"].to_pylist() == [naive_pii.pii(text)[0] for text in pages]
