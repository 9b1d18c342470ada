"""How documents move: configs, plans, tasks, runs. `pipeline.run`, `pipeline.annotate`, `pipeline.open_run`
and `pipeline.open_tokens` are its doors.

The names are loaded on first use, so that `import pipeline` costs nothing. (No module is called `run` or `annotate`:
importing it would hide the function.)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.annotation import annotate
    from pipeline.launch import run
    from pipeline.runs import Run, open_run
    from pipeline.tokens.reader import Tokens, open_tokens

__all__ = ["Run", "Tokens", "annotate", "open_run", "open_tokens", "run"]

_HOMES = {
    "Run": "pipeline.runs",
    "Tokens": "pipeline.tokens.reader",
    "annotate": "pipeline.annotation",
    "open_run": "pipeline.runs",
    "open_tokens": "pipeline.tokens.reader",
    "run": "pipeline.launch",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pipeline' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
