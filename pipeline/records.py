"""Completion records: the one sign that a task is done, and the list of what it wrote.

A task writes its files first and its record last, in one atomic step. Readers follow records, never directory
listings, so the remains of a killed task are never taken for output, on a disk and on an object store alike. The
records lie where datatrove keeps its markers, `completions/00000`, and are small JSON files:

    {"rank": 0, "fingerprint": "…", "files": [{"path", "rows", "bytes", "checksum"}], "stats": {…}}
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.io.files import checksum_of, exists, read_json, size_of, write_json
from pipeline.io.write import Written
from pipeline.plan import Phase
from pipeline.stats import Stats
from stages.errors import RunError


@dataclass(frozen=True)
class Record:
    """What one task left behind; `files` are relative to the run directory."""

    rank: int
    fingerprint: str
    files: tuple[Written, ...]
    stats: Stats

    def file(self, kind: str) -> Written:
        """The file of a kind: `documents`, `signals` or `rejected`."""
        return next(file for file in self.files if f"/{kind}/" in f"/{file.path}")


def record_path(run: str, phase: Phase, rank: int) -> str:
    return f"{run}/{phase.directory}/completions/{rank:05d}"


def commit(run: str, phase: Phase, rank: int, files: Iterable[Written], stats: Stats) -> Record:
    """A task's last act: write the record of what it has done."""
    record = Record(rank, phase.fingerprint, tuple(files), stats)
    write_json(record_path(run, phase, rank), asdict(record))
    return record


def read_record(run: str, phase: Phase, rank: int) -> Record | None:
    """The record of a task, or None if the task is not done.

    Raises RunError when the record is damaged or belongs to another plan.
    """
    path = record_path(run, phase, rank)
    if not exists(path):
        return None
    content: dict[str, Any] = read_json(path)
    try:
        files = tuple(Written(**file) for file in content["files"])
        record = Record(content["rank"], content["fingerprint"], files, content["stats"])
    except (KeyError, TypeError) as error:
        raise RunError(
            f"{path} is not a completion record ({error}); delete it to have task {rank} done again"
        ) from error
    if record.rank != rank or record.fingerprint != phase.fingerprint:
        raise RunError(
            f"{path} belongs to another plan (stale); delete {run}/{phase.directory} to start its phase afresh"
        )
    return record


def check_files(run: str, phase: Phase, record: Record, *, checksums: bool = False) -> None:
    """Compare what a record lists with what is there; raises RunError naming the first file that differs."""
    for file in record.files:
        path = f"{run}/{file.path}"
        way_out = f"delete {record_path(run, phase, record.rank)} to have task {record.rank} done again"
        if not exists(path):
            raise RunError(f"{path} is gone, though its record lists it; {way_out}")
        if (size := size_of(path)) != file.bytes:
            raise RunError(f"{path} has {size} bytes, its record says {file.bytes}; {way_out}")
        if checksums and checksum_of(path) != file.checksum:
            raise RunError(f"{path} is damaged: its checksum is not the one on record; {way_out}")


def read_records(run: str, phase: Phase, ranks: Iterable[int]) -> list[Record]:
    """The records of tasks that must all be done; raises RunError naming the first that is not."""
    records = []
    for rank in ranks:
        record = read_record(run, phase, rank)
        if record is None:
            raise RunError(f"task {rank} of {phase.name} is not done: {record_path(run, phase, rank)} is missing")
        records.append(record)
    return records
