"""YAML with a memory: a document as plain Python values, and the line where each of them stands."""

from __future__ import annotations

import re
from typing import Any

import yaml

from stages.errors import ConfigError

Path = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """Safe, and with YAML 1.2's booleans: `true` and `false`. In YAML 1.1 the language code `no` is one, too."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def parse(text: str) -> Any:
    """A YAML text as plain values. Raises yaml.YAMLError, also for what its library trips over: a date that there is
    not (`2001-99-99`), `!!bool x`, an integer of 5,000 digits."""
    try:
        return yaml.load(text, Loader=_Loader)
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deep") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise yaml.YAMLError(f"it has a value that is none: {error}") from error


class Located:
    """A YAML document: `content`, and for every path into it (`("stages", 0, "gopher")`) its line."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self._lines: dict[Path, int] = {}
        try:
            node = yaml.compose(text, Loader=_Loader)
            self._visit(node, ())
            self.content: Any = parse(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f"{name}:{mark.line + 1}" if mark else name
            raise ConfigError(f"{place}: this is not YAML: {getattr(error, 'problem', None) or error}") from error
        except RecursionError as error:
            raise ConfigError(f"{name}: this is not YAML: it is nested too deep") from error

    def _visit(self, node: yaml.Node | None, path: Path) -> None:
        if node is None:
            return
        self._lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            seen = set()
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise ConfigError(
                        f"{self.name}:{key.start_mark.line + 1}: a key is a word, not a list or a mapping"
                    )
                if key.value in seen:
                    raise ConfigError(f"{self.name}:{key.start_mark.line + 1}: '{key.value}' is written twice")
                seen.add(key.value)
                self._lines[*path, key.value] = key.start_mark.line + 1
                self._visit(value, (*path, key.value))
        elif isinstance(node, yaml.SequenceNode):
            for i, value in enumerate(node.value):
                self._visit(value, (*path, i))

    def place(self, path: Path) -> str:
        """`file:line` of the value at a path, or of the nearest thing around it that the file holds."""
        while path and path not in self._lines:
            path = path[:-1]
        return f"{self.name}:{self._lines.get(path, 1)}"
