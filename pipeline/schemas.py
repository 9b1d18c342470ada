"""The columns of what a run writes."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from pipeline.sieve import column_types, signal_types
from stages.contract import Deduplication, Stage


def document_schema(incoming: pa.Schema, stages: Sequence[Stage]) -> pa.Schema:
    """Incoming columns, then signals and attachments. An incoming column of such a name gives way to them."""
    added = column_types(stages)
    return pa.schema([*(field for field in incoming if field.name not in added), *added.items()])


def final_document_schema(incoming: pa.Schema, stages: Sequence[Stage]) -> pa.Schema:
    """The columns of `documents/`: those of `document_schema` but for transient attachments."""
    transient = {f"{stage.name}.{name}" for stage in stages for name in stage.transient}
    return pa.schema([field for field in document_schema(incoming, stages) if field.name not in transient])


def duplicate_schema(stage: Deduplication) -> pa.Schema:
    """The table of a stage's clusters: a row for each document that has duplicates, with the one kept of its cluster
    (itself if it is kept; `kept` is its address in `kept_run`, null for this one) and what the stage measured."""
    head = [("address", pa.uint64()), ("id", pa.string()), ("kept", pa.uint64()), ("kept_id", pa.string())]
    measured = [(name, signal.type) for name, signal in stage.signals().items() if not pa.types.is_string(signal.type)]
    return pa.schema([*head, ("kept_run", pa.string()), *measured])


HEAD = pa.schema([("id", pa.string()), ("address", pa.uint64()), ("bytes", pa.int64()), ("source", pa.string())])
"""What every row about a document begins with: `bytes` are those of its text as it was read."""


def superseded_schema(stage: Deduplication) -> pa.Schema:
    """Documents that earlier runs have kept and one run over everything would not have: the `run`, `address` and `id`
    of each, and as in `duplicate_schema`."""
    shown = duplicate_schema(stage)
    wanted = ("address", "id", "kept", "kept_id", "kept_run", "similarity", "cluster_size")
    return pa.schema([("run", pa.string()), *(shown.field(name) for name in wanted if name in shown.names)])


def signal_schema(stages: Sequence[Stage]) -> pa.Schema:
    """`HEAD`, signals, `dropped_by`."""
    return pa.schema([*HEAD, *signal_types(stages).items(), ("dropped_by", pa.string())])
