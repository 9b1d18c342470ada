"""Clusters of duplicates: how large they are, who is in them, and where a member differs from the one kept."""

from __future__ import annotations

import difflib
import re
from typing import Any

import pyarrow as pa

from pipeline.analysis.samples import texts_of
from pipeline.analysis.tables import Tables, literal
from pipeline.curves import Setting, probability
from pipeline.runs import Run
from stages.contract import Deduplication

WORDS = re.compile(r"\w+|\s+|[^\w\s]")
LONGEST = 20_000
"""Characters of a text that are held against another one."""


def stages_of(run: Run) -> list[str]:
    """Stages that have a table of duplicates."""
    return [stage.name for stage in run.config.stages if isinstance(stage, Deduplication)]


def _view(tables: Tables, stage: str) -> str:
    files = tables.run.duplicates(stage).files
    return f"read_parquet([{', '.join(literal(file) for file in files)}])"


def size_curve(tables: Tables, stage: str) -> pa.Table:
    """How many clusters there are of every size: `members`, `clusters`."""
    return tables.query(
        f"SELECT members, count(*) AS clusters FROM (SELECT count(*) AS members FROM {_view(tables, stage)} "
        "GROUP BY kept, kept_run) GROUP BY members ORDER BY members"
    )


def largest(tables: Tables, stage: str, limit: int = 50) -> pa.Table:
    """The largest clusters: `kept`, `kept_id`, `kept_run`, `members`."""
    return tables.query(
        f"SELECT kept, any_value(kept_id) AS kept_id, kept_run, count(*) AS members FROM {_view(tables, stage)} "
        f"GROUP BY kept, kept_run ORDER BY members DESC, kept LIMIT {limit}"
    )


def members(run: Run, tables: Tables, stage: str, kept: int, limit: int = 50) -> list[dict[str, Any]]:
    """The documents of the cluster of a kept one, it first, with texts where the run has them."""
    rows = tables.query(
        f"SELECT address, id, similarity FROM {_view(tables, stage)} WHERE kept = {int(kept)} "
        f"ORDER BY address <> {int(kept)}, address LIMIT {limit}"
    ).to_pylist()
    texts = texts_of(run, tables, [row["address"] for row in rows])
    return [row | {"text": texts.get(row["address"])} for row in rows]


def difference(a: str, b: str) -> tuple[list[tuple[str, bool]], list[tuple[str, bool]]]:
    """Two texts in pieces, each with whether the other one lacks it; told by words."""
    left, right = WORDS.findall(a[:LONGEST]), WORDS.findall(b[:LONGEST])
    one: list[tuple[str, bool]] = []
    two: list[tuple[str, bool]] = []
    for kind, i, j, k, m in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if j > i:
            one.append(("".join(left[i:j]), kind != "equal"))
        if m > k:
            two.append(("".join(right[k:m]), kind != "equal"))
    return one, two


def banding(stage: Any) -> pa.Table | None:
    """The S-curve of a minhash stage: `similarity`, `found`; None for other stages."""
    bands = getattr(stage, "bands", None)
    if bands is None:
        return None
    places = [n / 50 for n in range(51)]
    setting = Setting(stage.name, bands.num_bands, bands.num_rows, bands.num_bands * bands.num_rows)
    return pa.table({"similarity": places, "found": probability(setting, places)})
