"""A run and its directory: what was asked, where it stands, what came out.

run = pipeline.open_run("runs/crawl")
run.documents.to_table(columns=["id", "language.label"])
run.signals.count_rows()
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from pipeline.config import Config, load_config
from pipeline.failures import read_set_aside
from pipeline.io.files import exists, read_json
from pipeline.io.shards import Manifest
from pipeline.plan import Phase, Plan, make_plan
from pipeline.records import Record, read_if_done, read_records
from pipeline.stats import Stats
from stages.contract import Deduplication
from stages.errors import ConfigError, RunError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds

SUPERSEDED = "superseded"


class Run:
    """One execution of a plan, in one directory (a path or an fsspec URL). Reading a run never changes it."""

    def __init__(self, path: str) -> None:
        self.path = path.rstrip("/")

    @classmethod
    def planned(cls, config: Config, manifest: Manifest) -> Run:
        """A run that may not exist yet: where it would be, and what it would do."""
        run = cls(config.output)
        run.__dict__ |= {"config": config, "manifest": manifest, "plan": make_plan(config, manifest)}
        return run

    def __reduce__(self) -> tuple[type[Run], tuple[str]]:
        return Run, (self.path,)  # what it holds besides is read again where it is needed

    @cached_property
    def description(self) -> dict[str, Any]:
        """`run.json`: resolved config, manifest, plan, versions, times and state."""
        path = f"{self.path}/run.json"
        if not exists(path):
            raise RunError(
                f"{self.path} is not a run directory: it has no run.json. A run is made by: tamis run CONFIG"
            )
        content: dict[str, Any] = read_json(path)
        return content

    @cached_property
    def config(self) -> Config:
        return load_config(self.description["config"])

    @cached_property
    def manifest(self) -> Manifest:
        return Manifest.from_json(self.description["manifest"])

    @cached_property
    def plan(self) -> Plan:
        """The plan of the launch; raises RunError when this version of Tamis or of a model would plan otherwise."""
        plan = make_plan(self.config, self.manifest)
        recorded = self.description["fingerprints"]
        if recorded != {phase.name: phase.fingerprint for phase in plan.phases}:
            raise RunError(
                f"{self.path} was planned by other code or with other models than are installed now; "
                "start it again with `tamis run`, which does again what changed"
            )
        return plan

    @property
    def state(self) -> str:
        """`running`, `done`, `failed` or `stopped`, as the launcher last wrote it."""
        return str(self.description["state"])

    @property
    def stats(self) -> Stats:
        """`stats.json`, rewritten every few seconds while the run goes on."""
        content: Stats = read_json(f"{self.path}/stats.json")
        return content

    def snapshot(self) -> Stats:
        """`stats.json` as it would be now: of a run on a cluster that is not done, from its records."""
        from pipeline.standing import standing

        fresh = Run(self.path)
        watched = fresh.state != "running" or fresh.config.execution.executor == "local"
        return fresh.stats if watched else standing(fresh)

    def groups(self, phase: Phase) -> list[Any]:
        """What each task of a phase works on whose tasks are decided when the phase before is done: for `write` the
        sieve tasks whose output it gathers, for `pack` a split, a part of its keys and the number of parts."""
        groups: list[Any] = read_json(f"{self.path}/{phase.directory}/groups.json")
        return groups

    def num_tasks(self, phase: Phase) -> int | None:
        """Tasks of a phase; None while that is not decided."""
        if phase.num_tasks is not None:
            return phase.num_tasks
        decided = exists(f"{self.path}/{phase.directory}/groups.json")
        return len(self.groups(phase)) if decided else None

    def records(self, phase: Phase) -> list[Record]:
        """Records of the phase's finished tasks, by rank."""
        return list(read_if_done(self.path, phase, range(self.num_tasks(phase) or 0)).values())

    @property
    def set_aside(self) -> list[dict[str, Any]]:
        """Tasks that could not be done and were committed without their documents, with the parts of the input that
        they read and the cause."""
        return read_set_aside(self.path, self.plan)

    @property
    def documents(self) -> ds.Dataset:
        """What was kept: id, text, incoming columns, signals."""
        return self._dataset("documents")

    @property
    def signals(self) -> ds.Dataset:
        """Every document that was read: id, address, bytes and source of the text that was read, signals, `dropped_by`
        (null = kept)."""
        return self._dataset("signals")

    @property
    def shadow(self) -> ds.Dataset:
        """A sample of the dropped documents, with the columns of `signals`: later stages went on to measure these, but
        for those that have to know all documents."""
        return self._dataset("shadow")

    @property
    def rejected(self) -> ds.Dataset:
        """Dropped documents with their text and rule (a sample, or all), and every record that could not be read."""
        return self._dataset("rejected")

    def duplicates(self, stage: str) -> ds.Dataset:
        """Every document in a cluster of a deduplication stage, with the document kept of it: `address`, `id`, `kept`
        (its address), `kept_id`, `kept_run` (null = this run), and the stage's numbers.

        Raises ConfigError if the run has no such stage.
        """
        known = [found.name for found in self.config.stages if isinstance(found, Deduplication)]
        if stage not in known:
            raise ConfigError(
                f"{self.path} has no table of duplicates of '{stage}'; it has: {', '.join(known) or 'none'}"
            )
        return self._dataset(f"duplicates/{stage}")

    def superseded(self, stage: str) -> pa.Table:
        """Documents that earlier runs have kept and one run over everything would not have, because documents of this
        run have joined their clusters: `run`, `address` and `id` of each, and the document kept as in `duplicates`.
        Without them, what this run and those it was held against have kept is what one run would have.

        Raises ConfigError if the run has no such stage, or was not held against any.
        """
        known = [segment.stages[0].name for segment in self.plan.segments if segment.earlier]
        if stage not in known:
            held = ", ".join(known) or "none"
            raise ConfigError(f"{self.path} held '{stage}' against no earlier run; stages that it did: {held}")
        return self._dataset(f"{SUPERSEDED}/{stage}", 1).to_table()

    def _dataset(self, kind: str, num_files: int | None = None) -> ds.Dataset:
        import pyarrow.dataset as ds

        from pipeline.io.files import filesystem_of

        phase = self.plan.write
        num_tasks = self.num_tasks(phase)
        if num_tasks is None:
            raise RunError(f"{self.path} is not finished; `tamis run` goes on where it stopped")
        records = read_records(self.path, phase, range(num_tasks if num_files is None else num_files))
        fs, root = filesystem_of(self.path)
        return ds.dataset([f"{root}/{record.file(kind).path}" for record in records], filesystem=fs, format="parquet")


def open_run(path: str) -> Run:
    """The run in a directory. Raises RunError when there is none."""
    run = Run(str(path))
    assert run.description
    return run
