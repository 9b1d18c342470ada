"""A Slurm cluster: datatrove's executor, an array of jobs a phase, and a run that goes on by itself.

A launch submits the array of every phase whose tasks are known, each one after the one before, and a small launcher
job after them all. The launcher looks at the records: what is missing is submitted again, the tasks of the last phase
are decided, and another launcher follows, until all is done or a task has failed for good. Nothing waits, nothing
central keeps state: `slurm.json` in the run directory holds the ids of the jobs.
"""

from __future__ import annotations

import json
import math
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from typing import get_args

from datatrove.executor.base import DistributedEnvVars
from datatrove.executor.slurm import SlurmPipelineExecutor, requeue_handler

from pipeline.executors.local import DIED, WORKER_ENVIRONMENT, LocalExecutor, WorkerPool
from pipeline.executors.settings import Needs, Slurm
from pipeline.executors.step import RecordedExecutor, TaskStep, no_report
from pipeline.failures import Failure, read_failures
from pipeline.io.files import exists, read_json, write_json
from pipeline.phases import Kind, Phase
from pipeline.plan import Plan
from pipeline.runs import Run
from pipeline.standing import Refresher
from pipeline.stats import Stats
from stages.errors import ConfigError

JOB_MODULE = "pipeline.executors.job"
LAUNCHER = "launcher"


@dataclass
class Jobs:
    """`slurm.json`: what is submitted, and how often the same tasks were, to no avail."""

    jobs: dict[str, str] = field(default_factory=dict)
    """Id of the array of each phase, and of the launcher that follows."""
    phase: str = ""
    """The first phase with tasks missing."""
    missing: int = 0
    vain_rounds: int = 0
    """Rounds in which none of its tasks was done."""

    @classmethod
    def read(cls, run: str) -> Jobs:
        path = f"{run}/slurm.json"
        return cls(**read_json(path)) if exists(path) else cls()

    def write(self, run: str) -> None:
        write_json(f"{run}/slurm.json", asdict(self))

    def at_work(self) -> list[str]:
        """Ids of those jobs that are waiting or running."""
        if not self.jobs:
            return []
        known = set(_command("squeue", "--me", "--noheader", "--format=%F").split())
        return [job for job in self.jobs.values() if job in known]


def needs_of(settings: Slurm, plan: Plan, phase: Phase | None) -> Needs:
    """What the jobs of a phase ask for; of the launcher for None. Raises ConfigError for a kind that there is not."""
    for kind in settings.phases:
        if kind not in get_args(Kind):
            raise ConfigError(f"execution.slurm.phases: there are no {kind} phases, but: {', '.join(get_args(Kind))}")
    fields = {name: getattr(settings, name) for name in ("partition", "time", "memory_gb", "cpus")}
    layers = [settings.launcher] if phase is None else []
    if phase is not None and plan.is_accelerated(phase):
        layers.append(settings.gpu)
    if phase is not None and phase.kind in settings.phases:
        layers.append(settings.phases[phase.kind])
    for layer in layers:
        fields |= layer.model_dump(exclude_none=True)
    return Needs(**fields)


