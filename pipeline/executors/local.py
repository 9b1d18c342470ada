"""All cores of this machine: datatrove's local executor with workers that may die.

datatrove's own pool waits for ever when a worker is killed (out of memory, `kill -9`). Here every worker is a process
of its own behind two pipes. One that dies takes nothing with it: its task is given to a new worker, up to
`MAX_DEATHS` times.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, Self

from datatrove.executor.local import LocalPipelineExecutor

from pipeline.executors.devices import gpu_ids
from pipeline.executors.step import RecordedExecutor, TaskStep
from pipeline.plan import Phase
from pipeline.runs import Run
from pipeline.stats import Stats
from pipeline.task import Report
from stages import errors
from stages.errors import RunError

MAX_DEATHS = 5
WORKER_ENVIRONMENT = {
    **dict.fromkeys(
        ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ARROW_NUM_THREADS"), "1"
    ),
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # gives memory back; mimalloc keeps what a huge row needed
}
"""One thread each, and no hoarding: a machine is filled with workers."""


class Listener(Protocol):
    """Hears what the workers of a phase do."""

    def ready(self, seconds: float) -> None:
        """A worker has loaded everything, in so many seconds (the first one may have compiled the kernels)."""

    def update(self, rank: int, stats: Stats) -> None:
        """Stats of a task so far."""

    def finish(self, rank: int, stats: Stats) -> None:
        """Stats of a task that is done."""

    def forget(self, rank: int) -> None:
        """The worker of a task died; the task begins afresh."""

    def poll(self) -> None:
        """Called a few times a second. May raise to stop the run."""


@dataclass
class _Worker:
    number: int
    process: subprocess.Popen[bytes]
    buffer: bytes = b""
    ready: bool = False
    rank: int | None = None

    @property
    def events(self) -> IO[bytes]:
        assert self.process.stdout
        return self.process.stdout

    def give(self, phase: str, rank: int) -> None:
        assert self.process.stdin
        self.rank = rank
        with suppress(BrokenPipeError):  # it died just now; the end of its events will tell
            self.process.stdin.write(f"{phase} {rank}\n".encode())
            self.process.stdin.flush()

    def end(self, grace_s: float = 0.0) -> int:
        """Stop the process, if it still runs after the grace, and let its pipes go; returns its exit code."""
        assert self.process.stdin
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(grace_s)
        self.process.kill()
        code = self.process.wait()
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.events.close()
        return code


class LocalExecutor(RecordedExecutor, LocalPipelineExecutor):
    """Runs the missing tasks of a phase in `workers` processes.

    Args:
        report: where the stats of a task go while it runs; for the workers' own use.
    """

    def __init__(self, run: Run, phase: Phase, workers: int, report: Report = lambda stats: None) -> None:
        self.tamis_run, self.phase = run, phase
        self.step = TaskStep(run, phase, report)
        self.logs = f"{run.path}/{phase.directory}"
        super().__init__([self.step], run.num_tasks(phase) or 0, workers, self.logs)

    def run_missing(self, pool: WorkerPool, listener: Listener) -> None:
        """Do what is missing. Raises the error of the first task that fails, or RunError when one kills its workers."""
        missing = self.get_incomplete_ranks()
        if missing:
            self.save_executor_as_json()
            pool.run(self, missing, listener)

    def get_incomplete_ranks(self, ranks: Any = None, skip_completed: bool | None = None) -> list[int]:
        return [rank for rank in (range(self.tasks) if ranks is None else ranks) if not self.is_rank_completed(rank)]


class WorkerPool:
    """Worker processes that do the tasks of one phase after the other; a context manager that ends them.

    They are started when there is something to do, and stay for the next phase: loading everything takes seconds.
    """

    def __init__(self, run: Run, num_workers: int) -> None:
        self.run_path = run.path
        self.num_workers = num_workers
        self.gpus = gpu_ids()
        self.selector = selectors.DefaultSelector()
        self.workers: dict[int, _Worker] = {}
        self.log_folder = Path(run.path) / "logs" if "://" not in run.path else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self.workers.values():
            worker.end()
        self.selector.close()

    def run(self, executor: LocalExecutor, ranks: Sequence[int], listener: Listener) -> None:
        """Do tasks of a phase; the pool is of no use after an error."""
        self.executor, self.listener = executor, listener
        self.num_active = self._num_active(executor)
        self.waiting, self.left = deque(ranks), len(ranks)
        self.deaths: Counter[int] = Counter()
        self.early_deaths = 0
        for worker in self.workers.values():
            self._next(worker)
        if not self.workers:
            self._start(0)  # the first one compiles, if need be; the others find the kernels in the cache
        while self.left:
            if any(worker.ready for worker in self.workers.values()):
                for number in range(min(self.num_active, self.left)):
                    if number not in self.workers:
                        self._start(number)
            for key, _ in self.selector.select(timeout=0.25):
                self._hear(key.data)
            self.listener.poll()

    def _num_active(self, executor: LocalExecutor) -> int:
        """Workers that may work: in phases that use a GPU, one for each there is; all where there is none."""
        if self.gpus and executor.tamis_run.plan.is_accelerated(executor.phase):
            return min(self.num_workers, len(self.gpus))
        return self.num_workers

    def _start(self, number: int) -> None:
        command = [sys.executable, "-m", "pipeline.executors.worker", self.run_path, str(number)]
        with self._log(number) as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the parent, which then stops the workers
                env={
                    **os.environ,
                    **WORKER_ENVIRONMENT,
                    **({"CUDA_VISIBLE_DEVICES": self.gpus[number % len(self.gpus)]} if self.gpus else {}),
                    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                },
            )
        worker = _Worker(number, process)
        self.workers[number] = worker
        os.set_blocking(worker.events.fileno(), False)
        self.selector.register(worker.events, selectors.EVENT_READ, worker)

    def _log(self, number: int) -> IO[bytes]:
        if self.log_folder is None:
            return open(os.devnull, "ab")
        self.log_folder.mkdir(parents=True, exist_ok=True)
        return open(self.log_folder / f"worker_{number}.log", "ab")

    def _hear(self, worker: _Worker) -> None:
        heard = worker.events.read()
        if heard == b"":
            self._bury(worker)
            return
        *lines, worker.buffer = (worker.buffer + (heard or b"")).split(b"\n")
        for line in lines:
            self._on_event(worker, json.loads(line))

    def _on_event(self, worker: _Worker, event: dict[str, Any]) -> None:
        match event["event"]:
            case "ready":
                worker.ready = True
                self.listener.ready(event["seconds"])
                self._next(worker)
            case "progress":
                self.listener.update(event["rank"], event["stats"])
            case "done":
                self.left -= 1
                worker.rank = None
                self.listener.finish(event["rank"], event["stats"])
                self._next(worker)
            case "unready":
                raise getattr(errors, event["kind"], RunError)(event["message"])
            case "failed":
                kind = getattr(errors, event["kind"], RunError)
                place = f"task {event['rank']} of {self.executor.phase.name} failed"
                log = f"{self.executor.logs}/logs/task_{event['rank']:05d}.log"
                detail = event["message"] if kind is not RunError else f"{event['kind']}: {event['message']}"
                raise kind(f"{place}: {detail} (log: {log})")

    def _next(self, worker: _Worker) -> None:
        if self.waiting and worker.ready and worker.rank is None and worker.number < self.num_active:
            worker.give(self.executor.phase.name, self.waiting.popleft())

    def _bury(self, worker: _Worker) -> None:
        """A worker died: its task goes back to the head of the queue, and another one takes its place."""
        self.selector.unregister(worker.events)
        code = worker.end(grace_s=2.0)
        del self.workers[worker.number]
        log = f"{self.log_folder}/worker_{worker.number}.log"
        if worker.rank is None:
            self.early_deaths += not worker.ready
            if self.early_deaths > MAX_DEATHS:
                raise RunError(f"workers die before their first task (exit code {code}); see {log}")
        else:
            self.listener.forget(worker.rank)
            self.deaths[worker.rank] += 1
            if self.deaths[worker.rank] > MAX_DEATHS:
                raise RunError(
                    f"task {worker.rank} of {self.executor.phase.name} killed its worker {MAX_DEATHS + 1} times "
                    f"(exit code {code}; -9 is most often too little memory: try fewer --workers); see {log}"
                )
            self.waiting.appendleft(worker.rank)
            for idle in self.workers.values():
                self._next(idle)
        if not self.workers:
            self._start(worker.number)
