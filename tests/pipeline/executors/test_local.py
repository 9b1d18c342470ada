"""The pool of workers, with stand-ins for the workers: quick, and they die when they are told to."""

import sys
import time
from types import SimpleNamespace

import pytest

from pipeline.executors import devices, local
from pipeline.executors.local import WorkerPool
from stages.errors import InputError, RunError

STAND_IN = """#!{python}
import json, sys, time
number = sys.argv[-1]
def say(**event): print(json.dumps(event), flush=True)
{start}
for line in sys.stdin:
    phase, rank = line.split()
    {act}
    say(event="done", rank=int(rank), stats={{}})
"""


class Watch:
    """Counts what is done, and gives up after a while."""

    def __init__(self) -> None:
        self.finished: list[int] = []
        self.started = time.monotonic()
        self.at_poll = lambda: None

    def ready(self, seconds: float) -> None: ...

    def update(self, rank: int, stats: dict) -> None: ...

    def forget(self, rank: int) -> None: ...

    def finish(self, rank: int, stats: dict) -> None:
        self.finished.append(rank)

    def poll(self) -> None:
        assert time.monotonic() - self.started < 20, f"still waiting; done: {self.finished}"
        self.at_poll()


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """A pool of two whose workers do what a line of Python says for each task."""

    def make(act: str, start: str = "say(event='ready', seconds=0)") -> WorkerPool:
        script = tmp_path / "worker"
        script.write_text(STAND_IN.format(python=sys.executable, act=act, start=start))
        script.chmod(0o755)
        monkeypatch.setattr(local, "sys", SimpleNamespace(executable=str(script), path=sys.path))
        return WorkerPool(SimpleNamespace(path=str(tmp_path)), 2)

    return make


EXECUTOR = SimpleNamespace(phase=SimpleNamespace(name="01-sieve"), logs="logs")


def test_the_last_task_of_a_dead_worker_goes_to_an_idle_one(pool):
    """The one with the higher number dies with the last task in hand, when the other one has nothing to do."""
    watch = Watch()
    with pool("if number == '1': time.sleep(60)\n    else: time.sleep(0.05)") as workers:

        def kill_when_all_else_is_done() -> None:
            if len(watch.finished) == 19 and 1 in workers.workers and workers.workers[1].rank is not None:
                workers.workers[1].process.kill()

        watch.at_poll = kill_when_all_else_is_done
        workers.run(EXECUTOR, range(20), watch)
    assert sorted(watch.finished) == list(range(20))


def test_workers_stay_for_the_next_phase(pool):
    watch = Watch()
    with pool("pass") as workers:
        workers.run(EXECUTOR, range(4), watch)
        before = {number: worker.process.pid for number, worker in workers.workers.items()}
        workers.run(EXECUTOR, range(4, 8), watch)
        assert before.items() <= {number: worker.process.pid for number, worker in workers.workers.items()}.items()
    assert sorted(watch.finished) == list(range(8))


def test_a_task_that_kills_its_workers_is_given_up(pool):
    killed = "task 3 of 01-sieve killed its worker 6 times"
    with pool("if rank == '3': sys.exit(9)") as workers, pytest.raises(RunError, match=killed):
        workers.run(EXECUTOR, range(5), Watch())


def test_what_a_worker_says_of_its_start_is_the_error(pool):
    start = "say(event='unready', kind='InputError', message='no such list'); sys.exit(1)"
    with pool("pass", start) as workers, pytest.raises(InputError, match="no such list"):
        workers.run(EXECUTOR, range(3), Watch())


def test_a_phase_that_uses_gpus_has_a_worker_for_each(pool, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "gpu_ids", lambda: ["GPU-7"])
    note = "import os; open(f'{number}-{phase}', 'w').write(os.environ['CUDA_VISIBLE_DEVICES']); time.sleep(0.05)"
    monkeypatch.chdir(tmp_path)
    with pool(note) as workers:
        for name, accelerated in (("01-sieve", False), ("02-sieve", True)):
            plan = SimpleNamespace(is_accelerated=lambda phase, answer=accelerated: answer)
            executor = SimpleNamespace(
                phase=SimpleNamespace(name=name), logs="logs", tamis_run=SimpleNamespace(plan=plan)
            )
            workers.run(executor, range(20), Watch())
    assert sorted(path.name for path in tmp_path.glob("*-*-sieve")) == ["0-01-sieve", "0-02-sieve", "1-01-sieve"]
    assert (tmp_path / "0-02-sieve").read_text() == "GPU-7"


def test_gpus_are_those_that_the_driver_lists_and_the_user_allows(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "DRIVER", tmp_path / "none")
    assert devices.gpu_ids() == []
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / "gpus" / name).mkdir(parents=True)
    monkeypatch.setattr(devices, "DRIVER", tmp_path / "gpus")
    assert devices.gpu_ids() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert devices.gpu_ids() == ["1"]
