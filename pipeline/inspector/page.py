"""What a view is: a template, what it shows, and its tables; and how a view reads the query of its address."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from stages.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.analysis.tables import Tables
    from pipeline.runs import Run
    from pipeline.stats import Stats

CACHED_VIEWS = 64


@dataclass(frozen=True)
class View:
    """The answer to a GET: `tables` are what the page shows and what can be downloaded, by name."""

    template: str
    title: str
    context: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, pa.Table] = field(default_factory=dict)


Query = tuple[tuple[str, str], ...]
MakeView = Callable[["Inspected", "Asked"], View]


class Inspected:
    """The run that is looked at, and perhaps a second one to hold it against; its tables are opened once."""

    def __init__(self, run: Run, other: Run | None = None) -> None:
        self.run = run
        self.other = other
        self.lock = Lock()
        self._views = lru_cache(CACHED_VIEWS)(self._make)

    def view(self, make: MakeView, query: Query) -> View:
        """A view, made once for each address. One at a time: DuckDB uses all cores for one question."""
        with self.lock:
            return self._views(make, query)

    def has(self, page: str) -> bool:
        """Whether there is anything to show on a page."""
        from stages.contract import Deduplication
        from stages.dedup.semantic import Semantic

        stages = self.run.config.stages
        wanted = {
            "compare": self.other is not None,
            "duplicates": any(isinstance(stage, Deduplication) for stage in stages),
            "semantic": any(isinstance(stage, Semantic) for stage in stages),
        }
        return wanted.get(page, True)

    @cached_property
    def stats(self) -> Stats:
        return self.run.stats

    @property
    def dropped_counts(self) -> dict[str, int]:
        """Documents dropped by each rule, most first."""
        from pipeline.stats import dropped

        return {rule: counts["documents"] for rule, counts in dropped(self.stats).items()}

    @cached_property
    def tables(self) -> Tables:
        """Its tables in DuckDB; only views ask, one at a time."""
        from pipeline.analysis.tables import open_tables

        return open_tables(self.run)

    def prepare(self) -> None:
        """Open the tables before anybody asks. What fails here fails again, and is told, when somebody does."""
        from pipeline.analysis.whatif import prepare

        with self.lock, suppress(Exception):
            prepare(self.tables)

    def forget(self) -> None:
        """Make every view anew: the run, or what is known of it, has changed."""
        self._views.cache_clear()

    def _make(self, make: MakeView, query: Query) -> View:
        return make(self, Asked(query))


class Asked:
    """The query of an address. Raises ConfigError, with what would be right, for values that make no sense."""

    def __init__(self, query: Query) -> None:
        self.query = query

    def text(self, name: str, default: str = "") -> str:
        return next((value for key, value in self.query if key == name and value != ""), default)

    def choice(self, name: str, choices: Sequence[str], default: str | None = None) -> str:
        """One of several; the first one unless it is said."""
        value = self.text(name, default if default is not None else next(iter(choices), ""))
        if value not in choices and value != default:
            raise ConfigError(f"{name}={value}: there is no such {name}; there is: {', '.join(choices) or 'none'}")
        return value

    def optional(self, name: str, choices: Iterable[str]) -> str | None:
        """One of several, or none."""
        return self.choice(name, list(choices), "") or None

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number, or the nearest one that is allowed; addresses have more digits than a float."""
        written = self.text(name)
        if not written:
            return default
        try:
            value = int(written)
        except ValueError as error:
            raise ConfigError(f"{name}={written}: write a whole number") from error
        return min(max(value, low), high)
