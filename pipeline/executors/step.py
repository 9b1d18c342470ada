"""A phase as datatrove sees it: one pipeline step that does our task, and completions that are our records.

datatrove's executors then give what they are good at (ranks, logs per task, stats per task, Slurm and Ray), in the
layout that its users know: `logs/task_00000.log`, `completions/00000`, `stats/00000.json`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from datatrove.executor.base import PipelineExecutor
from datatrove.pipeline.base import PipelineStep

from pipeline.plan import Phase
from pipeline.records import check_files, read_record
from pipeline.runs import Run
from pipeline.stats import Stats
from pipeline.task import Report, perform


class TaskStep(PipelineStep):
    """Does one task of a phase and commits it; hands no documents on."""

    name = "Tamis task"
    type = "SIEVE"

    def __init__(self, run: Run, phase: Phase, report: Report) -> None:
        super().__init__()
        self.tamis_run = run
        self.phase = phase
        self.report = report

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        with self.track_time("task"):
            record = perform(self.tamis_run, self.phase, rank, self.report)
        self._count(record.stats)
        yield from ()

    def _count(self, stats: Stats) -> None:
        for name, stage in stats.get("stages", {}).items():
            if "documents_in" not in stage:  # time that a barrier took elsewhere
                continue
            self.stat_update(f"{name}/total", value=stage["documents_in"])
            self.stat_update(f"{name}/forwarded", value=stage["documents_out"])
            for rule, counts in stage["dropped"].items():
                self.stat_update(f"dropped_{rule}", value=counts["documents"])


class RecordedExecutor(PipelineExecutor):
    """Mixed into datatrove's executors: a task is done when its record is there and its files are what the record
    says."""

    tamis_run: Run
    phase: Phase

    def is_rank_completed(self, rank: int) -> bool:
        record = read_record(self.tamis_run.path, self.phase, rank)
        if record is None:
            return False
        check_files(self.tamis_run.path, self.phase, record)
        return True

    def mark_rank_as_completed(self, rank: int) -> None:
        """Nothing to do: the task wrote its record itself, as its last act."""
