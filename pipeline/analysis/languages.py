"""Documents of a language, as a run's counts name them and as its tables do."""

from __future__ import annotations

from pipeline.analysis.tables import literal, quoted
from pipeline.config import LANGUAGE
from pipeline.stats import MANY, UNKNOWN, Stats


def languages_of(stats: Stats) -> list[str]:
    """The labels that can be asked for; `(unknown)` are documents that have none. More labels than are counted
    (`(many)`) are no language."""
    return [label for label in stats.get("languages", {}) if label not in ("", MANY)]


def is_of(language: str) -> str:
    """True of the documents of a language, as SQL."""
    return f"{quoted(LANGUAGE)} IS NULL" if language == UNKNOWN else f"{quoted(LANGUAGE)} = {literal(language)}"
