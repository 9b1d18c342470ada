"""Semantic: documents that say the same in other words: what epsilons remove, pairs near the threshold, clusters."""

from __future__ import annotations

import pyarrow as pa

from pipeline.inspector.page import Asked, Inspected, View
from stages.dedup.semantic import Semantic
from stages.errors import ConfigError

PAIRS = 20


def view(inspected: Inspected, asked: Asked) -> View:
    stages = {stage.name: stage for stage in inspected.run.config.stages if isinstance(stage, Semantic)}
    if not stages:
        raise ConfigError("this run has no stage `semantic`")
    stage = stages[asked.choice("stage", list(stages))]
    tables = inspected.tables
    view = tables.table(inspected.run.duplicates(stage.name))
    counts = tables.rows(
        "SELECT "
        + ", ".join(f"count(*) FILTER ((removed_at & {1 << place}) <> 0)" for place in range(len(stage.all_epsilons)))
        + f" FROM {view}"
    )[0]
    reached = inspected.stats["stages"][stage.name]["documents_in"]
    curve = pa.table(
        {
            "epsilon": stage.all_epsilons,
            "removed": pa.array(counts, pa.int64()),
            "removed_ratio": [count / reached if reached else None for count in counts],
            "in_use": [epsilon == stage.epsilon for epsilon in stage.all_epsilons],
        }
    )
    bound = 1 - stage.epsilon
    pairs = tables.query(
        f"SELECT address, id, kept, kept_id, similarity, similarity - {bound} AS above FROM {view} "
        f"WHERE similarity IS NOT NULL AND kept IS NOT NULL AND kept <> address "
        f"ORDER BY abs(similarity - {bound}), address LIMIT {PAIRS}"
    )
    clusters = tables.query(
        f'SELECT "{stage.name}.cluster" AS cluster, count(*) AS documents, '
        f'avg("{stage.name}.centroid_similarity") AS centroid_similarity FROM signals '
        f'WHERE "{stage.name}.cluster" IS NOT NULL GROUP BY ALL ORDER BY documents DESC, cluster LIMIT 50'
    )
    context = {"stage": stage.name, "epsilon": stage.epsilon, "action": stage.action, "stages": list(stages)}
    return View("semantic.html", "Semantic", context, {"curve": curve, "pairs": pairs, "clusters": clusters})
