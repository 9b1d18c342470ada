"""A config and its input compiled to phases of small, idempotent tasks.

A phase has a fingerprint: a hash of everything that can change its output (the stages' fields and versions, the
models and lists they read, the input, the way batches are cut) and of the phase it reads from. Its directory carries
it, so a run directory never mistakes the output of another config for its own, and whatever did not change is used
again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.config import Config
from pipeline.io.shards import Manifest, Shard
from stages.contract import Fitted, Stage

FORMAT = 1
"""Version of the files that tasks write; raised when they change."""


@dataclass(frozen=True)
class Phase:
    """A pass over the data: what its tasks do and where their output, logs and records lie under `phases/`."""

    name: str
    fingerprint: str
    num_tasks: int | None
    """None while unknown: it depends on the output of the phase before."""

    @property
    def directory(self) -> str:
        return f"phases/{self.name}-{self.fingerprint[:8]}"


@dataclass(frozen=True)
class Plan:
    """`reference` lets stages learn from a sample of the corpus, if any has to; `sieve` runs the stages on groups of
    shards; `write` gathers what they kept into files of a good size."""

    reference: Phase | None
    sieve: Phase
    write: Phase
    tasks: tuple[tuple[Shard, ...], ...]
    """The shards of every task of the sieve phase, by rank."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        return (self.reference, self.sieve, self.write) if self.reference else (self.sieve, self.write)


def make_plan(config: Config, manifest: Manifest) -> Plan:
    """The phases of a run. Deterministic: the same config and manifest give the same plan, whoever executes it."""
    tasks = tuple(group_shards(manifest.shards, config.execution.task_bytes))
    reads = {
        "format": FORMAT,
        "input": config.input.model_dump(mode="json", exclude={"path"}),
        "shards": [shard.to_json() for shard in manifest.shards],
        "schema": str(manifest.schema),
        "batch_bytes": config.execution.batch_bytes,
        "seed": config.execution.seed,
    }
    reference = _reference_phase(config, reads)
    sieve_print = _hash(
        {
            **reads,
            "stages": [stage_identity(stage) for stage in config.stages],
            "rejected_rate": config.execution.rejected_rate,
            "tasks": [len(task) for task in tasks],
            "reference": reference.fingerprint if reference else None,
        }
    )
    write_print = _hash({"reads": sieve_print, "output_bytes": config.execution.output_bytes})
    return Plan(reference, Phase("01-sieve", sieve_print, len(tasks)), Phase("02-write", write_print, None), tasks)


def _reference_phase(config: Config, reads: dict[str, object]) -> Phase | None:
    """One task that lets the Fitted stages see a sample; its outcome depends on them and the stages before them."""
    last = max((i for i, stage in enumerate(config.stages) if isinstance(stage, Fitted)), default=None)
    if last is None:
        return None
    identities = [stage_identity(stage) for stage in config.stages[: last + 1]]
    content = {**reads, "stages": identities, "sample_bytes": config.execution.sample_bytes}
    return Phase("00-reference", _hash(content), 1)


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


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
