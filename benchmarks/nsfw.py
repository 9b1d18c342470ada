"""What the stage nsfw costs, beside gopher and language, on web pages: one core, one run, in turns.

    python -m benchmarks.nsfw [FILE] [--column NAME] [--repetitions N]

Words are found first and belong to nobody; language has been measured when nsfw comes. Two rows for nsfw: the whole
stage, and its lists alone.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.heuristics import pin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, help="Parquet; default: the development pages")
    parser.add_argument("--column", default="main_text")
    parser.add_argument("--repetitions", type=int, default=7)
    options = parser.parse_args()
    pin()
    import pyarrow as pa
    import pyarrow.parquet as pq

    from stages.contract import run_stage
    from stages.heuristics.gopher import Gopher
    from stages.language import Language
    from stages.lexicon_lists import default_lexicon
    from stages.nsfw import Nsfw
    from stages.text.batch import TextBatch
    from tests.reference.oracle import data_path

    pa.set_cpu_count(1)
    path = options.file or data_path("web_sample.parquet")
    texts = [text for text in pq.read_table(path, columns=[options.column])[options.column].to_pylist() if text]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    seconds: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], object]) -> None:
        started = time.perf_counter()
        work()
        seconds.setdefault(name, []).append(time.perf_counter() - started)

    stages = (Gopher(), Language(), Nsfw())
    for stage in stages:
        stage.setup()
    for _ in range(options.repetitions + 1):
        batch = TextBatch.from_texts(texts)
        timed("words", lambda batch=batch: batch.words)
        for stage in stages:
            timed(stage.name, lambda batch=batch, stage=stage: run_stage(stage, batch))
            if stage.name == "language":
                batch, _ = run_stage(stage, batch)
        timed("nsfw, lists alone", lambda batch=batch: default_lexicon().hits(batch))
    print(f"{path.name} `{options.column}`: {len(texts):,} documents, {megabytes:.1f} MB")
    for name, runs in seconds.items():
        print(f"{name:>20}: {megabytes / statistics.median(runs[1:]):8.1f} MB/s (median of {len(runs) - 1})")


if __name__ == "__main__":
    main()
