"""The whole Llama 3 recipe on a real corpus: `python -m benchmarks.recipe CORPUS [--workers N] [--set PATH=VALUE]…`.

CORPUS is a folder of Parquet files as `python -m benchmarks.corpus` makes it. Documents get an address and a date
(`http://SOURCE.test/ID`, all the same day), which the recipe's stages for pages ask for. Prints the funnel, the mix,
and where the time went: a Markdown table of seconds of a core by stage, reading and writing apart.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


def with_addresses(source: Path, output: Path) -> int:
    """The corpus with the columns that web pages have; returns the bytes of its texts."""
    size = 0
    for file in sorted(source.glob("*.parquet")):
        table = pq.read_table(file, columns=["id", "text", "source"])
        urls = pc.binary_join_element_wise("http://", table["source"], ".test/", table["id"], "")
        table = table.append_column("url", urls).append_column("date", pa.array(["2026-01-01"] * len(table)))
        pq.write_table(table, output / file.name, compression="zstd", row_group_size=2000)
        size += int(pc.sum(pc.binary_length(table["text"])).as_py())
    return size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    from rich.console import Console

    import pipeline
    from pipeline.mixture import achieved
    from pipeline.terminal import print_outcome

    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder, "input")
        inputs.mkdir()
        size = with_addresses(options.corpus, inputs)
        run = pipeline.run(
            "llama3", input=str(inputs), output=str(Path(folder, "run")), set=options.set, workers=options.workers
        )
        print_outcome(run.stats, run.path, Console(), achieved(run))
        print(table_of(run.stats, size, options.workers))
        tokens = pipeline.open_tokens(run.path)
        print(f"{len(tokens):,} sequences of 8,192")


def table_of(stats: dict[str, Any], size: int, workers: int) -> str:
    """Where the seconds of a core went, as Markdown."""
    rows = {"read": stats["input"]["seconds"]}
    rows |= {name: counts["seconds"] for name, counts in stats["stages"].items()}
    rows |= {"write": stats["output"]["seconds"] + stats.get("write_seconds", 0.0)}
    other = {name: value for name, value in stats.items() if name.endswith("_seconds") and isinstance(value, float)}
    total = sum(rows.values())
    lines = ["| | core seconds | share |", "|---|---:|---:|"]
    lines += [f"| {name} | {seconds:.1f} | {seconds / total:.0%} |" for name, seconds in rows.items()]
    wall, start_up = stats["wall_seconds"], stats["start_up_seconds"]
    speed, peak = size / 1e6 / wall / workers, stats["peak_memory_bytes"] / 2**20
    lines += [
        "",
        f"{size / 1e6:,.0f} MB in {wall:.0f} s with {workers} workers ({start_up:.0f} s of it start-up): "
        f"{speed:.1f} MB/s a core; peak {peak:,.0f} MiB a worker",
        ", ".join(f"{name} {value:.0f}" for name, value in other.items()),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
