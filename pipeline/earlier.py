"""Earlier runs that a run is held `against`: what a stage sketched in them, and how its documents fared.

A run says in its `run.json` where the sketches of its deduplication stages lie and by which settings they were made.
A later run reads them beside its own, as if its documents came after theirs in one corpus: an address in it is the
document's own, moved behind all shards of the runs before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.io.files import absolute, exists, read_json
from pipeline.phases import Phase
from stages.contract import Deduplication, Stage
from stages.errors import ConfigError


@dataclass(frozen=True)
class Index:
    """What a stage left in a run."""

    run: str
    settings: Mapping[str, Any]
    """What its sketches depend on."""
    sketch: Phase
    """The phase whose tasks wrote them."""
    settled: Phase
    """The phase whose tasks say who was kept."""
    first_shards: tuple[int, ...]
    """The first shard of each task."""
    num_shards: int
    num_shards_before: int
    """Shards of the runs that this one was held against."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Index:
        phases = {name: Phase(**content[name]) for name in ("sketch", "settled")}
        return cls(**{**content, **phases, "first_shards": tuple(content["first_shards"])})


def with_their_own(against: Sequence[str], output: str) -> dict[str, dict[str, Any]]:
    """`run.json` of some runs, and of those that they were held against, the oldest first, by path.

    Raises ConfigError for a run that is not there, not finished, or the one that is to be made.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in against:
        if not exists(f"{path}/run.json"):
            raise ConfigError(f"input.against: {path} is not a run directory: it has no run.json")
        content = read_json(f"{path}/run.json")
        for older in [*content.get("against", []), path]:
            if older == absolute(output):
                raise ConfigError(f"input.against: {older} is the output of this run; give it another one: --output")
            found.setdefault(older, content if older == path else read_json(f"{older}/run.json"))
            if found[older]["state"] != "done":
                raise ConfigError(f"input.against: the run {older} is not done; `tamis run` goes on where it stopped")
    return found


def takes_part(stage: Stage) -> bool:
    """Whether the stage compares documents with those of earlier runs."""
    return isinstance(stage, Deduplication) and stage.by_key


def indexes_of(stage: Stage, settings: Mapping[str, Any], runs: Mapping[str, dict[str, Any]]) -> tuple[Index, ...]:
    """What a stage left in each of some runs. Raises ConfigError if one did not have it, or with other settings."""
    found = []
    for path, content in runs.items():
        indexes = content.get("index", {})
        if stage.name not in indexes:
            known = ", ".join(indexes) or "none"
            raise ConfigError(
                f"input.against: {path} has no stage '{stage.name}' to compare with; of its kind it has: {known}"
            )
        index = Index.from_json(indexes[stage.name])
        _check_settings(stage.name, path, index.settings, settings)
        found.append(index)
    return tuple(found)


def _check_settings(stage: str, path: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    way_out = "Take the same settings, or make that run again with these"
    for name in sorted(theirs["fields"].keys() | ours["fields"].keys()):
        then, now = theirs["fields"].get(name), ours["fields"].get(name)
        if then != now:
            raise ConfigError(f"input.against: {path} was made with {stage}.{name}: {then}, not {now}. {way_out}")
    for name in ("class", "version", "assets"):
        if theirs[name] != ours[name]:
            what = f"{name} {theirs[name]} of {stage}, not {ours[name]}"
            raise ConfigError(f"input.against: {path} was made with {what}. {way_out}")
