"""Every input row, in its order, with the signals of some stages beside it. Nothing is dropped and no run directory
is made."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from pipeline.config import build_stages
from pipeline.io.files import AtomicFile
from pipeline.io.input import Input
from pipeline.io.read import Chunk, read_shard
from pipeline.io.shards import list_shards
from pipeline.io.write import ParquetSink
from pipeline.references import learn
from pipeline.sieve import column_types, fit
from pipeline.yaml_lines import parse
from stages.contract import Barrier, Stage, Survey, run_stage
from stages.errors import ConfigError, InputError
from stages.text.batch import TextBatch

BATCH_BYTES = 32 << 20
ERROR_COLUMN = "input.error"

StageSpec = str | Mapping[str, Any]


def annotate(source: pa.Table | str | Path, stages: Sequence[StageSpec], **input_fields: Any) -> pa.Table:
    """The input with a `stage.signal` column for everything the stages measure or attach.

    Args:
        source: a table with a `text` column, or what `input.path` of a config takes.
        stages: as in a config: `["language", {"gopher": {"stop_words": …}}]`. A Map hands its text on to the stages
            after it; the `text` column stays as it came.
        input_fields: for a path: further fields of the config's `input:`, such as `text="content"`.

    Returns:
        The input's rows in the input's order. A null text has null signals. A record of a file that cannot be read is a
        row of nulls whose `input.error` says why.

    Raises:
        ConfigError: unknown stage or field. InputError: no such input, or no text column.
    """
    placed = _stages(stages)
    if isinstance(source, pa.Table):
        return annotate_table(source, placed, text=input_fields.get("text", "text"))
    return pa.concat_tables(annotate_path(Input(path=str(source), **input_fields), placed))


def _stages(specs: Sequence[StageSpec]) -> list[Stage]:
    placed = build_stages(specs)
    for stage in placed:
        if isinstance(stage, (Barrier, Survey)):
            raise ConfigError(f"{stage.name} has to know all documents first, which takes a run: tamis run")
    return placed


def annotate_path(source: Input, stages: Sequence[Stage]) -> Iterator[pa.Table]:
    """Annotated tables of all of an input's documents, one after the other; all have the same schema."""
    manifest = list_shards(source)
    for stage in stages:
        stage.setup()
    references = learn(stages, manifest, source, BATCH_BYTES)
    for shard in manifest.shards:
        for chunk in read_shard(shard, manifest, source, BATCH_BYTES):
            yield annotate_table(_with_errors(chunk), stages, references=references)


def annotate_file(source: str, stages: str, output: Path, text: str) -> int:
    """Annotate an input into a .parquet or .jsonl file; returns the number of rows.

    Args:
        stages: names, comma separated, or a YAML list as in a config.

    Raises ConfigError when the output is no such file, or is one of the inputs.
    """
    try:
        is_yaml = stages.lstrip().startswith(("[", "-"))
        specs = parse(stages) if is_yaml else [name.strip() for name in stages.split(",")]
    except yaml.YAMLError as error:
        raise ConfigError(f"--stages {stages}: not a YAML list; write [language, {{gopher: {{…}}}}]") from error
    described = Input.model_validate({"path": source, "text": text})
    placed = _stages(specs)
    if output.suffix not in (".parquet", ".jsonl"):
        raise ConfigError(f"--output {output}: write a file that ends in .parquet or .jsonl")
    inputs = {Path(shard.path).resolve() for shard in list_shards(described).shards}
    if output.resolve() in inputs:
        raise ConfigError(f"--output {output} is one of the inputs; choose another file")
    tables = annotate_path(described, placed)
    return _write_parquet(tables, output) if output.suffix == ".parquet" else _write_jsonl(tables, output)


def _write_parquet(tables: Iterator[pa.Table], output: Path) -> int:
    first = next(tables)
    with ParquetSink(str(output.parent), output.name, first.schema) as sink:
        for table in chain([first], tables):
            sink.write(table)
        return sink.close().rows


def _write_jsonl(tables: Iterator[pa.Table], output: Path) -> int:
    rows = 0
    file = AtomicFile(str(output))
    try:
        for table in tables:
            for row in table.to_pylist():
                file.write(json.dumps(row, ensure_ascii=False, default=str).encode() + b"\n")
            rows += table.num_rows
    except BaseException:
        file.discard()
        raise
    file.commit()
    return rows


def annotate_table(
    table: pa.Table, stages: Sequence[Stage], text: str = "text", references: Mapping[str, pa.Table] | None = None
) -> pa.Table:
    """The table with the signals appended; see `annotate`. Without references, the table is the corpus."""
    if text not in table.column_names:
        raise InputError(f"the table has no column '{text}'; it has: {', '.join(table.column_names)}. Name it: text=…")
    column = table[text].combine_chunks() if table[text].num_chunks else pa.array([], table[text].type)
    readable = column.is_valid()
    texts = column.filter(readable).cast(pa.large_string())
    carried = table.filter(readable)
    names = {"text": texts, "id": carried["id"] if "id" in table.column_names else pa.nulls(len(texts), pa.string())}
    rest = {name: carried[name] for name in table.column_names if name not in (text, "text", "id")}
    batch = TextBatch(pa.table({**names, **rest}))
    references = fit(stages, batch) if references is None else references
    for stage in stages:
        batch, _ = run_stage(stage, batch, references.get(stage.name))
    rank = pc.subtract(pc.cumulative_sum(readable.cast(pa.int64())), 1)
    places = pc.if_else(readable, rank, pa.scalar(None, pa.int64()))
    for name in column_types(stages):
        values = batch.signals[name].take(places)
        table = table.drop_columns([name]) if name in table.column_names else table
        table = table.append_column(name, values)
    return table


def _with_errors(chunk: Chunk) -> pa.Table:
    """The chunk's documents and, in their places, a row of nulls for every record that could not be read."""
    table = chunk.table.append_column(ERROR_COLUMN, pa.nulls(chunk.table.num_rows, pa.string()))
    if not chunk.rejected:
        return table
    rows = [{"id": record.id, ERROR_COLUMN: f"{record.reason}: {record.message}"} for record in chunk.rejected]
    errors = pa.Table.from_pylist(rows, table.schema)
    order = pa.concat_arrays([pa.array(chunk.rows, pa.int64()), pa.array([r.row for r in chunk.rejected], pa.int64())])
    return pa.concat_tables([table, errors]).take(pc.sort_indices(order))
