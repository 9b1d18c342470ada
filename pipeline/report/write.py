"""`tamis report`: where the documents of a run went, in one file.

The file holds text, tables and pictures drawn as SVG, and a few lines of script that sort tables; its content security
policy lets it fetch nothing and run nothing else. It reads the same on paper.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import yaml

from pipeline.analysis import duplicates, samples
from pipeline.analysis.alerts import alerts
from pipeline.analysis.reasons import Overlap, Reason, overlap, reasons
from pipeline.analysis.safe_text import redact, segments, visible
from pipeline.analysis.tables import Tables, open_tables
from pipeline.histograms import dense, edges, is_numeric, quantile
from pipeline.inspector.page import Asked, Inspected
from pipeline.inspector.pictures import HEIGHT, WIDTH, Axis, axis_of, bars_of
from pipeline.inspector.rendering import environment
from pipeline.inspector.speed import view as speed_view
from pipeline.inspector.stage import bounds_of
from pipeline.io.files import write_text
from pipeline.runs import Run
from pipeline.stats import Stats
from stages.contract import Stage

TEMPLATES = Path(__file__).with_name("templates")
STYLE = TEMPLATES.parents[1] / "inspector" / "static" / "inspector.css"
RULES_SHOWN, SAMPLES_SHOWN, GROUPS_SHOWN = 10, 5, 30
SAMPLE_CHARS = 1500


def write_report(run: Run, output: str, *, with_samples: bool = True, redacted: bool = False) -> int:
    """Write the report of a run that is done; returns its bytes.

    Args:
        with_samples: show texts of documents.
        redacted: of texts show the shape alone.
    """
    page = render(run, with_samples=with_samples, redacted=redacted)
    write_text(output, page)
    return len(page.encode())


def render(run: Run, *, with_samples: bool = True, redacted: bool = False) -> str:
    """The report as HTML."""
    script, style = (TEMPLATES / "report.js").read_text("utf-8"), STYLE.read_text("utf-8")
    style += (TEMPLATES / "report.css").read_text("utf-8")
    with open_tables(run) as tables:
        context = _context(run, tables)
        shown = _samples(run, tables, context["reasons"], redacted) if with_samples else []
        context["samples"] = shown
        context["clusters"] = _clusters(run, tables, redacted)
    made = environment().overlay()
    made.loader = _loader()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return made.get_template("report.html").render(
        run=run, style=style, script=script, digest=digest, with_samples=with_samples, redacted=redacted, **context
    )


def _loader() -> Any:
    import jinja2

    return jinja2.FileSystemLoader(TEMPLATES)


def _context(run: Run, tables: Tables) -> dict[str, Any]:
    stats = run.stats
    found = reasons(tables)
    by_bytes = {reason.rule: reason for reason in reasons(tables, "bytes")}
    return {
        "stats": stats,
        "reasons": found,
        "by_bytes": by_bytes,
        "alerts": alerts(run, found),
        "funnel": _funnel(stats),
        "signals": [_signals(stage, stats) for stage in run.config.stages],
        "overlap": _shares(overlap(tables)),
        "groups": [_groups(kind, stats) for kind in ("languages", "sources") if stats.get(kind)],
        "speed": speed_view(Inspected(run), Asked(())),
        "config": yaml.safe_dump(run.description["config"], sort_keys=False, allow_unicode=True, width=100),
        "width": WIDTH,
        "height": HEIGHT,
    }


def _funnel(stats: Stats) -> list[dict[str, Any]]:
    read = stats["input"]
    rows = [{"stage": "read", "documents": read["documents"], "bytes": read["bytes"], "reason": ""}]
    for name, counts in stats["stages"].items():
        top = max(counts["dropped"].items(), key=lambda item: item[1]["documents"], default=("", {}))[0]
        rows.append(
            {
                "stage": name,
                "documents": counts["documents_out"],
                "bytes": counts["bytes_out"],
                "reason": top.removeprefix(f"{name}."),
            }
        )
    return rows


def _signals(stage: Stage, stats: Stats) -> dict[str, Any]:
    """The histograms of a stage's numbers, and the values of its labels."""
    counts = stats["stages"][stage.name]
    pictures = []
    for name, signal in stage.signals().items():
        sparse = counts["histograms"].get(f"{stage.name}.{name}")
        if not is_numeric(signal.type) or not sparse:
            continue
        limits = edges(stage, name)
        numbers = dense(len(limits), sparse)
        bounds = bounds_of(stage, name, None)
        axis = axis_of(limits, numbers, list(bounds.values()))
        pictures.append(
            {
                "name": name,
                "unit": signal.unit,
                "bars": bars_of(axis, limits, numbers, logarithmic=False),
                "bars_log": bars_of(axis, limits, numbers, logarithmic=True),
                "ticks": [(axis.place(tick), tick) for tick in axis.ticks()],
                "bounds": [(axis.place(value), value) for value in bounds.values()],
                "sides": _sides(axis, bounds),
                "quantiles": [quantile(limits, numbers, q) for q in (0.01, 0.1, 0.5, 0.9, 0.99)],
                "measured": int(numbers.sum()),
            }
        )
    return {"stage": stage, "pictures": pictures, "labels": counts["labels"], "reached": counts["documents_in"]}


