"""`tamis report`: where the documents of a run went, in one file.

The file holds text, tables, pictures drawn as SVG, and a few lines of script that sort tables and switch what they
count. Its content security policy lets it fetch nothing and run nothing else. It reads the same on paper.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from pipeline.analysis.tables import Tables, open_tables
from pipeline.report.content import Content, gather
from pipeline.report.excerpts import clusters, dropped_samples
from pipeline.report.page import save, whole_page
from pipeline.report.signals import signals_of
from pipeline.runs import Run
from stages.errors import TamisError

SECTIONS = {
    "alerts": "Verdict",
    "funnel": "Funnel",
    "reasons": "Reasons",
    "signals": "Signals and bounds",
    "overlap": "Rules that overlap",
    "groups": "Languages and sources",
    "samples": "Samples",
    "duplicates": "Duplicates",
    "time": "Time",
    "config": "Config and basis",
}
MEMORY = "400MB"
"""What DuckDB may hold, of a report's memory of less than a gigabyte."""


def write_report(run: Run, output: str, *, with_samples: bool = True, redacted: bool = False) -> int:
    """Write the report of a run; returns its bytes. A run that is not done has one too, of what was counted so far.

    Args:
        with_samples: show texts of documents.
        redacted: of texts, ids, addresses and sources show the shape alone.

    Raises ConfigError when the file cannot be written.
    """
    return save(render(run, with_samples=with_samples, redacted=redacted), output, "--output")


def render(run: Run, *, with_samples: bool = True, redacted: bool = False) -> str:
    """The report as HTML."""
    with ExitStack() as stack:
        tables, why_not = _open(run)
        if tables:
            stack.enter_context(tables)
        stats = run.snapshot()
        content = gather(run, stats, tables)
        context: dict[str, Any] = {"samples": [], "clusters": []}
        if tables:
            context["samples"] = _samples(run, tables, content, redacted) if with_samples else []
            context["clusters"] = clusters(run, tables, with_texts=with_samples, redacted=redacted)
        context["signals"] = signals_of(run.config.stages, stats, redacted)
    context |= {"run": run, "why_not": why_not, "content": content, "with_samples": with_samples, "redacted": redacted}
    return whole_page("report", run.path, SECTIONS, **context)


def _open(run: Run) -> tuple[Tables | None, str]:
    """The tables of a run that is done, or why they cannot be read."""
    try:
        return open_tables(run, memory=MEMORY), ""
    except TamisError as error:
        return None, str(error)


def _samples(run: Run, tables: Tables, content: Content, redacted: bool) -> list[Any]:
    rules = [rule.name for rule in content.rules if rule.here["documents"]]
    return dropped_samples(run, tables, rules, redacted)
