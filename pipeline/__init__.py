"""How documents move: configs, plans, tasks, runs. `pipeline.run`, `pipeline.annotate` and `pipeline.open_run` are
its doors.

The names are loaded on first use, so that `import pipeline` costs nothing. (No module is called `run` or `annotate`:
importing it would hide the function.)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.annotation import annotate
    from pipeline.launch import run
    from pipeline.runs import Run, open_run

__all__ = ["Run", "annotate", "open_run", "run"]

_HOMES = {
    "Run": "pipeline.runs",
    "annotate": "pipeline.annotation",
    "open_run": "pipeline.runs",
    "run": "pipeline.launch",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pipeline' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