class SlurmExecutor(RecordedExecutor, SlurmPipelineExecutor):
    """The jobs of a phase, or for None the launcher: their script, their submission, and what one of them does."""

    def __init__(self, run: Run, phase: Phase | None, *, apart: bool = False) -> None:
        """
        Args:
            apart: a job a task, as far as arrays go; for tasks that may bring each other down.
        """
        self.tamis_run, self.apart = run, apart
        self.settings = run.config.execution.slurm
        self.needs = needs_of(self.settings, run.plan, phase)
        workers = run.config.execution.workers
        name = phase.name if phase else LAUNCHER
        local = "://" not in run.path
        place = os.path.abspath(run.path) if local else run.path
        self.command = [sys.executable, "-m", JOB_MODULE, place, *([phase.name] if phase else [])]
        if phase is not None:
            self.phase = phase
        super().__init__(
            [TaskStep(run, phase, no_report)] if phase else [],
            tasks=(run.num_tasks(phase) or 0) if phase else 1,
            time=str(self.needs.time),
            partition=self.needs.partition or "",
            cpus_per_task=self.needs.cpus or 1,
            gpus_per_task=1 if phase and run.plan.is_accelerated(phase) else 0,
            workers=-1 if workers == "auto" else workers,
            job_name=f"tamis-{name}",
            env_command="\n        ".join(_environment(self.settings)),
            logging_dir=f"{run.path}/{phase.directory}" if phase else f"{run.path}/logs",
            slurm_logs_folder=f"{place}/logs/slurm" if local else os.path.abspath(f"slurm_logs/{place.split('/')[-1]}"),
            max_array_size=self.settings.max_array_size,
            with_srun=False,
        )

    def get_sbatch_args(self, max_array: int = 1) -> dict[str, str]:
        array = f"0-{max_array - 1}" + (f"%{self.workers}" if self.workers != -1 else "")
        wanted = {
            "job-name": self.job_name,
            "partition": self.partition,
            "account": self.settings.account,
            "qos": self.settings.qos,
            "time": self.time,
            "cpus-per-task": str(self.cpus_per_task),
            "mem": f"{self.needs.memory_gb}G",
            "gres": self.needs.gres or "",
            "output": f"{self.slurm_logs_folder}/%x_{'%A_%a' if self.pipeline else '%j'}.log",
            "open-mode": "append",
            "array": array if self.pipeline else "",
            **self.settings.sbatch,
        }
        return {name: value for name, value in wanted.items() if value} | {"requeue": ""}

    def script(self, num_ranks: int) -> str:
        """The script of the jobs that do so many tasks."""
        share = self._share(num_ranks)
        command = [*self.command, *([str(share)] if self.pipeline else [])]
        arguments = self.get_sbatch_args(math.ceil(num_ranks / share))
        return str(self.get_launch_file_contents(arguments, f"exec {shlex.join(command)}"))

    def submit(self, ranks: list[int], after: list[str], condition: str = "afterok") -> str:
        """Submit the jobs of some tasks; they start when those jobs have ended. Returns the id."""
        os.makedirs(self.slurm_logs_folder, exist_ok=True)
        script = self.script(len(ranks))
        if self.pipeline:
            write_json(f"{self.tamis_run.path}/{self.phase.directory}/ranks_to_run.json", ranks)
            self.save_executor_as_json()
        with self.logging_dir.open(f"{self.job_name}.slurm", "w") as file:
            file.write(script)
        waits = [f"--dependency={condition}:{':'.join(after)}", "--kill-on-invalid-dep=yes"] if after else []
        return _command("sbatch", *waits, stdin=script).split()[-1]

    def _share(self, num_ranks: int) -> int:
        """Tasks that a job does."""
        wanted = self.settings.tasks_per_job
        fewest = math.ceil(num_ranks / self.settings.max_array_size)
        return max(fewest, 1 if wanted == "auto" or self.apart else wanted)

    def work(self, share: int) -> int:
        """Inside a job of the array: do its share of the tasks, with a worker a core. One that fails does not keep the
        others. Returns how many failed."""
        for name in self.requeue_signals or ():
            signal.signal(signal.Signals[name], requeue_handler)
        number = int(os.environ["SLURM_ARRAY_TASK_ID"])
        ranks = json.loads(self.logging_dir.cat_file("ranks_to_run.json"))[number * share : (number + 1) * share]
        execution = self.tamis_run.config.execution
        name = f"slurm/{os.environ['SLURM_ARRAY_JOB_ID']}_{number}"
        with WorkerPool(
            self.tamis_run, self.cpus_per_task, execution.max_tries, execution.task_timeout_s, name
        ) as pool:
            executor = LocalExecutor(self.tamis_run, self.phase, self.cpus_per_task)
            missing = self.get_incomplete_ranks(ranks)
            return len(pool.run(executor, missing, _Refresh(self.tamis_run), keep_going=True))

    def get_distributed_env(self, node_rank: int = -1) -> DistributedEnvVars:
        return DistributedEnvVars(
            datatrove_node_ips=os.environ.get("SLURM_JOB_NODELIST", ""),
            datatrove_cpus_per_task=str(self.cpus_per_task),
            datatrove_mem_per_cpu=str((self.needs.memory_gb or 1) / self.cpus_per_task),
            datatrove_gpus_on_node=str(self.gpus_per_task),
            datatrove_executor="SLURM",
        )


