"""A Ray cluster: datatrove's executor, whose jobs do a share of a phase's tasks each, in workers that may die.

datatrove's Ray jobs fork a process a rank and wait for ever when one is killed. Here a rank is a share of tasks, and
its process does nothing but watch workers as on one machine. The launch stays, and watches the records.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from typing import Any, Self

from datatrove.executor.ray import RayPipelineExecutor
from datatrove.utils.logging import logger

from pipeline.executors.local import DIED, WORKER_ENVIRONMENT, Listener, LocalExecutor, WorkerPool
from pipeline.failures import Failure, read_failures
from pipeline.plan import Phase
from pipeline.records import read_record
from pipeline.runs import Run
from pipeline.stats import Stats
from stages.errors import MissingPartError, RunError

POLL_S = 0.5


class RayExecutor(RayPipelineExecutor):
    """Shares of a phase's tasks as Ray jobs."""

    def __init__(self, run: Run, phase: Phase, shares: list[list[int]]) -> None:
        self.tamis_run, self.phase, self.shares = run, phase, shares
        execution = run.config.execution
        settings = execution.ray
        super().__init__(
            [],
            tasks=len(shares),
            workers=-1 if execution.workers == "auto" else execution.workers,
            logging_dir=f"{run.path}/{phase.directory}",
            cpus_per_task=settings.cpus,
            mem_per_cpu_gb=settings.memory_gb / settings.cpus,
            gpus_per_task=settings.gpus if run.plan.is_accelerated(phase) else 0,
        )

    def get_incomplete_ranks(self, ranks: Any = None, skip_completed: bool | None = None) -> list[int]:
        return list(range(len(self.shares)))

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1) -> None:
        """Inside a job: do a share, with a worker a core. What fails is noted where the launch looks."""
        execution = self.tamis_run.config.execution
        name = f"ray_{self.phase.name}_{rank}"
        num_workers = execution.ray.cpus
        with WorkerPool(self.tamis_run, num_workers, execution.max_tries, execution.task_timeout_s, name) as pool:
            executor = LocalExecutor(self.tamis_run, self.phase, num_workers)
            pool.run(executor, executor.get_incomplete_ranks(self.shares[rank]), _Deaf(), keep_going=True)


class _Deaf:
    """A listener at the far end of a cluster: the records tell the launch what it has to know."""

    def ready(self, seconds: float) -> None: ...

    def update(self, rank: int, stats: Stats) -> None: ...

    def finish(self, rank: int, stats: Stats) -> None: ...

    def forget(self, rank: int) -> None: ...

    def poll(self) -> None: ...


class RayPool:
    """A connection to Ray; a context manager that ends it, and with it what still runs."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def __enter__(self) -> Self:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError as error:
            raise MissingPartError("Ray is not installed; install it: pip install 'tamis[cluster]'") from error
        environment = {**WORKER_ENVIRONMENT, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        address = self.run.config.execution.ray.address
        try:
            ray.init(
                address=address or "local",
                runtime_env={"env_vars": environment},
                log_to_driver=False,
                logging_level="error",
                **({} if address else {"include_dashboard": False}),
            )
        except (ConnectionError, ValueError) as error:
            raise RunError(f"no Ray cluster answers at execution.ray.address = {address}: {error}") from error
        logger.disable("datatrove.executor.ray")  # the launch shows what happens
        self._ray = ray
        return self

    def __exit__(self, *error: object) -> None:
        self._ray.shutdown()

    def do(self, phase: Phase, listener: Listener, *, keep_going: bool = False) -> dict[int, Failure]:
        """Do what is missing of a phase, and tell the listener of tasks as their records appear.

        Raises the error of a task that failed, unless told to keep going; then those that failed are returned.
        """
        missing = LocalExecutor(self.run, phase, 1).get_incomplete_ranks()
        work = _Background(RayExecutor(self.run, phase, self._shares(missing)))
        while missing:
            work.join(POLL_S)
            ended = not work.is_alive()
            for rank in list(missing):
                if record := read_record(self.run.path, phase, rank):
                    listener.finish(rank, record.stats)
                    missing.remove(rank)
            listener.poll()
            if ended:
                break
        work.join()
        failed = {rank: self._cause(phase, rank, work.error) for rank in missing}
        if failed and not keep_going:
            rank, failure = next(iter(failed.items()))
            raise failure.error(f"task {rank} of {phase.name}", f" (log: {self.run.path}/logs)")
        return failed

    def _shares(self, ranks: list[int]) -> list[list[int]]:
        settings = self.run.config.execution.ray
        slots = max(self._ray.cluster_resources().get("CPU", 1) // settings.cpus, 1)
        wanted = settings.tasks_per_job
        size = math.ceil(len(ranks) / (2 * slots)) if wanted == "auto" else wanted
        return [ranks[start : start + size] for start in range(0, len(ranks), max(size, 1))]

    def _cause(self, phase: Phase, rank: int, error: Exception | None) -> Failure:
        noted = read_failures(self.run.path, phase, rank)
        return noted[-1] if noted else Failure(DIED, f"its Ray job ended without a word ({error})", "", "")


class _Background(threading.Thread):
    """datatrove's executor at work, so that the launch can watch."""

    def __init__(self, executor: RayExecutor) -> None:
        super().__init__(daemon=True)
        self._executor = executor
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._executor.run()
        except Exception as error:
            self.error = error
