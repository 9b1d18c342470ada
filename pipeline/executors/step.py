"""A phase as datatrove sees it: one pipeline step that does our task, and completions that are our records.

datatrove's executors then give what they are good at (ranks, logs per task, stats per task, Slurm and Ray), in the
layout that its users know: `logs/task_00000.log`, `completions/00000`, `stats/00000.json`.
"""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from datatrove.executor.base import PipelineExecutor
from datatrove.pipeline.base import PipelineStep

from pipeline.failures import note_failure
from pipeline.plan import Phase
from pipeline.records import check_files, read_record
from pipeline.runs import Run
from pipeline.stats import Stats
from pipeline.task import Report, perform


def no_report(stats: Stats) -> None:
    """Nobody wants to know how a task gets on."""


class TaskStep(PipelineStep):
    """Does one task of a phase and commits it; hands no documents on. Notes the task's failure."""

    name = "Tamis task"
    type = "SIEVE"

    def __init__(self, run: Run, phase: Phase, report: Report) -> None:
        super().__init__()
        self.tamis_run = run
        self.phase = phase
        self.report = report

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        try:
            with self.track_time("task"), _watched(self.tamis_run.config.execution.task_timeout_s):
                record = perform(self.tamis_run, self.phase, rank, self.report)
        except Exception as error:
            note_failure(self.tamis_run.path, self.phase, rank, type(error).__name__, str(error))
            raise
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


@contextmanager
def _watched(seconds: float | None) -> Iterator[None]:
    """Say in this process's log where it hangs, should what is done here take longer; whoever gave it the task ends
    it."""
    if seconds is None:
        yield
        return
    faulthandler.dump_traceback_later(seconds)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


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

    def get_incomplete_ranks(self, ranks: Any = None, skip_completed: bool | None = None) -> list[int]:
        return [
            rank for rank in (range(self.world_size) if ranks is None else ranks) if not self.is_rank_completed(rank)
        ]
