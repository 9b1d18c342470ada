"""Gopher, repetition, C4 and FineWeb beside datatrove's filters: `python -m benchmarks.heuristics TEXTS.parquet`.

Both sides judge the same documents on one core, in turns, and every document meets all four filters (nothing is dropped
between them), so neither side profits from dropping early. Ours reads from Arrow and gives typed signals; datatrove's filters
get ready-made Document objects, so that no time of reading is counted on either side. Compiling, or loading compiled code
from Numba's cache, is timed apart. The ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ARROW_NUM_THREADS"):
    os.environ[name] = "1"

import pyarrow as pa
import pyarrow.parquet as pq

from stages.contract import run_stage
from stages.text.batch import TextBatch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("texts", help="Parquet file with a column of texts")
    parser.add_argument("--column", default="text")
    parser.add_argument("--documents", type=int, default=300, help="documents for datatrove; ours gets ten times the text")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    pa.set_cpu_count(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    texts = [text for text in pq.read_table(arguments.texts)[arguments.column].to_pylist() if text]
    texts = texts[:: max(len(texts) // arguments.documents, 1)]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    ours, theirs = Ours(texts, copies=10), Datatrove(texts)
    started = time.perf_counter()
    ours.compile()
    print(f"{len(texts)} documents, {megabytes:.2f} MB; kernels ready after {time.perf_counter() - started:.2f} s", flush=True)
    rates: dict[str, list[float]] = {"tamis": [], "datatrove": []}
    for _ in range(arguments.rounds):
        rates["datatrove"].append(megabytes / timed(theirs))
        rates["tamis"].append(10 * megabytes / timed(ours))
    for side, values in rates.items():
        print(f"{side:9}  median {statistics.median(values):7.3f} MB/s   min {min(values):.3f}   max {max(values):.3f}")
    print(f"ratio      {statistics.median(rates['tamis']) / statistics.median(rates['datatrove']):.0f} x")


def timed(side: Ours | Datatrove) -> float:
    side.prepare()
    started = time.perf_counter()
    side.run()
    return time.perf_counter() - started


class Ours:
    """All four stages over one batch, text pass included."""

    def __init__(self, texts: list[str], copies: int) -> None:
        from stages.heuristics.c4 import C4
        from stages.heuristics.fineweb import FineWeb
        from stages.heuristics.gopher import Gopher
        from stages.heuristics.repetition import Repetition

        self.texts = texts * copies
        self.stages = (Gopher(), Repetition(), C4(terminal_punctuation=False), FineWeb())

    def compile(self) -> None:
        from stages.text import compile_kernels

        compile_kernels()
        self.prepare()
        self.run()

    def prepare(self) -> None:
        self.batch = TextBatch.from_texts(self.texts)

    def run(self) -> None:
        batch = self.batch
        for stage in self.stages:
            batch, _ = run_stage(stage, batch)


class Datatrove:
    """The four filters, each on every document; C4 may rewrite the text, as ours does."""

    def __init__(self, texts: list[str]) -> None:
        from datatrove.pipeline.filters import (
            C4QualityFilter,
            FineWebQualityFilter,
            GopherQualityFilter,
            GopherRepetitionFilter,
        )

        self.texts = texts
        self.filters = [
            GopherQualityFilter(),
            GopherRepetitionFilter(),
            C4QualityFilter(filter_no_terminal_punct=False),
            FineWebQualityFilter(),
        ]
        self.prepare()
        self.filters[0].filter(self.documents[0])  # loads the tokenizer

    def prepare(self) -> None:
        from datatrove.data import Document
        from datatrove.utils.text import split_into_parts

        split_into_parts.cache_clear()
        self.documents = [Document(text=text, id=str(i)) for i, text in enumerate(self.texts)]

    def run(self) -> None:
        for document in self.documents:
            for judge in self.filters:
                judge.filter(document)


if __name__ == "__main__":
    main()
