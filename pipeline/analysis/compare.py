"""Two runs side by side: what was asked otherwise, where documents went, which were decided otherwise, what drifted.

Documents of two runs on one input are the same where their addresses are. Of other runs they are where id and source
are, or the id alone if no source agrees; an id that comes more than once in a run says nothing, so its documents are
left out and counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

from pipeline.analysis.columns import MAX_ROWS, read_sample
from pipeline.analysis.drift import Drift, common_signals, drift
from pipeline.analysis.tables import MEMORY, files_sql
from pipeline.config import Config, dump_config
from pipeline.runs import Run
from stages.errors import RunError

if TYPE_CHECKING:
    import duckdb

Join = Literal["address", "id and source", "id"]
ABSENT = "(absent)"
"""Stands for a stage or a field that one of the configs does not have."""


@dataclass(frozen=True)
class ConfigChange:
    """A field that differs; `stage` is None outside of stages. A stage that only one run has has the field ``."""

    stage: str | None
    field: str
    a: Any
    b: Any


@dataclass(frozen=True)
class FunnelPair:
    """What a stage let pass in both runs; None where a run has no such stage."""

    stage: str
    in_a: int | None
    out_a: int | None
    in_b: int | None
    out_b: int | None
    bytes_out_a: int | None
    bytes_out_b: int | None


@dataclass(frozen=True)
class RulePair:
    """Documents that a rule dropped in both runs."""

    rule: str
    a: int
    b: int


@dataclass(frozen=True)
class Flow:
    """Documents in both runs of which the two made something else; None = kept. `ids` are the first of them."""

    before: str | None
    after: str | None
    documents: int
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Joined:
    """How documents of the two runs were told to be the same, and what became of them.

    Attributes:
        by: what was compared.
        both: documents in both runs. only_a, only_b: in one of them. ambiguous_a, ambiguous_b: left out, because
            another document of the run has the same name.
        same: documents decided alike (kept in both, or dropped by the same rule).
        flows: the others, most documents first.
    """

    by: Join
    both: int
    only_a: int
    only_b: int
    ambiguous_a: int
    ambiguous_b: int
    same: int
    flows: list[Flow]

    @property
    def lost(self) -> int:
        """Kept in the first run, dropped in the second."""
        return sum(flow.documents for flow in self.flows if flow.before is None)

    @property
    def gained(self) -> int:
        """Dropped in the first run, kept in the second."""
        return sum(flow.documents for flow in self.flows if flow.after is None)


@dataclass(frozen=True)
class Comparison:
    """Everything that `tamis compare` tells."""

    run_a: str
    run_b: str
    config: list[ConfigChange]
    same_order: bool
    """Stages that both runs have come in the same order."""
    funnel: list[FunnelPair]
    rules: list[RulePair]
    documents: Joined
    drift: list[Drift]

    @property
    def changed_rules(self) -> list[RulePair]:
        """Those that dropped more documents in one run."""
        return [rule for rule in self.rules if rule.a != rule.b]

    @property
    def drifted(self) -> list[Drift]:
        return [one for one in self.drift if one.level != "none"]

    @property
    def num_signals(self) -> int:
        """How many signals were compared."""
        return len({one.signal for one in self.drift})

    def to_json(self) -> dict[str, Any]:
        found = asdict(self)
        found["documents"] |= {"lost": self.documents.lost, "gained": self.documents.gained}
        for row, one in zip(found["drift"], self.drift, strict=True):
            row["level"] = one.level
        return found


def compare(a: Run, b: Run, *, max_rows: int = MAX_ROWS, num_ids: int = 3) -> Comparison:
    """Compare two finished runs.

    Args:
        max_rows: documents of each run that distributions are taken from, about.
        num_ids: examples of every flow.

    Raises RunError when one of them is not finished.
    """
    for run in (a, b):
        if run.state != "done":
            raise RunError(f"{run.path} is {run.state}, not done; what is compared are finished runs: tamis run")
    stats_a, stats_b = a.stats, b.stats
    with Pair(a, b) as pair:
        joined = pair.joined(num_ids)
    changes, same_order = config_changes(a.config, b.config)
    return Comparison(
        a.path,
        b.path,
        changes,
        same_order,
        funnel(stats_a, stats_b),
        rules(stats_a, stats_b),
        joined,
        drifts(a, b, max_rows),
    )


def drifts(a: Run, b: Run, max_rows: int = MAX_ROWS) -> list[Drift]:
    """Drift of every signal that both runs recorded."""
    signals_a, signals_b = a.signals, b.signals
    columns = common_signals(signals_a.schema, signals_b.schema)
    return drift(read_sample(signals_a, columns, max_rows), read_sample(signals_b, columns, max_rows))


def config_changes(a: Config, b: Config) -> tuple[list[ConfigChange], bool]:
    """Fields that differ, by stage; and whether the stages that both have come in the same order."""
    left, right = dump_config(a), dump_config(b)
    changes = []
    for block in ("input", "execution"):
        changes += _changes(None, left[block], right[block], f"{block}.")
    stages_a, stages_b = _by_name(a, left), _by_name(b, right)
    for name in _merged_order(list(stages_a), list(stages_b)):
        if name not in stages_a or name not in stages_b:
            kinds = [_kind_of(stages, name) for stages in (stages_a, stages_b)]
            changes.append(ConfigChange(name, "", *kinds))
        else:
            changes += _changes(name, stages_a[name], stages_b[name], "")
    common_a = [name for name in stages_a if name in stages_b]
    common_b = [name for name in stages_b if name in stages_a]
    return changes, common_a == common_b


def _by_name(config: Config, dumped: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The fields of every stage by its name, its kind among them."""
    found = {}
    for stage, entry in zip(config.stages, dumped["stages"], strict=True):
        ((kind, fields),) = entry.items()
        found[stage.name] = {"(kind)": kind, **fields}
    return found


