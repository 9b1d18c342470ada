"""Single documents with everything a person needs to judge a decision: text, evidence, signals beside their bounds.

Texts of dropped documents are those of `rejected/`, as the stage that dropped them received them; those of kept ones
come from `documents/`. Addresses are chosen on signals alone; only the row groups that hold them are read for text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.analysis.rules import Rule, rules_of
from pipeline.analysis.tables import Tables, literal, quoted
from pipeline.config import LANGUAGE
from pipeline.io.files import filesystem_of
from pipeline.runs import Run
from stages.contract import Bounds
from stages.errors import ConfigError
from stages.evidence import Span

UInt64s = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Bound:
    """A signal of a document beside what decides on it."""

    signal: str
    value: Any
    decision: str
    """`50 to 100000`, `at most 0.2`, `one of en, de`, or empty: recorded only."""
    violated: bool


@dataclass(frozen=True)
class Sample:
    """One document; `text` is None where it was not kept."""

    address: int
    id: str | None
    url: str | None
    source: str | None
    language: str | None
    dropped_by: str | None
    text: str | None
    bounds: tuple[Bound, ...]
    spans: tuple[Span, ...]

    @property
    def violated(self) -> list[Bound]:
        return [bound for bound in self.bounds if bound.violated]


def dropped(
    run: Run, tables: Tables, rule: str, limit: int = 20, offset: int = 0, language: str | None = None
) -> list[Sample]:
    """Documents that a rule dropped and whose text was kept, nearest to its bound first."""
    found = known_rule(run, rule)
    where = f"dropped_by = {literal(rule)} AND address IN (SELECT address FROM rejected WHERE text IS NOT NULL)"
    return of_addresses(run, tables, _addresses(tables, where, found, limit, offset, language))


def kept(
    run: Run, tables: Tables, rule: str | None = None, limit: int = 20, offset: int = 0, language: str | None = None
) -> list[Sample]:
    """Documents that were kept; with a rule, those nearest to its bound first."""
    found = known_rule(run, rule) if rule else None
    return of_addresses(run, tables, _addresses(tables, "dropped_by IS NULL", found, limit, offset, language))


def rests_on(tables: Tables, rule: str) -> tuple[int, int]:
    """Of how many documents that a rule dropped the text was kept, and how many it dropped."""
    (row,) = tables.rows(f"SELECT count(*) FROM rejected WHERE dropped_by = {literal(rule)} AND text IS NOT NULL")
    (all_,) = tables.rows(f"SELECT count(*) FROM signals WHERE dropped_by = {literal(rule)}")
    return int(row[0]), int(all_[0])


def known_rule(run: Run, name: str) -> Rule:
    """The rule of that name. Raises ConfigError when there is none that can drop."""
    rules = {rule.name: rule for rule in rules_of(run.config)}
    if name not in rules:
        raise ConfigError(f"this run has no rule '{name}'; it has: {', '.join(rules) or 'none'}")
    return rules[name]


def _addresses(
    tables: Tables, where: str, rule: Rule | None, limit: int, offset: int, language: str | None
) -> list[int]:
    if language is not None:
        if not tables.has(LANGUAGE):
            raise ConfigError("this run tells no languages: it has no stage `language`")
        where += f" AND {quoted(LANGUAGE)} = {literal(language)}"
    order = "address"
    if rule is not None and isinstance(rule.decision, Bounds):
        ends = [end for end in (rule.decision.min, rule.decision.max) if end is not None]
        distances = ", ".join(f"abs({quoted(rule.name)} - {float(end)!r})" for end in ends)
        order = f"least({distances}) NULLS LAST, address" if ends else order
    rows = tables.rows(f"SELECT address FROM signals WHERE {where} ORDER BY {order} LIMIT {limit} OFFSET {offset}")
    return [int(address) for (address,) in rows]


def of_addresses(run: Run, tables: Tables, addresses: Sequence[int]) -> list[Sample]:
    """The documents with these addresses, in their order; those that are not there are left out."""
    if not addresses:
        return []
    wanted = ", ".join(str(address) for address in addresses)
    table = tables.query(f"SELECT * FROM signals WHERE address IN ({wanted})")
    rows = {row["address"]: row for row in table.to_pylist()}
    texts = dict(tables.rows(f"SELECT address, text FROM rejected WHERE address IN ({wanted}) AND text IS NOT NULL"))
    documents = _kept_rows(run, [address for address in rows if rows[address]["dropped_by"] is None])
    url = run.config.input.url
    rules = {rule.name: rule for rule in rules_of(run.config)}
    found = []
    for address in addresses:
        if address in rows:
            document = documents.get(address, {})
            text = document.get("text", texts.get(address))
            found.append(_sample(run, rows[address], text, document.get(url) if url else None, rules))
    return found


def _sample(run: Run, row: dict[str, Any], text: str | None, url: str | None, rules: dict[str, Rule]) -> Sample:
    bounds = []
    for stage in run.config.stages:
        overrides = stage.decisions(row.get(LANGUAGE))
        for signal in stage.signals():
            name = f"{stage.name}.{signal}"
            value = row.get(name)
            if value is None:
                continue
            decides = name in rules and rules[name].drops
            violated = decides and bool(overrides[signal].drops(_one(value, stage.signals()[signal].type))[0])
            bounds.append(Bound(name, value, describe(overrides[signal]), violated))
    spans: list[Span] = []
    if text is not None:
        for stage in run.config.stages:
            fired = [bound.signal for bound in bounds if bound.violated and bound.signal.startswith(f"{stage.name}.")]
            for name in fired:
                spans += stage.evidence(text, name.removeprefix(f"{stage.name}."))
    return Sample(
        row["address"], row["id"], url, row.get("source"), row.get(LANGUAGE), row["dropped_by"], text, tuple(bounds),
        tuple(spans),
    )  # fmt: skip


def _one(value: Any, type_: Any) -> Any:
    import pyarrow as pa

    return pa.array([value], type_)


def describe(decision: Any) -> str:
    """A decision in words."""
    if decision.is_open:
        return ""
    if isinstance(decision, Bounds):
        if decision.min is None:
            return f"at most {decision.max:g}"
        return f"at least {decision.min:g}" if decision.max is None else f"{decision.min:g} to {decision.max:g}"
    labels = getattr(decision, "labels", None)
    return f"one of {', '.join(labels)}" if labels else "not true"


def _kept_rows(run: Run, addresses: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Text and incoming columns of kept documents: row `k` of a file of `documents/` is the `k`-th kept row of the file
    of `signals/` beside it."""
    if not addresses:
        return {}
    fs, _ = filesystem_of(run.path)
    url = run.config.input.url
    columns = ["text", *([url] if url and url in run.documents.schema.names else [])]
    found: dict[int, dict[str, Any]] = {}
    left = np.array(sorted(addresses), np.uint64)
    for signals, documents in zip(run.signals.files, run.documents.files, strict=True):
        with fs.open(signals, "rb") as file:
            parquet = pq.ParquetFile(file)
            if not _may_hold(parquet, left):
                continue
            table = parquet.read(["address", "dropped_by"])
        here = table.filter(pc.is_null(table["dropped_by"]))["address"].to_numpy()
        places = np.searchsorted(here, left)
        there = (places < len(here)) & (here[np.minimum(places, max(len(here) - 1, 0))] == left) if len(here) else None
        if there is None or not there.any():
            continue
        with fs.open(documents, "rb") as file:
            for address, row in zip(left[there], _rows_at(pq.ParquetFile(file), places[there], columns), strict=True):
                found[int(address)] = row
    return found


def _may_hold(parquet: pq.ParquetFile, addresses: UInt64s) -> bool:
    """Whether a file's row groups span any of some addresses, as far as its statistics say."""
    place = parquet.schema_arrow.names.index("address")
    for group in range(parquet.metadata.num_row_groups):
        told = parquet.metadata.row_group(group).column(place).statistics
        if told is None or not told.has_min_max:
            return True
        if ((addresses >= told.min) & (addresses <= told.max)).any():
            return True
    return False


def _rows_at(parquet: pq.ParquetFile, places: npt.NDArray[np.int64], columns: list[str]) -> list[dict[str, Any]]:
    """Rows of a file, by their places in ascending order."""
    found: list[dict[str, Any]] = []
    start = 0
    for group in range(parquet.metadata.num_row_groups):
        size = parquet.metadata.row_group(group).num_rows
        mine = places[(places >= start) & (places < start + size)] - start
        if len(mine):
            found += parquet.read_row_group(group, columns).take(mine).to_pylist()
        start += size
    return found
