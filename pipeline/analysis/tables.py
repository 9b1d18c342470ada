"""A run's tables in DuckDB, read where they lie.

Views `signals`, `shadow`, `rejected` and `documents` have the columns of the run's folders of these names. Only files
that the run's own records list are read. Numbers come from whole columns, never from rows in Python, so a question to
ten million documents takes seconds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isinf
from typing import TYPE_CHECKING, Any, Self

from pipeline.runs import Run

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds

VIEWS = ("signals", "shadow", "rejected", "documents")
MEMORY = "800MB"


def quoted(name: str) -> str:
    """A column's name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | float) -> str:
    """A value as SQL."""
    return "'" + str(value).replace("'", "''") + "'" if isinstance(value, str) or isinf(value) else repr(value)


def files_sql(paths: Sequence[str]) -> str:
    """Parquet files for the FROM of a query: these and no others, whatever their paths look like. DuckDB takes `*`, `?`
    and `[` for patterns, and folders like `source=x` for columns."""
    exact = [re.sub(r"[*?\[]", r"[\g<0>]", path) for path in paths]
    return f"read_parquet([{', '.join(map(literal, exact))}], hive_partitioning = false)"


class Tables:
    """A connection to a run's tables; a context manager that closes it. Not for several threads at a time."""

    def __init__(self, run: Run, *, memory: str = MEMORY, threads: int | None = None) -> None:
        """
        Args:
            memory: what DuckDB may hold; past it, it writes to its temporary folder.
            threads: None is one a core.

        Raises RunError when the run is not done.
        """
        import duckdb

        self.run = run
        self._connection = duckdb.connect(config={"memory_limit": memory, **({"threads": threads} if threads else {})})
        self._columns = {view: self._create(view) for view in VIEWS}
        self._kept: dict[str, pa.Table] = {}

    def _create(self, view: str) -> list[str]:
        dataset = getattr(self.run, view)
        source = self.table(dataset, view)
        if source != view:
            self._connection.execute(f"CREATE VIEW {view} AS SELECT * FROM {source}")
        return list(dataset.schema.names)

    def table(self, dataset: ds.Dataset, name: str = "dataset") -> str:
        """A table of the run, for the FROM of a query."""
        if "://" in self.run.path:
            self._connection.register(name, dataset)
            return name
        return files_sql(dataset.files)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def columns(self, view: str) -> list[str]:
        return self._columns[view]

    def has(self, column: str, view: str = "signals") -> bool:
        return column in self._columns[view]

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """The rows that a query gives, all of them."""
        return self._connection.sql(sql, params=list(parameters)).to_arrow_table()

    def query_once(self, sql: str) -> pa.Table:
        """The few rows of a query that comes again and again. They are kept: a run that is done does not change."""
        if sql not in self._kept:
            self._kept[sql] = self.query(sql)
        return self._kept[sql]

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query that gives few."""
        return list(self._connection.execute(sql, list(parameters)).fetchall())


def open_tables(run: Run, *, memory: str = MEMORY, threads: int | None = None) -> Tables:
    return Tables(run, memory=memory, threads=threads)
