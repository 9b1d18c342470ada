"""Single documents with everything a person needs to judge a decision: text, evidence, signals beside their bounds.

Texts of dropped documents are those of `rejected/`, as the stage that dropped them received them; those of kept ones
come from `documents/`. Addresses are chosen on signals alone, and only the row groups that hold them are read for text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline.analysis.languages import is_of
from pipeline.analysis.rules import Rule, distance_sql, rules_of
from pipeline.analysis.tables import Tables, literal
from pipeline.analysis.texts import dropped_texts, kept_rows
from pipeline.config import LANGUAGE
from pipeline.runs import Run
from stages.contract import Allowed, Bounds, Decision, Stage, decide
from stages.errors import ConfigError, TamisError
from stages.evidence import Span


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
    name = literal(rule)
    where = f"dropped_by = {name} AND address IN (SELECT address FROM rejected WHERE dropped_by = {name})"
    return of_addresses(run, tables, _addresses(tables, where, found, limit, offset, language))


def kept(
    run: Run, tables: Tables, rule: str | None = None, limit: int = 20, offset: int = 0, language: str | None = None
) -> list[Sample]:
    """Documents that were kept; with a rule, those nearest to its bound first, with the evidence of its signal."""
    found = known_rule(run, rule) if rule else None
    return of_addresses(run, tables, _addresses(tables, "dropped_by IS NULL", found, limit, offset, language), rule)


def rests_on(tables: Tables, rule: str) -> tuple[int, int]:
    """Of how many documents that a rule dropped the text was kept, and how many it dropped."""
    (row,) = tables.rows(f"SELECT count(*) FROM rejected WHERE dropped_by = {literal(rule)}")
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
        where += f" AND {is_of(language)}"
    distance = distance_sql(rule, tables.has(LANGUAGE)) if rule is not None else None
    order = "address" if distance is None else f"{distance} NULLS LAST, address"
    rows = tables.rows(f"SELECT address FROM signals WHERE {where} ORDER BY {order} LIMIT {limit} OFFSET {offset}")
    return [int(address) for (address,) in rows]


def of_addresses(run: Run, tables: Tables, addresses: Sequence[int], rule: str | None = None) -> list[Sample]:
    """The documents with these addresses, in their order; those that are not there are left out.

    Args:
        rule: whose evidence is marked; by default that of the rule which dropped the document. Marks of several rules
            would hide each other.
    """
    if not addresses:
        return []
    wanted = ", ".join(str(address) for address in addresses)
    rows = {
        row["address"]: row for row in tables.query(f"SELECT * FROM signals WHERE address IN ({wanted})").to_pylist()
    }
    texts = dropped_texts(run, [address for address, row in rows.items() if row["dropped_by"] is not None])
    url = run.config.input.url
    columns = ["text", *([url] if url and tables.has(url, "documents") else [])]
    documents = kept_rows(run, [address for address, row in rows.items() if row["dropped_by"] is None], columns)
    found = []
    for address in addresses:
        if address in rows:
            document = documents.get(address, {})
            text = document.get("text", texts.get(address))
            found.append(_sample(run, rows[address], text, document.get(url) if url else None, rule))
    return found


def _sample(run: Run, row: dict[str, Any], text: str | None, url: str | None, rule: str | None) -> Sample:
    bounds = [bound for stage in run.config.stages for bound in _bounds(stage, row)]
    asked = rule or row["dropped_by"]
    spans = [
        span
        for stage in run.config.stages
        for signal in stage.signals()
        if text is not None and f"{stage.name}.{signal}" == asked
        for span in _evidence(stage, text, signal)
    ]
    return Sample(
        address=row["address"],
        id=row["id"],
        url=url,
        source=row.get("source"),
        language=row.get(LANGUAGE),
        dropped_by=row["dropped_by"],
        text=text,
        bounds=tuple(bounds),
        spans=tuple(spans),
    )


def _bounds(stage: Stage, row: dict[str, Any]) -> list[Bound]:
    """What a stage measured of a document, beside the rule that counts for it."""
    types = {signal: declared.type for signal, declared in stage.signals().items()}
    values = {signal: row.get(f"{stage.name}.{signal}") for signal in types}
    columns = {signal: pa.array([values[signal]], type_) for signal, type_ in types.items()}
    language = row.get(LANGUAGE)
    drops = decide(stage, columns, pa.array([language], pa.string())) if stage.action == "drop" else {}
    rules = stage.decisions(language)
    for field, label in stage.own_overrides.items():
        rules |= getattr(stage, field).get(values[label], {})
    return [
        Bound(f"{stage.name}.{signal}", value, describe(rules[signal]), signal in drops and bool(drops[signal][0]))
        for signal, value in values.items()
        if value is not None
    ]


def _evidence(stage: Stage, text: str, signal: str) -> list[Span]:
    """None where a list or a benchmark that the stage needs is no longer to be had."""
    try:
        return stage.evidence(text, signal)
    except TamisError:
        return []


def describe(decision: Decision) -> str:
    """A decision in words."""
    if decision.is_open:
        return ""
    if isinstance(decision, Bounds):
        if decision.min is None:
            return f"at most {decision.max:g}"
        return f"at least {decision.min:g}" if decision.max is None else f"{decision.min:g} to {decision.max:g}"
    if isinstance(decision, Allowed):
        return f"one of {', '.join(decision.labels or ())}"
    return "not true"
