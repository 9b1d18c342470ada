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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipeline import sources
from pipeline.config import Config
from pipeline.earlier import Index, indexes_of, takes_part, with_their_own
from pipeline.io.shards import Manifest, Shard
from pipeline.phases import Kind
from pipeline.phases import Phase as Phase
from pipeline.priority import sortable
from pipeline.sieve import column_types
from stages import names
from stages.contract import Barrier, Deduplication, Fitted, Stage, Survey, SurveyedBarrier
from stages.errors import ConfigError
from stages.tokens.packing import Packing

FORMAT = 5
"""Version of the files that tasks write; raised when they change."""


NUM_ROUNDS = 2
"""Shrink phases. What they leave to be joined is joined in one task, so this is a matter of speed."""


@dataclass(frozen=True)
class Segment:
    """Stages that are fused into one pass. All but the first segment begin with a stage that has to know all documents
    first, or with one that needs other hardware than the one before."""

    stages: tuple[Stage, ...]
    sieve: Phase
    before: tuple[Phase, ...] = ()
    """The phases that its first stage needs between the segment before and this one, in their order: of a survey
    `conclude`; of a surveyed barrier, whose sketch is not fused into the segment before, `sketch`; of a barrier
    `resolve`, and of deduplication in several partitions those that find clusters (see `pipeline.clusters`)."""
    earlier: tuple[Index, ...] = ()
    """What its barrier left in the runs that this one is held against, the oldest first."""

    def phase(self, kind: Kind) -> Phase | None:
        """The first of the phases before, of a kind."""
        return next((phase for phase in self.before if phase.kind == kind), None)

    @property
    def barrier(self) -> Barrier | None:
        first = self.stages[0] if self.stages else None
        return first if isinstance(first, Barrier) else None

    @property
    def survey(self) -> Survey | None:
        first = self.stages[0] if self.stages else None
        return first if isinstance(first, Survey) else None


@dataclass(frozen=True)
class TokenPhases:
    """How token ids become sequences: near duplicates joined, where they are marked and there is a validation split;
    ids shuffled; packed; listed. The columns that this reads of the documents."""

    packing: Packing
    clusters: Phase | None
    shuffle: Phase
    pack: Phase
    publish: Phase
    ids: str
    loss_mask: str | None
    copies: str | None
    """How often a document is written; null or no column: once."""
    duplicates: tuple[str, ...]
    """For a document that is a near duplicate, the id of another one."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        return (*([self.clusters] if self.clusters else ()), self.shuffle, self.pack, self.publish)


@dataclass(frozen=True)
class Plan:
    """`reference` lets stages learn from a sample of the corpus, if any has to; the segments' phases run the stages;
    `write` gathers what they kept into files of a good size."""

    reference: Phase | None
    segments: tuple[Segment, ...]
    write: Phase
    tasks: tuple[tuple[Shard, ...], ...]
    """The shards of every task of a sieve phase, by rank."""
    against: tuple[str, ...] = ()
    """Earlier runs that this one is held against, the oldest first."""
    tokens: TokenPhases | None = None
    """What comes after `write` if a stage gives token ids."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        found = [self.reference]
        for segment in self.segments:
            found += [*segment.before, segment.sieve]
        found += [self.write, *(self.tokens.phases if self.tokens else ())]
        return tuple(phase for phase in found if phase is not None)

    @property
    def outputs(self) -> tuple[Phase, ...]:
        """Phases that write into folders of the run which do not carry their fingerprint."""
        return (self.write, *((self.tokens.pack, self.tokens.publish) if self.tokens else ()))

    def is_accelerated(self, phase: Phase) -> bool:
        """Whether the phase's tasks use a GPU where there is one."""
        return phase.kind == "sieve" and any(stage.accelerated for stage in self.segments[phase.segment].stages)


