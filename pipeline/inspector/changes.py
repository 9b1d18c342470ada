"""Other bounds, as an address says them: keys are the paths that `--set` takes.

    /stage?signal=gopher.word_count&stages.gopher.word_count.min=100

An empty value lifts the bound; one that the run has already is no change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import yaml

from pipeline.analysis.safe_text import visible
from pipeline.config import Config
from pipeline.inspector.page import Asked
from pipeline.yaml_lines import parse
from stages.errors import ConfigError

PREFIX = "stages."
ABSENT: Final = object()
"""Unlike null, which lifts a bound, no value at all."""


def changes_of(asked: Asked, config: Config) -> list[str]:
    """What an address changes, as `--set` writes it; the last of several values counts. Raises ConfigError for a path
    that nobody could have written."""
    wanted = {key: value.strip() or "null" for key, value in asked.query if key.startswith(PREFIX)}
    for path in wanted:
        if not path.isprintable():
            raise ConfigError(f"{visible(path)}: a path has letters that can be seen")
    told = {path: _parsed(value) for path, value in wanted.items()}
    return [f"{path}={value}" for path, value in wanted.items() if told[path] != _before(config, path, told)]


def query_of(changes: list[str], **more: str) -> str:
    """The query of an address that says the same."""
    pairs = [(key, value) for key, value in more.items() if value]
    for change in changes:
        path, _, value = change.partition("=")
        pairs.append((path, value))
    return urlencode(pairs)


def value_at(config: Config, path: str) -> Any:
    """What the run has at a path; where a language, or another label, has no bound of its own, the stage's."""
    return _before(config, path, {})


def _before(config: Config, path: str, told: Mapping[str, Any]) -> Any:
    """What counts at a path if it is not changed, but others are; ABSENT where there is nothing."""
    _, name, *keys = path.split(".")
    stage = next((found for found in config.stages if found.name == name), None)
    found: Any = stage.model_dump(mode="json") if stage else ABSENT
    for key in keys:
        found = found.get(key, ABSENT) if isinstance(found, dict) else ABSENT
    if found is ABSENT and stage and len(keys) > 2 and keys[0] in ("by_language", *stage.own_overrides):
        own = ".".join(["stages", name, *keys[2:]])
        return told[own] if own in told else _before(config, own, {})
    return found


def _parsed(value: str) -> Any:
    try:
        return parse(value)
    except yaml.YAMLError:
        return value  # which the config will refuse, and say why
