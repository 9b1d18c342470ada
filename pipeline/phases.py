"""A pass over the data, and where it lies in a run directory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal[
    "reference",
    "sieve",
    "conclude",
    "sketch",
    "resolve",
    "shrink",
    "root",
    "connect",
    "collect",
    "settle",
    "write",
    "clusters",
    "shuffle",
    "pack",
    "publish",
]


@dataclass(frozen=True)
class Phase:
    """What the tasks of a pass do, and where their output, logs and records lie under `phases/`."""

    number: int
    kind: Kind
    fingerprint: str
    num_tasks: int | None
    """None while unknown: it depends on the output of the phase before."""
    segment: int = 0
    """The segment of stages that it belongs to."""
    stage: str = ""
    """The stage that a phase between two sieve phases works for."""

    @property
    def name(self) -> str:
        return f"{self.number:02d}-{self.stage}{'-' if self.stage else ''}{self.kind}"

    @property
    def directory(self) -> str:
        return f"phases/{self.name}-{self.fingerprint[:8]}"