def make_plan(config: Config, manifest: Manifest) -> Plan:
    """The phases of a run. Deterministic: the same config and manifest give the same plan, whoever executes it.

    Raises ConfigError for a barrier that goes by a column which is not there, or cannot be compared, and for earlier
    runs that cannot be compared with.
    """
    sources.check(config.input, manifest.schema)
    _check_columns(config.stages, manifest)
    tasks = tuple(group_shards(manifest.shards, config.execution.task_bytes))
    reads: dict[str, object] = {
        "format": FORMAT,
        "input": config.input.model_dump(mode="json", exclude={"path", "against"}),
        "shards": [shard.to_json() for shard in manifest.shards],
        "schema": str(manifest.schema),
        "batch_bytes": config.execution.batch_bytes,
        "seed": config.execution.seed,
    }
    references = _reference_prints(config, reads)
    reference = Phase(0, "reference", _hash(references), 1) if references else None
    rates = {"rejected_rate": config.execution.rejected_rate, "shadow_rate": config.execution.shadow_rate}
    reads |= {"tasks": [len(task) for task in tasks], **rates}
    num_bytes = sum(shard.num_bytes for shard in manifest.shards)
    num_partitions = max(1, -(-num_bytes // config.execution.partition_bytes))
    runs = with_their_own(config.input.against, config.output)
    earlier = {
        stage.name: indexes_of(stage, sketch_identity(stage), runs) for stage in config.stages if takes_part(stage)
    }
    segments = _segments(config.stages, references, earlier, _hash(reads), len(tasks), num_partitions)
    last = segments[-1].sieve
    write_print = _hash({"reads": last.fingerprint, "output_bytes": config.execution.output_bytes})
    write = Phase(last.number + 1, "write", write_print, None)
    return Plan(reference, segments, write, tasks, tuple(runs), _token_phases(config, last, len(tasks)))


def _token_phases(config: Config, last: Phase, num_tasks: int) -> TokenPhases | None:
    """The phases that pack the ids which the last one of these stages that give any has given."""
    stages = config.stages
    packing = next((stage for stage in reversed(stages) if isinstance(stage, Packing)), None)
    if packing is None:
        return None
    marking = [stage for stage in stages if "duplicate_of" in stage.signals() and stage.action == "annotate"]
    duplicates = tuple(f"{stage.name}.duplicate_of" for stage in marking) if packing.validation_ratio else ()
    copies = [f"{stage.name}.copies" for stage in stages if "copies" in stage.signals()]
    number, before = last.number + 2, last.fingerprint
    clusters = None
    if duplicates:
        clusters = Phase(number, "clusters", _hash({"joins": before, "columns": duplicates}), 1)
        number, before = number + 1, clusters.fingerprint
    order = {"shuffles": before, "seed": packing.seed, "validation_ratio": packing.validation_ratio}
    shuffle = Phase(number, "shuffle", _hash(order), num_tasks)
    fields = packing.model_dump(mode="json", include=set(packing.output_fields))
    content = {"packs": shuffle.fingerprint, "fields": fields, "output_bytes": config.execution.output_bytes}
    pack = Phase(number + 1, "pack", _hash(content), None)
    publish = Phase(number + 2, "publish", _hash({"publishes": pack.fingerprint}), 1)
    loss_mask = f"{packing.name}.loss_mask" if "loss_mask" in packing.attachments() else None
    return TokenPhases(
        packing, clusters, shuffle, pack, publish, f"{packing.name}.ids", loss_mask, next(iter(copies[-1:]), None),
        duplicates,
    )  # fmt: skip


def _check_columns(stages: Sequence[Stage], manifest: Manifest) -> None:
    """The columns that stages name exist where they are needed, and are such that they can be gone by."""
    known = {field.name: field.type for field in manifest.schema}
    for stage in stages:
        if isinstance(stage, SurveyedBarrier):
            missing = [name for name in stage.reads if name not in known]
            if missing:
                raise ConfigError(
                    f"{stage.name} needs {missing[0]}: put the stage `{missing[0].split('.')[0]}` before it"
                )
        for field, name in stage.columns():
            if name not in known:
                raise ConfigError(
                    f"{stage.name}.{field}: there is no column '{name}' before this stage. {_hint(name, known)}"
                )
            _check_type(stage.name, field, name, known[name])
        known |= column_types([stage])


def _hint(name: str, known: Iterable[str]) -> str:
    giver = name.partition(".")[0]
    if giver != name and giver in names():
        return f"Put the stage `{giver}` before it"
    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(known)}"


def _check_type(stage: str, field: str, name: str, type_: pa.DataType) -> None:
    type_ = type_.value_type if pa.types.is_dictionary(type_) else type_
    try:
        if pa.types.is_nested(type_):
            raise ValueError(f"a column of {type_} cannot be compared")
        if field == "priority":
            sortable([(pa.array([], type_), False)])
        if field == "prefer" and not any(
            test(type_) for test in (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
        ):
            raise ValueError(f"a column of {type_} has no numbers to go by")
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
    stages: Sequence[Stage],
    references: dict[str, str],
    earlier: dict[str, tuple[Index, ...]],
    before: str,
    num_tasks: int,
    num_partitions: int,
) -> tuple[Segment, ...]:
    """Segments and their phases; `before` is the fingerprint of what the first one reads."""
    parts = split(stages)
    segments: list[Segment] = []
    number = 1
    for i, part in enumerate(parts):
        indexes = earlier.get(part[0].name, ()) if i else ()
        num_sketches = num_tasks + sum(len(index.first_shards) for index in indexes)
        kinds = _kinds_before(part[0], num_tasks, num_partitions, num_sketches) if i else []
        phases: list[Phase] = []
        for kind, size in kinds:
            content: dict[str, object] = {kind: before, "stage": measured_identity(part[0])}
            content["partitions"] = num_partitions
            content["earlier"] = [(index.sketch.fingerprint, index.settled.fingerprint) for index in indexes]
            phases.append(Phase(number, kind, _hash(content), size, i, part[0].name))
            number, before = number + 1, phases[-1].fingerprint
        content = {"reads": before, "stages": [stage_identity(stage) for stage in part]}
        content["references"] = [references[stage.name] for stage in part if stage.name in references]
        if i + 1 < len(parts):
            content |= _handed_on(parts[i + 1][0], num_partitions)
        sieve = Phase(number, "sieve", _hash(content), num_tasks, i)
        segments.append(Segment(part, sieve, tuple(phases), indexes))
        number, before = number + 1, sieve.fingerprint
    return tuple(segments)


def _kinds_before(stage: Stage, num_tasks: int, num_partitions: int, num_sketches: int) -> list[tuple[Kind, int]]:
    """The phases that the first stage of a segment needs before it can work, in their order, and their tasks."""
    found: list[tuple[Kind, int]] = []
    if isinstance(stage, Survey):
        found.append(("conclude", 1))
    if isinstance(stage, SurveyedBarrier):
        found.append(("sketch", num_tasks))
    if isinstance(stage, Barrier):
        found.append(("resolve", num_partitions))
    if isinstance(stage, Deduplication) and num_partitions > 1:
        rounds: list[tuple[Kind, int]] = [("shrink", num_partitions)] * NUM_ROUNDS
        found += [*rounds, ("root", num_partitions), ("connect", 1)]
        found += [("collect", min(num_partitions, num_sketches)), ("settle", num_partitions)]
    return found


def _handed_on(following: Stage, num_partitions: int) -> dict[str, object]:
    """What the phase before a stage does for it, as part of that phase's fingerprint."""
    if isinstance(following, Survey):
        identity = measured_identity(following)
        fields = following.model_dump(mode="json", include=set(following.tallied))
        return {"tally": {**identity, "fields": fields, "assets": {}}}
    if isinstance(following, Barrier):
        return {"sketch": sketch_identity(following), "priority": following.priority, "partitions": num_partitions}
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
        "fields": stage.model_dump(mode="json", exclude=set(cls.output_fields)),
        "assets": dict(stage.assets()),
    }


def measured_identity(stage: Stage) -> dict[str, object]:
    """All that decides what a stage measures, sketches or learns: not its bounds."""
    bounds = {*stage.signals(), "action", "by_language", *stage.own_overrides, *stage.output_fields}
    return {**stage_identity(stage), "fields": stage.model_dump(mode="json", exclude=bounds)}


def sketch_identity(stage: Stage) -> dict[str, object]:
    """All that decides what a barrier sketches: not how documents are chosen afterwards."""
    identity = measured_identity(stage)
    later = {"priority", *(stage.settled_by if isinstance(stage, Deduplication) else ())}
    fields = stage.model_dump(mode="json", include=set(identity["fields"]) - later)  # type: ignore[call-overload]
    return {**identity, "fields": fields}


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
