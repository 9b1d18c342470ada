"""Three numbers for every rule: what it dropped in its place, what it would drop alone, what it alone drops.

    here   dropped by this rule, in its place in the order
    alone  would be dropped if this rule were the only one of the run
    only   dropped by this rule and by no other: what comes back when it goes

Later stages did not see what earlier ones dropped, so what they would have said rests on the shadow sample. Barriers
and censuses are not asked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.analysis.estimates import Estimate, share_of, total
from pipeline.analysis.rules import Rule, is_rerun, rules_of
from pipeline.analysis.tables import Tables
from pipeline.stats import Stats, dropped_as_read

Rows = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Reason:
    """A rule, and documents or bytes by it."""

    rule: str
    here: int
    alone: Estimate
    only: Estimate


@dataclass(frozen=True)
class Overlap:
    """How many of the dropped documents two rules both drop, about: `documents[i, j]`, of the rules `rules[i]`."""

    rules: list[str]
    documents: npt.NDArray[np.float64]
    sampled: int
    dropped: int


@dataclass(frozen=True)
class Shadow:
    """The shadow sample: which rule dropped each document (its place in `rules`), what it weighs, which rules fire."""

    rules: list[Rule]
    dropped_by: npt.NDArray[np.int64]
    bytes: npt.NDArray[np.int64]
    fires: npt.NDArray[np.bool_]
    """One row a document, one column a rule."""

    @classmethod
    def read(cls, tables: Tables) -> Shadow:
        rules = [rule for rule in rules_of(tables.run.config) if rule.drops]
        places = {rule.name: place for place, rule in enumerate(rules)}
        columns = ", ".join(f"{rule.sql} AS r{place}" for place, rule in enumerate(rules))
        table = tables.query(f"SELECT dropped_by, bytes{', ' if columns else ''}{columns} FROM shadow")
        dropped_by = np.array([places.get(name, -1) for name in table["dropped_by"].to_pylist()], np.int64)
        fires = np.zeros((table.num_rows, len(rules)), np.bool_)
        for place in range(len(rules)):
            fires[:, place] = table[f"r{place}"].to_numpy()
        known = dropped_by >= 0
        return cls(rules, dropped_by[known], table["bytes"].to_numpy()[known], fires[known])

    def share(self, population: tuple[int, int], stratum: int, among: Rows, hits: Rows, weight: str) -> Estimate:
        """How much of a population (documents, bytes) is as `hits`; `among` are those of it that were sampled. Both
        tell of the documents in the sample that the rule `stratum` dropped."""
        sizes = self.strata[stratum][1]
        sampled, found = int(among.sum()), int(hits.sum())
        if weight == "documents":
            return share_of(population[0], sampled, found)
        sums = (float(sizes[among].sum()), float(sizes[hits].sum()), float((sizes[among] ** 2).sum()))
        return share_of(population[0], sampled, found, whole=population[1], weights=sums)

    @cached_property
    def strata(self) -> list[tuple[Rows, npt.NDArray[np.float64]]]:
        """For every rule, of the documents that it dropped: which rules fire (a column a rule), and their bytes."""
        rows = [np.flatnonzero(self.dropped_by == place) for place in range(len(self.rules))]
        return [(np.asfortranarray(self.fires[those]), self.bytes[those].astype(np.float64)) for those in rows]


def reasons(tables: Tables, weight: str = "documents") -> list[Reason]:
    """All rules that can drop something, those that dropped most first.

    Args:
        weight: `documents` or `bytes`, bytes as the documents were read.
    """
    shadow = Shadow.read(tables)
    stats = tables.run.stats
    dropped = dropped_as_read(stats)
    found = []
    for place, rule in enumerate(shadow.rules):
        counts = stats["stages"][rule.stage.name]
        here = dropped.get(rule.name, (0, 0))[weight == "bytes"]
        alone = _alone(shadow, place, counts, dropped, weight)
        found.append(Reason(rule.name, here, alone, _only(shadow, place, counts, weight)))
    return sorted(found, key=lambda reason: -reason.here)


def _alone(shadow: Shadow, place: int, counts: Stats, dropped: Mapping[str, tuple[int, int]], weight: str) -> Estimate:
    """What a rule would drop of what reached its stage, which was counted, and of what earlier ones dropped. Where the
    sample has nothing of the latter, as large a share as of all the rest."""
    rule = shadow.rules[place]
    reached = counts["alone"].get(rule.name, {}).get(weight, 0)
    before = [
        (other, dropped[earlier.name])
        for other, earlier in enumerate(shadow.rules)
        if earlier.stage_number < rule.stage_number and earlier.name in dropped
    ]
    if not is_rerun(rule.stage):
        ends = [Estimate(0.0, 0.0, float(population[weight == "bytes"]), False) for _, population in before]
        return total([Estimate.counted(reached)], ends)
    told, whole = [Estimate.counted(reached)], counts[f"{weight}_in"]
    untold = 0
    for other, population in before:
        fires = shadow.strata[other][0]
        if len(fires):
            told.append(shadow.share(population, other, np.ones(len(fires), np.bool_), fires[:, place], weight))
            whole += population[weight == "bytes"]
        else:
            untold += population[weight == "bytes"]
    known = total(told)
    return total([known], [Estimate(untold * min(known.value / max(whole, 1), 1.0), 0.0, untold, untold == 0)])


def _only(shadow: Shadow, place: int, counts: Stats, weight: str) -> Estimate:
    """What no other rule drops, of what no other rule of the stage drops, which was counted."""
    rule = shadow.rules[place]
    counted = counts["only"].get(rule.name, {"documents": 0, "bytes": 0})
    others = [
        (other, found.stage_number == rule.stage_number)
        for other, found in enumerate(shadow.rules)
        if other != place and (found.stage_number == rule.stage_number or is_rerun(found.stage))
    ]
    later = [other for other, same_stage in others if not same_stage]
    if not any(shadow.rules[other].stage_number > rule.stage_number for other in later):
        return Estimate.counted(counted[weight])
    fires = shadow.strata[place][0]
    among = _none(fires[:, [other for other, same_stage in others if same_stage]])
    hits = among & _none(fires[:, later])
    return shadow.share((counted["documents"], counted["bytes"]), place, among, hits, weight)


def _none(fires: Rows) -> Rows:
    """The rows in which nothing fires."""
    return np.logical_not(np.logical_or.reduce(fires, axis=1))


def overlap(tables: Tables, limit: int = 20) -> Overlap:
    """The rules that fire most often among dropped documents, two by two."""
    shadow = Shadow.read(tables)
    dropped = dropped_as_read(tables.run.stats)
    sampled = np.bincount(shadow.dropped_by, minlength=len(shadow.rules))
    weight = np.array([dropped.get(rule.name, (0, 0))[0] for rule in shadow.rules]) / np.maximum(sampled, 1)
    fires = shadow.fires.astype(np.float32)
    both: Any = (fires * weight[shadow.dropped_by][:, None].astype(np.float32)).T @ fires
    order = np.argsort(-np.diag(both), kind="stable")[:limit]
    order = order[np.diag(both)[order] > 0]
    names = [shadow.rules[place].name for place in order]
    total_dropped = sum(documents for documents, _ in dropped.values())
    return Overlap(names, both[np.ix_(order, order)].astype(np.float64), len(shadow.dropped_by), total_dropped)
