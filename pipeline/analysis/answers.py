"""A question of the command line, checked, and its answer."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.analysis.outcomes import Flip
from pipeline.analysis.tables import open_tables
from pipeline.analysis.whatif import WEIGHTS, WhatIf, flipping, what_if
from pipeline.runs import Run
from stages.errors import ConfigError

GROUPS = ("", "language", "source")


def answer(run: Run, changes: Sequence[str], by: str, weight: str, examples: int) -> tuple[WhatIf, list[Flip]]:
    """What other bounds would have kept, and some documents that change side.

    Raises ConfigError for a wrong question.
    """
    if not changes:
        raise ConfigError("say what to change: --set stages.gopher.word_count.min=100")
    for name, value, known in (("--by", by, GROUPS), ("--weight", weight, WEIGHTS)):
        if value not in known:
            raise ConfigError(f"{name} {value}: write {' or '.join(word for word in known if word)}")
    with open_tables(run) as tables:
        found = what_if(run, changes, tables, weight)
        return found, flipping(run, changes, tables, examples) if examples else []
