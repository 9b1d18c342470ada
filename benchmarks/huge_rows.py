"""Memory where rows are huge: `python -m benchmarks.huge_rows [--megabytes 500]`.

Writes a JSONL and a Parquet file in which every thousand small documents are followed by one of 500 MB, runs a config
on each with one worker, and prints the worker's peak memory. The huge rows are set aside, the small ones are sieved.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import pipeline

SENTENCE = "The river carries water and stones through a narrow valley before the evening. "
STAGES = ["language", "gopher", "repetition", "c4", "fineweb"]
NUM_HUGE, NUM_SMALL = 4, 1000


def groups(size: int) -> Iterator[dict[str, list[str]]]:
    """Columns of every group of rows: the small ones, and the huge one."""
    huge = SENTENCE * (size // len(SENTENCE))
    for i in range(NUM_HUGE):
        texts = [f"{SENTENCE * 30} Page {i} {j}." for j in range(NUM_SMALL)]
        yield {"id": [f"{i}-{j}" for j in range(NUM_SMALL + 1)], "text": [*texts, huge]}


def write_jsonl(path: Path, size: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for columns in groups(size):
            for id_, text in zip(*columns.values(), strict=True):
                file.write(json.dumps({"id": id_, "text": text}) + "\n")


def write_parquet(path: Path, size: int) -> None:
    schema = pa.schema([("id", pa.string()), ("text", pa.large_string())])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for columns in groups(size):
            writer.write_table(pa.table(columns, schema))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--megabytes", type=int, default=500, help="size of a huge row")
    arguments = parser.parse_args()
    print("| format | bytes of the file | documents | set aside | peak memory of the worker |")
    print("|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory(prefix="tamis-huge-") as folder:
        for write in (write_jsonl, write_parquet):
            format_ = write.__name__.removeprefix("write_")
            path = Path(folder) / f"input.{format_}"
            write(path, arguments.megabytes * 10**6)
            config = {"input": str(path), "output": f"{folder}/{format_}", "stages": STAGES}
            stats = pipeline.run(config, workers=1).stats
            print(
                f"| {format_} | {path.stat().st_size:,} | {stats['input']['documents']:,} "
                f"| {stats['input']['rejected']['input.too_large']['documents']} "
                f"| {stats['peak_memory_bytes'] / 2**20:.0f} MiB |"
            )
            path.unlink()


if __name__ == "__main__":
    main()
