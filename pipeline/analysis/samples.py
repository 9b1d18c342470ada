"""Documents of a run to look at: dropped by a rule, kept, or of given addresses, with their signals and text.

Dropped documents come from `rejected/`, so only those whose text the run has kept; the nearest to the bound come first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.analysis.rules import rules_of
from pipeline.analysis.tables import Tables, literal, quoted
from pipeline.config import LANGUAGE
from pipeline.records import read_records
from pipeline.runs import Run
from stages.contract import Bounds, Decision


@dataclass(frozen=True)
class Sample:
    """A document. `text` is None where the run has not kept it; `bounds` are signal, value, rule, whether violated."""

    address: int
    id: str | None
    url: str | None
    source: str | None
    language: str | None
    text: str | None
    dropped_by: str | None
    signals: Mapping[str, Any]
    bounds: list[tuple[str, Any, Decision, bool]]
    spans: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Samples:
    """Some documents of `num_documents`; the text of `num_texts` of them was kept."""

    samples: list[Sample]
    num_texts: int
    num_documents: int


def dropped(
    run: Run, tables: Tables, rule: str, limit: int = 20, offset: int = 0, language: str | None = None
) -> Samples:
    """Documents that a rule dropped, the nearest to its bound first."""
    where = f"dropped_by = {literal(rule)}" + _in(language)
    near = _distance(run, rule)
    rows = tables.rows(
        f"SELECT address FROM signals WHERE {where} AND address IN (SELECT address FROM rejected WHERE text IS NOT NULL)"
        f" ORDER BY {near}, address LIMIT {limit} OFFSET {offset}"
    )
    (texts, documents), *_ = tables.rows(
        f"SELECT count(*) FILTER (address IN (SELECT address FROM rejected WHERE text IS NOT NULL)), count(*) "
        f"FROM signals WHERE {where}"
    )
    return Samples(of_addresses(run, tables, [row[0] for row in rows]), texts, documents)


def kept(
    run: Run, tables: Tables, rule: str | None = None, limit: int = 20, offset: int = 0, language: str | None = None
) -> Samples:
    """Documents that were kept; with a rule, the nearest to its bound first."""
    where = f"dropped_by IS NULL{_in(language)}"
    near = _distance(run, rule) if rule else "hash(address)"
    rows = tables.rows(
        f"SELECT address FROM signals WHERE {where} ORDER BY {near}, address LIMIT {limit} OFFSET {offset}"
    )
    ((documents,),) = tables.rows(f"SELECT count(*) FROM signals WHERE {where}")
    return Samples(of_addresses(run, tables, [row[0] for row in rows]), documents, documents)


def of_addresses(run: Run, tables: Tables, addresses: Sequence[int]) -> list[Sample]:
    """Documents by address, in the order given."""
    if not addresses:
        return []
    listed = ", ".join(str(int(address)) for address in addresses)
    signals = {
        row["address"]: row for row in tables.query(f"SELECT * FROM signals WHERE address IN ({listed})").to_pylist()
    }
    texts = texts_of(run, tables, addresses)
    columns = ", ".join(f"{rule.sql} AS {quoted(rule.name)}" for rule in rules_of(run.config))
    violated = {
        row["address"]: row
        for row in tables.query(
            f"SELECT address{', ' if columns else ''}{columns} FROM signals WHERE address IN ({listed})"
        ).to_pylist()
    }
    return [_sample(run, signals[a], violated[a], texts.get(a)) for a in addresses if a in signals]


def _sample(run: Run, row: dict[str, Any], violated: dict[str, Any], text: str | None) -> Sample:
    names = {rule.name: rule for rule in rules_of(run.config)}
    language = row.get(LANGUAGE)
    bounds = [
        (name, row[name], rule.stage.decisions(language)[rule.signal], bool(violated[name]))
        for name, rule in names.items()
    ]
    measured = {name: value for name, value in row.items() if "." in name and value is not None}
    return Sample(
        row["address"], row["id"], None, row.get("source"), language, text, row["dropped_by"], measured, bounds
    )


def texts_of(run: Run, tables: Tables, addresses: Sequence[int]) -> dict[int, str]:
    """The texts that the run has of some documents."""
    listed = ", ".join(str(int(address)) for address in addresses)
    found = dict(tables.rows(f"SELECT address, text FROM rejected WHERE text IS NOT NULL AND address IN ({listed})"))
    wanted = set(map(int, addresses)) - set(found)
    return found | (_kept_texts(run, wanted) if wanted else {})


def _kept_texts(run: Run, wanted: set[int]) -> dict[int, str]:
    """Rows of a task's `documents` are its `signals` that were kept, in their order."""
    from pipeline.io.files import filesystem_of

    phase = run.plan.write
    fs, root = filesystem_of(run.path)
    found: dict[int, str] = {}
    for record in read_records(run.path, phase, range(run.num_tasks(phase) or 0)):
        with fs.open(f"{root}/{record.file('signals').path}") as file:
            table = pq.read_table(file, columns=["address", "dropped_by"])
        addresses = table["address"].filter(pc.is_null(table["dropped_by"])).combine_chunks()
        rows = pc.indices_nonzero(pc.is_in(addresses, value_set=pa.array(sorted(wanted), addresses.type))).to_pylist()
        if rows:
            with fs.open(f"{root}/{record.file('documents').path}") as file:
                texts = pq.read_table(file, columns=["text"])["text"].take(pa.array(rows))
            found |= dict(zip(addresses.take(pa.array(rows)).to_pylist(), texts.to_pylist(), strict=True))
    return found


def _in(language: str | None) -> str:
    return "" if language is None else f" AND {quoted(LANGUAGE)} = {literal(language)}"


def _distance(run: Run, rule: str) -> str:
    """How far a value is from the nearer end of a rule's bounds."""
    found = next((known for known in rules_of(run.config) if known.name == rule), None)
    if found is None or not isinstance(found.decision, Bounds):
        return "0"
    ends = [end for end in (found.decision.min, found.decision.max) if end is not None]
    parts = [f"abs({quoted(rule)} - {float(end)!r})" for end in ends]
    return f"least({', '.join(parts)})" if parts else "0"
