"""Duplicates: how large clusters are, who is in one, and where a member differs from the document that was kept."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from pipeline.analysis import duplicates as found_in
from pipeline.analysis.safe_text import visible
from pipeline.inspector.page import Asked, Inspected, View
from pipeline.inspector.pictures import curve
from stages.errors import ConfigError


def view(inspected: Inspected, asked: Asked) -> View:
    run = inspected.run
    names = found_in.stages_of(run)
    if not names:
        raise ConfigError("this run has no stage that finds duplicates: exact, minhash, same_url, semantic")
    counts = inspected.dropped_counts
    most = max(names, key=lambda name: counts.get(f"{name}.duplicate", 0))
    name = asked.choice("stage", names, most)
    stage = next(one for one in run.config.stages if one.name == name)
    tables = inspected.tables
    found = {"sizes": found_in.size_curve(tables, name), "largest": found_in.largest(tables, name)}
    context: dict[str, Any] = {"stage": name, "stages": names, "members": [], "pair": None, "curve": None}
    context |= {"kept": asked.text("kept"), "similarities": None}
    banding = found_in.banding(stage)
    if banding is not None:
        found["banding"] = banding
        context["curve"] = curve(banding["similarity"].to_pylist(), banding["found"].to_pylist())
    if context["kept"]:
        _cluster(inspected, asked, name, context, found)
    return View("duplicates.html", "Duplicates", context, found)


def _cluster(
    inspected: Inspected, asked: Asked, name: str, context: dict[str, Any], found: dict[str, pa.Table]
) -> None:
    """A cluster, and one of its members beside the document that is kept."""
    kept = asked.integer("kept", 0, 0, 2**64 - 1)
    members = found_in.members(inspected.run, inspected.tables, name, kept)
    first = next((one for one in members if one["address"] == kept), None)
    others = [one for one in members if one["address"] != kept]
    chosen = asked.integer("member", others[0]["address"] if others else 0, 0, 2**64 - 1)
    other = next((one for one in others if one["address"] == chosen), None)
    context |= {"members": members, "kept": kept, "chosen": chosen}
    rows = [{key: value for key, value in one.items() if key != "text"} for one in members]
    found["members"] = pa.Table.from_pylist(rows) if rows else pa.table({})
    if first and other and first["text"] is not None and other["text"] is not None:
        sides = found_in.difference(first["text"], other["text"])
        context["pair"] = [[(visible(text), differs) for text, differs in side] for side in sides]
        context["pair_ids"] = [first["id"], other["id"]]
