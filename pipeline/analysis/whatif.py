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

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from pipeline.analysis.estimates import Estimate, share_of, total
from pipeline.analysis.languages import is_of
from pipeline.analysis.rules import Rule, is_rerun, rules_of
from pipeline.analysis.tables import Tables, literal, open_tables, quoted
from pipeline.config import Config, dump_config, load_config
from pipeline.runs import Run
from pipeline.yaml_lines import parse
from stages.contract import Bounds, Fitted, Stage
from stages.errors import ConfigError

STEP = 1000
"""Rules are numbered by stage and signal: `stage * STEP + signal`."""
FAR = 10**9
"""In place of the number of a rule: kept."""
WEIGHTS = ("documents", "bytes")
ADDED = ("documents", "bytes", "squares")


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
class Flip:
    """A document of which another bound makes something else; None = kept, RELEASED = its stage lets it pass."""

    address: int
    id: str | None
    before: str | None
    after: str | None


RELEASED = "released"


@dataclass(frozen=True)
class _Cell:
    """Documents that were dropped by rule number `old` and are now by `new` (FAR: by none)."""

    old: int
    new: int
    label: str | None
    documents: int
    bytes: int
    squares: float = 0.0

    def size(self, weight: str) -> int:
        return self.documents if weight == "documents" else self.bytes


