"""Start a run, or go on with it: fix the manifest, make the plan, have every missing task done.

The same call starts, resumes and repeats. A run directory remembers its input; a second launch does what is missing,
and does again what a changed config touches.
"""

from __future__ import annotations

import calendar
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, Self

from pipeline.config import Config, dump_config, load_config, profile_path
from pipeline.earlier import Index, takes_part
from pipeline.failures import Failure, add_set_aside, forget_failures
from pipeline.gather import DUPLICATES, KINDS, group_outputs
from pipeline.io.files import absolute, exists, read_json, remove, remove_folder, remove_parts, write_json
from pipeline.io.shards import Manifest, list_shards
from pipeline.lease import alone
from pipeline.plan import Phase, Plan, make_plan, sketch_identity
from pipeline.progress import CANCEL, Progress
from pipeline.records import Record
from pipeline.runs import SUPERSEDED, Run, open_run
from pipeline.tokens import pack
from stages.errors import InputError, RunError

if TYPE_CHECKING:
    from pipeline.executors.local import Listener

Show = Callable[[Progress], None]
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


class Pool(Protocol):
    """Does the missing tasks of one phase after the other, for as long as it is entered."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def do(self, phase: Phase, listener: Listener, *, keep_going: bool = False) -> dict[int, Failure]: ...


def run(
    config: str | os.PathLike[str] | Mapping[str, Any] | Config,
    *,
    input: str | None = None,
    output: str | None = None,
    set: Sequence[str] = (),
    workers: int | None = None,
    show: Show = lambda progress: None,
) -> Run:
    """Run a config to its end, from wherever its run directory stands. On Slurm, submit it and return: the run goes
    on by itself, its `state` is `running`.

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
    overrides = [*set, *([f"execution.workers={workers}"] if workers else [])]
    resolved = load_config(config, overrides=overrides, input=input, output=output, profile=profile_path())
    manifest = list_shards(resolved.input)
    plan = make_plan(resolved, manifest)
    path = resolved.output.rstrip("/")
    with alone(path) as check:
        if _is_cleaned(path, plan):
            return Run(path)
        if resolved.execution.executor == "slurm":
            return _submit(path, resolved, manifest, plan)
        launched = _prepare(path, resolved, manifest, plan)
        names = [stage.name for stage in resolved.stages]
        progress = Progress(path, names, resolved.execution.max_errors, _num_workers(resolved), show, check, plan)
        _perform(launched, progress)
    show(progress)
    return Run(launched.path)


def _is_cleaned(path: str, plan: Plan) -> bool:
    """Whether the same plan was carried out here, and what led to its output was removed."""
    before = read_json(f"{path}/run.json") if exists(f"{path}/run.json") else {}
    done = before.get("state") == "done" and bool(before.get("cleaned"))
    return done and before["fingerprints"] == {phase.name: phase.fingerprint for phase in plan.phases}


def _submit(path: str, config: Config, manifest: Manifest, plan: Plan) -> Run:
    """Hand a run over to Slurm. Raises RunError when its jobs are there already."""
    from pipeline.executors.slurm import Jobs, advance
    from pipeline.standing import refresh

    if found := Jobs.read(path).at_work():
        raise RunError(f"jobs {', '.join(found)} are at work on {path}; see: tamis status {path}, tamis cancel {path}")
    Jobs().write(path)
    launched = _prepare(path, config, manifest, plan)
    try:
        if advance(launched):
            refresh(launched)
        else:
            end_run(launched, "done")
    except BaseException as error:
        end_run(launched, "failed", str(error))
        raise
    return Run(path)


def _perform(launched: Run, progress: Progress) -> None:
    """Do all that is missing, and say in `run.json` how it ended."""
    try:
        with _pool(launched, progress.num_workers) as pool:
            for phase in launched.plan.phases:
                before_phase(launched, phase)
                _begin(launched, phase, progress)
                failed = pool.do(phase, progress, keep_going=_may_set_aside(launched, phase))
                for rank, failure in failed.items():
                    progress.finish(rank, set_aside(launched, phase, rank, failure).stats)
                progress.poll()
    except BaseException as error:
        _fail(launched, progress, error)
        raise
    progress.write("done")
    _describe(launched, state="done", finished=_now(), seconds=round(progress.seconds, 3))


def _may_set_aside(launched: Run, phase: Phase) -> bool:
    return launched.config.execution.on_failure == "set_aside" and phase.kind == "sieve"


def set_aside(launched: Run, phase: Phase, rank: int, failure: Failure) -> Record:
    """Commit a task that cannot be done without its documents, and list it. Raises its error if it must not be."""
    if failure.is_general or not _may_set_aside(launched, phase):
        raise failure.error(f"task {rank} of {phase.name}")
    from pipeline.task import sieve_task

    add_set_aside(launched.path, launched.plan, phase, rank, failure)
    return sieve_task(launched, phase, rank, lambda stats: None, aside=True)


