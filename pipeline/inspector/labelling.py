"""The one thing that the inspector writes: what a person says of a dropped document."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.analysis import labels
from pipeline.inspector.page import Inspected
from stages.errors import ConfigError


def label_of_form(inspected: Inspected, form: Mapping[str, str]) -> int:
    """Write the label that a form holds; the document's address. Raises ConfigError if there is no such document."""
    try:
        address = int(form.get("address", ""))
    except ValueError:
        address = -1
    if not 0 <= address < 2**64:
        raise ConfigError("a label names the address of a document")
    rule = form.get("rule", "")
    with inspected.lock:
        rows = inspected.tables.rows("SELECT dropped_by FROM signals WHERE address = ?", [address])
        if rows != [(rule,)]:
            raise ConfigError(f"{rule or 'no rule'} has not dropped the document at {address}")
        labels.add(inspected.run, rule, address, form.get("label", ""))
        inspected.forget()
    return address
