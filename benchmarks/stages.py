"""Speed of stages that have no peer in `benchmarks.heuristics`: each alone, one core, on the same documents.

    python -m benchmarks.stages [FILE] [--column NAME] [--stages a,b] [--repetitions N] [--sources]

A stage sees fresh batches, so that the views it needs are counted with it. Medians, by CPU time. With `--sources` the
documents are the Python files of the standard library.
"""

from __future__ import annotations

import argparse
import statistics
import sysconfig
import time
from pathlib import Path

from benchmarks.heuristics import pin


def sources() -> tuple[list[str], list[str]]:
    """Texts and paths of the Python files of the standard library, without what is installed beside it."""
    found = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if "site-packages" not in path.parts:
            try:
                found.append((path.read_text(encoding="utf-8"), str(path)))
            except UnicodeDecodeError:  # a test of the standard library's own
                continue
    return [text for text, _ in found], [path for _, path in found]


def speeds(texts: list[str], paths: list[str], name: str, repetitions: int) -> list[float]:
    """Megabytes a second of every repetition, decisions included; the first run, which compiles, is left out."""
    import stages
    from stages.contract import Fitted, decide, run_stage
    from stages.text.batch import TextBatch

    stage = stages.load(name).model_validate({"name": name})
    stage.setup()
    batch = TextBatch.from_texts(texts, path=paths)
    reference = stage.fit(batch) if isinstance(stage, Fitted) else None
    megabytes = float(batch.utf8.offsets[-1]) / 1e6
    found = []
    for _ in range(repetitions + 1):
        batch = TextBatch.from_texts(texts, path=paths)
        started = time.process_time()
        _, columns = run_stage(stage, batch, reference)
        decide(stage, columns, None)
        found.append(megabytes / (time.process_time() - started))
    return found[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, help="Parquet; default: the development pages")
    parser.add_argument("--column", default="main_text")
    parser.add_argument("--stages", default="pii")
    parser.add_argument("--sources", action="store_true", help="read the standard library instead")
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    pin()
    import pyarrow.parquet as pq

    from tests.reference.oracle import data_path

    if options.sources:
        texts, paths = sources()
        what = "Python files of the standard library"
    else:
        path = options.file or data_path("web_sample.parquet")
        column = pq.read_table(path, columns=[options.column])[options.column].to_pylist()
        texts = [text for text in column if text]
        paths = [""] * len(texts)
        what = f"{path.name} `{options.column}`"
    print(f"{what}: {len(texts):,} documents, {sum(len(text.encode()) for text in texts) / 1e6:.1f} MB")
    for name in options.stages.split(","):
        found = speeds(texts, paths, name, options.repetitions)
        print(f"{name:>14}: {statistics.median(found):8.1f} MB/s ({min(found):.1f} to {max(found):.1f})")


if __name__ == "__main__":
    main()
