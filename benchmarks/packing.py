"""Packing: fill, cut documents and speed of `best_fit` beside plain concatenation; then how fast tokens are read.

    python -m benchmarks.packing [FILE] [--column NAME] [--times N] [--repetitions N]

Tokens are the words and punctuation marks of the shared text pass, about as many as Llama 3 has. The documents come N
times, each time but the first cut at a random word, so that lengths are spread. Sides alternate on one core; medians.

Reading: one sequence at random and all in order, from the mapped Parquet file, from the same file through pyarrow's
row groups, from a file compressed with zstd, and from a plain `.bin`; and batches of the torch loader.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.heuristics import pin

LENGTHS = (2048, 8192, 32768)


def load(path: Path, column: str, times: int) -> Any:
    """The documents as word ids, and the marks of these."""
    import numpy as np
    import pyarrow.parquet as pq

    from stages.text.batch import TextBatch
    from stages.text.views import hash_word
    from stages.tokens.kernels_packing import WIDE_END
    from stages.tokens.packing import Documents

    texts = [text for text in pq.read_table(path, columns=[column])[column].to_pylist() if text]
    words = TextBatch.from_texts(texts).words
    rng = np.random.default_rng(0)
    parts = []
    for number in range(times):
        for low, high in zip(words.begin.tolist(), words.end.tolist(), strict=True):
            stop = high if number == 0 else low + int(rng.integers(1, max(2, high - low + 1)))
            parts.append(words.hash[low:stop])
    ids = (np.concatenate(parts) % np.uint64(100_000)).astype(np.uint32)
    offsets = np.cumsum([0, *map(len, parts)]).astype(np.int64)
    keys = rng.integers(0, 2**64, len(parts), np.uint64)
    marks = np.zeros(100_000, np.uint8)
    marks[[hash_word(mark) % 100_000 for mark in ".!?。"]] = WIDE_END
    return Documents(ids, offsets, keys, np.argsort(keys)), marks


def seconds(work: Callable[[], Any]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def compare(documents: Any, marks: Any, repetitions: int) -> None:
    import numpy as np

    from stages.tokens.packing import Frame, pack

    frame = Frame(128000, 128001, 128004)
    sizes = documents.lengths(frame)
    print("\n| length | packing | fill | sequences | cut documents | of them short enough | M tokens/s |")
    print("|---:|---|---:|---:|---:|---:|---:|")
    for length in LENGTHS:
        spent: dict[str, list[float]] = {"best_fit": [], "concatenate": []}
        found = {}
        for _ in range(repetitions + 1):
            for packing, several in spent.items():
                began = time.process_time()
                found[packing] = pack(documents, length, packing, frame, marks)
                several.append(time.process_time() - began)
        for packing, pieces in found.items():
            docs, counts = np.unique(pieces.doc, return_counts=True)
            cut = docs[counts > 1]
            fill = pieces.num_tokens / (pieces.num_sequences * length)
            speed = pieces.num_tokens / statistics.median(spent[packing][1:]) / 1e6
            short = int((sizes[cut] <= length).sum())
            print(
                f"| {length:,} | `{packing}` | {fill:.3%} | {pieces.num_sequences:,} | {len(cut):,} | {short:,} "
                f"| {speed:,.0f} |"
            )


def reading(documents: Any, marks: Any, repetitions: int) -> None:
    """Print what it takes to read sequences of 8,192, written in several ways."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    import pipeline
    from pipeline.io.files import write_json
    from pipeline.io.shards import Shard
    from pipeline.tokens.formats import write_sequences
    from pipeline.tokens.pack import trace_table
    from stages.tokens.packing import Frame, lay_out, pack

    frame, length = Frame(128000, 128001, 128004), 8192
    pieces = pack(documents, length, "best_fit", frame, marks)
    n = pieces.num_sequences
    rows = pa.table(
        {
            "address": np.arange(len(documents.keys), dtype=np.uint64),
            "epoch": np.zeros(len(documents.keys), np.uint32),
            "id": [f"page-{i}" for i in range(len(documents.keys))],
        }
    )
    trace = trace_table(rows, pieces, [Shard(0, "pages.parquet", "parquet", 1, "", 0, 1, 0, 1)])
    rng = np.random.default_rng(1)
    some = rng.integers(0, n, 200).tolist()
    sides: dict[str, tuple[Callable[[int], Any], int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for format in ("parquet", "raw"):
            root = f"{folder}/{format}"
            chunks = ((lay_out(documents, pieces, frame, length, i, min(i + 1024, n)), None) for i in range(0, n, 1024))
            began = time.perf_counter()
            files = write_sequences(root, "train/00000", format, trace, chunks, length)
            spent = time.perf_counter() - began
            print(f"\nwriting {format}: {pieces.num_tokens / spent / 1e6:,.0f} M tokens/s", end="")
            parts = [{"path": "train/00000", "sequences": n, "files": [file.path for file in files]}]
            manifest = {"format": format, "sequence_length": length, "splits": {"train": {"parts": parts}}}
            write_json(f"{root}/manifest.json", manifest)
            tokens = pipeline.open_tokens(root)
            size = sum(file.bytes for file in files)
            sides[f"{format}, mapped"] = (lambda i, tokens=tokens: int(tokens[i].input_ids.sum()), size)  # type: ignore[misc]
        plain = f"{folder}/parquet/train/00000.parquet"
        table = pq.read_table(plain)
        pq.write_table(table, f"{folder}/zstd.parquet", compression="zstd", compression_level=3, row_group_size=1024)
        for name, path in (("parquet, by row group", plain), ("zstd, by row group", f"{folder}/zstd.parquet")):
            file = pq.ParquetFile(path)
            sides[name] = (lambda i, file=file: _by_group(file, i, length), Path(path).stat().st_size)  # type: ignore[misc]
        print(f"\n\n{n:,} sequences\n\n| | bytes a token | a sequence at random, µs |\n|---|---:|---:|")
        for name, (read, size) in sides.items():
            asked = some if "mapped" in name else some[:5]
            read(some[0])
            spent = statistics.median(seconds(partial(_read_all, read, asked)) for _ in range(repetitions))
            print(f"| {name} | {size / (n * length):.2f} | {spent / len(asked) * 1e6:,.0f} |")
        _loader(pipeline.open_tokens(f"{folder}/parquet"), n * length)


def _read_all(read: Callable[[int], Any], numbers: list[int]) -> None:
    for i in numbers:
        read(i)


def _by_group(file: Any, i: int, length: int) -> int:
    group = file.read_row_group(i // 1024, columns=["input_ids"])["input_ids"].chunk(0)
    return int(group.values.to_numpy()[(i % 1024) * length : (i % 1024 + 1) * length].sum())


def _loader(tokens: Any, num_tokens: int) -> None:
    began = time.perf_counter()
    for _ in tokens.loader(batch_size=8, drop_last=False):
        pass
    print(f"torch loader, batches of 8: {num_tokens / (time.perf_counter() - began) / 1e6:,.1f} M tokens/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, help="Parquet; default: the development pages")
    parser.add_argument("--column", default="main_text")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    pin()
    from tests.reference.oracle import data_path

    path = options.file or data_path("web_sample.parquet")
    documents, marks = load(path, options.column, options.times)
    print(f"{path.name} `{options.column}`, {options.times} times: {len(documents.keys):,} documents, ", end="")
    print(f"{len(documents.ids):,} words")
    compare(documents, marks, options.repetitions)
    reading(documents, marks, options.repetitions)


if __name__ == "__main__":
    main()
