"""Speed of MinHash signatures beside datatrove, datasketch, rensa and text-dedup, and growth of the grouping.

    python -m benchmarks.minhash [FILE] [--column NAME] [--repetitions N]

One core, one run: text to the 14 bands of 8 rows of FineWeb, over 5-grams of words; sides alternate, medians count.
Peers get a part of the documents, evenly spread, and we get all of them. Ours also with 256 slots, and in parts. Then
`link_equal` and `components` for 10^5, 10^6 and 10^7 keys of which three in ten are copies of others, each in a process
of its own.
Seconds are those of the process on its core (`time.process_time`), so that other processes weigh less.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.heuristics import pin

OURS_TIMES = 8
"""We get the batch of all documents so many times over."""
PARTS = {"datatrove": 40, "datasketch": 4, "rensa": 2, "text-dedup": 4}
"""Peers get one in so many of the documents."""
GROWTH = """
import sys, time
import numpy as np
from pipeline.stats import peak_memory_bytes
from stages.dedup.components import components, link_equal
size = int(sys.argv[1])
link_equal(np.ones(9, np.uint64), np.arange(9, dtype=np.uint64))
components(np.ones((9, 2), np.uint64))
rng = np.random.default_rng(0)
keys = rng.integers(1, 2**64, size, np.uint64)
copies = np.flatnonzero(rng.random(size) < 0.3)
keys[copies] = keys[rng.integers(0, size, len(copies))]
ids = np.arange(size, dtype=np.uint64)
started = time.process_time()
edges = link_equal(keys, ids)
linked = time.process_time()
components(edges)
print(len(edges), linked - started, time.process_time() - linked, peak_memory_bytes() / 2**20)
"""


def our_parts(texts: list[str]) -> dict[str, Callable[[], Any]]:
    """What we do, whole and in parts, with one batch."""
    from stages.dedup.bands import band_keys
    from stages.dedup.exact import exact_keys
    from stages.dedup.folded import FoldedWords
    from stages.dedup.minhash import signatures
    from stages.text.batch import TextBatch
    from stages.text.views import Words

    batch = TextBatch.from_texts(texts)
    words, signature = FoldedWords.of(batch), signatures(batch)
    split = TextBatch.from_texts(texts)
    assert split.words
    return {
        "tamis 14 x 8": lambda: band_keys(signatures(batch, num_perm=112), 14, 8),
        "tamis 32 x 8": lambda: band_keys(signatures(batch), 32, 8),
        "- folded words": lambda: FoldedWords.of(batch),
        "- folded words, shared words given": lambda: FoldedWords.of(split),
        "- sketch, 256 slots": lambda: signatures(batch, words=words),
        "- keys of 32 bands": lambda: band_keys(signature, 32, 8),
        "exact keys, words": lambda: exact_keys(batch),
        "exact keys, words given": lambda: exact_keys(batch, words=words),
        "exact keys, bytes": lambda: exact_keys(batch, "none"),
        "(shared words view)": lambda: Words.of(batch.utf8),
    }


def again(run: Callable[[], Any]) -> None:
    for _ in range(OURS_TIMES):
        run()


def seconds(work: Callable[[], Any]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def compare(texts: list[str], repetitions: int) -> None:
    """Print the speed of every side; in each repetition all sides take their turn, and the first one warms up."""
    from benchmarks.minhash_peers import PEERS, installed

    documents = {name: texts[:: PARTS[name]] for name in installed()}
    work: dict[str, Callable[[], Any]] = {name: partial(PEERS[name], part) for name, part in documents.items()}
    work |= {name: partial(again, run) for name, run in our_parts(texts).items()}
    count = {name: len(documents[name]) if name in documents else len(texts) * OURS_TIMES for name in work}
    speeds: dict[str, list[float]] = {name: [] for name in work}
    for repetition in range(repetitions + 1):
        for name, run in work.items():
            speed = count[name] / seconds(run)
            speeds[name] += [speed] if repetition else []
    print("| | documents | documents/s | MB/s | spread (documents/s) |\n|---|---:|---:|---:|---:|")
    for name, several in speeds.items():
        part = documents.get(name, texts)
        megabytes = statistics.median(several) * sum(len(text.encode()) for text in part) / len(part) / 1e6
        cells = [f"{count[name]:,}", f"{statistics.median(several):,.0f}", f"{megabytes:,.1f}"]
        print(f"| {name} | {' | '.join(cells)} | {min(several):,.0f} to {max(several):,.0f} |")
    for name in documents:
        ratio = statistics.median(speeds["tamis 14 x 8"]) / statistics.median(speeds[name])
        print(f"14 x 8, tamis to {name}: {ratio:.1f}")


def growth() -> None:
    """Print time and memory of the grouping of ever more keys."""
    print("\n| keys | edges | link, s | components, s | keys/s | peak MiB |\n|---:|---:|---:|---:|---:|---:|")
    for size in (10**5, 10**6, 10**7):
        run = subprocess.run([sys.executable, "-c", GROWTH, str(size)], check=True, capture_output=True, text=True)
        edges, link, unite, peak = map(float, run.stdout.split())
        print(f"| {size:,} | {edges:,.0f} | {link:.3f} | {unite:.3f} | {size / (link + unite):,.0f} | {peak:,.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, help="Parquet; default: the development pages")
    parser.add_argument("--column", default="main_text")
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    pin()
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tests.reference.oracle import data_path

    pa.set_cpu_count(1)
    path = options.file or data_path("web_sample.parquet")
    texts = [text for text in pq.read_table(path, columns=[options.column])[options.column].to_pylist() if text]
    size = sum(len(text.encode()) for text in texts)
    print(f"{path.name} `{options.column}`: {len(texts):,} documents, {size / len(texts):,.0f} bytes on average")
    compare(texts, options.repetitions)
    growth()


if __name__ == "__main__":
    main()
