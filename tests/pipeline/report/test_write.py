"""The report: whole, alone in its file, and safe to look at."""

import html
import json
import re
from html.parser import HTMLParser

import pytest

from pipeline.launch import _describe
from pipeline.report.write import render, write_report
from pipeline.runs import Run
from pipeline.standing import refresh
from pipeline.task import perform
from stages.errors import ConfigError
from tests.corpus import write_jsonl
from tests.in_process import run_in_process, tasks_of

HOSTILE = "<script>alert(1)</script> </script> \u202eevil\u202c \x00 & " + "the river and that garden have water " * 5
SECTIONS = "alerts funnel reasons signals overlap groups samples duplicates time config".split()
VOID = {"meta", "input", "link", "br", "wbr"}


def finished(config: dict) -> Run:
    run = run_in_process(config)
    refresh(run)
    return Run(run.path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    write_jsonl(folder / "pages.jsonl", 200)
    rows = [{"id": f"<b>{i}</b>\u202e", "url": "javascript:alert(1)", "text": HOSTILE + str(i)} for i in range(5)]
    (folder / "hostile.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    stages = [{"language": {"score": {"min": 0.2}}}, "gopher", "exact", "repetition", "minhash"]
    config = {"input": str(folder / "*.jsonl"), "output": str(folder / "run"), "stages": stages}
    return finished(config | {"execution": {"shadow_rate": 1, "rejected_rate": 1}})


class Markup(HTMLParser):
    """Ids, attributes and text of a page; raises when tags do not close in turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open, self.ids, self.attributes, self.text = [], [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.attributes += attributes
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)


def assert_whole(page, sections):
    """One file that needs nothing else; returns its markup."""
    assert len(page.encode()) < 5_000_000
    assert re.findall(r'<section id="(\w+)">', page) == list(sections)
    markup = Markup(page)
    assert len(markup.ids) == len(set(markup.ids))
    assert all(value.startswith("#") for name, value in markup.attributes if name in ("src", "href", "action"))
    assert not [name for name, _ in markup.attributes if name.startswith("on")]
    assert "default-src 'none'" in page
    assert "unsafe-eval" not in page
    assert "url(" not in page
    assert "@import" not in page
    return markup


def test_it_has_all_sections_and_needs_nothing_else(run, tmp_path):
    size = write_report(run, str(tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text("utf-8")
    assert size == len(page.encode())
    assert_whole(page, SECTIONS)
    kept = run.documents.count_rows()
    assert f"{kept} of {run.signals.count_rows()} documents kept" in page


def test_a_file_that_cannot_be_written(run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot be written: .*; give another --output"):
        write_report(run, str(tmp_path / "file" / "report.html"))


def test_hostile_text_is_text(run):
    page = render(run)
    assert page.count("<script>") == 1
    assert "\u202e" not in page
    assert "\x00" not in page
    plain = re.sub("</?mark[^>]*>", "", page)
    assert html.escape("<script>alert(1)</script>") in plain
    assert "⟦U+202E⟧evil" in plain
    assert html.escape("<b>1</b>⟦U+202E⟧") in page
    assert "<b>1</b>" not in page


def test_texts_can_be_left_out_or_redacted(run):
    assert "evil" in render(run)
    without = render(run, with_samples=False)
    assert "evil" not in without
    assert "the river" not in without
    assert "Left out on request" in without
    redacted = render(run, redacted=True)
    assert "evil" not in redacted
    assert "page-" not in redacted
    assert "pages.jsonl" not in redacted
    assert "xxxxx xxxx" in redacted


def test_numbers_are_those_of_the_run(run):
    text = " ".join("".join(Markup(render(run)).text).split())
    for rule, counts in [
        (rule, counts) for stage in run.stats["stages"].values() for rule, counts in stage["dropped"].items()
    ]:
        assert f"{rule} {counts['documents']:,}" in text, rule
    gopher = run.stats["stages"]["gopher"]
    below = run.signals.to_table(columns=["gopher.word_count"])["gopher.word_count"].to_pylist()
    assert f"{sum(value is not None and value < 50 for value in below)} below 50" in text
    assert f"gopher {gopher['documents_in']} documents" in text


def test_every_picture_has_words(run):
    markup = Markup(render(run))
    labels = [value for name, value in markup.attributes if name == "aria-label"]
    assert any(
        re.match(r"gopher.word_count, \d+ documents: half at most \d+, from .*; \d+ below 50", it) for it in labels
    )
    assert all(labels)


@pytest.mark.parametrize("stages", [["exact"], ["pii"], [{"gopher": {"action": "annotate"}}]], ids=str)
@pytest.mark.parametrize("num_documents", [0, 3])
def test_small_runs_have_one_too(tmp_path, stages, num_documents):
    write_jsonl(tmp_path / "pages.jsonl", num_documents)
    config = {"input": str(tmp_path / "pages.jsonl"), "output": str(tmp_path / "run"), "stages": stages}
    page = render(finished(config | {"execution": {"shadow_rate": 0}}))
    assert re.findall(r'<section id="(\w+)">', page) == SECTIONS
    Markup(page)


def test_a_run_that_goes_on_has_one_of_what_was_counted(tmp_path):
    write_jsonl(tmp_path / "pages.jsonl", 30)
    config = {"input": str(tmp_path / "pages.jsonl"), "output": str(tmp_path / "run"), "stages": ["gopher", "exact"]}
    for found, phase, rank in tasks_of(config):
        if phase.number > 1:
            break
        perform(found, phase, rank, lambda stats: None)
    _describe(found, state="running")
    refresh(found)
    page = render(Run(found.path))
    assert re.findall(r'<section id="(\w+)">', page) == SECTIONS
    assert "30 documents read, " in page
    assert "not dropped so far" in page
    assert "not reached yet" in page
    assert "This run is running" in page
