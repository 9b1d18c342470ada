"""What a run directory can do without once its run is done, and tasks that were set aside given another chance."""

from __future__ import annotations

import time

from pipeline.failures import SET_ASIDE_LIST, read_set_aside
from pipeline.io.files import list_folders, read_json, remove, remove_folder, remove_parts, write_json
from pipeline.lease import alone
from pipeline.records import check_sizes, record_path
from pipeline.runs import Run, open_run
from stages.errors import RunError


def clean(path: str) -> str:
    """Remove what tasks handed on to each other, and logs; what came out of the run stays, and so do `run.json` and
    `stats.json`. Returns what was removed.

    Raises RunError for a run that is not done, or whose output is not whole.
    """
    with alone(path):
        run = open_run(path)
        if run.state != "done":
            raise RunError(
                f"{path} is {run.state}: only a run that is done can do without what it keeps between phases"
            )
        last = run.plan.segments[-1].sieve.number
        kept = [phase for phase in run.plan.phases if phase.number > last]
        for phase in kept:
            records = run.records(phase)
            if len(records) != run.num_tasks(phase):
                raise RunError(f"{phase.name} of {path} is not whole; `tamis run` with the same config mends it")
            check_sizes(run.path, phase, records)
        description = read_json(f"{run.path}/run.json")
        write_json(
            f"{run.path}/run.json", {**description, "cleaned": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        )
        names = {phase.directory.rpartition("/")[2] for phase in kept}
        gone = [name for name in list_folders(f"{run.path}/phases") if name not in names]
        for name in gone:
            remove_folder(f"{run.path}/phases/{name}")
        remove_folder(f"{run.path}/logs")
        remove(f"{run.path}/slurm.json")
        remove_parts(run.path)
    return f"removed {len(gone)} phases and the logs of {path}; its output is whole"


def try_again(path: str) -> str:
    """Forget that tasks were set aside, and what was made without their documents. Returns what to do next.

    Raises RunError if none was.
    """
    with alone(path):
        run = open_run(path)
        listed = read_set_aside(run.path, run.plan)
        if not listed:
            raise RunError(f"no task of {path} was set aside")
        first = min(phase.number for phase in run.plan.phases if phase.name in {entry["phase"] for entry in listed})
        for phase in reversed(run.plan.phases):
            if phase.number > first:
                remove_folder(f"{run.path}/{phase.directory}")
            for entry in listed:
                if entry["directory"] == phase.directory:
                    remove(record_path(run.path, phase, entry["task"]))
        remove(f"{run.path}/{SET_ASIDE_LIST}")
        _describe(run, state="stopped")
    return f"{len(listed)} tasks of {path} will be tried again by: tamis run, with the same config"


def _describe(run: Run, **changes: str) -> None:
    write_json(f"{run.path}/run.json", {**read_json(f"{run.path}/run.json"), **changes})
