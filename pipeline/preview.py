"""What `tamis plan` tells: the phases and tasks of a config, what a run directory already holds of them, what it may
cost."""

from __future__ import annotations

from typing import Any

from pipeline.config import Config
from pipeline.io.files import exists, read_json
from pipeline.io.shards import Manifest, list_shards
from pipeline.plan import Plan, make_plan
from pipeline.records import read_record


def preview(config: Config) -> dict[str, Any]:
    """The plan of a config as JSON. Reads the list of inputs and the run directory; writes nothing.

    Raises InputError when there is nothing to read.
    """
    manifest = list_shards(config.input)
    plan = make_plan(config, manifest)
    path = config.output.rstrip("/")
    shards = manifest.shards
    return {
        "output": path,
        "input": {
            "files": len({shard.path for shard in shards}),
            "shards": len(shards),
            "bytes": sum(shard.num_bytes for shard in shards),
            "columns": {field.name: str(field.type) for field in manifest.schema},
        },
        "phases": _phases(plan, path),
        "scripts": _scripts(config, manifest) if config.execution.executor == "slurm" else {},
        "stages": [
            {
                "name": stage.name,
                "action": stage.action,
                "decisions": {
                    name: rule.model_dump(mode="json") for name, rule in stage.decisions().items() if not rule.is_open
                },
                "overrides": {
                    field: sorted(getattr(stage, field))
                    for field in ("by_language", *stage.own_overrides)
                    if getattr(stage, field)
                },
            }
            for stage in config.stages
        ],
        "estimate": _estimate(path, sum(shard.num_bytes for shard in shards)),
    }


def _scripts(config: Config, manifest: Manifest) -> dict[str, str]:
    from pipeline.executors.slurm import scripts
    from pipeline.runs import Run

    return scripts(Run.planned(config, manifest))


def _phases(plan: Plan, path: str) -> list[dict[str, Any]]:
    found = []
    for phase in plan.phases:
        num_tasks = phase.num_tasks
        groups = f"{path}/{phase.directory}/groups.json"
        if num_tasks is None and exists(groups):
            num_tasks = len(read_json(groups))
        done = sum(read_record(path, phase, rank) is not None for rank in range(num_tasks or 0))
        found.append({"name": phase.name, "directory": phase.directory, "tasks": num_tasks, "done": done})
    return found


def _estimate(path: str, size: int) -> dict[str, float] | None:
    """Core seconds by the speed of the last finished run in this directory; None if there was none."""
    if not exists(f"{path}/stats.json"):
        return None
    stats = read_json(f"{path}/stats.json")
    if stats["state"] != "done" or not stats["input"]["bytes"]:
        return None
    busy = stats["task_seconds"] + stats.get("write_seconds", 0.0) + stats.get("reference_seconds", 0.0)
    before = read_json(f"{path}/run.json")["manifest"]["shards"]
    return {"core_seconds": round(busy * size / max(sum(shard["num_bytes"] for shard in before), 1), 1)}
