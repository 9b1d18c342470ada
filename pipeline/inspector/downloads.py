"""A table as a file: .csv, .json or .parquet."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from pipeline.numbers import finite

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a cell that begins so for a formula; ids and texts of the web may."""


def as_csv(table: pa.Table) -> bytes:
    """Comma-separated values; text that a spreadsheet would compute gets an apostrophe before it."""
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_nested(column.type):
            column = pa.array([None if value is None else json.dumps(value) for value in column.to_pylist()])
        elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = pa.array([_inert(value) for value in column.to_pylist()], pa.large_string())
        columns[name] = column
    file = io.BytesIO()
    pyarrow.csv.write_csv(pa.table(columns), file)
    return file.getvalue()


def as_json(table: pa.Table) -> bytes:
    """A list of rows. NaN and the infinities, which JSON has not, are null."""
    return json.dumps([finite(row) for row in table.to_pylist()], ensure_ascii=False, default=str).encode()


def as_parquet(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file)
    return file.getvalue()


FORMATS: dict[str, tuple[str, Callable[[pa.Table], bytes]]] = {
    "csv": ("text/csv; charset=utf-8", as_csv),
    "json": ("application/json", as_json),
    "parquet": ("application/vnd.apache.parquet", as_parquet),
}
"""Ending, media type, writer."""


def _inert(value: str | None) -> str | None:
    return f"'{value}" if value is not None and value.startswith(FORMULA) else value
