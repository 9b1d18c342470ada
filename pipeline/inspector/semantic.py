"""Semantic: documents that say the same in other words: what epsilons remove, pairs near the threshold, clusters."""

from __future__ import annotations

from pipeline.analysis import meanings
from pipeline.inspector.page import Asked, Inspected, View
from stages.dedup.semantic import Semantic
from stages.errors import ConfigError


def view(inspected: Inspected, asked: Asked) -> View:
    names = [stage.name for stage in inspected.run.config.stages if isinstance(stage, Semantic)]
    if not names:
        raise ConfigError("this run has no stage `semantic`")
    name = asked.choice("stage", names)
    stage = meanings.semantic_of(inspected.run, name)
    found = {
        "curve": meanings.epsilon_curve(inspected.tables, name),
        "pairs": meanings.near_threshold(inspected.tables, name),
        "clusters": meanings.topics(inspected.tables, name),
    }
    return View("semantic.html", "Semantic", {"stage": name, "epsilon": stage.epsilon, "action": stage.action}, found)
