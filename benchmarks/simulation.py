"""A million tasks on a thousand nodes, on paper: `python -m benchmarks.simulation TEXTS.parquet [--tasks 1000000]`.

A simulation of one phase as the executor for Slurm does it, event by event. What is measured: how long tasks take
beside each other (`NUM_MEASURED` of them, each of `MEASURED_BYTES` of pages drawn from `TEXTS`, through the rules of
the recipe; drawn with replacement and scaled to `--task-seconds`), what a task costs beside its work and how long a
worker needs to be ready (`benchmarks/overhead.py`). What is assumed, and may be set: how often nodes fail, how long
they are gone, how many are slow and how slow, how often a task fails and is begun again, how long a round of jobs
waits in the queue. Storage and network are taken to keep up.

A job has some cores of one node (`cpus`), a worker on each, and a number of tasks (`tasks_per_job`); `--jobs` are
pairs of the two. A node that fails takes the tasks in the making with it; what is done is kept, and Slurm requeues
its jobs, which do what is missing. A task that fails is begun again by the same job. *Ideal* is all work divided by
all cores. Prints a table for docs/clusters.md.
"""

from __future__ import annotations

import argparse
import bisect
import heapq
import random
import tempfile
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

DAY_S, HOUR_S = 86_400.0, 3_600.0
NUM_MEASURED, MEASURED_BYTES = 120, 2 << 20
STAGES = ["language", "gopher", "repetition", "c4", "fineweb", "pii", "nsfw", "quality"]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cluster:
    """What is assumed, in seconds."""

    num_nodes: int = 1000
    cores: int = 16
    """Of a node."""
    mean_time_between_failures_s: float = float("inf")
    """Of one node; failures come at any time with the same probability."""
    repair_s: float = HOUR_S
    slow_ratio: float = 0.0
    """Share of nodes that are slow."""
    slowness: float = 3.0
    """Times that a task takes on a slow one."""
    failing_ratio: float = 0.0
    """Share of tries of tasks that fail half-way and are made again."""
    start_s: float = 10.0
    """From the start of a job until its workers are ready."""
    overhead_s: float = 0.025
    """What a task takes beside its work."""
    queue_s: float = 60.0
    """Until the first job of the phase starts, and until the launcher has seen the last one."""


@dataclass
class Outcome:
    """What a phase took."""

    makespan_s: float = 0.0
    ideal_s: float = 0.0
    tail_s: float = 0.0
    """From when the first cores have nothing left to do until the end."""
    lost_s: float = 0.0
    """Core-seconds of work that was begun and has to be done again."""
    failures: int = 0
    """Jobs that were cut off by the failure of their node."""


@dataclass(order=True)
class _Event:
    at: float
    node: int
    left: list[int] = field(compare=False, default_factory=list)
    """Tasks of a job that was cut off: they are to be done by another one."""


class _Simulation:
    """The state of one phase."""

    def __init__(self, cluster: Cluster, durations: Floats, cpus: int, tasks_per_job: int, seed: int) -> None:
        self.cluster, self.cpus, self.rng, self.outcome = cluster, cpus, random.Random(seed), Outcome()
        self.seconds = self._with_retries(durations, seed)
        self.outcome.ideal_s = float(durations.sum()) / (cluster.num_nodes * cluster.cores)
        n = len(durations)
        self.jobs = deque(list(range(low, min(low + tasks_per_job, n))) for low in range(0, n, tasks_per_job))
        slow = self.rng.sample(range(cluster.num_nodes), round(cluster.slow_ratio * cluster.num_nodes))
        self.speed = np.ones(cluster.num_nodes)
        self.speed[slow] = 1 / cluster.slowness
        self.failures: list[list[float]] = [[0.0] for _ in range(cluster.num_nodes)]
        """Moments at which each node fails, in order, as far as they have been asked for; the first is none."""

    def _with_retries(self, durations: Floats, seed: int) -> Floats:
        """Seconds of tasks with the tries that failed half-way before the one that did not."""
        if not self.cluster.failing_ratio:
            return durations + self.cluster.overhead_s
        failed = np.random.default_rng(seed).geometric(1 - self.cluster.failing_ratio, len(durations)) - 1
        self.outcome.lost_s += float((durations * failed / 2).sum())
        return durations * (1 + failed / 2) + self.cluster.overhead_s

    def _next_failure(self, node: int, now: float) -> float:
        """The first failure of a node after a moment."""
        mean, moments = self.cluster.mean_time_between_failures_s, self.failures[node]
        if mean == float("inf"):
            return mean
        while moments[-1] <= now:
            moments.append(moments[-1] + self.cluster.repair_s * (len(moments) > 1) + self.rng.expovariate(1 / mean))
        return moments[bisect.bisect_right(moments, now)]

    def run(self) -> Outcome:
        """Events in their order until no job is left and none is running."""
        places = self.cluster.cores // self.cpus
        events = [_Event(self.cluster.queue_s, node) for node in range(self.cluster.num_nodes) for _ in range(places)]
        idle: list[int] = []
        running, last, first_idle = 0, 0.0, None
        while events and (self.jobs or running):
            event = heapq.heappop(events)
            if event.node < 0:
                running -= 1
                last = max(last, event.at)
                if event.left:
                    self.jobs.appendleft(event.left)
                ready = idle.pop() if event.left and idle else None
                if ready is None:
                    continue
                event = _Event(event.at, ready)
            if not self.jobs:
                idle.append(event.node)
                first_idle = event.at if first_idle is None else first_idle
                continue
            end, free, left = self._do(event.node, self.jobs.popleft(), event.at)
            running += 1
            heapq.heappush(events, _Event(end, -1, left))
            heapq.heappush(events, _Event(free, event.node))
        self.outcome.makespan_s = last + self.cluster.queue_s
        self.outcome.tail_s = last - (first_idle if first_idle is not None else last)
        return self.outcome

    def _do(self, node: int, tasks: list[int], now: float) -> tuple[float, float, list[int]]:
        """A job on a node: when it ends, when the node is free, and which tasks it leaves."""
        fails = self._next_failure(node, now)
        workers = [now + self.cluster.start_s] * self.cpus
        left = []
        for task in tasks:
            begin = workers[0]
            end = begin + self.seconds[task] / self.speed[node]
            heapq.heapreplace(workers, end)
            if end > fails:
                left.append(task)
                self.outcome.lost_s += max(0.0, fails - begin)
        if not left:
            end = max(workers)
            return end, end, left
        self.outcome.failures += 1
        return fails, fails + self.cluster.repair_s, left


