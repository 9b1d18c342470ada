"""The columns of what a run writes."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from pipeline.sieve import signal_types
from stages.contract import Stage


def document_schema(incoming: pa.Schema, stages: Sequence[Stage]) -> pa.Schema:
    """Incoming columns, then signals. An incoming column that has a signal's name gives way to the signal."""
    signals = signal_types(stages)
    return pa.schema([*(field for field in incoming if field.name not in signals), *signals.items()])


def signal_schema(stages: Sequence[Stage]) -> pa.Schema:
    """Id, address, signals, `dropped_by`."""
    head = [("id", pa.string()), ("address", pa.uint64())]
    return pa.schema([*head, *signal_types(stages).items(), ("dropped_by", pa.string())])
