"""Who was dropped by which rule, and would be by which with other bounds: counted by DuckDB, cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.analysis.languages import is_of
from pipeline.analysis.rules import Rule, distance_sql, rules_of
from pipeline.analysis.tables import Tables, literal, quoted
from pipeline.config import LANGUAGE, Config

STEP = 1000
"""Rules are numbered by stage and signal: `stage * STEP + signal`."""
FAR = 10**9
"""In place of the number of a rule: kept."""
SET_ASIDE = -1
"""In its place: of a task that could not be done."""
ADDED = ("documents", "bytes", "squares")


@dataclass(frozen=True)
class Cell:
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
class Flip:
    """A document of which another bound makes something else; None = kept, RELEASED = its stage lets it pass."""

    address: int
    id: str | None
    before: str | None
    after: str | None


RELEASED = "released"


def changed_stages(before: Config, after: Config) -> list[int]:
    """The stages that another config has changed."""
    return [i for i, (old, new) in enumerate(zip(before.stages, after.stages, strict=True)) if old != new]


def number_of(config: Config) -> dict[str, int]:
    """The number of every rule there could be, by its name."""
    return {
        f"{stage.name}.{signal}": number * STEP + place
        for number, stage in enumerate(config.stages)
        for place, signal in enumerate(stage.signals())
    }


class Query:
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

    def first(self, rules: Sequence[Rule]) -> str:
        cases = " ".join(f"WHEN {rule.sql} THEN {self.numbers[rule.name]}" for rule in rules)
        return f"(CASE {cases} ELSE {FAR} END)" if cases else str(FAR)

    def groups(self) -> dict[str, str]:
        found = {"language": quoted(LANGUAGE)} if self.tables.has(LANGUAGE) else {}
        return found | ({"source": quoted("source")} if self.tables.has("source") else {})

    def counted(self) -> tuple[list[Cell], dict[str, list[Cell]]]:
        """The documents of the whole run, and by language and source."""
        undisturbed = self.undisturbed()
        old = self._old(undisturbed)
        parts = [_with(undisturbed, old, old)]
        if self.moved:
            decided = f"dropped_by, {self.first(self.active)} AS new"
            touched = self.tables.query(self._sums(decided, f"signals WHERE {self.touched}"))
            old = self._old(touched)
            new = [self._now(*pair) for pair in zip(old, touched["new"].to_pylist(), strict=True)]
            parts += [_with(touched, old, new), _taken(_with(touched, old, old))]
        return self._cells(pa.concat_tables([part.select(parts[0].column_names) for part in parts]))

    def undisturbed(self) -> pa.Table:
        """What the run's own rules dropped, which is the same for all changes."""
        return self.tables.query_once(self._sums("dropped_by", "signals"))

    def _old(self, rows: pa.Table) -> list[int]:
        """The numbers of the rules that dropped documents."""
        return [FAR if name is None else self.numbers.get(name, SET_ASIDE) for name in rows["dropped_by"].to_pylist()]

    def _now(self, old: int, now: int) -> int:
        """The rule that drops a document now, by the first one of the changed stages that it violates."""
        return min(old, now) if old == SET_ASIDE or (old != FAR and old // STEP not in self.changed) else now

    def sampled(self) -> tuple[list[Cell], dict[str, list[Cell]]]:
        """The same of the shadow sample, of those that their stage now lets pass; `new` is what becomes of them in the
        end."""
        rows = self.tables.query(self._sums(f"dropped_by, {self.first(self.all_rules)} AS new", "shadow"))
        old, new = self._old(rows), rows["new"].to_pylist()
        passed = [rule != SET_ASIDE and now // STEP > rule // STEP for rule, now in zip(old, new, strict=True)]
        return self._cells(_with(rows, old, new).filter(pa.array(passed, pa.bool_())))

    def _sums(self, decided: str, source: str) -> str:
        groups = "".join(f", {column} AS {kind}" for kind, column in self.groups().items())
        sums = "count(*) AS documents, sum(bytes)::BIGINT AS bytes, sum(CAST(bytes AS DOUBLE) ** 2) AS squares"
        return f"SELECT {decided}{groups}, {sums} FROM {source} GROUP BY ALL"

    def _cells(self, rows: pa.Table) -> tuple[list[Cell], dict[str, list[Cell]]]:
        return _summed(rows, None), {kind: _summed(rows, kind) for kind in self.groups()}

    def flips(self, limit: int, offset: int, language: str | None) -> list[Flip]:
        """Documents that change side, those nearest to the bound that makes them first."""
        if not self.moved:
            return []
        names = {number: name for name, number in self.numbers.items()}
        near = [
            (rule, distance_sql(rule, self.tables.has(LANGUAGE)) or "0")
            for rule in self.active
            if rule.name in self.moved
        ]
        by_now = " ".join(f"WHEN {self.numbers[rule.name]} THEN {distance}" for rule, distance in near)
        by_old = " ".join(f"WHEN {literal(rule.name)} THEN {distance}" for rule, distance in near)
        order = f"CASE now {by_now} ELSE CASE dropped_by {by_old} ELSE 0 END END, address" if near else "address"
        could = f"({self.touched}) AND (dropped_by IS NULL OR dropped_by IN ({', '.join(map(literal, self.moved))}))"
        by_language = "" if language is None else f" AND {is_of(language)}"
        rows = self.tables.rows(
            f"SELECT address, id, dropped_by, now FROM (SELECT *, {self.first(self.active)} AS now FROM signals "
            f"WHERE {could}{by_language}) WHERE (dropped_by IS NULL) <> (now = {FAR}) "
            f"ORDER BY {order} LIMIT {limit} OFFSET {offset}"
        )
        return [
            Flip(int(address), id_, old, names[now] if old is None else RELEASED) for address, id_, old, now in rows
        ]


def _summed(rows: pa.Table, kind: str | None) -> list[Cell]:
    """Cells by language or source, or of the whole run, in an order that depends on nothing else."""
    keys = ["old", "new", *([kind] if kind else [])]
    sums = rows.group_by(keys).aggregate([(name, "sum") for name in ADDED])
    sums = sums.filter(pc.greater(sums["documents_sum"], 0))
    cells = [
        Cell(
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


def _with(rows: pa.Table, old: Sequence[int], new: Sequence[int]) -> pa.Table:
    """Sums of documents, by the numbers of rules."""
    sums = {name: rows[name] for name in rows.column_names if name not in ("dropped_by", "new")}
    return pa.table({**sums, "old": pa.array(old, pa.int64()), "new": pa.array(new, pa.int64())})


def _taken(rows: pa.Table) -> pa.Table:
    """What takes these rows out of a sum."""
    for name in ADDED:
        rows = rows.set_column(rows.column_names.index(name), name, pc.negate(rows[name]))
    return rows