@dataclass(frozen=True)
class WhatIf:
    """The answer. Numbers are of documents, or of bytes as read, as `weight` says."""

    run: Run
    changes: tuple[str, ...]
    weight: str
    before: Config
    after: Config
    cells: list[_Cell] = field(repr=False)
    """Without a label: of the whole run."""
    sampled: list[_Cell] = field(repr=False)
    """Of the released documents in the shadow sample; `new` is what becomes of them in the end."""
    groups: dict[str, tuple[list[_Cell], list[_Cell]]] = field(repr=False)

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
            "not_rerun": self.not_rerun,
            "funnel": [asdict(row) for row in self.funnel],
            "by_language": [asdict(row) for row in self.by_language],
            "by_source": [asdict(row) for row in self.by_source],
            "flipping": [asdict(flip) for flip in flips],
            "patch": self.patch(),
        }

    def _passing(self, number: int, cells: list[_Cell], sampled: list[_Cell]) -> Estimate:
        """What passes a stage, those before it included."""
        counted = sum(cell.size(self.weight) for cell in cells if not _is_released(cell) and cell.new // STEP > number)
        known: list[Estimate] = [Estimate.counted(counted)]
        unknown: list[Estimate] = []
        for old in dict.fromkeys(cell.old for cell in cells if _is_released(cell)):
            if old // STEP < number and self._has_later(old // STEP, number):
                parts = known if any(cell.old == old for cell in sampled) else unknown
                parts.append(self._share(old, number, cells, sampled))
            else:
                released = [cell for cell in cells if _is_released(cell) and cell.old == old]
                known.append(Estimate.counted(sum(cell.size(self.weight) for cell in released)))
        return total(known, unknown)

    def _has_later(self, after: int, to: int) -> bool:
        """Whether a stage that can be asked again may drop what a stage let pass."""
        return any(rule.drops and is_rerun(rule.stage) and after < rule.stage_number <= to for rule in self._rules)

    @cached_property
    def _rules(self) -> list[Rule]:
        return rules_of(self.after)

    def _share(self, old: int, number: int, cells: list[_Cell], sampled: list[_Cell]) -> Estimate:
        """What passes a stage of the documents that one rule had dropped and no longer does."""
        population = [cell for cell in cells if _is_released(cell) and cell.old == old]
        drawn = [cell for cell in sampled if cell.old == old]
        hits = [cell for cell in drawn if cell.new // STEP > number]
        numbers = (_documents(population), _documents(drawn), _documents(hits))
        everywhere = self.sampled
        guess = _documents([cell for cell in everywhere if cell.new // STEP > number]) / max(_documents(everywhere), 1)
        guess = guess if everywhere else 0.5
        if self.weight == "documents":
            return share_of(*numbers, guess=guess)
        weights = (float(_bytes(drawn)), float(_bytes(hits)), sum(cell.squares for cell in drawn))
        return share_of(*numbers, whole=_bytes(population), weights=weights, guess=guess)


def _is_released(cell: _Cell) -> bool:
    return cell.old != FAR and cell.new == FAR


def _documents(cells: Sequence[_Cell]) -> int:
    return sum(cell.documents for cell in cells)


def _bytes(cells: Sequence[_Cell]) -> int:
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
        query = _Query(opened, before, after)
        cells, groups = query.counted()
        sampled, sampled_groups = query.sampled()
    by_group = {kind: (groups[kind], sampled_groups[kind]) for kind in groups}
    return WhatIf(run, tuple(changes), weight, before, after, cells, sampled, by_group)


def prepare(tables: Tables) -> None:
    """Count what every later question takes from."""
    config = tables.run.config
    _Query(tables, config, config).undisturbed()


def changed_stages(before: Config, after: Config) -> list[int]:
    """The stages that another config has changed."""
    return [i for i, (old, new) in enumerate(zip(before.stages, after.stages, strict=True)) if old != new]


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


def number_of(config: Config) -> dict[str, int]:
    """The number of every rule there could be, by its name."""
    return {
        f"{stage.name}.{signal}": number * STEP + place
        for number, stage in enumerate(config.stages)
        for place, signal in enumerate(stage.signals())
    }


class _Query:
    """Who was dropped by which rule, and would be by which. Counted in one pass over the signals for all changes, and
    one over the documents that a change may touch."""

    def __init__(self, tables: Tables, before: Config, after: Config) -> None:
        self.tables = tables
        self.numbers = number_of(before)
        self.changed = set(changed_stages(before, after))
        self.all_rules = [rule for rule in rules_of(after) if rule.drops]
        self.active = [rule for rule in self.all_rules if rule.stage_number in self.changed]
        was = {rule.name: rule.sql for rule in rules_of(before) if rule.drops}
        now = {rule.name: rule.sql for rule in self.all_rules}
        self.moved = [name for name in self.numbers if was.get(name) != now.get(name)]
        """Rules that decide otherwise."""
        fires = [now[name] for name in self.moved if name in now]
        self.touched = " OR ".join([*fires, f"dropped_by IN ({', '.join(map(literal, self.moved))})"])
        """True for every document of which something else may become; null and false for others."""

    @property
    def old(self) -> str:
        """The number of the rule that dropped a document."""
        cases = " ".join(f"WHEN {literal(name)} THEN {number}" for name, number in self.numbers.items())
        return f"CASE WHEN dropped_by IS NULL THEN {FAR} ELSE (CASE dropped_by {cases} ELSE -1 END) END"

    def first(self, rules: Sequence[Rule]) -> str:
        cases = " ".join(f"WHEN {rule.sql} THEN {self.numbers[rule.name]}" for rule in rules)
        return f"(CASE {cases} ELSE {FAR} END)" if cases else str(FAR)

    @property
    def followed(self) -> str:
        """The shadow sample alike; `new` is what becomes of released documents in the end."""
        inner = f"SELECT *, {self.old} AS old, {self.first(self.all_rules)} AS new FROM shadow"
        return f"(SELECT * FROM ({inner}) WHERE old <> -1 AND new // {STEP} > old // {STEP})"

    def groups(self) -> dict[str, str]:
        found = {"language": quoted("language.label")} if self.tables.has("language.label") else {}
        return found | ({"source": quoted("source")} if self.tables.has("source") else {})

    def counted(self) -> tuple[list[_Cell], dict[str, list[_Cell]]]:
        """The documents of the whole run, and by language and source."""
        parts = [self._numbered(self.undisturbed())]
        if self.moved:
            decided = f"dropped_by AS old, {self.first(self.active)} AS new"
            touched = self._numbered(self.tables.query(self._sums(decided, f"signals WHERE {self.touched}")))
            parts += [touched, _taken(touched.drop_columns(["new"]).append_column("new", touched["old"]))]
        return self._cells(pa.concat_tables([part.select(parts[0].column_names) for part in parts]))

    def undisturbed(self) -> pa.Table:
        """What the run's own rules dropped, which is the same for all changes."""
        return self.tables.query_once(self._sums("dropped_by AS old", "signals"))

    def _numbered(self, rows: pa.Table) -> pa.Table:
        """Names of rules as numbers; without `new`, nothing else becomes of any document."""
        old = [FAR if name is None else self.numbers.get(name, -1) for name in rows["old"].to_pylist()]
        new = old
        if "new" in rows.column_names:
            new = [self._now(rule, now) for rule, now in zip(old, rows["new"].to_pylist(), strict=True)]
            rows = rows.drop_columns(["new"])
        numbers = {"old": pa.array(old, pa.int64()), "new": pa.array(new, pa.int64())}
        return pa.table({**dict(zip(rows.column_names, rows.columns, strict=True)), **numbers})

    def _now(self, old: int, now: int) -> int:
        """The rule that drops a document now, by the first one of the changed stages that it violates."""
        return min(old, now) if old == -1 or (old != FAR and old // STEP not in self.changed) else now

    def sampled(self) -> tuple[list[_Cell], dict[str, list[_Cell]]]:
        """The same of the shadow sample."""
        return self._cells(self.tables.query(self._sums("old, new", self.followed)))

    def _sums(self, decided: str, source: str) -> str:
        groups = "".join(f", {column} AS {kind}" for kind, column in self.groups().items())
        sums = "count(*) AS documents, sum(bytes)::BIGINT AS bytes, sum(CAST(bytes AS DOUBLE) ** 2) AS squares"
        return f"SELECT {decided}{groups}, {sums} FROM {source} GROUP BY ALL"

    def _cells(self, rows: pa.Table) -> tuple[list[_Cell], dict[str, list[_Cell]]]:
        return _summed(rows, None), {kind: _summed(rows, kind) for kind in self.groups()}

    def flips(self, limit: int, offset: int, language: str | None) -> list[Flip]:
        """Documents that change side, those nearest to the bound that makes them first."""
        names = {number: name for name, number in self.numbers.items()}
        near = [(rule, _distance(rule)) for rule in self.active if isinstance(rule.decision, Bounds)]
        by_now = " ".join(f"WHEN {self.numbers[rule.name]} THEN {distance}" for rule, distance in near)
        by_old = " ".join(f"WHEN {literal(rule.name)} THEN {distance}" for rule, distance in near)
        order = f"CASE now {by_now} ELSE CASE dropped_by {by_old} ELSE 0 END END, address" if near else "address"
        if not self.moved:
            return []
        mine = [name for name, number in self.numbers.items() if number // STEP in self.changed]
        could = f"({self.touched}) AND (dropped_by IS NULL OR dropped_by IN ({', '.join(map(literal, mine))}))"
        if language is not None:
            could += f" AND {is_of(language)}"
        rows = self.tables.rows(
            f"SELECT address, id, dropped_by, now FROM (SELECT *, {self.first(self.active)} AS now FROM signals "
            f"WHERE {could}) WHERE (dropped_by IS NULL) <> (now = {FAR}) "
            f"ORDER BY {order} LIMIT {limit} OFFSET {offset}"
        )
        return [
            Flip(int(address), id_, old, names[now] if old is None else RELEASED) for address, id_, old, now in rows
        ]


def _summed(rows: pa.Table, kind: str | None) -> list[_Cell]:
    """Cells by language or source, or of the whole run, in an order that depends on nothing else."""
    keys = ["old", "new", *([kind] if kind else [])]
    sums = rows.group_by(keys).aggregate([(name, "sum") for name in ADDED])
    sums = sums.filter(pc.greater(sums["documents_sum"], 0))
    cells = [
        _Cell(
            int(row["old"]),
            int(row["new"]),
            row[kind] if kind else None,
            int(row["documents_sum"]),
            int(row["bytes_sum"] or 0),
            float(row["squares_sum"] or 0),
        )
        for row in sums.to_pylist()
    ]
    return sorted(cells, key=lambda cell: (cell.old, cell.new, cell.label is None, cell.label or ""))


def _taken(rows: pa.Table) -> pa.Table:
    """What takes these rows out of a sum."""
    for name in ADDED:
        rows = rows.set_column(rows.column_names.index(name), name, pc.negate(rows[name]))
    return rows


def _distance(rule: Rule) -> str:
    """How far a value is from the nearer end of a rule's bounds, over the end's size."""
    assert isinstance(rule.decision, Bounds)
    ends = [end for end in (rule.decision.min, rule.decision.max) if end is not None]
    parts = [f"abs({quoted(rule.name)} - {float(end)!r}) / {max(abs(float(end)), 1e-9)!r}" for end in ends]
    return f"least({', '.join(parts)})" if parts else "0"


def flipping(
    run: Run, changes: Sequence[str], tables: Tables, limit: int = 20, offset: int = 0, *, language: str | None = None
) -> list[Flip]:
    """Documents that other bounds drop or release, nearest to the bound first; of a language, or of all."""
    before = run.config
    after = load_config(dump_config(before), overrides=list(changes))
    _check_changes(before, after)
    return _Query(tables, before, after).flips(limit, offset, language)
