"""A worker of the local executor: `python -m pipeline.executors.worker RUN NUMBER`.

Reads phases and ranks from standard input, a task a line (`01-sieve 7`), does those tasks and writes events to standard
output as JSON lines: `ready`, `progress`, `done`, `failed`. It dies with its parent (end of input), at once and safely,
since a task commits atomically. One thread each for Numba, Arrow and BLAS: a machine is filled with workers, not with
threads.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, TextIO

from stages.errors import TamisError

if TYPE_CHECKING:
    from pipeline.runs import Run

REPORT_EVERY_S = 0.5


def main() -> None:
    path, number = sys.argv[1:3]
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print goes to the worker's log
    tasks: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(tasks,), daemon=True).start()
    started = time.perf_counter()
    reporter = _Reporter(events)
    try:
        run = _prepare(path)
    except Exception as error:
        traceback.print_exc()
        kind = type(error).__name__
        message = str(error) if isinstance(error, TamisError) else f"stages cannot be set up: {kind}: {error}"
        _send(events, event="unready", kind=kind, message=message)
        sys.exit(1)
    from pipeline.executors.local import LocalExecutor
    from pipeline.records import read_record

    executors: dict[str, LocalExecutor] = {}
    _send(events, event="ready", seconds=time.perf_counter() - started)
    while True:
        name, rank = tasks.get()
        if name not in executors:
            phase = next(phase for phase in run.plan.phases if phase.name == name)
            executors[name] = LocalExecutor(run, phase, workers=1, report=reporter)
        executor = executors[name]
        reporter.rank = rank
        try:
            executor._run_for_rank(rank, local_rank=int(number) + 1)  # 0 would log to the console
        except Exception as error:
            _send(events, event="failed", rank=rank, kind=type(error).__name__, message=str(error))
        else:
            record = read_record(path, executor.phase, rank)
            assert record
            _send(events, event="done", rank=rank, stats=record.stats)


def _listen(tasks: queue.SimpleQueue[tuple[str, int]]) -> None:
    for line in sys.stdin:
        name, rank = line.split()
        tasks.put((name, int(rank)))
    os._exit(0)


def _prepare(path: str) -> Run:
    import pyarrow as pa

    from pipeline.runs import open_run
    from pipeline.sieve import rehearse

    pa.set_cpu_count(1)
    pa.set_io_thread_count(2)
    run = open_run(path)
    rehearse(run.config.stages, run.manifest.schema)
    return run


class _Reporter:
    """Sends a task's stats to the parent, not more often than it wants to know."""

    def __init__(self, events: TextIO) -> None:
        self.rank = -1
        self._events = events
        self._next = 0.0

    def __call__(self, stats: dict[str, Any]) -> None:
        if time.monotonic() >= self._next:
            _send(self._events, event="progress", rank=self.rank, stats=stats)
            self._next = time.monotonic() + REPORT_EVERY_S


def _send(events: TextIO, **event: Any) -> None:
    events.write(json.dumps(event) + "\n")
    events.flush()


if __name__ == "__main__":
    main()
