"""The pool of workers, with stand-ins for the workers: quick, and they die when they are told to."""

import sys
import time
from types import SimpleNamespace

import pytest

from pipeline.executors import devices, local
from pipeline.executors.local import MAX_TRIES, WorkerPool
from pipeline.failures import read_failures
from stages.errors import InputError, RunError, StageError

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
        self.forgotten: list[int] = []
        self.started = time.monotonic()
        self.at_poll = lambda: None

    def ready(self, seconds: float) -> None: ...

    def update(self, rank: int, stats: dict) -> None: ...

    def forget(self, rank: int) -> None:
        self.forgotten.append(rank)

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


PHASE = SimpleNamespace(name="01-sieve", directory="phases/01-sieve-0")
EXECUTOR = SimpleNamespace(phase=PHASE, logs="logs")


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
    killed = r"task 3 of 01-sieve failed: Died: its worker died \(exit code 9\)"
    with pool("if rank == '3': sys.exit(9)") as workers:
        with pytest.raises(RunError, match=killed):
            workers.run(EXECUTOR, range(5), Watch())
        assert len(read_failures(workers.run_path, PHASE, 3)) == MAX_TRIES


FAILING = "if rank == '{rank}' and {when}: say(event='failed', rank={rank}, kind='{kind}', message='no'); continue"


def test_a_fault_that_may_pass_is_tried_again(pool, tmp_path):
    """Task 3 fails twice."""
    act = f"""
    import os
    path = '{tmp_path}/tries'
    tries = os.path.getsize(path) if os.path.exists(path) else 0
    if rank == '3' and tries < 2:
        open(path, 'a').write('x'); say(event='failed', rank=3, kind='OSError', message='no'); continue
"""
    watch = Watch()
    with pool(act) as workers:
        assert workers.run(EXECUTOR, range(5), watch) == {}
    assert sorted(watch.finished) == list(range(5))
    assert (tmp_path / "tries").read_text() == "xx"


def test_one_that_will_not_pass_is_not_and_keeps_nobody(pool):
    act = FAILING.format(rank=2, when=True, kind="StageError")
    watch = Watch()
    with pool(act) as workers:
        failed = workers.run(EXECUTOR, range(5), watch, keep_going=True)
    assert sorted(watch.finished) == [0, 1, 3, 4]
    assert {rank: (failure.kind, failure.message) for rank, failure in failed.items()} == {2: ("StageError", "no")}
    assert watch.forgotten == [2]
    with pool(act) as workers, pytest.raises(StageError, match="task 2 of 01-sieve failed: no"):
        workers.run(EXECUTOR, range(5), Watch())


def test_a_worker_that_hangs_is_ended_and_its_task_tried_again(pool, monkeypatch):
    monkeypatch.setattr(local, "GRACE_S", 0.0)
    watch = Watch()
    with pool("if rank == '1' and number == '0': time.sleep(60)") as workers:
        workers.timeout_s = 0.5
        workers.run(EXECUTOR, range(6), watch)
        assert sorted(watch.finished) == list(range(6))
        assert all(failure.kind == "Hung" for failure in read_failures(workers.run_path, PHASE, 1))
    with pool("time.sleep(60)") as workers:
        workers.timeout_s, workers.max_tries = 0.2, 2
        with pytest.raises(RunError, match=r"task \d of 01-sieve failed: Hung: not done after 0.2 s \(execution"):
            workers.run(EXECUTOR, range(2), Watch())


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
