"""A config and its input compiled to phases of small, idempotent tasks.

A phase has a fingerprint: a hash of everything that can change its output (the stages' fields and versions, the
models and lists they read, the input, the way batches are cut) and of the phase it reads from. Its directory carries
it, so a run directory never mistakes the output of another config for its own, and whatever did not change is used
again: a changed bound after a barrier leaves everything before it.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import pyarrow as pa

from pipeline.config import Config
from pipeline.io.shards import Manifest, Shard
from pipeline.priority import sortable
from pipeline.sieve import column_types
from stages.contract import Barrier, Fitted, Stage, Survey, SurveyedBarrier
from stages.errors import ConfigError

FORMAT = 3
"""Version of the files that tasks write; raised when they change."""

Kind: TypeAlias = Literal["reference", "sieve", "conclude", "sketch", "resolve", "merge", "write"]


@dataclass(frozen=True)
class Phase:
    """A pass over the data: what its tasks do and where their output, logs and records lie under `phases/`."""

    number: int
    kind: Kind
    fingerprint: str
    num_tasks: int | None
    """None while unknown: it depends on the output of the phase before."""
    segment: int = 0
    """The segment of stages that it belongs to."""
    stage: str = ""
    """The stage that a phase between two sieve phases works for."""

    @property
    def name(self) -> str:
        return f"{self.number:02d}-{self.stage}{'-' if self.stage else ''}{self.kind}"

    @property
    def directory(self) -> str:
        return f"phases/{self.name}-{self.fingerprint[:8]}"


@dataclass(frozen=True)
class Segment:
    """Stages that are fused into one pass. All but the first segment begin with a stage that has to know all documents
    first, or with one that needs other hardware than the one before."""

    stages: tuple[Stage, ...]
    sieve: Phase
    conclude: Phase | None = None
    sketch: Phase | None = None
    resolve: Phase | None = None
    merge: Phase | None = None
    """The phases that its first stage needs before: of a survey, `conclude`; of a barrier, `resolve` and `merge`; of a
    surveyed barrier, whose sketch is not fused into the segment before, `sketch` too."""

    @property
    def before(self) -> tuple[Phase, ...]:
        """Phases that come between the segment before and this one."""
        return tuple(phase for phase in (self.conclude, self.sketch, self.resolve, self.merge) if phase is not None)

    @property
    def barrier(self) -> Barrier | None:
        first = self.stages[0] if self.stages else None
        return first if isinstance(first, Barrier) else None

    @property
    def survey(self) -> Survey | None:
        first = self.stages[0] if self.stages else None
        return first if isinstance(first, Survey) else None


@dataclass(frozen=True)
class Plan:
    """`reference` lets stages learn from a sample of the corpus, if any has to; the segments' phases run the stages;
    `write` gathers what they kept into files of a good size."""

    reference: Phase | None
    segments: tuple[Segment, ...]
    write: Phase
    tasks: tuple[tuple[Shard, ...], ...]
    """The shards of every task of a sieve phase, by rank."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        found = [self.reference]
        for segment in self.segments:
            found += [*segment.before, segment.sieve]
        return tuple(phase for phase in [*found, self.write] if phase is not None)

    def is_accelerated(self, phase: Phase) -> bool:
        """Whether the phase's tasks use a GPU where there is one."""
        return phase.kind == "sieve" and any(stage.accelerated for stage in self.segments[phase.segment].stages)


