"""Other bounds, as an address says them: keys are the paths that `--set` takes.

    /stage?signal=gopher.word_count&stages.gopher.word_count.min=100

An empty value lifts the bound; one that the run has already is no change.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import yaml

from pipeline.config import Config, dump_config
from pipeline.inspector.page import Asked
from pipeline.yaml_lines import parse

PREFIX = "stages."


def changes_of(asked: Asked, config: Config) -> list[str]:
    """What an address changes, as `--set` writes it; the last of several values counts."""
    wanted = {key: value.strip() or "null" for key, value in asked.query if key.startswith(PREFIX)}
    return [f"{path}={value}" for path, value in wanted.items() if _parsed(value) != value_at(config, path)]


def query_of(changes: list[str], **more: str) -> str:
    """The query of an address that says the same."""
    pairs = [(key, value) for key, value in more.items() if value]
    for change in changes:
        path, _, value = change.partition("=")
        pairs.append((path, value))
    return urlencode(pairs)


def value_at(config: Config, path: str) -> Any:
    """What the run has at a path; None where there is nothing."""
    _, name, *keys = path.split(".")
    dumped = {key: fields for stage in dump_config(config)["stages"] for key, fields in stage.items()}
    found: Any = next((fields for fields in dumped.values() if fields["name"] == name), {})
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _parsed(value: str) -> Any:
    try:
        return parse(value)
    except yaml.YAMLError:
        return value  # which the config will refuse, and say why