class _Refresh(Refresher):
    """Keeps `stats.json` fresh while a job works."""

    def ready(self, seconds: float) -> None: ...

    def update(self, rank: int, stats: Stats) -> None: ...

    def forget(self, rank: int) -> None: ...

    def finish(self, rank: int, stats: Stats) -> None:
        self.look()

    def poll(self) -> None: ...


def _environment(settings: Slurm) -> list[str]:
    return [*settings.setup.splitlines(), *(f"export {name}={value}" for name, value in WORKER_ENVIRONMENT.items())]


def scripts(run: Run) -> dict[str, str]:
    """The script of every phase's jobs, and of the launcher, by their names; for a person to read."""
    found = {}
    for phase in run.plan.phases:
        num_tasks = run.num_tasks(phase)
        found[phase.name] = SlurmExecutor(run, phase).script(num_tasks or 1)
        if num_tasks is None:
            found[phase.name] = found[phase.name].replace("--array=0-0", "--array=0-N  (N is known later)")
    return {**found, LAUNCHER: SlurmExecutor(run, None).script(1)}


def advance(run: Run) -> bool:
    """Submit all that is missing and can be submitted, and the launcher after it. Returns whether anything was.

    Raises the error of a task that failed for good, and ConfigError or RunError when Slurm refuses.
    """
    from pipeline.launch import before_phase

    jobs = Jobs.read(run.path)
    submitted: dict[str, str] = {}
    for phase in run.plan.phases:
        if run.num_tasks(phase) is None and submitted:
            break  # its tasks are decided when those are done
        before_phase(run, phase)
        executor = SlurmExecutor(run, phase, apart=jobs.vain_rounds > 0)
        missing = executor.get_incomplete_ranks()
        if missing and not submitted:
            missing = _without_vain(run, phase, missing, jobs)
        if missing:
            submitted[phase.name] = executor.submit(missing, list(submitted.values())[-1:])
            Jobs({**submitted}, jobs.phase, jobs.missing, jobs.vain_rounds).write(run.path)
    if submitted:
        submitted[LAUNCHER] = SlurmExecutor(run, None).submit([0], list(submitted.values()), "afterany")
    Jobs(submitted, jobs.phase, jobs.missing, jobs.vain_rounds).write(run.path)
    return bool(submitted)


def _without_vain(run: Run, phase: Phase, missing: list[int], jobs: Jobs) -> list[int]:
    """Those of a phase's tasks that are worth another try. Of the others, sets aside what may be; else raises the error
    of the first."""
    from pipeline.launch import set_aside

    same = (jobs.phase, jobs.missing) == (phase.name, len(missing))
    jobs.vain_rounds = jobs.vain_rounds + 1 if same else 0
    jobs.phase, jobs.missing = phase.name, len(missing)
    max_tries = run.config.execution.max_tries
    again = []
    for rank in missing:
        failures = read_failures(run.path, phase, rank)
        if failures and (failures[-1].is_final or len(failures) >= max_tries):
            set_aside(run, phase, rank, failures[-1])
        elif jobs.vain_rounds >= max_tries:
            set_aside(run, phase, rank, failures[-1] if failures else Failure(DIED, _silence(run), "", ""))
        else:
            again.append(rank)
    return again


def _silence(run: Run) -> str:
    return f"its jobs ended without a word: too little memory_gb or time is the usual cause; see {run.path}/logs/slurm"


def cancel(run: Run) -> list[str]:
    """Cancel the jobs of a run; returns their ids."""
    jobs = Jobs.read(run.path)
    if found := [jobs.jobs[LAUNCHER]] if LAUNCHER in jobs.jobs else []:
        _command("scancel", *found)  # first, so that it does not submit anything meanwhile
    others = [job for name, job in jobs.jobs.items() if name != LAUNCHER]
    if others:
        _command("scancel", *others)
    return [*found, *others]


def _command(name: str, *arguments: str, stdin: str | None = None) -> str:
    """The output of one of Slurm's commands."""
    try:
        done = subprocess.run([name, *arguments], input=stdin, capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no command {name} here: launch from a machine of the Slurm cluster, or use --executor local"
        ) from error
    except subprocess.CalledProcessError as error:
        raise ConfigError(f"{name} refused: {error.stderr.strip()}. See the settings: execution.slurm") from error
    return done.stdout
