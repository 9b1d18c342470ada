"""What other bounds would have done to a run, without running it again.

What a run recorded is exact: a document that another bound drops at its stage or an earlier one, or that every stage
measured. A document that its own stage would now let pass has not met the later ones; how many of those stay in the end
is estimated from the shadow sample, rule by rule. Barriers and censuses are not run again: a document that would now
reach one is taken to pass it, and what it says of the others stands. The answer names them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import yaml

from pipeline.analysis.estimates import Estimate, share_of, total
from pipeline.analysis.outcomes import FAR, SET_ASIDE, STEP, Cell, Flip, Query, changed_stages
from pipeline.analysis.rules import Rule, is_rerun, rules_of
from pipeline.analysis.tables import Tables, open_tables
from pipeline.config import Config, dump_config, load_config
from pipeline.runs import Run
from pipeline.yaml_lines import parse
from stages.contract import Fitted, Stage
from stages.errors import ConfigError

WEIGHTS = ("documents", "bytes")


@dataclass(frozen=True)
class FunnelRow:
    stage: str
    before_out: int
    after_out: Estimate


@dataclass(frozen=True)
class GroupRow:
    label: str | None
    before: int
    after: Estimate


@dataclass(frozen=True)
class WhatIf:
    """The answer. Numbers are of documents, or of bytes as read, as `weight` says."""

    run: Run
    changes: tuple[str, ...]
    weight: str
    before: Config
    after: Config
    cells: list[Cell] = field(repr=False)
    """Without a label: of the whole run."""
    sampled: list[Cell] = field(repr=False)
    """Of the released documents in the shadow sample; `new` is what becomes of them in the end."""
    groups: dict[str, tuple[list[Cell], list[Cell]]] = field(repr=False)

    @property
    def kept_before(self) -> int:
        return sum(cell.size(self.weight) for cell in self.cells if cell.old == FAR)

    @property
    def newly_dropped(self) -> int:
        """What was kept and is now dropped; exact."""
        return sum(cell.size(self.weight) for cell in self.cells if cell.old == FAR and cell.new != FAR)

    @property
    def released(self) -> int:
        """What passes the stage that dropped it; exact."""
        return sum(cell.size(self.weight) for cell in self.cells if cell.old != FAR and cell.new == FAR)

    @property
    def set_aside(self) -> int:
        """What tasks that could not be done held; they are in none of the other numbers."""
        return sum(cell.size(self.weight) for cell in self.cells if cell.old == SET_ASIDE)

    @cached_property
    def kept(self) -> Estimate:
        return self._passing(len(self.after.stages) - 1, self.cells, self.sampled)

    @cached_property
    def funnel(self) -> list[FunnelRow]:
        return [
            FunnelRow(
                stage.name,
                sum(cell.size(self.weight) for cell in self.cells if cell.old // STEP > number),
                self._passing(number, self.cells, self.sampled),
            )
            for number, stage in enumerate(self.after.stages)
        ]

    @property
    def by_language(self) -> list[GroupRow]:
        return self._by("language")

    @property
    def by_source(self) -> list[GroupRow]:
        return self._by("source")

    def _by(self, kind: str) -> list[GroupRow]:
        cells, sampled = self.groups.get(kind, ([], []))
        last = len(self.after.stages) - 1
        found = []
        for label in dict.fromkeys(cell.label for cell in cells):
            mine = [cell for cell in cells if cell.label == label]
            before = sum(cell.size(self.weight) for cell in mine if cell.old == FAR)
            after = self._passing(last, mine, [cell for cell in sampled if cell.label == label])
            found.append(GroupRow(label, before, after))
        return sorted(found, key=lambda row: (-row.before, -row.after.value, row.label or ""))

    @cached_property
    def not_rerun(self) -> list[str]:
        """Stages after the first change that drop, and look at all documents for it or learn from them."""
        first = min(changed_stages(self.before, self.after), default=len(self.after.stages))
        later = {rule.stage_number: rule.stage for rule in self._rules if rule.drops and rule.stage_number > first}
        return [stage.name for stage in later.values() if not is_rerun(stage) or isinstance(stage, Fitted)]

    def patch(self) -> str:
        """The changes as a block of YAML that goes into the config."""
        values = {}
        for change in self.changes:
            path, _, text = change.partition("=")
            values[path.strip()] = parse(text)
        return yaml.safe_dump({"set": values}, sort_keys=False, allow_unicode=True)

    def to_json(self, flips: Sequence[Flip] = ()) -> dict[str, Any]:
        """The answer for a program."""
        return {
            "changes": list(self.changes),
            "weight": self.weight,
            "kept_before": self.kept_before,
            "kept": asdict(self.kept),
            "newly_dropped": self.newly_dropped,
            "released": self.released,
            "set_aside": self.set_aside,
            "not_rerun": self.not_rerun,
            "funnel": [asdict(row) for row in self.funnel],
            "by_language": [asdict(row) for row in self.by_language],
            "by_source": [asdict(row) for row in self.by_source],
            "flipping": [asdict(flip) for flip in flips],
            "patch": self.patch(),
        }

    def _passing(self, number: int, cells: list[Cell], sampled: list[Cell]) -> Estimate:
        """What passes a stage, those before it included."""
        counted = sum(cell.size(self.weight) for cell in cells if not _is_released(cell) and cell.new // STEP > number)
        known: list[Estimate] = [Estimate.counted(counted)]
        unknown: list[Estimate] = []
        for old in dict.fromkeys(cell.old for cell in cells if _is_released(cell)):
            if self._may_drop(old // STEP, number, rerun=True):
                part, is_known = self._share(old, number, cells, sampled), any(cell.old == old for cell in sampled)
            else:
                released = [cell for cell in cells if _is_released(cell) and cell.old == old]
                part, is_known = Estimate.counted(sum(cell.size(self.weight) for cell in released)), True
            if self._may_drop(old // STEP, number, rerun=False):
                part, is_known = Estimate(part.value, 0.0, part.high, False), False
            (known if is_known else unknown).append(part)
        return total(known, unknown)

    def _may_drop(self, after: int, to: int, *, rerun: bool) -> bool:
        """Whether a later stage, one that can be asked again or one that cannot, may drop what a stage let pass."""
        later = [rule for rule in self._rules if rule.drops and after < rule.stage_number <= to]
        return any(is_rerun(rule.stage) is rerun for rule in later)

    @cached_property
    def _rules(self) -> list[Rule]:
        return rules_of(self.after)

    def _share(self, old: int, number: int, cells: list[Cell], sampled: list[Cell]) -> Estimate:
        """What passes a stage of the documents that one rule had dropped and no longer does."""
        population = [cell for cell in cells if _is_released(cell) and cell.old == old]
        drawn = [cell for cell in sampled if cell.old == old]
        hits = [cell for cell in drawn if cell.new // STEP > number]
        numbers = (_documents(population), _documents(drawn), _documents(hits))
        like = [cell for cell in self.sampled if cell.old == old] or self.sampled
        guess = _documents([cell for cell in like if cell.new // STEP > number]) / _documents(like) if like else 0.5
        if self.weight == "documents":
            return share_of(*numbers, guess=guess)
        weights = (float(_bytes(drawn)), float(_bytes(hits)), sum(cell.squares for cell in drawn))
        return share_of(*numbers, whole=_bytes(population), weights=weights, guess=guess)


def _is_released(cell: Cell) -> bool:
    return cell.old != FAR and cell.new == FAR


def _documents(cells: Sequence[Cell]) -> int:
    return sum(cell.documents for cell in cells)


def _bytes(cells: Sequence[Cell]) -> int:
    return sum(cell.bytes for cell in cells)


def what_if(run: Run, changes: Sequence[str], tables: Tables | None = None, weight: str = "documents") -> WhatIf:
    """What a run would have kept with other bounds.

    Args:
        changes: as `--set` writes them: `stages.gopher.word_count.min=100`. Bounds, allowed labels, flags, their
            overrides by language and `action` may change.
        weight: `documents` or `bytes`.

    Raises ConfigError for a change of anything else, which takes a run.
    """
    before = run.config
    after = load_config(dump_config(before), overrides=list(changes))
    _check_changes(before, after)
    with nullcontext(tables) if tables else open_tables(run) as opened:
        query = Query(opened, before, after)
        cells, groups = query.counted()
        sampled, sampled_groups = query.sampled()
    by_group = {kind: (groups[kind], sampled_groups[kind]) for kind in groups}
    return WhatIf(run, tuple(changes), weight, before, after, cells, sampled, by_group)


def prepare(tables: Tables) -> None:
    """Count what every later question takes from."""
    config = tables.run.config
    Query(tables, config, config).undisturbed()


def _check_changes(before: Config, after: Config) -> None:
    left, right = dump_config(before), dump_config(after)
    for key in left.keys() | right.keys():
        if key != "stages" and left.get(key) != right.get(key):
            raise ConfigError(f"{key} cannot be tried without a run; bounds of stages can. Use: tamis run --set …")
    for number in changed_stages(before, after):
        old, new = before.stages[number], after.stages[number]
        fixed = [name for name in type(new).model_fields if name not in decision_fields(new)]
        for name in fixed:
            if getattr(old, name) != getattr(new, name):
                raise ConfigError(
                    f"stages.{new.name}.{name} changes what is measured, so it takes a run: tamis run --set …; "
                    f"without one go: {', '.join(sorted(decision_fields(new)))}"
                )


def decision_fields(stage: Stage) -> set[str]:
    """Fields that decide and do not measure."""
    return {*stage.signals(), "action", "by_language", *stage.own_overrides}


def flipping(
    run: Run, changes: Sequence[str], tables: Tables, limit: int = 20, offset: int = 0, language: str | None = None
) -> list[Flip]:
    """Documents that other bounds drop or release, nearest to the bound first."""
    before = run.config
    after = load_config(dump_config(before), overrides=list(changes))
    _check_changes(before, after)
    return Query(tables, before, after).flips(limit, offset, language)
