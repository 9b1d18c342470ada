"""Where documents are from: a column of the input, or the file that each was read from."""

from __future__ import annotations

import difflib

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.io.input import Input
from stages.errors import ConfigError


def check(source: Input, schema: pa.Schema) -> None:
    """Raises ConfigError when `input.source` names a column that is not there or holds no names."""
    default = type(source).model_fields["source"].default
    if source.source in (None, default):
        return
    name = _column(source)
    if name not in schema.names:
        near = difflib.get_close_matches(str(name), schema.names, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(schema.names)}"
        raise ConfigError(f"input.source: the input has no column '{source.source}'. {hint}")
    if not _is_plain(schema.field(name).type):
        raise ConfigError(f"input.source: column '{source.source}' holds {schema.field(name).type}, which is no name")


def of_table(source: Input, table: pa.Table, path: str) -> pa.Array:
    """The source of each document of a table that was read from a file; null where its column has none."""
    name = _column(source)
    if name is None or name not in table.column_names or not _is_plain(table.schema.field(name).type):
        return pa.repeat(pa.scalar(path, pa.string()), table.num_rows)
    column = table[name].combine_chunks() if table[name].num_chunks else pa.array([], table[name].type)
    return pc.cast(column.dictionary_decode() if pa.types.is_dictionary(column.type) else column, pa.string())


def _column(source: Input) -> str | None:
    """The column under the name that readers give it."""
    if source.source is None:
        return None
    return {source.id: "id", source.url: "url"}.get(source.source, source.source)


def _is_plain(type_: pa.DataType) -> bool:
    value = type_.value_type if pa.types.is_dictionary(type_) else type_
    return not pa.types.is_nested(value) and not pa.types.is_large_binary(value) and not pa.types.is_binary(value)
