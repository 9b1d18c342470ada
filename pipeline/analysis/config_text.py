"""A config as a person would write it: only what is not a default, bounds on a line, reasons behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import BaseModel

from pipeline.config import Config, dump_config
from stages.contract import Bounds, Stage

Path = tuple[str, ...]


def config_content(config: Config) -> dict[str, Any]:
    """A config as plain values without those that are the defaults; `load_config` reads it back."""
    dumped = dump_config(config)
    content: dict[str, Any] = {"input": _changed(config.input, dumped["input"]), "output": config.output}
    content["stages"] = [_entry(stage, entry) for stage, entry in zip(config.stages, dumped["stages"], strict=True)]
    if execution := _changed(config.execution, dumped["execution"]):
        content["execution"] = execution
    return content


def _entry(stage: Stage, entry: Mapping[str, Any]) -> Any:
    ((kind, fields),) = entry.items()
    changed = _changed(stage, fields)
    if changed.get("name") == kind:
        del changed["name"]
    return {kind: changed} if changed else kind


def _changed(model: BaseModel, dumped: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a model that are not what they are without being named; overrides by label last."""
    changed = {
        name: _ends(dumped[name], info.default)
        for name, info in type(model).model_fields.items()
        if info.is_required() or getattr(model, name) != info.get_default(call_default_factory=True)
    }
    return dict(sorted(changed.items(), key=lambda item: item[0].startswith("by_")))


def _ends(value: Any, default: Any) -> Any:
    """A bound without an end that is open by default, too."""
    if not isinstance(default, Bounds):
        return value
    return {end: limit for end, limit in value.items() if limit is not None or getattr(default, end) is not None}


def config_text(content: Mapping[str, Any], heading: str, comments: Mapping[Path, str] | None = None) -> str:
    """A config's plain values as YAML.

    Args:
        heading: comment lines on top, without `#`.
        comments: by path (`("stages", "gopher", "word_count")`): what is said behind a value; before it if it is a
            block.
    """
    comments = comments or {}
    lines = [f"# {line}".rstrip() for line in heading.splitlines()]
    for key, value in content.items():
        if key == "stages":
            lines += ["", *_above(comments, ("stages",), ""), "stages:"]
            for entry in value:
                lines += _stage_lines(entry, comments)
        else:
            lines += [*([""] if key == "execution" else []), *_lines(key, value, (key,), 0, comments)]
    return "\n".join(lines) + "\n"


def _stage_lines(entry: Any, comments: Mapping[Path, str]) -> list[str]:
    if isinstance(entry, str):
        entry = {entry: None}
    ((kind, fields),) = entry.items()
    name = (fields or {}).get("name", kind)
    lines = ["", *_above(comments, ("stages", name), "  ")]
    if not fields:
        return [*lines, f"  - {kind}"]
    lines.append(f"  - {kind}:")
    for key, value in fields.items():
        lines += _lines(key, value, ("stages", name, key), 6, comments)
    return lines


def _lines(key: str, value: Any, path: Path, indent: int, comments: Mapping[Path, str]) -> list[str]:
    """A key and its value: a block if something below it has a comment or blocks, else one line."""
    margin = " " * indent
    if isinstance(value, Mapping) and value and not _is_leaf(value):
        inner = [line for k, v in value.items() for line in _lines(str(k), v, (*path, str(k)), indent + 2, comments)]
        return [*_above(comments, path, margin), f"{margin}{_flow(key)}:", *inner]
    line = f"{margin}{_flow(key)}: {_flow(value)}"
    return [f"{line}    # {comments[path]}" if path in comments else line]


def _is_leaf(value: Mapping[str, Any]) -> bool:
    """Bounds, and mappings of plain values that fit on a line."""
    plain = not any(isinstance(inner, (Mapping, list, tuple)) for inner in value.values())
    return plain and (value.keys() <= {"min", "max"} or len(value) <= 3)


def _above(comments: Mapping[Path, str], path: Path, margin: str) -> list[str]:
    return [f"{margin}# {line}".rstrip() for line in comments.get(path, "").splitlines()]


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**9, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")
