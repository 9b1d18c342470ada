"""What the report says, in numbers: from a run's counts, and from its tables where it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import yaml

from pipeline.analysis.alerts import Alert, alerts
from pipeline.analysis.estimates import Estimate
from pipeline.analysis.funnel import Group, Step, count_tokens, funnel, groups
from pipeline.analysis.reasons import Overlap, Reason, overlap, reasons
from pipeline.analysis.rules import is_rerun, rules_of
from pipeline.analysis.tables import Tables
from pipeline.analysis.times import StageTime, Task, stage_times, task_times
from pipeline.numbers import duration, short
from pipeline.runs import Run
from pipeline.stats import MANY, UNKNOWN, Stats, dropped, dropped_as_read

GROUPS_SHOWN = 30
HEAT_RULES = 15
SLOW_TASKS = 10
MARKS = 200
"""Tasks of a phase that are drawn, about."""


@dataclass(frozen=True)
class Verdict:
    """How much was read and kept, by weight, and what the run was."""

    read: Mapping[str, float]
    kept: Mapping[str, float]
    facts: Sequence[tuple[str, str]]
    done: bool
    """False while documents are under way: `kept` is then what was not dropped so far."""
    sampled: int
    """Dropped documents whose later signals are known."""
    dropped: int

    def kept_ratio(self, weight: str) -> float | None:
        return self.kept[weight] / self.read[weight] if self.read.get(weight) else None


@dataclass(frozen=True)
class Rule:
    """A rule's three numbers, by weight, bytes as they were read; of a run without tables *here* alone is known."""

    name: str
    here: Mapping[str, int]
    alone: Mapping[str, Estimate]
    only: Mapping[str, Estimate]
    rerun: bool
    """False where later stages did not ask it of what earlier ones dropped."""


@dataclass(frozen=True)
class Heat:
    """Shares of rows by columns; `None` where there is nothing to take a share of."""

    rules: Sequence[str]
    shares: Sequence[Sequence[float | None]]
    sampled: int
    dropped: int


