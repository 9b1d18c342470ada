"""Overview: what became of the documents, and why."""

from __future__ import annotations

import pyarrow as pa

from pipeline.inspector.page import Asked, Inspected, View


def view(inspected: Inspected, asked: Asked) -> View:
    stages = inspected.run.stats["stages"]
    funnel = pa.table(
        {
            "stage": list(stages),
            "documents_in": [stage["documents_in"] for stage in stages.values()],
            "documents_out": [stage["documents_out"] for stage in stages.values()],
        }
    )
    return View("overview.html", "Overview", tables={"funnel": funnel})
