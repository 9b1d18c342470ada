"""The inspector in a real browser."""

import pytest

from tests.browser.conftest import serious
from tests.corpus import write_jsonl
from tests.in_process import run_in_process


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inspected")
    write_jsonl(folder / "in.jsonl", 400)
    return run_in_process(
        {"input": str(folder / "in.jsonl"), "output": str(folder / "run"), "stages": ["gopher", "repetition", "exact"]}
    )


@pytest.fixture(scope="session")
def served(run, serve):
    return serve(run)


@pytest.mark.parametrize("path", ["/", "/config"])
def test_every_page_opens(chromium_page, served, path):
    answer = chromium_page.goto(served.address + path)
    assert answer.status == 200
    assert chromium_page.locator("h1").count() == 1
    assert serious(chromium_page) == []
