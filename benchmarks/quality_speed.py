"""What `quality` costs beside `gopher`, on web pages whose words are split already: one core, in turns, in one run.

TAMIS_DATA=folder python -m benchmarks.quality_speed [--repetitions N]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks.heuristics import pin


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality_speed")
    parser.add_argument("--repetitions", type=int, default=9)
    args = parser.parse_args()
    pin()

    import pyarrow as pa
    import pyarrow.parquet as pq

    from stages.contract import run_stage
    from stages.heuristics.fineweb import FineWeb
    from stages.heuristics.gopher import Gopher
    from stages.quality import Quality
    from stages.quality_features import measure_features
    from stages.text.batch import TextBatch
    from tests.reference.oracle import data_path

    pages = pq.read_table(data_path("web_sample.parquet"), columns=["main_text"])["main_text"].to_pylist()
    texts = [text for text in pages if text]
    cuts = pa.table({"cut": pa.array([i / 20 for i in range(1, 20)], pa.float32())})
    seconds: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = work()
        seconds.setdefault(name, []).append(time.perf_counter() - started)
        return result

    for _ in range(args.repetitions + 1):
        fresh = TextBatch.from_texts(texts)
        timed("words and lines", lambda batch=fresh: (batch.words, batch.lines))
        batch, _ = timed("gopher", lambda batch=fresh: run_stage(Gopher(), batch))
        batch, _ = timed("fineweb", lambda batch=batch: run_stage(FineWeb(), batch))
        timed("quality, features alone", lambda batch=batch: measure_features(batch))
        timed("quality", lambda batch=batch: run_stage(Quality(), batch, cuts))
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    print(f"{megabytes:.1f} MB, median of {args.repetitions} after one to warm up\n")
    for name, values in seconds.items():
        median = statistics.median(values[1:])
        print(f"{name:25s} {megabytes / median:6.0f} MB/s {median * 1e3:7.1f} ms")


if __name__ == "__main__":
    main()
