"""Clusters of duplicates: how large they are, who is in them, what a copy has that the kept document has not."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pyarrow as pa

from pipeline.analysis.samples import Sample, of_addresses
from pipeline.analysis.tables import Tables
from pipeline.curves import Setting, describe
from pipeline.runs import Run
from stages.contract import Deduplication, Map, Stage
from stages.evidence import Located

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
    return tables.query(
        f"SELECT size, count(*) AS clusters FROM ({_clusters(tables, stage)}) WHERE size > 1 "
        f"GROUP BY size ORDER BY size"
    )


def largest(tables: Tables, stage: str, limit: int = 20) -> list[Cluster]:
    """The clusters of most documents."""
    rows = tables.rows(
        f"SELECT kept, kept_id, kept_run, size FROM ({_clusters(tables, stage)}) WHERE size > 1 "
        f"ORDER BY size DESC, kept LIMIT {limit}"
    )
    return [Cluster(int(kept), id_, run, int(size)) for kept, id_, run, size in rows]


def _clusters(tables: Tables, stage: str) -> str:
    """A row for each cluster, as SQL. The document that an earlier run kept is no row of the table, but counts."""
    source = tables.table(tables.run.duplicates(stage))
    return (
        f"SELECT kept, any_value(kept_id) AS kept_id, kept_run, count(*) + (kept_run IS NOT NULL)::INT AS size "
        f"FROM {source} WHERE kept IS NOT NULL GROUP BY kept, kept_run"
    )


def members(
    run: Run,
    tables: Tables,
    stage: str,
    kept: int,
    limit: int = 20,
    kept_run: str | None = None,
    named: int | None = None,
) -> list[tuple[Sample, float | None]]:
    """Documents of a cluster, the one that is kept of it first, with their similarity to it.

    Args:
        kept_run: the earlier run that has the kept document; then `kept` is its address there, and it is not among
            the members.
        named: a member that comes next, so that it is among the first `limit`.
    """
    dataset = run.duplicates(stage)
    similarity = "similarity" if "similarity" in dataset.schema.names else "NULL"
    first = [kept if kept_run is None else None, named]
    order = [*(f"address <> {int(one)}" for one in first if one is not None), "address"]
    rows = tables.rows(
        f"SELECT address, {similarity} FROM {tables.table(dataset)} WHERE kept = {int(kept)} "
        f"AND kept_run IS NOT DISTINCT FROM ? ORDER BY {', '.join(order)} LIMIT {int(limit)}",
        [kept_run],
    )
    told = {int(address): value for address, value in rows}
    return [(sample, told[sample.address]) for sample in of_addresses(run, tables, list(told))]


def rewritten_later(run: Run, stage: str) -> list[str]:
    """The stages after that of a cluster which rewrite text: a kept document went through them, a copy that the stage
    dropped did not."""
    names = [one.name for one in run.config.stages]
    return [one.name for one in run.config.stages[names.index(stage) + 1 :] if _may_rewrite(one)]


def _may_rewrite(stage: Stage) -> bool:
    from stages.dedup.boilerplate import Lines
    from stages.dedup.substring import Substring

    return isinstance(stage, (Map, Lines, Substring))


def difference(kept: str, copy: str) -> list[tuple[str, str]]:
    """Two texts, word by word: pieces with `equal`, `removed` (of the kept one alone) or `added`.

    Words are those that stages see, each with what follows it up to the next, so that scripts without spaces are
    compared letter by letter. What lies behind `MAX_WORDS` words is left out, and `…` says so.
    """
    (left, is_cut), (right, is_cut_too) = _pieces(kept), _pieces(copy)
    head = _equal_at_start(left, right)
    tail = _equal_at_start(left[head:][::-1], right[head:][::-1])
    found = [("".join(left[:head]), "equal")]
    found += _changes(left[head : len(left) - tail], right[head : len(right) - tail])
    found.append(("".join(left[len(left) - tail :]), "equal"))
    found += [("…", "equal")] if is_cut or is_cut_too else []
    return [piece for piece in found if piece[0]]


def _pieces(text: str) -> tuple[list[str], bool]:
    """The first words of a text, each with what follows it, and whether there are more."""
    located = Located(text)
    words = located.batch.words
    starts = [span.start for span in located.spans(words.start, words.stop, "word", most=MAX_WORDS + 1)]
    ends = [0, *starts[1:], *([len(text)] if len(starts) <= MAX_WORDS else [])]
    return [text[start:stop] for start, stop in pairwise(ends)], len(starts) > MAX_WORDS


def _equal_at_start(left: list[str], right: list[str]) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(left), len(right)))


def _changes(left: list[str], right: list[str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, left, right).get_opcodes():
        if kind == "equal":
            found.append(("".join(left[a:b]), "equal"))
            continue
        found += [("".join(left[a:b]), "removed"), ("".join(right[c:d]), "added")]
    return found


def banding(run: Run, stage: str) -> dict[str, Any] | None:
    """The S-curve of a stage with bands, as `tamis bands` tells it; None for others."""
    from stages.dedup.duplicates import MinHash

    found = next((one for one in run.config.stages if one.name == stage), None)
    if not isinstance(found, MinHash):
        return None
    num_bands, num_rows = found.bands
    return describe(Setting(stage, num_bands, num_rows, num_bands * num_rows, found.least_similarity))
