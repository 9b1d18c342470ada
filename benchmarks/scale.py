"""Time and memory against the size of the input: `python -m benchmarks.scale TEXTS.parquet [--sizes 0.5,1,2,5]`.

Writes one JSONL file of each size from the given documents (column `text`), every copy of a document made different
by a few words of its own, so that no cache helps; runs the same config on each with all cores; prints a Markdown
table. The peak is the largest resident set of any worker, as the kernel reports it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

import pipeline

STAGES = ["language", "gopher", "repetition", {"c4": {"terminal_punctuation": False}}, "fineweb"]
GB = 10**9


def write_input(path: Path, texts: list[str], size: int) -> int:
    """Write documents until the file has `size` bytes; returns their number."""
    written = count = 0
    with path.open("wb") as file:
        while written < size:
            text = f"{texts[count % len(texts)]}\nThis is copy {count} of the page, number {count * 7919 % 104729}."
            line = json.dumps({"id": str(count), "text": text}, ensure_ascii=False).encode() + b"\n"
            file.write(line)
            written += len(line)
            count += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("texts", help="Parquet file with a column `text`")
    parser.add_argument("--column", default="text")
    parser.add_argument("--sizes", default="0.5,1,2,5", help="GB of JSONL, comma separated")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    texts = [text for text in pq.read_table(arguments.texts)[arguments.column].to_pylist() if text]
    print("| input | documents | seconds | MB/s of text | MB/s per worker | peak memory per worker | kept |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for size in map(float, arguments.sizes.split(",")):
        folder = Path(tempfile.mkdtemp(prefix="tamis-scale-"))
        try:
            write_input(folder / "input.jsonl", texts, int(size * GB))
            config = {"input": {"path": str(folder / "input.jsonl")}, "output": str(folder / "run"), "stages": STAGES}
            run = pipeline.run(config, workers=arguments.workers)
            stats = run.stats
            seconds, megabytes = stats["wall_seconds"], stats["input"]["bytes"] / 1e6
            print(
                f"| {size:g} GB | {stats['input']['documents']:,} | {seconds:.1f} | {megabytes / seconds:.1f} "
                f"| {megabytes / seconds / arguments.workers:.1f} | {stats['peak_memory_bytes'] / 2**20:.0f} MiB "
                f"| {stats['output']['documents'] / stats['input']['documents']:.1%} |",
                flush=True,
            )
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
