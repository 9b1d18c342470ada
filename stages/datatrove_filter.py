"""Any filter of datatrove as a stage: slow, one Python document after the other, but the same decisions."""

from __future__ import annotations

import difflib
import inspect
import pkgutil
from functools import lru_cache
from importlib import import_module
from typing import Any

import pyarrow as pa

from stages.contract import Allowed, Fact, Flag, Label, Map, Signals
from stages.errors import ConfigError, MissingPartError
from stages.text.batch import TextBatch

KEPT = "kept"


class DatatroveFilter(Map):
    """One of datatrove's filters (`datatrove.pipeline.filters`), document by document: `{filter: GopherQualityFilter}`.

    A filter that rewrites the text does so here, too. The document's other columns are its metadata. Hundreds of
    times slower than the stages of Tamis; for what they do not have, and to compare with.
    """

    dropped: Fact = Flag()
    """datatrove's filter dropped the document."""
    reason: Label = Allowed()
    """The reason it gave; null if it kept the document or gave none."""

    filter: str
    """Class name of the filter."""
    args: dict[str, Any] = {}
    """Its constructor's arguments."""

    def setup(self) -> None:
        self._build()

    def transform(self, batch: TextBatch) -> tuple[TextBatch, Signals]:
        from datatrove.data import Document
        from datatrove.pipeline.filters.base_filter import get_filter_result

        judge = self._build()
        names = [name for name in batch.table.column_names if name not in ("id", "text")]
        documents = [
            Document(text=row["text"], id=row["id"] or "", metadata={name: row[name] for name in names})
            for row in batch.table.to_pylist()
        ]
        results = [get_filter_result(judge.filter(document)) for document in documents]
        signals: Signals = {
            "dropped": pa.array([not kept for kept, _ in results], pa.bool_()),
            "reason": pa.array([None if kept else reason for kept, reason in results], pa.string()),
        }
        return batch.with_text(pa.array([document.text for document in documents], pa.large_string())), signals

    def _build(self) -> Any:
        return _filter(self.filter, _Args(self.args))


class _Args:
    """Arguments that compare by how they are written: dictionaries cannot be keys of a cache."""

    def __init__(self, args: dict[str, Any]) -> None:
        self.args = args
        self.key = repr(sorted(args.items()))

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Args) and self.key == other.key


@lru_cache(maxsize=32)
def _filter(name: str, args: _Args) -> Any:
    """The filter, made once a process. Raises ConfigError for an unknown name or argument."""
    cls = _classes().get(name)
    if cls is None:
        near = difflib.get_close_matches(name, _classes(), n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"It has: {', '.join(sorted(_classes()))}"
        raise ConfigError(f"datatrove has no filter '{name}'. {hint}")
    known = [parameter for parameter in inspect.signature(cls.__init__).parameters if parameter != "self"]
    for argument in args.args:
        if argument not in known:
            near = difflib.get_close_matches(argument, known, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else f"It has: {', '.join(known)}"
            raise ConfigError(f"datatrove's {name} has no argument '{argument}'. {hint}")
    try:
        return cls(**args.args)
    except ImportError as error:
        raise MissingPartError(
            f"datatrove's {name} needs more packages: pip install 'tamis[datatrove]' ({error})"
        ) from error


@lru_cache(maxsize=1)
def _classes() -> dict[str, Any]:
    """datatrove's filters by class name."""
    import datatrove.pipeline.filters as package
    from datatrove.pipeline.filters.base_filter import BaseFilter

    found: dict[str, Any] = {}
    for module in pkgutil.iter_modules(package.__path__):
        try:
            content = vars(import_module(f"{package.__name__}.{module.name}"))
        except ImportError:
            continue
        found |= {
            name: cls
            for name, cls in content.items()
            if inspect.isclass(cls) and issubclass(cls, BaseFilter) and cls is not BaseFilter
        }
    return found
