"""Completion records: the one sign that a task is done, and the list of what it wrote.

A task writes its files first and its record last, in one atomic step. Readers follow records, never directory
listings, so the remains of a killed task are never taken for output, on a disk and on an object store alike. The
records lie where datatrove keeps its markers, `completions/00000`, and are small JSON files:

    {"rank": 0, "fingerprint": "…", "files": [{"path", "rows", "bytes", "checksum"}], "stats": {…}}
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.io.files import checksum_of, list_sizes, parse_json, read_many, size_of, write_json
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
    write_json(record_path(run, phase, rank), asdict(record), compact=True)
    return record


def read_record(run: str, phase: Phase, rank: int) -> Record | None:
    """The record of a task, or None if the task is not done.

    Raises RunError when the record is damaged or belongs to another plan.
    """
    return read_if_done(run, phase, [rank]).get(rank)


def read_if_done(run: str, phase: Phase, ranks: Iterable[int]) -> dict[int, Record]:
    """The records of those of some tasks that are done, read at the same time where that is quicker; as `read_record`
    otherwise."""
    paths = {rank: record_path(run, phase, rank) for rank in ranks}
    found = read_many(list(paths.values()))
    return {
        rank: _parse(run, phase, rank, parse_json(path, found[path])) for rank, path in paths.items() if path in found
    }


def _parse(run: str, phase: Phase, rank: int, content: dict[str, Any]) -> Record:
    path = record_path(run, phase, rank)
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


def check_sizes(run: str, phase: Phase, records: Collection[Record]) -> None:
    """Raises RunError naming the first file of some records that is gone or has another size; of many behind a URL, by
    listing their folders."""
    folders = {file.path.rpartition("/")[0] for record in records for file in record.files}
    if "://" not in run or len(records) <= len(folders):
        for record in records:
            check_files(run, phase, record)
        return
    sizes = {f"{folder}/{name}": size for folder in folders for name, size in list_sizes(f"{run}/{folder}").items()}
    for record in records:
        for file in record.files:
            _compare(run, phase, record, file, sizes.get(file.path))


def check_files(run: str, phase: Phase, record: Record, *, checksums: bool = False) -> None:
    """Compare what a record lists with what is there; raises RunError naming the first file that differs."""
    for file in record.files:
        path = f"{run}/{file.path}"
        _compare(run, phase, record, file, size_of(path))
        if checksums and checksum_of(path) != file.checksum:
            raise RunError(
                f"{path} is damaged: its checksum is not the one on record; {_way_out(run, phase, record.rank)}"
            )


def checked(run: str, phase: Phase, record: Record, kind: str) -> Written:
    """The file of a kind. Raises RunError when it is gone or has another size; the others are not asked for."""
    file = record.file(kind)
    _compare(run, phase, record, file, size_of(f"{run}/{file.path}"))
    return file


def _compare(run: str, phase: Phase, record: Record, file: Written, size: int | None) -> None:
    path, way_out = f"{run}/{file.path}", _way_out(run, phase, record.rank)
    if size is None:
        raise RunError(f"{path} is gone, though its record lists it; {way_out}")
    if size != file.bytes:
        raise RunError(f"{path} has {size} bytes, its record says {file.bytes}; {way_out}")


def _way_out(run: str, phase: Phase, rank: int) -> str:
    return f"delete {record_path(run, phase, rank)} to have task {rank} done again"


def read_records(run: str, phase: Phase, ranks: Iterable[int]) -> list[Record]:
    """The records of tasks that must all be done; raises RunError naming the first that is not."""
    wanted = list(ranks)
    found = read_if_done(run, phase, wanted)
    for rank in wanted:
        if rank not in found:
            raise RunError(f"task {rank} of {phase.name} is not done: {record_path(run, phase, rank)} is missing")
    return [found[rank] for rank in wanted]