def _sides(axis: Axis, bounds: dict[str, float]) -> list[tuple[float, float]]:
    """What a bound drops: place and width."""
    sides = []
    if "min" in bounds:
        sides.append((0.0, axis.place(bounds["min"])))
    if "max" in bounds:
        place = axis.place(bounds["max"])
        sides.append((place, WIDTH - place))
    return sides


def _shares(found: Overlap) -> dict[str, Any]:
    """Of the documents that a rule (row) drops, the share that another one (column) drops as well."""
    own = found.documents.diagonal().clip(1)
    shares = (found.documents / own[:, None]).clip(0, 1).round(3).tolist()
    return {"rules": found.rules, "shares": shares, "sampled": found.sampled, "dropped": found.dropped}


def _groups(kind: str, stats: Stats) -> dict[str, Any]:
    """How much of every language or source each stage drops, and what is kept."""
    stages = [name for name, counts in stats["stages"].items() if counts["dropped"]]
    ranked = sorted(stats[kind].items(), key=lambda item: -item[1]["read"].get("documents", 0))
    rows = []
    for label, counts in ranked[:GROUPS_SHOWN]:
        read = counts["read"].get("documents", 0)
        lost = dict.fromkeys(stages, 0)
        for rule, number in counts["dropped"].items():
            lost[rule.partition(".")[0]] = lost.get(rule.partition(".")[0], 0) + number["documents"]
        kept = counts["kept"].get("documents", 0)
        shares = [lost[name] / read if read else 0.0 for name in stages]
        rows.append({"label": label, "read": read, "kept": kept, "shares": shares})
    return {"kind": kind, "stages": stages, "rows": rows, "more": len(ranked) - len(rows)}


def _samples(run: Run, tables: Tables, found: list[Reason], redacted: bool) -> list[dict[str, Any]]:
    shown = []
    for reason in found[:RULES_SHOWN]:
        if not reason.here:
            break
        near = samples.dropped(run, tables, reason.rule, SAMPLES_SHOWN)
        texts = [_pieces(sample, redacted) for sample in near]
        shown.append(
            {
                "rule": reason.rule,
                "rests_on": samples.rests_on(tables, reason.rule),
                "samples": list(zip(near, texts, strict=True)),
            }
        )
    return shown


def _pieces(sample: samples.Sample, redacted: bool) -> list[tuple[str, str | None]]:
    if sample.text is None:
        return []
    return segments(redact(sample.text) if redacted else sample.text, sample.spans, SAMPLE_CHARS)


def _clusters(run: Run, tables: Tables, redacted: bool) -> list[dict[str, Any]]:
    found = []
    for name in duplicates.stages_of(run):
        sizes = duplicates.size_curve(tables, name).to_pylist()
        largest = duplicates.largest(tables, name, 10)
        ids = [redact(one.kept_id or "") if redacted else visible(one.kept_id or str(one.kept)) for one in largest]
        found.append({"stage": name, "sizes": sizes[:40], "largest": list(zip(largest, ids, strict=True))})
    return found
