"""The `slurm:` and `ray:` blocks of a config's `execution:`. They say where tasks run, never what these write."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

TimeLimit = Annotated[str, Field(pattern=r"^(\d+-)?\d+(:\d+){0,2}$")]


class Needs(BaseModel):
    """What one job of some phases asks for; a field that is absent is as it is for the other phases."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    partition: str | None = None
    """Partition (queue) of the jobs."""
    time: TimeLimit | None = None
    """Time limit of a job, as sbatch writes it: `04:00:00`, `1-12:00:00`."""
    memory_gb: int | None = Field(default=None, ge=1)
    """Memory of a job, GB."""
    cpus: int | None = Field(default=None, ge=1)
    """Cores of a job. A task uses one; stages that say otherwise may use more."""
    gres: str | None = None
    """Generic resources: `gpu:1`, `gpu:a100:1`."""


class Slurm(BaseModel):
    """How jobs are asked for on a Slurm cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    partition: str = ""
    """Partition (queue) of the jobs; empty is the cluster's default."""
    time: TimeLimit = "04:00:00"
    """Time limit of a job, as sbatch writes it. A job that runs into it is submitted again with the tasks it left."""
    memory_gb: int = Field(default=4, ge=1)
    """Memory of a job, GB."""
    cpus: int = Field(default=1, ge=1)
    """Cores of a job. A task uses one; more is a way to more memory where it comes with cores."""
    gpu: Needs = Needs(gres="gpu:1")
    """What phases that use a GPU ask for instead."""
    phases: dict[str, Needs] = {}
    """What phases of a kind (the last word of their names) ask for instead: `resolve: {memory_gb: 8}`."""
    launcher: Needs = Needs(time="00:30:00")
    """What the small job between phases asks for instead. It reads records, submits what comes next, and ends."""
    account: str = ""
    """Account that the jobs are charged to."""
    qos: str = ""
    """Quality of service of the jobs."""
    tasks_per_job: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Tasks that a job of an array does one after the other; `auto` is as few as `max_array_size` allows."""
    max_array_size: int = Field(default=1000, ge=1)
    """Jobs in an array, at most (`scontrol show config | grep MaxArraySize`, less one)."""
    setup: str = ""
    """Shell lines before a job's work: `module load python/3.12`. Jobs use the Python that launched them, and its
    environment."""
    sbatch: dict[str, str] = {}
    """Any other options of sbatch, by their long names: `{constraint: skylake, nice: "100"}`."""


class Ray(BaseModel):
    """How tasks are run on a Ray cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    address: str = ""
    """Address of a cluster: `auto`, `ray://head:10001`; empty starts Ray on this machine."""
    cpus: int = Field(default=1, ge=1)
    """Cores that a job reserves."""
    memory_gb: float = Field(default=2, gt=0)
    """Memory that a job reserves, GB."""
    gpus: float = Field(default=1, gt=0)
    """GPUs that a job of a phase that uses one reserves."""
    tasks_per_job: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Tasks that a job does one after the other; `auto` makes twice as many jobs as fit into the cluster at a time."""