@dataclass(frozen=True)
class Phase:
    """The tasks of a phase: seconds of each, the quickest first."""

    name: str
    seconds: Sequence[float]
    peak_bytes: int

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def marks(self) -> Sequence[float]:
        """Some of the tasks, evenly, with the quickest and the longest."""
        step = max(len(self.seconds) // MARKS, 1)
        return [*self.seconds[::step], self.seconds[-1]]


@dataclass(frozen=True)
class Content:
    """All sections but those that show signals and texts."""

    verdict: Verdict
    alerts: Sequence[Sequence[Alert]]
    """Those that say the same of several things together."""
    funnel: Sequence[Step]
    weights: Sequence[str]
    rules: Sequence[Rule]
    overlap: Heat | None
    languages: Sequence[Group]
    sources: Sequence[Group]
    num_languages: int
    num_sources: int
    folder: str
    """What the names of all sources begin with."""
    times: Sequence[StageTime]
    phases: Sequence[Phase]
    tasks: Sequence[Task]
    longest: float
    """Seconds of the longest task."""
    config: str


def gather(run: Run, stats: Stats, tables: Tables | None) -> Content:
    """Everything that is known of a run: of one that is not done, what its counts tell."""
    tokens = count_tokens(tables) if tables else None
    steps = funnel(stats, tokens)
    by_weight = {weight: reasons(tables, weight) for weight in ("documents", "bytes")} if tables else {}
    heat = _heat(overlap(tables, HEAT_RULES)) if tables else None
    tongues, places = groups(stats, "languages"), groups(stats, "sources")
    timed = task_times(run)
    tasks = sorted((task for found in timed.values() for task in found), key=lambda task: -task.seconds)[:SLOW_TASKS]
    return Content(
        _verdict(run, stats, steps, heat),
        _by_kind(alerts(run, by_weight.get("documents", ()), stats)),
        steps,
        ("documents", "bytes", *(["tokens"] if tokens else [])),
        _rules(run, stats, by_weight),
        heat,
        tongues[:GROUPS_SHOWN],
        places[:GROUPS_SHOWN],
        len(tongues),
        len(places),
        _folder([group.label for group in places]),
        stage_times(stats),
        _phases(timed),
        tasks,
        max([task.seconds for task in tasks], default=0.0) or 1.0,
        yaml.safe_dump(run.description["config"], sort_keys=False, allow_unicode=True, width=100),
    )


def _folder(names: Sequence[str]) -> str:
    """The folder that all of some files lie in; empty if there are few or none."""
    common = []
    for parts in zip(*(name.split("/")[:-1] for name in names if name not in (MANY, UNKNOWN)), strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    return "/".join([*common, ""]) if len(names) > 1 else ""


def _by_kind(found: Sequence[Alert]) -> list[list[Alert]]:
    kinds: dict[tuple[str, str], list[Alert]] = {}
    for alert in found:
        kinds.setdefault((alert.level, alert.what), []).append(alert)
    return list(kinds.values())


def _verdict(run: Run, stats: Stats, steps: Sequence[Step], heat: Heat | None) -> Verdict:
    read: dict[str, float] = {weight: float(stats["input"][weight]) for weight in ("documents", "bytes")}
    kept = dict(steps[-1].left)
    done = run.state == "done"
    if not done:
        gone = [sum(one) for one in zip(*dropped_as_read(stats).values(), strict=True)] or [0, 0]
        kept = {weight: read[weight] - lost for weight, lost in zip(read, gone, strict=True)}
    if "tokens" in kept:
        read["tokens"] = steps[0].came["tokens"]
    known = run.description
    facts = [("State", run.state), ("Began", known["started"].replace("T", " ").replace("Z", " UTC"))]
    if stats.get("wall_seconds"):
        seconds = stats["wall_seconds"]
        facts.append(("Took", duration(seconds)))
        facts.append(("Speed", f"{short(stats['input']['bytes'] / seconds, 'B')}/s"))
    if stats.get("workers"):
        facts.append(("Workers", f"{stats['workers']:,}"))
    files = {shard.path for shard in run.manifest.shards}
    facts.append(("Input", f"{len(files):,} file{'s' if len(files) != 1 else ''}"))
    facts.append(("Tamis", str(known["versions"].get("tamis", "unknown"))))
    lost = sum(counts["documents"] for counts in dropped(stats).values())
    return Verdict(read, kept, facts, done, heat.sampled if heat else 0, lost)


def _rules(run: Run, stats: Stats, by_weight: Mapping[str, Sequence[Reason]]) -> list[Rule]:
    """Rules that drop something, or would if they were alone; most documents first."""
    here = dropped_as_read(stats)
    asked = {rule.name: rule for rule in rules_of(run.config) if rule.drops}
    told = {weight: {reason.rule: reason for reason in found} for weight, found in by_weight.items()}
    found = []
    for name in dict.fromkeys([*here, *asked]):
        mine = {weight: reasons_[name] for weight, reasons_ in told.items() if name in reasons_}
        rule = Rule(
            name,
            dict(zip(("documents", "bytes"), here.get(name, (0, 0)), strict=True)),
            {weight: reason.alone for weight, reason in mine.items()},
            {weight: reason.only for weight, reason in mine.items()},
            name not in asked or is_rerun(asked[name].stage),
        )
        if rule.here["documents"] or (mine and mine["documents"].alone.value):
            found.append(rule)
    return sorted(found, key=lambda rule: (-rule.here["documents"], rule.name))


def _heat(found: Overlap) -> Heat:
    """Of the documents that a rule (row) fires on, the share that another one (column) fires on too."""
    shares: list[list[float | None]] = []
    for i in range(len(found.rules)):
        own = found.documents[i, i]
        shares.append([min(float(both) / own, 1.0) if own else None for both in found.documents[i]])
    return Heat(found.rules, shares, found.sampled, found.dropped)


def _phases(timed: Mapping[str, Sequence[Task]]) -> list[Phase]:
    return [
        Phase(name, [task.seconds for task in tasks], max(task.peak_bytes or 0 for task in tasks))
        for name, tasks in timed.items()
    ]
