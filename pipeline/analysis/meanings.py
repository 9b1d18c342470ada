"""What `semantic` did: what every epsilon removes, pairs near the threshold, what clusters are about."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.analysis.tables import Tables, literal, quoted
from pipeline.io.files import filesystem_of
from pipeline.runs import Run
from stages.dedup.semantic import Semantic
from stages.dedup.topics import describe_clusters
from stages.errors import ConfigError

SAMPLE_BYTES = 32 << 20
"""Text that topics are told from: spread over the run, whole row groups, one at least."""
NUM_WORDS, NUM_EXEMPLARS = 10, 5


def semantic_of(run: Run, stage: str) -> Semantic:
    """The stage of that name. Raises ConfigError if it is not in the run, or is another kind."""
    found = {one.name: one for one in run.config.stages if isinstance(one, Semantic)}
    if stage not in found:
        raise ConfigError(
            f"{run.path} has no stage `semantic` of the name '{stage}'; it has: {', '.join(found) or 'none'}"
        )
    return found[stage]


def epsilon_curve(tables: Tables, stage: str) -> pa.Table:
    """A row for each epsilon that was compared: `epsilon`, `removed` (documents), `removed_by_any` (by SemDeDup's own
    rule, which lets a dropped document drop others), `removed_ratio` (of those that were compared), `in_use`."""
    semantic = semantic_of(tables.run, stage)
    at, similarity, cluster = (quoted(f"{stage}.{name}") for name in ("removed_at", "similarity", "cluster"))
    columns = [f"count({cluster})"]
    for place, bound in enumerate(semantic.bounds.tolist()):
        columns.append(f"count(*) FILTER (({at} & {1 << place}) <> 0)")
        columns.append(f"count(*) FILTER ({similarity} >= CAST({literal(bound)} AS FLOAT))")
    (compared, *counts) = tables.rows(f"SELECT {', '.join(columns)} FROM signals")[0]
    removed, by_any = counts[::2], counts[1::2]
    return pa.table(
        {
            "epsilon": pa.array(semantic.all_epsilons, pa.float64()),
            "removed": pa.array(removed, pa.int64()),
            "removed_by_any": pa.array(by_any, pa.int64()),
            "removed_ratio": pa.array([count / compared if compared else None for count in removed], pa.float64()),
            "in_use": [epsilon == semantic.epsilon for epsilon in semantic.all_epsilons],
        }
    )


def near_threshold(tables: Tables, stage: str, limit: int = 20) -> pa.Table:
    """Documents that were dropped for another one, nearest to the threshold first: `address`, `id`, `kept`, `kept_id`,
    `kept_run`, `similarity` and how far it is `above` the threshold."""
    bound = 1 - semantic_of(tables.run, stage).epsilon
    source = tables.table(tables.run.duplicates(stage))
    return tables.query(
        f"SELECT address, id, kept, kept_id, kept_run, similarity, similarity - {bound!r} AS above FROM {source} "
        f"WHERE similarity IS NOT NULL AND kept IS NOT NULL AND (kept <> address OR kept_run IS NOT NULL) "
        f"ORDER BY abs(similarity - {bound!r}), address LIMIT {limit}"
    )


def topics(tables: Tables, stage: str, limit: int = 50) -> pa.Table:
    """The largest clusters: `cluster`, `documents` and `centroid_similarity` (their mean) over all documents of the
    run; `words` that tell the cluster from others and `exemplars` (ids of the documents nearest to its centroid), both
    from a sample of the documents that were kept, null for a cluster that has none in it."""
    semantic_of(tables.run, stage)
    cluster, similarity = quoted(f"{stage}.cluster"), quoted(f"{stage}.centroid_similarity")
    sizes = tables.query(
        f"SELECT {cluster} AS cluster, count(*) AS documents, avg({similarity}) AS centroid_similarity FROM signals "
        f"WHERE {cluster} IS NOT NULL GROUP BY {cluster} ORDER BY documents DESC, cluster LIMIT {limit}"
    )
    told = describe_clusters(sample_of_documents(tables.run, stage), stage, NUM_EXEMPLARS, NUM_WORDS)
    known = {row["cluster"]: row for row in told.to_pylist()}
    for name in ("words", "exemplars"):
        values = [known.get(number, {}).get(name) for number in sizes["cluster"].to_pylist()]
        sizes = sizes.append_column(name, pa.array(values, pa.list_(pa.string())))
    return sizes


def sample_of_documents(run: Run, stage: str, most: int = SAMPLE_BYTES) -> pa.Table:
    """`id`, `text` and the stage's clusters of row groups of `documents/`, spread evenly over the run, that have about
    so many bytes of text."""
    columns = ["id", "text", f"{stage}.cluster", f"{stage}.centroid_similarity"]
    groups = _row_groups(run)
    if not groups:
        return run.documents.schema.empty_table().select(columns)
    whole = sum(size for _, _, size in groups)
    step = max(1, -(-whole // most))
    fs = filesystem_of(run.path)[0]
    parts = []
    for path, group, _ in groups[::step]:
        with fs.open(path, "rb") as file:
            parts.append(pq.ParquetFile(file).read_row_group(group, columns))
    return pa.concat_tables(parts)


def _row_groups(run: Run) -> list[tuple[str, int, int]]:
    """File, number and bytes of text of every row group of `documents/`."""
    fs = filesystem_of(run.path)[0]
    found = []
    for path in run.documents.files:
        with fs.open(path, "rb") as file:
            parquet = pq.ParquetFile(file)
        for group in range(parquet.metadata.num_row_groups):
            row_group = parquet.metadata.row_group(group)
            columns = [row_group.column(number) for number in range(row_group.num_columns)]
            text = next(column for column in columns if column.path_in_schema == "text")
            found.append((path, group, text.total_uncompressed_size))
    return found
