"""What a Slurm job does: `python -m pipeline.executors.job RUN PHASE SHARE` its share of a phase's tasks, and with no
more than the run, the launcher's part: submit what comes next, or say that the run has ended."""

from __future__ import annotations

import sys

from stages.errors import TamisError


def main() -> None:
    path, *task = sys.argv[1:]
    sys.exit(_work(path, task[0], int(task[1])) if task else _launch(path))


def _work(path: str, name: str, share: int) -> int:
    from pipeline.executors.slurm import SlurmExecutor
    from pipeline.runs import open_run

    run = open_run(path)
    phase = next(phase for phase in run.plan.phases if phase.name == name)
    return 1 if SlurmExecutor(run, phase).work(share) else 0


def _launch(path: str) -> int:
    from pipeline.executors.slurm import advance
    from pipeline.launch import end_run
    from pipeline.runs import open_run
    from pipeline.standing import check_errors, refresh

    run = open_run(path)
    try:
        check_errors(run)
        if advance(run):
            refresh(run)
            return 0
    except TamisError as error:
        print(error, file=sys.stderr)
        end_run(run, "failed", str(error))
        return error.exit_code
    end_run(run, "done")
    return 0


if __name__ == "__main__":
    main()
