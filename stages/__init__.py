"""What is measured and changed; knows nothing of files, workers or configs.

The registry maps a stage's name in a config to its class, which is imported on use. Third parties join by an entry
point of the group `tamis.stages`, named as the stage and pointing at its class.
"""

from __future__ import annotations

import difflib
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stages.contract import Stage

__all__ = ["ENTRY_POINT_GROUP", "REGISTRY", "load", "name_of", "names"]

ENTRY_POINT_GROUP = "tamis.stages"

REGISTRY = {
    "url": "stages.url:Url",
    "language": "stages.language:Language",
    "gopher": "stages.heuristics.gopher:Gopher",
    "repetition": "stages.heuristics.repetition:Repetition",
    "c4": "stages.heuristics.c4:C4",
    "fineweb": "stages.heuristics.fineweb:FineWeb",
    "nsfw": "stages.nsfw:Nsfw",
    "llama3": "stages.heuristics.llama3:Llama3",
    "same_url": "stages.dedup.same_url:SameUrl",
    "exact": "stages.dedup.duplicates:Exact",
    "lines": "stages.dedup.boilerplate:Lines",
    "minhash": "stages.dedup.duplicates:MinHash",
    "semantic": "stages.dedup.semantic:Semantic",
    "diversity": "stages.dedup.diversity:Diversity",
    "substring": "stages.dedup.substring:Substring",
    "decontamination": "stages.decontamination:Decontamination",
    "semantic_decontamination": "stages.semantic_decontamination:SemanticDecontamination",
    "pii": "stages.pii:Pii",
    "code": "stages.heuristics.code:Code",
    "quality": "stages.quality:Quality",
    "embedding": "stages.embedding.stage:Embedding",
    "category": "stages.category:Category",
    "cap": "stages.cap:Cap",
    "mix": "stages.mix:Mix",
    "tokens": "stages.tokens.tokens:Tokens",
    "datatrove": "stages.datatrove_filter:DatatroveFilter",
}


@lru_cache(maxsize=1)
def _third_party() -> dict[str, str]:
    """Stages of installed packages. Raises ConfigError when two stages have one name."""
    from importlib.metadata import entry_points

    from stages.errors import ConfigError

    found: dict[str, str] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        taken = REGISTRY.get(point.name) or found.get(point.name)
        if taken not in (None, point.value):
            raise ConfigError(
                f"two stages are called '{point.name}': {taken} and {point.value}; uninstall or rename one"
            )
        found[point.name] = point.value
    return found


def names() -> list[str]:
    """Every stage that a config may name, ours first."""
    return [*REGISTRY, *sorted(_third_party())]


def load(name: str) -> type[Stage]:
    """The class of a stage. Raises ConfigError for an unknown name, with the nearest one."""
    from stages.errors import ConfigError

    home = REGISTRY.get(name) or _third_party().get(name)
    if home is None:
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(names())}."
        raise ConfigError(f"there is no stage '{name}'. {hint} See: tamis stages")
    module, _, attribute = home.partition(":")
    found: type[Stage] = getattr(import_module(module), attribute)
    return found


def name_of(stage: type[Stage]) -> str | None:
    """The name under which a config knows a class; None if it knows none. Nothing is imported if the class is named
    where it stands."""
    homes = {**_third_party(), **REGISTRY}
    own = f"{stage.__module__}:{stage.__qualname__}"
    exact = next((name for name, home in homes.items() if home == own), None)
    return exact or next((name for name in _third_party() if load(name) is stage), None)
