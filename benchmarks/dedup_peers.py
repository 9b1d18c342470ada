"""Whole deduplications, text in and kept documents out: ours, and the way each peer's own documentation goes.

    python -m benchmarks.dedup_peers NAME INPUT.parquet OUTPUT

Everybody looks for FineWeb's 14 bands of 8 rows over 5-grams of words, reads one Parquet file with `id` and `text`, and
leaves Parquet in `OUTPUT/kept` (text-dedup its Arrow files). One process works at a time.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.minhash_peers import BANDS, NGRAM, ROWS, ngrams
from pipeline.stats import peak_memory_bytes

NUM_PERM = BANDS * ROWS
PEAKS = [0]
"""Of the workers, where a side has any."""


def tamis(source: Path, output: Path) -> list[str]:
    """A run of one stage, with all that a run records."""
    import pipeline

    run = pipeline.run({"input": str(source), "output": str(output), "stages": ["minhash"]}, workers=1)
    PEAKS.append(run.stats["peak_memory_bytes"])
    ids: list[str] = run.documents.to_table(columns=["id"])["id"].to_pylist()
    return ids


def datatrove(source: Path, output: Path) -> list[str]:
    """The four steps of its MinHash example, one task each; the words of its default tokenizer (English)."""
    import pyarrow.dataset as ds
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup.minhash import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.writers import ParquetWriter
    from xxhash import xxh64_intdigest

    config, folder = MinhashConfig(NGRAM, BANDS, ROWS), str(output)
    signature = MinhashDedupSignature(f"{folder}/signatures", config)
    # xxhash 4 hashes no strings, datatrove 0.10.1 does
    signature._hash_func = lambda text: xxh64_intdigest(text.encode())  # type: ignore[assignment]
    reader = ParquetReader(str(source.parent), glob_pattern=source.name)
    steps: list[list[Any]] = [
        [reader, signature],
        [MinhashDedupBuckets(f"{folder}/signatures", f"{folder}/buckets", config=config, only_dedup_in_index=False)],
        [MinhashDedupCluster(f"{folder}/buckets", f"{folder}/remove", config=config)],
        [
            ParquetReader(str(source.parent), glob_pattern=source.name),
            MinhashDedupFilter(f"{folder}/remove"),
            ParquetWriter(f"{folder}/kept"),
        ],
    ]
    for number, step in enumerate(steps):
        tasks = BANDS if number == 1 else 1
        LocalPipelineExecutor(step, tasks=tasks, workers=1, logging_dir=f"{folder}/logs/{number}").run()
    ids: list[str] = ds.dataset(f"{folder}/kept").to_table(columns=["id"])["id"].to_pylist()
    return ids


def _one_by_one(source: Path, output: Path, is_new: Callable[[int, str], bool]) -> list[str]:
    """Keep each document for which `is_new(number, text)`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(source)
    keep = [is_new(number, text) for number, text in enumerate(table["text"].to_pylist())]
    kept = table.filter(pa.array(keep))
    (output / "kept").mkdir(parents=True)
    pq.write_table(kept, output / "kept" / "0.parquet", compression="zstd")
    ids: list[str] = kept["id"].to_pylist()
    return ids


def datasketch(source: Path, output: Path) -> list[str]:
    """`MinHashLSH`: a document is new if the index finds nothing for it."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(num_perm=NUM_PERM, params=(BANDS, ROWS))

    def is_new(number: int, text: str) -> bool:
        sketch = MinHash(num_perm=NUM_PERM)
        sketch.update_batch([ngram.encode() for ngram in ngrams(text)])
        if index.query(sketch):
            return False
        index.insert(number, sketch, check_duplication=False)
        return True

    return _one_by_one(source, output, is_new)


def rensa(source: Path, output: Path) -> list[str]:
    """`RMinHash` of all n-grams and `RMinHashLSH`: a document is new if the index finds nothing for it."""
    from rensa import RMinHash, RMinHashLSH

    index = RMinHashLSH(threshold=0.7, num_perm=NUM_PERM, num_bands=BANDS)

    def is_new(number: int, text: str) -> bool:
        sketch = RMinHash(num_perm=NUM_PERM, seed=42)
        sketch.update(ngrams(text))
        if index.query(sketch):
            return False
        index.insert(number, sketch)
        return True

    return _one_by_one(source, output, is_new)


def text_dedup(source: Path, output: Path) -> list[str]:
    """Its command `text_dedup.minhash`, with short documents let in."""
    import datasets
    from text_dedup.minhash import main as command

    options = {
        "path": "parquet", "data_files": source, "split": "train", "cache_dir": output / "cache", "column": "text",
        "output": output / "kept", "num_proc": 1, "ngram": NGRAM, "min_length": 1, "num_perm": NUM_PERM, "b": BANDS,
        "r": ROWS, "batch_size": 10_000,
    }  # fmt: skip
    arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command.main(arguments, standalone_mode=False)
    ids: list[str] = list(datasets.load_from_disk(str(output / "kept"))["id"])
    return ids


SIDES: dict[str, Callable[[Path, Path], list[str]]] = {
    "tamis": tamis,
    "datatrove": datatrove,
    "datasketch": datasketch,
    "rensa": rensa,
    "text-dedup": text_dedup,
}


def main() -> None:
    name, source, output = sys.argv[1:]
    shutil.rmtree(output, ignore_errors=True)
    ids = SIDES[name](Path(source), Path(output))
    peak = max(peak_memory_bytes(), *PEAKS)
    Path(output, "result.json").write_text(json.dumps({"ids": ids, "peak_bytes": peak}))


if __name__ == "__main__":
    main()
