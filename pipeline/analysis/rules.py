"""The rules of a config as SQL, so that every decision can be made again, on recorded signals, with other bounds.

The expressions say what `stages.contract.decide` says of the same columns: ends are inclusive and compared in the
column's own type, null and NaN drop nothing, overrides by language stand in for the stage's own bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
        for signal in stage.signals():
            sql = _rule_sql(stage, signal, has_language)
            if sql is not None:
                found.append(Rule(stage, number, signal, sql))
        has_language |= f"{stage.name}.label" == LANGUAGE
    return found


def first_violated(rules: Sequence[Rule]) -> str:
    """The place of the first of some rules that drops a document; null where none does."""
    cases = " ".join(f"WHEN {rule.sql} THEN {place}" for place, rule in enumerate(rules) if rule.drops)
    return f"CASE {cases} ELSE NULL END" if cases else "CAST(NULL AS INTEGER)"


def is_rerun(stage: Stage) -> bool:
    """Whether a stage says of a document what it says whatever becomes of others."""
    return not isinstance(stage, (Barrier, Census))


def _rule_sql(stage: Stage, signal: str, has_language: bool) -> str | None:
    """None for a rule that can drop nothing."""
    column = f"{stage.name}.{signal}"
    type_ = stage.signals()[signal].type
    sql = decision_sql(stage.decisions()[signal], column, type_)
    for label, cases in overrides_of(stage, signal, has_language):
        whens = " ".join(
            f"WHEN {literal(value)} THEN {decision_sql(rule, column, type_) or 'FALSE'}"
            for value, rule in cases.items()
        )
        sql = f"(CASE {quoted(label)} {whens} ELSE {sql or 'FALSE'} END)"
    return sql


def overrides_of(stage: Stage, signal: str, has_language: bool) -> list[tuple[str, Mapping[str, Decision]]]:
    """Columns of labels, each with the decisions on a signal that stand in for the stage's own one where the label is
    theirs; of two columns the later one counts."""
    columns: list[tuple[str, Mapping[str, Mapping[str, Decision]]]] = []
    if has_language:
        columns.append((LANGUAGE, stage.by_language))
    columns += [(f"{stage.name}.{label}", getattr(stage, field)) for field, label in stage.own_overrides.items()]
    found = [(label, {value: rules[signal] for value, rules in by.items() if signal in rules}) for label, by in columns]
    return [(label, cases) for label, cases in found if cases]


def decision_sql(decision: Decision, column: str, type_: pa.DataType) -> str | None:
    """Where a decision on a column drops; None if it can drop nothing."""
    if decision.is_open:
        return None
    name = quoted(column)
    if isinstance(decision, Bounds):
        kind = "FLOAT" if pa.types.is_float32(type_) else "DOUBLE"
        ends = [
            f"{name} {sign} CAST({literal(float(end))} AS {kind})"
            for sign, end in (("<", decision.min), (">", decision.max))
            if end is not None
        ]
        is_number = f"NOT isnan({name}) AND " if pa.types.is_floating(type_) else ""
        return f"coalesce({is_number}({' OR '.join(ends)}), FALSE)"
    if isinstance(decision, Allowed):
        labels = ", ".join(literal(label) for label in decision.labels or ())
        return f"coalesce({name} NOT IN ({labels}), FALSE)"
    assert isinstance(decision, Flag)
    return f"coalesce({name}, FALSE)"
