"""What stages there are and what their fields mean: read from the classes, so that it is never out of date."""

from __future__ import annotations

import inspect
import re
from typing import Any

import stages as registry
from stages.contract import Barrier, Bounds, Census, Decision, Filter, Fitted, Map, Stage


def overview() -> list[dict[str, Any]]:
    """Name, kind, number of signals and first sentence of every stage."""
    found = []
    for name in registry.names():
        cls = registry.load(name)
        found.append(
            {
                "name": name,
                "kind": _kind(cls),
                "signals": len(cls.signals()),
                "summary": _summary(_doc(cls)),
            }
        )
    return found


def describe(name: str) -> dict[str, Any]:
    """Everything about one stage. Raises ConfigError for an unknown name."""
    cls = registry.load(name)
    signals = cls.signals()
    fields = cls.model_fields
    return {
        "name": name,
        "kind": _kind(cls),
        "version": cls.version,
        "doc": _doc(cls),
        "needs": list(cls.needs),
        "signals": [
            {
                "name": f"{name}.{field}",
                "type": str(signal.type),
                "unit": signal.unit,
                "default": rule_text(fields[field].default),
                "definition": _flat(fields[field].description),
            }
            for field, signal in signals.items()
        ],
        "parameters": [
            {"name": field, "default": _default_text(info), "definition": _flat(info.description)}
            for field, info in fields.items()
            if field not in signals and (field not in Stage.model_fields or field in ("action", "by_language"))
        ],
    }


def _kind(cls: type[Stage]) -> str:
    return next(kind.__name__ for kind in (Filter, Fitted, Census, Barrier, Map) if issubclass(cls, kind))


def rule_text(rule: Decision) -> str:
    """A decision as a config writes it."""
    content: Any = rule.model_dump(mode="json")
    if isinstance(content, dict):
        ends = [f"{end}: {value}" for end, value in content.items() if value is not None]
        return "{" + ", ".join(ends) + "}" if ends else "no bound"
    return "any" if content is None else "drops where true" if content is True else str(content)


def _default_text(info: Any) -> str:
    return "required" if info.is_required() else repr(info.get_default(call_default_factory=True))


def _doc(cls: type[Stage]) -> str:
    return inspect.cleandoc(cls.__doc__ or "")


def _summary(doc: str) -> str:
    """The first sentence, without what stands in brackets."""
    return re.sub(r" ?\([^)]*\)", "", _flat(doc.split("\n\n")[0])).split(". ")[0].removesuffix(".")


def definition(stage: Stage, signal: str) -> str:
    """What a signal is, in a sentence or two."""
    return _flat((type(stage).model_fields[signal].description or "").split("\n\n")[0])


def bounds_of(stage: Stage, signal: str, language: str | None) -> dict[str, float]:
    """The ends that are set of the bounds on a numeric signal: `min`, `max`."""
    rule = stage.decisions(language)[signal]
    assert isinstance(rule, Bounds)
    return {end: float(value) for end, value in rule.ends.items()}


def _flat(text: str | None) -> str:
    return " ".join((text or "").split())
