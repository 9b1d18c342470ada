"""Start a run, or go on with it: fix the manifest, make the plan, have every missing task done.

The same call starts, resumes and repeats. A run directory remembers its input; a second launch does what is missing,
and does again what a changed config touches.
"""

from __future__ import annotations

import fcntl
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from pipeline.config import Config, dump_config, load_config
from pipeline.gather import KINDS, group_outputs
from pipeline.io.files import exists, filesystem_of, is_local, read_json, write_json
from pipeline.io.shards import Manifest, list_shards
from pipeline.plan import Phase, Plan, make_plan
from pipeline.progress import Progress
from pipeline.records import read_record
from pipeline.runs import Run
from pipeline.tokens import pack
from stages.errors import ConfigError, InputError, RunError

if TYPE_CHECKING:
    from pipeline.executors.local import WorkerPool

Show = Callable[[Progress], None]
LOCK = "launch.lock"


def run(
    config: str | os.PathLike[str] | Mapping[str, Any] | Config,
    *,
    input: str | None = None,
    output: str | None = None,
    set: Sequence[str] = (),
    workers: int | None = None,
    show: Show = lambda progress: None,
) -> Run:
    """Run a config to its end, from wherever its run directory stands.

    Args:
        config: a YAML file, the name of a preset, or the same as a dictionary.
        input, output: replace `input.path` and `output`.
        set: `["stages.gopher.word_count.min=100"]`, as on the command line.
        workers: replaces `execution.workers`.
        show: called a few times a second with the progress.

    Raises:
        ConfigError: the request was wrong.
        InputError: the input is missing, has changed since the first launch, or has too many bad records.
        StageError, RunError: a stage or a task failed; launching again goes on from there.
    """
    resolved = load_config(config, overrides=set, input=input, output=output)
    num_workers = workers or _num_workers(resolved)
    manifest = list_shards(resolved.input)
    plan = make_plan(resolved, manifest)
    with _alone(resolved.output.rstrip("/")) as path:
        launched = _prepare(path, resolved, manifest, plan)
        names = [stage.name for stage in resolved.stages]
        progress = Progress(path, names, resolved.execution.max_errors, num_workers, show)
        _perform(launched, num_workers, progress)
    show(progress)
    return Run(launched.path)


def _perform(launched: Run, num_workers: int, progress: Progress) -> None:
    """Do all that is missing, and say in `run.json` how it ended."""
    from pipeline.executors.local import WorkerPool  # datatrove is slow to import

    try:
        with WorkerPool(launched, num_workers) as pool:
            for phase in launched.plan.phases:
                _before(launched, phase)
                _execute(launched, phase, pool, progress)
    except BaseException as error:
        state = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
        progress.write(state)
        _describe(launched, state=state, error=str(error))
        raise
    progress.write("done")
    _describe(launched, state="done", finished=_now(), seconds=round(progress.seconds, 3))


@contextmanager
def _alone(path: str) -> Iterator[str]:
    """Hold the lock of a run directory; it goes with the process, however that ends. Only disks have one.

    Raises ConfigError for a directory that is none or holds something else, RunError if another launch is at work.
    """
    fs, root = filesystem_of(path)
    if fs.exists(root) and not fs.isdir(root):
        raise ConfigError(f"{path} is a file; the output of a run is a directory")
    found = {name.rpartition("/")[2] for name in fs.ls(root, detail=False)} if fs.exists(root) else set()
    if found - {LOCK} and "run.json" not in found:
        raise ConfigError(f"{path} has files in it and is no run directory; choose another --output, or empty it")
    if not is_local(fs):
        yield path
        return
    try:
        fs.makedirs(root, exist_ok=True)
        lock = os.open(f"{root}/{LOCK}", os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}; choose another --output") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(f"another launch is at work on {path}; see: tamis status {path}") from error
        yield path
    finally:
        os.close(lock)


def _num_workers(config: Config) -> int:
    wanted = config.execution.workers
    if wanted != "auto":
        return wanted
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _prepare(path: str, config: Config, manifest: Manifest, plan: Plan) -> Run:
    """Make or reopen the run directory; afterwards its `run.json` says what is to be done."""
    if exists(f"{path}/run.json"):
        before = read_json(f"{path}/run.json")
        _check_input(before, manifest, path)
        for phase in plan.outputs:
            if before["fingerprints"].get(phase.name) != phase.fingerprint:
                _forget(path, phase)
        if plan.tokens is None:
            _remove(f"{path}/{pack.FOLDER}")
    write_json(
        f"{path}/run.json",
        {
            "state": "running",
            "started": _now(),
            "config": dump_config(config),
            "fingerprints": {phase.name: phase.fingerprint for phase in plan.phases},
            "versions": _versions(),
            "manifest": manifest.to_json(),
        },
    )
    return Run(path)


def _check_input(before: dict[str, Any], manifest: Manifest, path: str) -> None:
    """The input of a run is fixed by its first launch; raises InputError naming the first file that differs."""
    then = {(shard.path, shard.start): shard for shard in Manifest.from_json(before["manifest"]).shards}
    now = {(shard.path, shard.start): shard for shard in manifest.shards}
    for key in sorted(then.keys() | now.keys()):
        if then.get(key) != now.get(key):
            what = "is new" if key not in then else "is gone" if key not in now else "has changed"
            raise InputError(
                f"{key[0]} {what} since the first launch of {path}. A run keeps to its input: "
                "restore it, or give the run another --output"
            )


def _forget(path: str, phase: Phase) -> None:
    """Another config wrote the run's files since this phase did, so its records of them are no longer true."""
    _remove(f"{path}/{phase.directory}")


def _remove(folder: str) -> None:
    fs, root = filesystem_of(folder)
    if fs.exists(root):
        fs.rm(root, recursive=True)


def _before(launched: Run, phase: Phase) -> None:
    """The tasks of the phases that write the run's folders are decided here, and what another config left in these goes
    away."""
    plan, output_bytes = launched.plan, launched.config.execution.output_bytes
    groups = f"{launched.path}/{phase.directory}/groups.json"
    if phase.num_tasks is not None or exists(groups):
        return
    decided: list[Any]
    folders: tuple[str, ...]
    if phase == plan.write:
        folders, decided = KINDS, group_outputs(launched.records(plan.segments[-1].sieve), output_bytes)
    else:
        assert plan.tokens is not None
        shuffled = launched.records(plan.tokens.shuffle)
        folders, decided = (pack.FOLDER,), pack.group_tokens(shuffled, plan.tokens.packing, output_bytes)
    for folder in folders:
        _remove(f"{launched.path}/{folder}")
    write_json(groups, decided)


def _execute(launched: Run, phase: Phase, pool: WorkerPool, progress: Progress) -> None:
    from pipeline.executors.local import LocalExecutor

    num_tasks = launched.num_tasks(phase)
    assert num_tasks is not None
    records = (read_record(launched.path, phase, rank) for rank in range(num_tasks))
    progress.begin(phase.name, num_tasks, {record.rank: record.stats for record in records if record is not None})
    LocalExecutor(launched, phase, pool.num_workers).run_missing(pool, progress)
    progress.poll()


def _describe(launched: Run, **changes: Any) -> None:
    write_json(f"{launched.path}/run.json", {**read_json(f"{launched.path}/run.json"), **changes})


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("tamis", "datatrove", "numba", "numpy", "pyarrow", "fasttext", "fastwarc", "resiliparse"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
