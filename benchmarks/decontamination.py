"""Speed of decontamination and of repeated passages beside datatrove's decontamination filter: one core, one run.

    python -m benchmarks.decontamination [FILE] [--column NAME] [--items FILE] [--items-column NAME] [--repetitions N]

Real pages against the n-grams of real short texts; ours 13 words, datatrove's 12, both defaults. Pages that share an
n-gram with an item are judged apart, because there are far more of them here than in a crawl. datatrove's index is
filled by hand with the hashes that its own indexer would write (which wants lighteval); sides alternate, medians count,
seconds are the process's own.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.heuristics import pin
from benchmarks.minhash import seconds

THEIR_PART = 40
"""datatrove gets one in so many of the documents."""
THEIR_ITEMS = 1000


def datatrove_filter(items: list[str]) -> Any:
    from datatrove.pipeline.decont.n_grams import NGramsDecontFilter
    from datatrove.utils.text import ngrams, simplify_text
    from xxhash import xxh64_intdigest

    judge = NGramsDecontFilter("/nowhere")
    judge.hash_func = lambda text: xxh64_intdigest(text.encode())  # xxhash 4 hashes no strings, datatrove 0.10.1 does
    index = {}
    for item in items:
        words = judge.tokenizer.word_tokenize(simplify_text(item, judge.config.norm_config))
        index |= {judge.hash_func(" ".join(ngram)): "items" for ngram in ngrams(words, judge.config.n_grams)}
    judge._index_hashes = index
    return judge


def datatrove_work(texts: list[str], items: list[str]) -> Callable[[], Any]:
    from datatrove.data import Document

    judge, documents = datatrove_filter(items), [Document(text=text, id=str(i)) for i, text in enumerate(texts)]
    return lambda: [judge.filter(document) for document in documents]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, help="Parquet; default: the development pages")
    parser.add_argument("--column", default="main_text")
    parser.add_argument("--items", type=Path, help="Parquet; default: the development texts of quality")
    parser.add_argument("--items-column", default="text")
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    pin()
    import pyarrow as pa
    import pyarrow.parquet as pq

    from stages.benchmark_items import Item, NgramIndex
    from stages.contract import run_stage
    from stages.decontamination import Decontamination
    from stages.dedup.folded import FoldedWords
    from stages.dedup.substring import Substring
    from stages.text.batch import TextBatch
    from tests.reference.oracle import data_path

    pa.set_cpu_count(1)
    path, items_path = (
        options.file or data_path("web_sample.parquet"),
        options.items or data_path("quality_dev.parquet"),
    )
    texts = [text for text in pq.read_table(path, columns=[options.column])[options.column].to_pylist() if text]
    asked = pq.read_table(items_path, columns=[options.items_column])[options.items_column].to_pylist()
    index = NgramIndex.of([Item(f"items:{i}", text) for i, text in enumerate(asked, 1)], 13, 8)
    stages = {mode: Decontamination(benchmarks={"items": str(items_path)}, mode=mode) for mode in ("drop", "cut")}
    for stage in stages.values():
        stage.__dict__["index"] = index
    hit = set(index.find(FoldedWords.of(TextBatch.from_texts(texts)))[:, 0].tolist())
    clean = [text for i, text in enumerate(texts) if i not in hit]
    print(
        f"{len(texts):,} documents, {len(hit):,} with an n-gram of {len(asked):,} items ({len(index.item):,} n-grams)"
    )

    batches = {"clean": TextBatch.from_texts(clean), "split": TextBatch.from_texts(clean)}
    batches |= {"hit": TextBatch.from_texts([texts[i] for i in sorted(hit)])}
    assert batches["split"].words
    part = clean[::THEIR_PART]
    work: dict[str, tuple[list[str], Callable[[], Any]]] = {
        "datatrove, 12-grams": (part, datatrove_work(part, asked[:THEIR_ITEMS])),
        "tamis, clean documents": (clean, partial(run_stage, stages["drop"], batches["clean"])),
        "- their words given": (clean, partial(run_stage, stages["drop"], batches["split"])),
        "- all contaminated": ([texts[i] for i in hit], partial(run_stage, stages["drop"], batches["hit"])),
        "- all contaminated, cut": ([texts[i] for i in hit], partial(run_stage, stages["cut"], batches["hit"])),
        "substring, sketch": (clean, partial(Substring().sketch, batches["clean"])),
        "- every window": (clean, partial(Substring(num_windows=1).sketch, batches["clean"])),
    }
    speeds: dict[str, list[float]] = {name: [] for name in work}
    for repetition in range(options.repetitions + 1):
        for name, (documents, run) in work.items():
            speed = sum(len(text.encode()) for text in documents) / 1e6 / seconds(run)
            speeds[name] += [speed] if repetition else []
    print("| | documents | MB/s | spread |\n|---|---:|---:|---:|")
    for name, several in speeds.items():
        spread = f"{min(several):,.1f} to {max(several):,.1f}"
        print(f"| {name} | {len(work[name][0]):,} | {statistics.median(several):,.1f} | {spread} |")
    ours, theirs = (statistics.median(speeds[name]) for name in ("tamis, clean documents", "datatrove, 12-grams"))
    print(f"ratio: {ours / theirs:.0f}")


if __name__ == "__main__":
    main()
