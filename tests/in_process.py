"""Whole runs without worker processes, which take a second to start: for tests of what a run decides."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline import launch
from pipeline.config import load_config
from pipeline.io.shards import list_shards
from pipeline.phases import Phase
from pipeline.plan import make_plan
from pipeline.runs import Run
from pipeline.task import perform


def tasks_of(config: dict[str, Any]) -> Iterator[tuple[Run, Phase, int]]:
    """Prepare a run; then every task of it, to be done before the next one is asked for."""
    resolved = load_config(config)
    manifest = list_shards(resolved.input)
    Path(resolved.output).mkdir(parents=True, exist_ok=True)
    run = launch._prepare(resolved.output, resolved, manifest, make_plan(resolved, manifest))
    for phase in run.plan.phases:
        launch.before_phase(run, phase)
        for rank in range(run.num_tasks(phase) or 0):
            yield run, phase, rank
    launch._describe(run, state="done")


def run_in_process(config: dict[str, Any]) -> Run:
    """Do a run, task by task."""
    for run, phase, rank in tasks_of(config):
        perform(run, phase, rank, lambda stats: None)
    return Run(run.path)
