"""Speed of gopher, repetition, c4 and fineweb together against datatrove's filters: one core, one run, the same
documents.

    python -m benchmarks.heuristics [FILE] [--column NAME] [--megabytes N] [--repetitions N]

Both sides apply all four filters to every document, whatever the one before says, so that neither is helped by
documents that fall early; datatrove tokenises each text once for its three filters that want words (its own cache). C4
rewrites the text before FineWeb sees it, on both sides. Repetitions alternate between the sides; the median of each
counts. Compiling is timed apart: cold into an empty cache, then warm from disk.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "ARROW_NUM_THREADS")
COMPILE = """
import importlib, pkgutil, time
import stages
names = [module.name for module in pkgutil.walk_packages(stages.__path__, "stages.") if "kernels" in module.name]
started = time.perf_counter()
for name in names:
    importlib.import_module(name)
print(time.perf_counter() - started)
"""


def pin() -> None:
    """One thread for every library, one core for the process; to be called before any of them is imported."""
    os.environ.update(dict.fromkeys(THREADS, "1"))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def compile_seconds() -> tuple[float, float]:
    """Seconds to compile all kernels into an empty cache, and to load them from it."""
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-c", COMPILE]
        environment = os.environ | {"NUMBA_CACHE_DIR": cache}
        runs = [subprocess.run(command, env=environment, check=True, capture_output=True, text=True) for _ in range(2)]
    return float(runs[0].stdout), float(runs[1].stdout)


def sample(texts: list[str], megabytes: float) -> list[str]:
    """Whole documents, evenly spread, of about so many megabytes; all of them again and again if there are too few."""
    total = sum(len(text.encode()) for text in texts)
    if total >= megabytes * 1e6:
        step = total / (megabytes * 1e6)
        return [texts[int(i * step)] for i in range(int(len(texts) / step))]
    return texts * max(1, round(megabytes * 1e6 / total))


def datatrove_seconds(texts: list[str]) -> float:
    """Seconds that datatrove's four filters take for some texts."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )

    filters: list[Any] = [
        GopherQualityFilter(),
        GopherRepetitionFilter(),
        C4QualityFilter(filter_no_terminal_punct=False),
        FineWebQualityFilter(),
    ]
    filters[0].filter(Document(text="Loads the tokenizer.", id="0"))
    documents = [Document(text=text, id=str(i)) for i, text in enumerate(texts)]
    started = time.perf_counter()
    for document in documents:
        for judge in filters:
            judge.filter(document)
    return time.perf_counter() - started


def our_seconds(texts: list[str]) -> tuple[float, dict[str, float]]:
    """Seconds that our four stages take for some texts, decisions included; and for each stage alone."""
    import pyarrow as pa

    from stages.contract import decide, run_stage
    from stages.heuristics.c4 import C4
    from stages.heuristics.fineweb import FineWeb
    from stages.heuristics.gopher import Gopher
    from stages.heuristics.repetition import Repetition
    from stages.text.batch import TextBatch

    pa.set_cpu_count(1)
    batch = TextBatch.from_texts(texts)
    seconds = {}
    for stage in (Gopher(), Repetition(), C4(terminal_punctuation=False), FineWeb()):
        started = time.perf_counter()
        batch, columns = run_stage(stage, batch)
        decide(stage, columns, None)
        seconds[stage.name] = time.perf_counter() - started
    return sum(seconds.values()), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, help="Parquet; default: the development pages")
    parser.add_argument("--column", default="main_text")
    parser.add_argument("--megabytes", type=float, default=1.0, help="for datatrove; we take 16 times as much")
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    pin()
    import pyarrow.parquet as pq

    from tests.reference.oracle import data_path

    path = options.file or data_path("web_sample.parquet")
    texts = [text for text in pq.read_table(path, columns=[options.column])[options.column].to_pylist() if text]
    cold, warm = compile_seconds()
    theirs_texts = sample(texts, options.megabytes)
    ours_texts = theirs_texts * 16
    megabytes = sum(len(text.encode()) for text in theirs_texts) / 1e6
    our_seconds(theirs_texts)  # compiled, tables loaded
    theirs, ours, stages = [], [], []
    for _ in range(options.repetitions):
        theirs.append(megabytes / datatrove_seconds(theirs_texts))
        seconds, by_stage = our_seconds(ours_texts)
        ours.append(16 * megabytes / seconds)
        stages.append(by_stage)
    print(
        f"{path.name} `{options.column}`: {len(theirs_texts):,} documents, {megabytes:.1f} MB (ours: the same 16 times)"
    )
    print(f"compile: {cold:.1f} s cold, {warm:.2f} s from the cache")
    for name, speeds in (("datatrove", theirs), ("tamis", ours)):
        spread = f"{min(speeds):.2f} to {max(speeds):.2f}"
        print(f"{name:>10}: {statistics.median(speeds):8.2f} MB/s a core (median of {len(speeds)}; {spread})")
    for name in stages[0]:
        print(f"{name:>14}: {16 * megabytes / statistics.median(run[name] for run in stages):8.1f} MB/s")
    print(f"     ratio: {statistics.median(ours) / statistics.median(theirs):8.1f}")


if __name__ == "__main__":
    main()
