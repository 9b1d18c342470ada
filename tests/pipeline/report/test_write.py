"""The report: whole, alone in its file, and safe to look at."""

import html
import json
import re

import pytest

from pipeline.report.write import render, write_report
from pipeline.runs import Run
from pipeline.standing import refresh
from tests.corpus import write_jsonl
from tests.in_process import run_in_process


def finished(config: dict) -> Run:
    run = run_in_process(config)
    refresh(run, always=True)
    return run


HOSTILE = "<script>alert(1)</script> </script> \u202eevil\u202c \x00 & " + "the river and that garden have water " * 5
SECTIONS = "alerts funnel reasons signals overlap groups samples duplicates time config".split()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    write_jsonl(folder / "pages.jsonl", 200)
    rows = [{"id": f"<b>{i}</b>", "url": "javascript:alert(1)", "text": HOSTILE + str(i)} for i in range(5)]
    (folder / "hostile.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    stages = [{"language": {"score": {"min": 0.2}}}, "gopher", "exact", "repetition", "minhash"]
    config = {"input": str(folder / "*.jsonl"), "output": str(folder / "run"), "stages": stages}
    return finished(config | {"execution": {"shadow_rate": 1, "rejected_rate": 1}})


def test_it_has_all_sections_and_needs_nothing_else(run, tmp_path):
    size = write_report(run, str(tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text("utf-8")
    assert size == len(page.encode()) < 5_000_000
    assert re.findall(r'<section id="(\w+)">', page) == SECTIONS
    assert "default-src 'none'" in page
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#|data:)""", page)
    assert "url(" not in page
    kept = run.documents.count_rows()
    assert f"{kept} of {run.signals.count_rows()} documents kept" in page


def test_hostile_text_is_text(run):
    page = render(run)
    assert page.count("<script>") == 1
    assert "\u202e" not in page
    assert "\x00" not in page
    plain = re.sub("</?mark[^>]*>", "", page)
    assert html.escape("<script>alert(1)</script>") in plain
    assert "⟦U+202E⟧evil" in plain
    assert "<b>1</b>" not in page


def test_texts_can_be_left_out_or_redacted(run):
    without = render(run, with_samples=False)
    assert "evil" not in without
    assert "Left out on request" in without
    redacted = render(run, redacted=True)
    assert "evil" not in redacted
    assert "page-" not in redacted
    assert "xxxxx xxxx" in redacted


@pytest.mark.parametrize("stages", [["exact"], ["pii"], [{"gopher": {"action": "annotate"}}]], ids=str)
@pytest.mark.parametrize("num_documents", [0, 3])
def test_small_runs_have_one_too(tmp_path, stages, num_documents):
    write_jsonl(tmp_path / "pages.jsonl", num_documents)
    config = {"input": str(tmp_path / "pages.jsonl"), "output": str(tmp_path / "run"), "stages": stages}
    page = render(finished(config | {"execution": {"shadow_rate": 0}}))
    assert re.findall(r'<section id="(\w+)">', page) == SECTIONS
