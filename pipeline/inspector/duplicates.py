"""Duplicates: how large clusters are, who is in one, and where a member differs from the document that was kept."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pyarrow as pa

from pipeline.analysis import duplicates as found_in
from pipeline.analysis.duplicates import Cluster
from pipeline.analysis.safe_text import visible
from pipeline.inspector.page import Asked, Inspected, View
from pipeline.inspector.pictures import curve
from stages.errors import ConfigError

LARGEST = 50


def view(inspected: Inspected, asked: Asked) -> View:
    run = inspected.run
    names = found_in.stages_of(run)
    if not names:
        raise ConfigError("this run has no stage that finds duplicates: exact, minhash, same_url, semantic")
    counts = inspected.dropped_counts
    most = max(names, key=lambda name: counts.get(f"{name}.duplicate", 0))
    name = asked.choice("stage", names, most)
    tables = inspected.tables
    clusters = found_in.largest(tables, name, LARGEST)
    found = {"sizes": found_in.size_curve(tables, name), "largest": _largest(clusters)}
    context: dict[str, Any] = {
        "stage": name,
        "stages": names,
        "members": [],
        "kept_run": None,
        "pair": None,
        "curve": None,
        "rewritten_later": found_in.rewritten_later(run, name),
    }
    context |= {"kept": asked.text("kept"), "similarities": None}
    banding = found_in.banding(run, name)
    if banding is not None:
        places = [n / (len(banding["curve"]) - 1) for n in range(len(banding["curve"]))]
        found["banding"] = pa.table({"similarity": places, "found": banding["curve"]})
        context["curve"] = curve(places, banding["curve"])
    if context["kept"]:
        _cluster(inspected, asked, name, context, found)
    return View("duplicates.html", "Duplicates", context, found)


def _largest(clusters: list[Cluster]) -> pa.Table:
    schema = pa.schema(
        [("kept", pa.uint64()), ("kept_id", pa.string()), ("kept_run", pa.string()), ("size", pa.int64())]
    )
    return pa.Table.from_pylist([asdict(cluster) for cluster in clusters], schema)


def _cluster(
    inspected: Inspected, asked: Asked, name: str, context: dict[str, Any], found: dict[str, pa.Table]
) -> None:
    """A cluster, and one of its members beside the document that is kept."""
    kept = asked.integer("kept", 0, 0, 2**64 - 1)
    kept_run = asked.text("kept_run") or None
    named = asked.integer("member", 0, 0, 2**64 - 1) if asked.text("member") else None
    members = found_in.members(inspected.run, inspected.tables, name, kept, LARGEST, kept_run, named)
    if not members:
        raise ConfigError(f"{name} has no cluster of which {kept} is kept{f' in {kept_run}' if kept_run else ''}")
    here = kept if kept_run is None else None  # addresses of another run are others'
    first = next((one for one, _ in members if one.address == here), None)
    others = [one for one, _ in members if one.address != here]
    other = next((one for one in others if named is None or one.address == named), None)
    if named not in (None, here) and other is None:
        raise ConfigError(f"the document at {named} is not in this cluster")
    context |= {
        "members": members,
        "kept": kept,
        "here": here,
        "chosen": other.address if other else None,
        "kept_run": kept_run,
    }
    rows = [{"address": one.address, "id": one.id, "similarity": similarity} for one, similarity in members]
    schema = pa.schema([("address", pa.uint64()), ("id", pa.string()), ("similarity", pa.float64())])
    found["members"] = pa.Table.from_pylist(rows, schema)
    if first and other and first.text is not None and other.text is not None:
        pieces = [(visible(text), kind) for text, kind in found_in.difference(first.text, other.text)]
        context["pair"] = [[piece for piece in pieces if piece[1] != side] for side in ("added", "removed")]
        context["pair_ids"] = [first.id, other.id]