def _kind_of(stages: Mapping[str, Mapping[str, Any]], name: str) -> str:
    return str(stages[name]["(kind)"]) if name in stages else ABSENT


def _changes(stage: str | None, a: Mapping[str, Any], b: Mapping[str, Any], prefix: str) -> list[ConfigChange]:
    """Leaves that differ, with the path to each."""
    found = []
    for key in dict.fromkeys([*a, *b]):
        x, y = a.get(key, ABSENT), b.get(key, ABSENT)
        if isinstance(x, Mapping) and isinstance(y, Mapping):
            found += _changes(stage, x, y, f"{prefix}{key}.")
        elif x != y:
            found.append(ConfigChange(stage, f"{prefix}{key}", x, y))
    return found


def _merged_order(a: list[str], b: list[str]) -> list[str]:
    """The names of both lists: the first one's order, each name of the second alone behind the one before it."""
    merged = list(a)
    for place, name in enumerate(b):
        if name not in merged:
            before = next((other for other in reversed(b[:place]) if other in merged), None)
            merged.insert(merged.index(before) + 1 if before is not None else 0, name)
    return merged


def funnel(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[FunnelPair]:
    """Stages of both runs, from their stats, reading first."""
    x, y = a["input"], b["input"]
    read = (x["documents"], x["documents"], y["documents"], y["documents"], x["bytes"], y["bytes"])
    rows = [FunnelPair("read", *read)]
    for name in _merged_order(list(a["stages"]), list(b["stages"])):
        x, y = a["stages"].get(name, {}), b["stages"].get(name, {})
        in_a, out_a, in_b, out_b = (one.get(key) for one in (x, y) for key in ("documents_in", "documents_out"))
        rows.append(FunnelPair(name, in_a, out_a, in_b, out_b, x.get("bytes_out"), y.get("bytes_out")))
    return rows


def rules(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[RulePair]:
    """Documents that each rule dropped, those with the largest difference first."""
    x, y = (
        {rule: counts["documents"] for stage in stats["stages"].values() for rule, counts in stage["dropped"].items()}
        for stats in (a, b)
    )
    pairs = [RulePair(rule, x.get(rule, 0), y.get(rule, 0)) for rule in dict.fromkeys([*x, *y])]
    return sorted(pairs, key=lambda pair: (-abs(pair.a - pair.b), -max(pair.a, pair.b), pair.rule))


class Pair:
    """The signal tables of two runs in DuckDB, as views `a` and `b`; a context manager that closes them."""

    def __init__(self, a: Run, b: Run, memory: str = MEMORY) -> None:
        self.a, self.b, self._memory = a, b, memory

    def __enter__(self) -> Self:
        import duckdb

        self.connection: duckdb.DuckDBPyConnection = duckdb.connect(config={"memory_limit": self._memory})
        for name, run in (("a", self.a), ("b", self.b)):
            self._open(name, run)
        return self

    def __exit__(self, *error: object) -> None:
        self.connection.close()

    def _open(self, name: str, run: Run) -> None:
        dataset = run.signals
        if "://" in run.path:
            self.connection.register(name, dataset)
            return
        self.connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {files_sql(dataset.files)}")

    @cached_property
    def join(self) -> Join:
        """What makes a document of one run the same as one of the other."""
        if self.a.manifest.to_json() == self.b.manifest.to_json():
            return "address"
        if all("source" in run.signals.schema.names for run in (self.a, self.b)):
            agree = "SELECT 1 FROM (SELECT DISTINCT source FROM a) JOIN (SELECT DISTINCT source FROM b) USING (source)"
            if self.connection.execute(f"{agree} LIMIT 1").fetchall():
                return "id and source"
        return "id"

    @property
    def keys(self) -> tuple[str, ...]:
        return {"address": ("address",), "id and source": ("id", "source"), "id": ("id",)}[self.join]

    def joined(self, num_ids: int = 3) -> Joined:
        """Count what became of every document in both runs."""
        for name in ("a", "b"):
            self._single(name)
        rows = self.connection.execute(
            f"""SELECT there_a, there_b, before, after, count(*), min(id, {num_ids}) FROM ({self._outer})
            GROUP BY there_a, there_b, before, after ORDER BY count(*) DESC, before NULLS FIRST, after NULLS FIRST"""
        ).fetchall()
        both = [row for row in rows if row[0] and row[1]]
        flows = [
            Flow(before, after, count, tuple(ids or ())) for _, _, before, after, count, ids in both if before != after
        ]
        total = sum(row[4] for row in both)
        return Joined(
            by=self.join,
            both=total,
            only_a=sum(row[4] for row in rows if not row[1]),
            only_b=sum(row[4] for row in rows if not row[0]),
            ambiguous_a=self._ambiguous("a"),
            ambiguous_b=self._ambiguous("b"),
            same=total - sum(flow.documents for flow in flows),
            flows=flows,
        )

    @property
    def _outer(self) -> str:
        on = " AND ".join(f"single_a.{key} = single_b.{key}" for key in self.keys)
        return f"""SELECT coalesce(single_a.id, single_b.id) AS id, single_a.address AS address_a,
            single_b.address AS address_b, single_a.address IS NOT NULL AS there_a,
            single_b.address IS NOT NULL AS there_b, single_a.dropped_by AS before, single_b.dropped_by AS after
            FROM single_a FULL OUTER JOIN single_b ON {on}"""

    def _single(self, name: str) -> None:
        """A view of the run's documents whose key no other one has."""
        columns = ", ".join(dict.fromkeys(["id", "address", "dropped_by", *self.keys]))
        keys = ", ".join(self.keys)
        source = name
        if self.join != "address":
            known = " AND ".join(f"{key} IS NOT NULL" for key in self.keys)
            source = f"(SELECT * FROM {name} WHERE {known} QUALIFY count(*) OVER (PARTITION BY {keys}) = 1)"
        self.connection.execute(f"CREATE OR REPLACE TEMP VIEW single_{name} AS SELECT {columns} FROM {source}")

    def _ambiguous(self, name: str) -> int:
        if self.join == "address":
            return 0
        ((count,),) = self.connection.execute(
            f"SELECT (SELECT count(*) FROM {name}) - (SELECT count(*) FROM single_{name})"
        ).fetchall()
        return int(count)
