"""Agreement with datatrove on whole files: `python -m benchmarks.agreement FILE.parquet[:column] RUN …`, Markdown out.

A Parquet file is taken as it is; of a run directory every document that was read is judged, from its input. Line breaks other
than "\\n" are made newlines first, the one definition in which the two differ by design.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.io.read import read_shard
from pipeline.runs import open_run
from tests.reference.datatrove_rules import Agreement, comparable, compare


def texts_of(source: str) -> list[str]:
    if Path(source).is_dir():
        run = open_run(source)
        return [
            text
            for shard in run.manifest.shards
            for chunk in read_shard(shard, run.manifest, run.config.input, run.config.execution.batch_bytes)
            for text in chunk.table["text"].to_pylist()
        ]
    path, _, column = source.partition(":")
    return [text for text in pq.read_table(path)[column or "text"].to_pylist() if text]


def show(name: str, found: Agreement) -> None:
    print(f"\n### {name}: {found.num_documents:,} documents\n")
    print(f"Final decisions agree on {found.final_ratio:.2%} with our own words; where they differ:\n")
    print("| datatrove drops by | Tamis drops by | documents |\n|---|---|---:|")
    for (theirs, ours), count in found.final.most_common():
        print(f"| {theirs or '(kept)'} | {ours or '(kept)'} | {count} |")
    print("\n| rule | datatrove drops | differ with its words | differ with our words |\n|---|---:|---:|---:|")
    for rule in found.fed:
        print(f"| {rule} | {found.theirs[rule]:,} | {found.fed[rule]} | {found.own[rule]} |")


def main() -> None:
    for source in sys.argv[1:]:
        texts = [comparable(text) for text in texts_of(source)]
        show(Path(source.partition(":")[0]).name, compare([text for text in texts if text.strip()]))


if __name__ == "__main__":
    main()
