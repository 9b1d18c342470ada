"""The columns of what a run writes."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from pipeline.sieve import column_types, signal_types
from stages.contract import Stage


def document_schema(incoming: pa.Schema, stages: Sequence[Stage]) -> pa.Schema:
    """Incoming columns, then signals and attachments. An incoming column of such a name gives way to them."""
    added = column_types(stages)
    return pa.schema([*(field for field in incoming if field.name not in added), *added.items()])


def final_document_schema(incoming: pa.Schema, stages: Sequence[Stage]) -> pa.Schema:
    """The columns of `documents/`: those of `document_schema` but for transient attachments."""
    transient = {f"{stage.name}.{name}" for stage in stages for name in stage.transient}
    return pa.schema([field for field in document_schema(incoming, stages) if field.name not in transient])


def signal_schema(stages: Sequence[Stage]) -> pa.Schema:
    """Id, address, signals, `dropped_by`."""
    head = [("id", pa.string()), ("address", pa.uint64())]
    return pa.schema([*head, *signal_types(stages).items(), ("dropped_by", pa.string())])
