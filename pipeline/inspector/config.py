"""Config: what the run was asked to do, what with, and on which files."""

from __future__ import annotations

import pyarrow as pa
import yaml

from pipeline.inspector.page import Asked, Inspected, View


def view(inspected: Inspected, asked: Asked) -> View:
    described = inspected.run.description
    versions = pa.table(
        {"what": list(described["versions"]), "version": list(map(str, described["versions"].values()))}
    )
    text = yaml.safe_dump(described["config"], sort_keys=False, allow_unicode=True, width=120)
    return View("config.html", "Config", {"yaml": text}, {"versions": versions})
