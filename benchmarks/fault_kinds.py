"""The faults of `benchmarks/faults.py`: each function disturbs a launch at work, its docstring goes into the table."""

from __future__ import annotations

import copy
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.fault_trials import Trial

HOUR_S, DAY_S = 3600, 86_400
CLOCKS_S = (HOUR_S, 7 * HOUR_S, 40 * DAY_S, -5 * 60, -HOUR_S, -3 * DAY_S, -400 * DAY_S)
"""How far clocks are off."""


def worker_killed(trial: Trial) -> bool:
    """a worker gets SIGKILL, as by the kernel when memory is short"""
    workers = trial.workers()
    if workers:
        with suppress(psutil.NoSuchProcess):
            trial.rng.choice(workers).kill()
    return bool(workers)


def worker_hangs(trial: Trial) -> bool:
    """a worker does not go on with its task (SIGSTOP); `task_timeout_s` ends it"""
    workers = trial.workers()
    trial.rng.shuffle(workers)
    for worker in workers:
        with suppress(psutil.Error):
            if any("/logs/task_" in file.path for file in worker.open_files()):
                worker.suspend()
                return True
    return False


def launch_killed(trial: Trial) -> bool:
    """the launch gets SIGKILL"""
    trial.kill()
    return True


def node_lost(trial: Trial) -> bool:
    """the launch and all of its workers are gone at once"""
    for worker in trial.workers():
        with suppress(psutil.NoSuchProcess):
            worker.kill()
    trial.kill()
    return True


def interrupted(trial: Trial) -> bool:
    """Ctrl-C"""
    assert trial.process
    trial.process.send_signal(signal.SIGINT)
    trial.end()
    return True


def second_launch(trial: Trial) -> bool:
    """another launch of the same run; it has to say so and leave"""
    return _is_refused(trial, 0)


def second_launch_with_another_clock(trial: Trial) -> bool:
    """another launch whose clock is off, on a store, where a lease guards the run; it has to say so and leave"""
    return _is_refused(trial, trial.rng.choice(CLOCKS_S))


def _is_refused(trial: Trial, clock_off_s: int) -> bool:
    other = subprocess.run(**trial.command(trial.spec, clock_off_s), capture_output=True, text=True, check=False)
    if "another launch is at work" in other.stderr:
        return True
    assert not other.returncode, other.stderr  # the first one had just ended
    assert not trial.is_alive(), "two launches were at work"
    return False


def clock_off(trial: Trial) -> bool:
    """the launch gets SIGKILL, and the clock of the next one, and of its workers, is minutes to 400 days off"""
    trial.kill()
    trial.clock_off_s = trial.rng.choice([off for off in CLOCKS_S if off != trial.clock_off_s])
    return True


def config_changed(trial: Trial) -> bool:
    """the launch gets SIGKILL, a config with another bound is launched on its run, and gets SIGKILL, too"""
    trial.kill()
    other = copy.deepcopy(trial.spec)
    other["stages"][0] = {"gopher": {"word_count": {"min": trial.rng.randint(60, 110)}}}
    trial.launch(other)
    time.sleep(trial.rng.uniform(0.5, trial.seconds))
    was_at_work = trial.is_alive()
    trial.kill()
    return was_at_work


def disk_full(trial: Trial) -> bool:
    """something else fills the disk; once the launch has failed there is room again"""
    spare = Path(trial.run).parent / "spare"
    with suppress(OSError), spare.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)
    code = trial.end()
    spare.unlink()
    return code > 0


def file_damaged(trial: Trial) -> bool:
    """a byte of an intermediate file is another one"""
    trial.kill()
    files = [path for path in Path(trial.run).glob("phases/*/*/*.parquet") if path.stat().st_size]
    if not files:
        return False
    path = trial.rng.choice(sorted(files))
    content = bytearray(path.read_bytes())
    content[trial.rng.randrange(len(content))] ^= 0xFF
    path.write_bytes(content)
    return True