def make_plan(config: Config, manifest: Manifest) -> Plan:
    """The phases of a run. Deterministic: the same config and manifest give the same plan, whoever executes it.

    Raises ConfigError for a barrier that goes by a column which is not there, or cannot be compared.
    """
    _check_columns(config.stages, manifest)
    tasks = tuple(group_shards(manifest.shards, config.execution.task_bytes))
    reads: dict[str, object] = {
        "format": FORMAT,
        "input": config.input.model_dump(mode="json", exclude={"path"}),
        "shards": [shard.to_json() for shard in manifest.shards],
        "schema": str(manifest.schema),
        "batch_bytes": config.execution.batch_bytes,
        "seed": config.execution.seed,
    }
    references = _reference_prints(config, reads)
    reference = Phase(0, "reference", _hash(references), 1) if references else None
    reads |= {"tasks": [len(task) for task in tasks], "rejected_rate": config.execution.rejected_rate}
    num_bytes = sum(shard.num_bytes for shard in manifest.shards)
    num_partitions = max(1, -(-num_bytes // config.execution.partition_bytes))
    segments = _segments(config.stages, references, _hash(reads), len(tasks), num_partitions)
    last = segments[-1].sieve
    write_print = _hash({"reads": last.fingerprint, "output_bytes": config.execution.output_bytes})
    return Plan(reference, segments, Phase(last.number + 1, "write", write_print, None), tasks)


def _check_columns(stages: Sequence[Stage], manifest: Manifest) -> None:
    """The columns that barriers compare within, and go by, exist where they are needed and have an order."""
    known = {field.name: field.type for field in manifest.schema}
    for stage in stages:
        if isinstance(stage, SurveyedBarrier):
            missing = [name for name in stage.reads if name not in known]
            if missing:
                raise ConfigError(
                    f"{stage.name} needs {missing[0]}: put the stage `{missing[0].split('.')[0]}` before it"
                )
        if isinstance(stage, Barrier):
            wanted = [("within", name) for name in stage.within]
            wanted += [("priority", name.removeprefix("-")) for name in stage.priority]
            for field, name in wanted:
                if name not in known:
                    near = difflib.get_close_matches(name, known, n=1)
                    hint = f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(known)}"
                    raise ConfigError(f"{stage.name}.{field}: there is no column '{name}' before this stage. {hint}")
                _check_type(stage.name, field, name, known[name])
        known |= column_types([stage])


def _check_type(stage: str, field: str, name: str, type_: pa.DataType) -> None:
    type_ = type_.value_type if pa.types.is_dictionary(type_) else type_
    try:
        if pa.types.is_nested(type_):
            raise ValueError(f"a column of {type_} cannot be compared")
        if field == "priority":
            sortable([(pa.array([], type_), False)])
    except ValueError as error:
        raise ConfigError(f"{stage}.{field}: column '{name}': {error}") from error


def split(stages: Sequence[Stage]) -> list[tuple[Stage, ...]]:
    """The stages of each segment; the first may be empty."""
    parts: list[list[Stage]] = [[]]
    for stage in stages:
        turns = bool(parts[-1]) and stage.accelerated != parts[-1][-1].accelerated
        if isinstance(stage, (Barrier, Survey)) or turns:
            parts.append([])
        parts[-1].append(stage)
    return [tuple(part) for part in parts]


def _segments(
    stages: Sequence[Stage], references: dict[str, str], before: str, num_tasks: int, num_partitions: int
) -> tuple[Segment, ...]:
    """Segments and their phases; `before` is the fingerprint of what the first one reads."""
    parts = split(stages)
    segments: list[Segment] = []
    number = 1
    for i, part in enumerate(parts):
        phases = _phases_before(part[0], i, number, before, num_tasks, num_partitions) if i else {}
        number += len(phases)
        if phases:
            before = list(phases.values())[-1].fingerprint
        content: dict[str, object] = {"reads": before, "stages": [stage_identity(stage) for stage in part]}
        content["references"] = [references[stage.name] for stage in part if stage.name in references]
        if i + 1 < len(parts):
            content |= _handed_on(parts[i + 1][0], num_partitions)
        sieve = Phase(number, "sieve", _hash(content), num_tasks, i)
        segments.append(Segment(part, sieve, **phases))
        number, before = number + 1, sieve.fingerprint
    return tuple(segments)


def _phases_before(
    stage: Stage, segment: int, number: int, before: str, num_tasks: int, num_partitions: int
) -> dict[str, Phase]:
    """The phases that the first stage of a segment needs before it can work, in their order."""
    sizes: dict[Kind, int] = {}
    if isinstance(stage, Survey):
        sizes["conclude"] = 1
    if isinstance(stage, SurveyedBarrier):
        sizes["sketch"] = num_tasks
    if isinstance(stage, Barrier):
        sizes |= {"resolve": num_partitions, "merge": 1}
    phases: dict[str, Phase] = {}
    for kind, size in sizes.items():
        content: dict[str, object] = {kind: before}
        if isinstance(stage, Survey):
            content |= {"stage": measured_identity(stage), "partitions": num_partitions}
        phases[kind] = Phase(number, kind, _hash(content), size, segment, stage.name)
        number, before = number + 1, phases[kind].fingerprint
    return phases


def _handed_on(following: Stage, num_partitions: int) -> dict[str, object]:
    """What the phase before a stage does for it, as part of that phase's fingerprint."""
    if isinstance(following, Survey):
        identity = measured_identity(following)
        fields = following.model_dump(mode="json", include=set(following.tallied))
        return {"tally": {**identity, "fields": fields, "assets": {}}}
    if isinstance(following, Barrier):
        return {"sketch": measured_identity(following), "partitions": num_partitions}
    return {}


def _reference_prints(config: Config, reads: dict[str, object]) -> dict[str, str]:
    """A fingerprint of what each Fitted stage learns, by its name: of its own settings, save bounds, and of the stages
    before it, save those that have to know all documents, which the sample does not meet."""
    prints: dict[str, str] = {}
    before: list[dict[str, object]] = []
    for stage in config.stages:
        if isinstance(stage, Fitted):
            content = {**reads, "sample_bytes": config.execution.sample_bytes, "before": before}
            prints[stage.name] = _hash({**content, "stage": measured_identity(stage)})
        if not isinstance(stage, (Barrier, Survey)):
            before = [*before, stage_identity(stage)]
    return prints


def group_shards(shards: Sequence[Shard], task_bytes: int) -> list[tuple[Shard, ...]]:
    """Consecutive shards in groups of at least `task_bytes` (but for the last): a million small files are not a
    million tasks."""
    groups: list[tuple[Shard, ...]] = []
    group: list[Shard] = []
    size = 0
    for shard in shards:
        group.append(shard)
        size += shard.num_bytes
        if size >= task_bytes:
            groups.append(tuple(group))
            group, size = [], 0
    return [*groups, tuple(group)] if group else groups


def stage_identity(stage: Stage) -> dict[str, object]:
    """All that decides what a stage measures and drops, as JSON."""
    cls = type(stage)
    return {
        "class": f"{cls.__module__}:{cls.__qualname__}",
        "version": cls.version,
        "fields": stage.model_dump(mode="json"),
        "assets": dict(stage.assets()),
    }


def measured_identity(stage: Stage) -> dict[str, object]:
    """All that decides what a stage measures, sketches or learns: not its bounds."""
    bounds = {*stage.signals(), "action", "by_language", *stage.own_overrides}
    return {**stage_identity(stage), "fields": stage.model_dump(mode="json", exclude=bounds)}


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