def simulate(cluster: Cluster, durations: Floats, cpus: int, tasks_per_job: int, seed: int = 0) -> Outcome:
    """One phase of as many tasks as there are durations (seconds of one core)."""
    return _Simulation(cluster, durations, cpus, tasks_per_job, seed).run()


def measured_durations(texts: Path, seed: int) -> Floats:
    """Seconds of tasks of a real run by one worker, the first of which may have loaded models."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    import pipeline

    pages = pq.read_table(texts, columns=["text"])["text"].to_pylist()
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        raw = Path(name, "raw")
        raw.mkdir()
        for number in range(NUM_MEASURED):
            drawn, size = [], 0
            while size < MEASURED_BYTES:
                drawn.append(rng.choice(pages))
                size += len(drawn[-1].encode())
            pq.write_table(pa.table({"text": drawn}), raw / f"{number:04d}.parquet")
        spec = {"input": str(raw), "output": f"{name}/run", "stages": STAGES, "execution": {"task_bytes": 1}}
        run = pipeline.run(spec, workers=1)
        records = run.records(next(phase for phase in run.plan.phases if phase.kind == "sieve"))
        return np.array([record.stats["task_seconds"] for record in records])[1:]


SCENARIOS = {
    "nothing fails": {},
    "a node fails once in 30 days": {"mean_time_between_failures_s": 30 * DAY_S},
    "once in 3 days": {"mean_time_between_failures_s": 3 * DAY_S},
    "once a day (preemption)": {"mean_time_between_failures_s": DAY_S, "repair_s": 600.0},
    "1 % of nodes three times as slow": {"slow_ratio": 0.01},
    "1 % of tries of tasks fail": {"failing_ratio": 0.01},
    "all of it, 3 days": {
        "mean_time_between_failures_s": 3 * DAY_S,
        "slow_ratio": 0.01,
        "failing_ratio": 0.01,
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", type=Path, help="a Parquet file with a column text, real pages")
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--task-seconds", type=float, default=55.0, help="1 GB of text at 18.2 MB/s")
    parser.add_argument("--jobs", nargs="*", default=["1x1000", "16x1000", "16x250", "16x64"], help="cpus x tasks")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    shape = measured_durations(arguments.texts, arguments.seed)
    durations = rng.choice(shape, arguments.tasks) * arguments.task_seconds / shape.mean()
    spread = np.percentile(shape / shape.mean(), [1, 50, 99, 100])
    print(f"{len(shape)} tasks; of the mean: 1 % {spread[0]:.2f}, median {spread[1]:.2f}, longest {spread[3]:.2f}")
    print(
        "| | cores a job | tasks a job | hours | of ideal | tail, minutes | lost work | jobs cut off |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|"
    )
    for name, changes in SCENARIOS.items():
        for job in arguments.jobs:
            cpus, share = map(int, job.split("x"))
            cluster = replace(Cluster(), **changes)
            found = simulate(cluster, durations, cpus, share, arguments.seed)
            whole = found.ideal_s * cluster.num_nodes * cluster.cores
            print(
                f"| {name} | {cpus} | {share} "
                f"| {found.makespan_s / HOUR_S:.2f} | {found.makespan_s / found.ideal_s:.2f} "
                f"| {found.tail_s / 60:.1f} | {found.lost_s / whole:.2%} | {found.failures} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
