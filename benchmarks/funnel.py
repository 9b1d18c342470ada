"""What the whole funnel costs, Parquet to Parquet on one core: `python -m benchmarks.funnel TEXTS.parquet`.

Writes a Parquet file of about `--megabytes` from the given documents, every copy of a document made different by a few
words of its own, runs every per-document stage on it with one worker, and prints a Markdown table of where the time
went. A stage is charged with the documents that reach it; the first one to ask for a view of the text pays for it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import pipeline

STAGES: list[Any] = [
    "url",
    "language",
    "gopher",
    "repetition",
    {"c4": {"terminal_punctuation": False}},
    "fineweb",
    "llama3",
    "pii",
    "nsfw",
    "quality",
]
ROWS_PER_GROUP = 2000


def write_input(path: Path, texts: list[str], size: int) -> None:
    """Documents in row groups until there are `size` bytes of text."""
    schema = pa.schema([("id", pa.string()), ("url", pa.string()), ("text", pa.large_string())])
    written = count = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while written < size:
            numbers = range(count, count + ROWS_PER_GROUP)
            group = [
                f"{texts[i % len(texts)]}\nThis is copy {i} of the page, number {i * 7919 % 104729}." for i in numbers
            ]
            urls = [f"https://www.example.org/{i}" for i in numbers]
            writer.write_table(pa.table({"id": list(map(str, numbers)), "url": urls, "text": group}, schema))
            written += sum(len(text.encode()) for text in group)
            count += ROWS_PER_GROUP


def rows_of(stats: dict[str, Any]) -> list[tuple[str, int, float]]:
    """Name, bytes of text it saw and seconds of every part of the run."""
    read, out = stats["input"], stats["output"]
    rows = [("(reading)", read["bytes"], read["seconds"])]
    rows += [(name, counts["bytes_in"], counts["seconds"]) for name, counts in stats["stages"].items()]
    if "reference_seconds" in stats:
        rows.append(("(learning from a sample, once)", 0, stats["reference_seconds"]))
    return [*rows, ("(writing)", out["bytes"], out["seconds"] + stats["write_seconds"])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("texts", help="Parquet file of web pages")
    parser.add_argument("--column", default="main_text")
    parser.add_argument("--megabytes", type=int, default=400)
    arguments = parser.parse_args()
    texts = [text for text in pq.read_table(arguments.texts)[arguments.column].to_pylist() if text]
    with tempfile.TemporaryDirectory(prefix="tamis-funnel-") as folder:
        path = Path(folder) / "input.parquet"
        write_input(path, texts, arguments.megabytes * 10**6)
        stats = pipeline.run({"input": str(path), "output": f"{folder}/run", "stages": STAGES}, workers=1).stats
    rows = rows_of(stats)
    total = sum(seconds for _, _, seconds in rows)
    print("| stage | MB in | seconds | share | MB/s |\n|---|---:|---:|---:|---:|")
    for name, size, seconds in rows:
        speed = f"{size / 1e6 / seconds:.0f}" if size else ""
        print(f"| {name} | {size / 1e6:.0f} | {seconds:.2f} | {seconds / total:.1%} | {speed} |")
    megabytes = stats["input"]["bytes"] / 1e6
    print(f"| **all** | {megabytes:.0f} | {total:.1f} | | **{megabytes / total:.1f}** |")
    kept = f"kept {stats['output']['documents']:,} of {stats['input']['documents']:,} documents"
    print(f"\nPeak memory {stats['peak_memory_bytes'] / 2**20:.0f} MiB; {kept}; start-up is not counted.")


if __name__ == "__main__":
    main()
