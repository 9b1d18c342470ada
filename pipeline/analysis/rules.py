"""The rules of a config as SQL, so that every decision can be made again, on recorded signals, with other bounds.

The expressions say what `stages.contract.decide` says of the same columns: ends are inclusive and compared in the
column's own type, null and NaN drop nothing, overrides by language stand in for the stage's own bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.analysis.tables import literal, quoted
from pipeline.config import LANGUAGE, Config
from stages.contract import Allowed, Barrier, Bounds, Census, Decision, Flag, Stage


@dataclass(frozen=True)
class Rule:
    """One signal of a stage, and what decides on it. Rules are in the order in which a run asks them."""

    stage: Stage
    stage_number: int
    signal: str
    sql: str
    """True where it drops; never null."""

    @property
    def name(self) -> str:
        return f"{self.stage.name}.{self.signal}"

    @property
    def decision(self) -> Decision:
        return self.stage.decisions()[self.signal]

    @property
    def drops(self) -> bool:
        """False where the stage annotates."""
        return self.stage.action == "drop"


def rules_of(config: Config) -> list[Rule]:
    """Every rule that can drop something, or could if its stage did more than annotate."""
    found = []
    has_language = False
    for number, stage in enumerate(config.stages):
        has_language |= LANGUAGE in {f"{stage.name}.{signal}" for signal in stage.signals()}
        for signal in stage.signals():
            sql = _rule_sql(stage, signal, has_language)
            if sql is not None:
                found.append(Rule(stage, number, signal, sql))
    return found


def is_rerun(stage: Stage) -> bool:
    """Whether a stage says of a document what it says whatever becomes of others."""
    return not isinstance(stage, (Barrier, Census))


def _rule_sql(stage: Stage, signal: str, has_language: bool) -> str | None:
    """None for a rule that can drop nothing."""
    column = f"{stage.name}.{signal}"
    type_ = stage.signals()[signal].type
    return _by_label(stage, signal, has_language, lambda decision: decision_sql(decision, column, type_), "FALSE")


def _by_label(
    stage: Stage, signal: str, has_language: bool, sql_of: Callable[[Decision], str | None], nothing: str
) -> str | None:
    """SQL of the decision that counts for a document: the stage's own, or one that stands in for it where a label of
    the document says so; of two columns of labels the later one counts. None if no decision has any."""
    columns: list[tuple[str, Mapping[str, Mapping[str, Decision]]]] = []
    if has_language:
        columns.append((LANGUAGE, stage.by_language))
    columns += [(f"{stage.name}.{label}", getattr(stage, field)) for field, label in stage.own_overrides.items()]
    sql = sql_of(stage.decisions()[signal])
    for label, by_label in columns:
        cases = {value: rules[signal] for value, rules in by_label.items() if signal in rules}
        whens = " ".join(f"WHEN {literal(value)} THEN {sql_of(rule) or nothing}" for value, rule in cases.items())
        sql = f"(CASE {quoted(label)} {whens} ELSE {sql or nothing} END)" if cases else sql
    return sql


def decision_sql(decision: Decision, column: str, type_: pa.DataType) -> str | None:
    """Where a decision on a column drops; None if it can drop nothing."""
    if decision.is_open:
        return None
    name = quoted(column)
    if isinstance(decision, Bounds):
        kind = "FLOAT" if pa.types.is_float32(type_) else "DOUBLE"
        ends = [
            f"{name} {'<' if end == 'min' else '>'} CAST({_number(value, kind)} AS {kind})"
            for end, value in decision.ends.items()
        ]
        is_number = f"NOT isnan({name}) AND " if pa.types.is_floating(type_) else ""
        return f"coalesce({is_number}({' OR '.join(ends)}), FALSE)"
    if isinstance(decision, Allowed):
        labels = ", ".join(literal(label) for label in decision.labels or ())
        return f"coalesce({name} NOT IN ({labels}), FALSE)"
    assert isinstance(decision, Flag)
    return f"coalesce({name}, FALSE)"


def _number(end: float, kind: str) -> str:
    """A bound as SQL; one that no number of the column comes near is infinite, as it is for numpy."""
    beyond = kind == "FLOAT" and abs(end) > float(np.finfo(np.float32).max)
    return literal(math.copysign(math.inf, end) if beyond else float(end))


def distance_sql(rule: Rule, has_language: bool) -> str | None:
    """How far a signal lies from the nearer end of the bound that counts for the document, over the end's size; None
    if no end is set."""
    return _by_label(
        rule.stage, rule.signal, has_language, lambda decision: _to_nearer_end(rule.name, decision), "NULL"
    )


def _to_nearer_end(column: str, decision: Decision) -> str | None:
    if not isinstance(decision, Bounds) or decision.is_open:
        return None
    ends = [float(end) for end in decision.ends.values()]
    return f"least({', '.join(f'abs({quoted(column)} - {end!r}) / {max(abs(end), 1e-9)!r}' for end in ends)})"