def _fail(launched: Run, progress: Progress, error: BaseException) -> None:
    """Say how a run ended, if there is room for it and nobody else is at work there."""
    with suppress(RunError):
        progress.check()
        state = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
        progress.write(state)
        _describe(launched, state=state, error=str(error))


def _pool(launched: Run, num_workers: int) -> Pool:
    """Who does the tasks."""
    execution = launched.config.execution
    if execution.executor == "ray":
        from pipeline.executors.ray import RayPool

        return RayPool(launched)
    from pipeline.executors.local import WorkerPool  # datatrove is slow to import

    return WorkerPool(launched, num_workers, execution.max_tries, execution.task_timeout_s)


def end_run(launched: Run, state: str, error: str | None = None) -> None:
    """Say that a run which nobody watched has ended."""
    from pipeline.standing import refresh

    started = calendar.timegm(time.strptime(Run(launched.path).description["started"], TIME_FORMAT))
    changes = {"error": error} if error else {"finished": _now()}
    _describe(launched, state=state, seconds=max(int(time.time()) - started, 0), **changes)
    refresh(launched)


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
    forget_failures(path, plan)
    remove(f"{path}/{CANCEL}")
    remove_parts(path)
    write_json(
        f"{path}/run.json",
        {
            "state": "running",
            "started": _now(),
            "config": dump_config(config),
            "fingerprints": {phase.name: phase.fingerprint for phase in plan.phases},
            "versions": _versions(),
            "manifest": manifest.to_json(),
            "against": list(plan.against),
            "index": _index_of(path, plan),
        },
    )
    if plan.tokens is None:  # not before `run.json` says so: a launch of the config before would miss them
        remove_folder(f"{path}/{pack.FOLDER}")
    return Run(path)


def _index_of(path: str, plan: Plan) -> dict[str, dict[str, Any]]:
    """What later runs need to know to be held against this one, by stage."""
    return {
        segment.stages[0].name: Index(
            run=absolute(path),
            settings=sketch_identity(segment.stages[0]),
            sketch=before.sieve,
            settled=segment.before[-1],
            first_shards=tuple(task[0].index for task in plan.tasks),
            num_shards=plan.tasks[-1][-1].index + 1,
            num_shards_before=sum(index.num_shards for index in segment.earlier),
        ).to_json()
        for before, segment in pairwise(plan.segments)
        if takes_part(segment.stages[0])
    }


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


def cancel_run(path: str) -> str:
    """Stop a run: the jobs of one on Slurm now, a launch at work elsewhere within seconds. Returns what was done.

    Raises RunError for a run that has ended.
    """
    run = open_run(path)
    if run.state != "running":
        raise RunError(f"{path} is not at work: it is {run.state}")
    if run.config.execution.executor == "slurm":
        from pipeline.executors.slurm import cancel

        jobs = cancel(run)
        end_run(run, "stopped", "cancelled")
        return f"cancelled jobs {', '.join(jobs)}"
    write_json(f"{run.path}/{CANCEL}", {"cancelled": _now()})
    return f"asked the launch that is at work on {path} to stop"


def _forget(path: str, phase: Phase) -> None:
    """Another config wrote the run's files since this phase did, so its records of them are no longer true."""
    remove_folder(f"{path}/{phase.directory}")


def before_phase(launched: Run, phase: Phase) -> None:
    """The tasks of the phases that write the run's folders are decided here, and what another config left in these goes
    away."""
    plan, output_bytes = launched.plan, launched.config.execution.output_bytes
    groups = f"{launched.path}/{phase.directory}/groups.json"
    if phase.num_tasks is not None or exists(groups):
        return
    decided: list[Any]
    folders: tuple[str, ...]
    if phase == plan.write:
        folders = (*KINDS, DUPLICATES, SUPERSEDED)
        decided = group_outputs(launched.records(plan.segments[-1].sieve), output_bytes)
    else:
        assert plan.tokens is not None
        shuffled = launched.records(plan.tokens.shuffle)
        folders, decided = (pack.FOLDER,), pack.group_tokens(shuffled, plan.tokens.packing, output_bytes)
    for folder in folders:
        remove_folder(f"{launched.path}/{folder}")
    write_json(groups, decided)


def _begin(launched: Run, phase: Phase, progress: Progress) -> None:
    num_tasks = launched.num_tasks(phase)
    assert num_tasks is not None
    progress.begin(phase.name, num_tasks, {record.rank: record.stats for record in launched.records(phase)})


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
    return time.strftime(TIME_FORMAT, time.gmtime())
