"""What is left after every stage: of documents, of text, of tokens; and of each language and source.

Documents and bytes are counted while documents are sieved. Tokens are counted of documents that are tokenized, which
dropped ones are not, but for those of the shadow sample: what a rule dropped is its bytes at the rate of its shadow
documents, or at that of all of them where it has none there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.analysis.tables import Tables, quoted
from pipeline.config import Config
from pipeline.stats import Stats

WEIGHTS = ("documents", "bytes", "tokens")


@dataclass(frozen=True)
class Step:
    """A stage. Amounts are by weight; a weight that is not known is absent."""

    stage: str
    came: Mapping[str, float]
    left: Mapping[str, float]
    reason: str
    """The rule that dropped most documents; empty if none did."""

    def kept_ratio(self, weight: str) -> float | None:
        return self.left[weight] / self.came[weight] if self.came.get(weight) else None


@dataclass(frozen=True)
class Tokens:
    """Tokens of the documents that were kept, counted, and of those that each rule dropped, estimated."""

    kept: int
    dropped: Mapping[str, float]


@dataclass(frozen=True)
class Group:
    """A language or source: `read`, `kept` and what each stage `dropped`, by weight."""

    label: str
    read: Mapping[str, int]
    kept: Mapping[str, int]
    dropped: Mapping[str, Mapping[str, int]]


def funnel(stats: Stats, tokens: Tokens | None = None) -> list[Step]:
    """The stages in their order."""
    lost = _by_stage(tokens.dropped) if tokens else {}
    rest = tokens.kept + sum(lost.values()) if tokens else 0.0
    steps = []
    for name, counts in stats["stages"].items():
        came = {weight: float(counts[f"{weight}_in"]) for weight in ("documents", "bytes")}
        left = {weight: float(counts[f"{weight}_out"]) for weight in ("documents", "bytes")}
        if tokens:
            came["tokens"] = rest
            left["tokens"] = rest = max(rest - lost.get(name, 0.0), 0.0)
        rules = sorted(counts["dropped"].items(), key=lambda item: (-item[1]["documents"], item[0]))
        steps.append(Step(name, came, left, rules[0][0] if rules else ""))
    return steps


def tokens_column(config: Config) -> str | None:
    """The signal that counts tokens; None if the run tokenizes nothing."""
    from stages.tokens.packing import Packing

    found = [stage.name for stage in config.stages if isinstance(stage, Packing) and "count" in stage.signals()]
    return f"{found[-1]}.count" if found else None


def count_tokens(tables: Tables) -> Tokens | None:
    """What a run that tokenizes kept and dropped, in tokens; None of one that does not."""
    name = tokens_column(tables.run.config)
    if name is None or not tables.has(name):
        return None
    column = quoted(name)
    counted = tables.rows(f"SELECT dropped_by, coalesce(sum({column}), 0), sum(bytes) FROM signals GROUP BY 1")
    kept = sum(int(count) for rule, count, _ in counted if rule is None)
    rates = {
        rule: (float(count), float(size))
        for rule, count, size in tables.rows(
            f"SELECT dropped_by, sum({column}), sum(bytes) FROM shadow WHERE {column} IS NOT NULL GROUP BY 1"
        )
    }
    whole = [sum(one) for one in zip(*rates.values(), strict=True)] if rates else [0.0, 0.0]
    dropped: dict[str, float] = {}
    for rule, count, size in counted:
        if rule is None:
            continue
        sampled, of = rates.get(rule, whole)
        dropped[rule] = float(count) or (float(size) * sampled / of if of else 0.0)
    return Tokens(kept, dropped)


def groups(stats: Stats, kind: str) -> list[Group]:
    """`languages` or `sources`, those of most documents first."""
    found = []
    for label, counts in stats.get(kind, {}).items():
        dropped: dict[str, dict[str, int]] = {}
        for rule, number in counts["dropped"].items():
            of_stage = dropped.setdefault(rule.partition(".")[0], {"documents": 0, "bytes": 0})
            for weight in of_stage:
                of_stage[weight] += number[weight]
        found.append(Group(label, counts["read"], counts["kept"], dropped))
    return sorted(found, key=lambda group: (-group.read.get("documents", 0), group.label))


def _by_stage(rules: Mapping[str, float]) -> dict[str, float]:
    found: dict[str, Any] = {}
    for rule, number in rules.items():
        stage = rule.partition(".")[0]
        found[stage] = found.get(stage, 0.0) + number
    return found
