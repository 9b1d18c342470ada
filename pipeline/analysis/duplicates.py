"""Clusters of duplicates: how large they are, who is in them, what a copy has that the kept document has not."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline.analysis.samples import Sample, of_addresses
from pipeline.analysis.tables import Tables, quoted
from pipeline.curves import Setting, describe
from pipeline.runs import Run
from stages.contract import Deduplication

MAX_WORDS = 5000
"""Words of each of two texts that are compared."""


@dataclass(frozen=True)
class Cluster:
    """A cluster by the address of the document that is kept of it, in this run or an earlier one."""

    kept: int
    kept_id: str | None
    kept_run: str | None
    size: int


def stages_of(run: Run) -> list[str]:
    """The stages that a run has a table of duplicates of."""
    return [stage.name for stage in run.config.stages if isinstance(stage, Deduplication)]


def size_curve(tables: Tables, stage: str) -> pa.Table:
    """`size`, and how many `clusters` have so many documents, of two and more."""
    source = tables.table(tables.run.duplicates(stage))
    return tables.query(
        f"SELECT size, count(*) AS clusters FROM (SELECT count(*) + any_value((kept_run IS NOT NULL)::INT) AS size "
        f"FROM {source} GROUP BY kept, kept_run) WHERE size > 1 GROUP BY size ORDER BY size"
    )


def largest(tables: Tables, stage: str, limit: int = 20) -> list[Cluster]:
    """The clusters of most documents."""
    source = tables.table(tables.run.duplicates(stage))
    rows = tables.rows(
        f"SELECT kept, any_value(kept_id), kept_run, count(*) AS size FROM {source} GROUP BY kept, kept_run "
        f"HAVING size > 1 ORDER BY size DESC, kept LIMIT {limit}"
    )
    return [Cluster(int(kept), id_, run, int(size)) for kept, id_, run, size in rows]


def members(run: Run, tables: Tables, stage: str, kept: int, limit: int = 20) -> list[tuple[Sample, float | None]]:
    """Documents of the cluster of a kept one of this run, itself first, with their similarity to it."""
    source = tables.table(run.duplicates(stage))
    similarity = "similarity" if "similarity" in run.duplicates(stage).schema.names else "NULL"
    rows = tables.rows(
        f"SELECT address, {quoted(similarity) if similarity != 'NULL' else similarity} FROM {source} "
        f"WHERE kept = {kept} AND kept_run IS NULL ORDER BY address <> {kept}, address LIMIT {limit}"
    )
    told = {int(address): value for address, value in rows}
    return [(sample, told[sample.address]) for sample in of_addresses(run, tables, list(told))]


def difference(kept: str, copy: str) -> list[tuple[str, str]]:
    """Two texts, word by word: pieces with `equal`, `removed` (of the kept one alone) or `added`."""
    left, right = (re.findall(r"\s*\S+|\s+", text)[:MAX_WORDS] for text in (kept, copy))
    found: list[tuple[str, str]] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if kind == "equal":
            found.append(("".join(left[a:b]), "equal"))
            continue
        if a < b:
            found.append(("".join(left[a:b]), "removed"))
        if c < d:
            found.append(("".join(right[c:d]), "added"))
    return found


def banding(run: Run, stage: str) -> dict[str, Any] | None:
    """The S-curve of a stage with bands, as `tamis bands` tells it; None for others."""
    from stages.dedup.duplicates import MinHash

    found = next((one for one in run.config.stages if one.name == stage), None)
    if not isinstance(found, MinHash):
        return None
    num_bands, num_rows = found.bands
    return describe(Setting(stage, num_bands, num_rows, num_bands * num_rows, found.least_similarity))
