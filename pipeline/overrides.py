"""Single values of a config by their paths: `stages.gopher.word_count.min`."""

from __future__ import annotations

import difflib
from typing import Any

import yaml

from pipeline.yaml_lines import parse
from stages.errors import ConfigError


def apply_override(content: dict[str, Any], override: str) -> None:
    """Apply one `--set a.b=c`."""
    path, equals, text = override.partition("=")
    try:
        if not equals:
            raise ConfigError("write a path, `=` and a value: stages.gopher.word_count.min=100")
        try:
            value = parse(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"{text!r} is not a YAML value") from error
        put(content, path, value)
    except ConfigError as error:
        raise ConfigError(f"--set {override}: {error}") from error


def put(content: dict[str, Any], path: str, value: Any) -> None:
    """A value in its place: `stages.gopher.word_count.min`. Raises ConfigError when there is no such place."""
    keys = path.strip().split(".")
    if not all(keys):
        raise ConfigError("write a path, `=` and a value: stages.gopher.word_count.min=100")
    target: Any = content
    if keys[0] == "stages":
        if len(keys) < 3:
            raise ConfigError("name a stage and a field: stages.gopher.word_count.min=100")
        target, keys = _stage_fields(content, keys[1]), keys[2:]
    for key in keys[:-1]:
        if not isinstance(target.get(key, {}), dict):
            raise ConfigError(f"{key} is a value, there is nothing below it")
        target[key] = dict(target.get(key) or {})
        target = target[key]
    target[keys[-1]] = value


def _stage_fields(content: dict[str, Any], name: str) -> dict[str, Any]:
    """The fields of the stage of that name, ready to be changed."""
    entries = list(content.get("stages") or [])
    content["stages"] = entries
    found = []
    for i, entry in enumerate(entries):
        key, fields = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()), ("", {}))
        fields = dict(fields or {})
        found.append(str(fields.get("name") or key))
        if found[-1] == name:
            entries[i] = {key: fields}
            return fields
    near = difflib.get_close_matches(name, found, n=1)
    hint = f"Did you mean '{near[0]}'?" if near else f"It has: {', '.join(found) or 'none'}."
    raise ConfigError(f"the config has no stage '{name}'. {hint}")
