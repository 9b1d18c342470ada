"""Samples: documents to read, with what was measured of them beside the bounds."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from pipeline.analysis import labels
from pipeline.analysis import samples as found_in
from pipeline.analysis.languages import languages_of
from pipeline.analysis.rules import rules_of
from pipeline.analysis.safe_text import segments
from pipeline.analysis.samples import Sample
from pipeline.analysis.whatif import flipping
from pipeline.inspector.changes import changes_of, query_of
from pipeline.inspector.page import Asked, Inspected, View

KINDS = ("dropped", "kept", "flipping", "one")
PAGE = 20


def view(inspected: Inspected, asked: Asked) -> View:
    run, tables = inspected.run, inspected.tables
    rules = [rule.name for rule in rules_of(run.config)]
    changes = changes_of(asked, run.config)
    kind = asked.choice("kind", KINDS, "flipping" if changes else "dropped")
    languages = languages_of(inspected.stats)
    language = asked.optional("language", languages)
    dropped = inspected.dropped_counts
    rule = asked.optional("rule", {**dict.fromkeys(rules), **dropped})
    if kind == "dropped" and rule is None:
        rule = next(iter(dropped), None)
    offset = asked.integer("offset", 0, 0, 10**9)
    flips: dict[int, Any] = {}
    found: list[Sample] = []
    if kind == "dropped":
        found = found_in.dropped(run, tables, rule, PAGE, offset, language) if rule else []
    elif kind == "kept":
        found = found_in.kept(run, tables, rule, PAGE, offset, language)
    elif kind == "one":
        found = found_in.of_addresses(run, tables, [asked.integer("address", 0, 0, 2**64 - 1)])
    else:
        sides = flipping(run, changes, tables, PAGE, offset, language=language) if changes else []
        flips = {flip.address: flip for flip in sides}
        found = found_in.of_addresses(run, tables, list(flips))
    context = {
        "kind": kind,
        "rule": rule,
        "rules": rules,
        "dropped_rules": list(dropped),
        "languages": languages,
        "language": language,
        "changes": changes,
        "change_query": query_of(changes),
        "found": found,
        "rests_on": found_in.rests_on(tables, rule) if kind == "dropped" and rule else None,
        "num_kept": inspected.stats["output"]["documents"],
        "flips": flips,
        "segments": segments,
        "offset": offset,
        "page_size": PAGE,
        "here": {"kind": kind, "rule": rule or "", "language": language or ""},
        "labels": labels.of_rule(run, rule) if rule else {},
        "precision": labels.precision(run, rule, dropped.get(rule, 0)) if rule else None,
    }
    rows = [
        {
            "address": one.address,
            "id": one.id,
            "source": one.source,
            "language": one.language,
            "dropped_by": one.dropped_by,
        }
        for one in found
    ]
    schema = pa.schema(
        [("address", pa.uint64()), *((name, pa.string()) for name in ("id", "source", "language", "dropped_by"))]
    )
    return View("samples.html", "Samples", context, {"samples": pa.Table.from_pylist(rows, schema)})
