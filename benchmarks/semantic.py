"""Semantic deduplication: pairs found beside all pairs, speed beside numpy's, a million vectors, paraphrases.

    python -m benchmarks.semantic [FILE …] [--column NAME] [--model NAME] [--parts recall,speed,million,planted]

Vectors are those of paragraphs of real pages (the development pages, or FILE, Parquet with a column of texts), from an
encoder that the stage `embedding` knows. `million` wants a million paragraphs; where there are fewer it adds
vectors near to theirs, and says how many. Unset OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE where they are set: they slow
numpy.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.heuristics import pin

FLOOR = (0.01, 0.02, 0.05, 0.1, 0.2)
MEMORY = """
import sys
import numpy as np
from pipeline.stats import peak_memory_bytes
from stages.dedup.neighbours import Search
from stages.dedup.products import NumpyProducts
size = int(sys.argv[1])
rng = np.random.default_rng(0)
vectors = np.empty((size, 256), np.float16)
for start in range(0, size, 1000):
    part = rng.standard_normal((min(1000, size - start), 256)).astype(np.float32)
    vectors[start : start + 1000] = part / np.linalg.norm(part, axis=1, keepdims=True)
search = Search(np.array([0.9], np.float32), max_cluster=1 << 40)
search.links(vectors[:9], np.ones(9, np.bool_), NumpyProducts())
before = peak_memory_bytes()
search.links(vectors, np.ones(size, np.bool_), NumpyProducts())
print(vectors.nbytes / 2**20, before / 2**20, peak_memory_bytes() / 2**20)
"""


def paragraphs(files: list[Path], column: str, limit: int) -> Iterator[str]:
    """Paragraphs of at least eight words, each once, in the order in which they come."""
    import pyarrow.parquet as pq

    seen = set()
    for file in files:
        for batch in pq.ParquetFile(file).iter_batches(256, columns=[column]):
            for text in batch[column].to_pylist():
                for line in (text or "").split("\n"):
                    if len(line.split()) >= 8 and hash(line) not in seen and len(seen) < limit:
                        seen.add(hash(line))
                        yield line


def encoded(texts: list[str], model: str) -> Any:
    """Vectors, `float16[n, d]`; texts without one are left out."""
    import numpy as np

    from stages.embedding.encoder import encode

    parts = [encode(model, texts[start : start + 20_000]) for start in range(0, len(texts), 20_000)]
    vectors = np.concatenate(parts)
    return vectors[~np.isnan(vectors[:, 0])]


def clustered(stage: Any, vectors: Any) -> tuple[Any, Any, dict[str, float]]:
    """All steps of the stage in memory: links, resolution, and the seconds that each step takes."""
    import numpy as np
    import pyarrow as pa

    from pipeline.exchange import key_firsts
    from pipeline.sketches import sketch
    from stages.dedup.survey import VECTOR
    from stages.dedup.vectors import to_column
    from stages.text.batch import TextBatch

    seconds: dict[str, float] = {}

    def timed(name: str, started: float) -> None:
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started

    def batches() -> Iterator[tuple[TextBatch, Any]]:
        for start in range(0, len(vectors), 8192):
            part = vectors[start : start + 8192]
            table = pa.table({"id": [""] * len(part), "text": pa.array([""] * len(part), pa.large_string())})
            yield TextBatch(table, {VECTOR: to_column(part)}), np.arange(start, start + len(part), dtype=np.uint64)

    began = time.perf_counter()
    rows = pa.concat_tables([stage.tally(batch) for batch, _ in batches()])
    rows = stage.combine(rows.take(pa.array(np.argsort(rows["key"].to_numpy(), kind="stable"))))
    timed("tally", began)
    began = time.perf_counter()
    reference = stage.conclude(rows.slice(0, stage.sample_limit(len(vectors))), len(vectors))
    timed("conclude (k-means)", began)
    began = time.perf_counter()
    del rows
    parts = [sketch(stage, batch, addresses, reference) for batch, addresses in batches()]
    sketches, members = (
        pa.concat_tables(tables) for tables in zip(*((p.rows, p.profiles) for p in parts), strict=True)
    )
    del parts
    timed("sketch (nearest clusters)", began)
    began = time.perf_counter()
    keys, num_partitions = sketches["key"].to_numpy(), max(1, len(vectors) // 50_000)
    place = np.searchsorted(key_firsts(num_partitions), keys, side="right") - 1
    timed("(cutting)", began)
    links = []
    for partition in range(num_partitions):
        began = time.perf_counter()
        own = sketches.take(pa.array(np.flatnonzero(place == partition)))
        timed("(cutting)", began)
        began = time.perf_counter()
        links.append(stage.resolve(own))
        timed("resolve (pairs)", began)
    began = time.perf_counter()
    found = pa.concat_tables(links)
    resolution = stage.settle(members, found)
    timed("settle (greedy keep)", began)
    return found, resolution, seconds


def recall(vectors: Any) -> None:
    """Pairs and removed documents, found by clusters, of those found among all pairs."""
    import numpy as np

    from stages.dedup.neighbours import Search
    from stages.dedup.products import NumpyProducts
    from stages.dedup.semantic import Semantic, is_removed

    vectors = np.unique(vectors, axis=0)
    rng = np.random.default_rng(0)
    vectors = np.ascontiguousarray(vectors[rng.permutation(len(vectors))])
    everything = Search(np.array([1 - e for e in FLOOR], np.float32), max_links=1 << 30, max_cluster=1 << 40)
    everywhere = np.ones(len(vectors), np.bool_)
    everything.links(vectors[:100], everywhere[:100], NumpyProducts())
    began = time.perf_counter()
    whole = everything.links(vectors, everywhere, NumpyProducts())
    brute = time.perf_counter() - began
    exact = whole.later.astype(np.int64) * len(vectors) + whole.earlier
    size, width = vectors.shape
    print(f"\n{size:,} distinct vectors of {width}; all pairs: {brute:.1f} s, {len(exact):,} near ones\n")
    heads = [f"pairs at {epsilon}" for epsilon in FLOOR] + [f"removed at {epsilon}" for epsilon in FLOOR]
    print(f"| probes | seconds | {' | '.join(heads)} |\n|{'---:|' * (2 + len(heads))}")
    truth = _removed(Semantic(keep="first", epsilons=FLOOR, num_clusters=1), vectors)
    for num_probes in (1, 2, 3):
        k = round((len(vectors) / 2) ** 0.5)
        stage = Semantic(keep="first", epsilons=FLOOR, num_clusters=k, num_probes=num_probes)
        with _all_links():
            links, _, _ = clustered(stage, vectors)
        began = time.perf_counter()
        _, resolution, seconds = clustered(stage, vectors)
        pairs = links.filter(links["similarity"].is_valid())
        later, earlier = (pairs[name].to_numpy().astype(np.int64) for name in ("address", "linked_to"))
        codes = later * len(vectors) + earlier
        found = np.isin(exact, codes)
        of_pairs = [found[whole.similarity >= np.float32(1 - e)].mean() for e in FLOOR]
        removed = [is_removed(resolution["removed_at"].to_numpy(), place) for place in range(len(FLOOR))]
        cells = [f"{share:.2%}" for share in of_pairs]
        cells += [f"{(a & b).sum() / max(1, a.sum()):.2%} of {a.sum():,}" for a, b in zip(truth, removed, strict=True)]
        print(f"| {num_probes} | {sum(seconds.values()):.1f} | " + " | ".join(cells) + " |")
    print({name: round(value, 1) for name, value in seconds.items()})


def _removed(stage: Any, vectors: Any) -> list[Any]:
    from stages.dedup.semantic import is_removed

    _, resolution, _ = clustered(stage, vectors)
    return [is_removed(resolution["removed_at"].to_numpy(), place) for place in range(len(FLOOR))]


def _all_links() -> Any:
    """Every near pair is recorded, while this holds."""
    from unittest.mock import patch

    from stages.dedup import neighbours, semantic

    def search(bounds: Any, num_probes: int) -> neighbours.Search:
        return neighbours.Search(bounds, max_links=1 << 30, num_probes=num_probes)

    return patch.object(semantic, "Search", search)


def speed(vectors: Any, repetitions: int) -> None:
    """Pairs a second of one cluster beside numpy's products alone, both in turns, one core."""
    import statistics

    import numpy as np

    from stages.dedup.neighbours import Search
    from stages.dedup.products import NumpyProducts

    vectors = np.unique(vectors[:20_480], axis=0)
    num = len(vectors)
    floats, products = vectors.astype(np.float32), NumpyProducts()
    tile = np.empty((products.tile, products.tile), np.float32)
    search, everywhere = Search(np.array([0.95, 0.9], np.float32), max_cluster=1 << 40), np.ones(num, np.bool_)

    def bound() -> None:
        for a in range(0, num, products.tile):
            for b in range(0, a + 1, products.tile):
                left, right = floats[a : a + products.tile], floats[b : b + products.tile]
                np.matmul(left, right.T, out=tile[: len(left), : len(right)])

    work = {
        "numpy's products alone": bound,
        "near pairs": lambda: search.links(vectors, everywhere, products),
    }
    times: dict[str, list[float]] = {name: [] for name in work}
    for repetition in range(repetitions + 1):
        for name, run in work.items():
            began = time.process_time()
            run()
            times[name] += [time.process_time() - began] if repetition else []
    print(f"\n{num:,} vectors of {vectors.shape[1]} in one cluster\n\n| | million pairs/s | GFLOP/s |\n|---|---:|---:|")
    for name, several in times.items():
        rate = num * (num - 1) / 2 / statistics.median(several)
        print(f"| {name} | {rate / 1e6:,.0f} | {rate * 2 * vectors.shape[1] / 1e9:,.0f} |")
    ratios = [a / b for a, b in zip(*times.values(), strict=True)]
    print(f"share of the bound: {statistics.median(ratios):.0%} ({min(ratios):.0%} to {max(ratios):.0%})")
    print("\n| vectors in the cluster | their MiB | added MiB |\n|---:|---:|---:|")
    for size in (10_000, 20_000, 40_000, 80_000):
        command = [sys.executable, "-c", MEMORY, str(size)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        own, before, peak = map(float, told.split())
        print(f"| {size:,} | {own:,.0f} | {peak - before:,.0f} |")


def million(vectors: Any, num: int) -> None:
    """All steps on as many vectors, on one core."""
    import numpy as np

    from pipeline.stats import peak_memory_bytes
    from stages.dedup.semantic import Semantic, is_removed

    real = min(len(vectors), num)
    if real < num:
        rng = np.random.default_rng(0)
        more = vectors[rng.integers(0, real, num - real)].astype(np.float32)
        more += rng.standard_normal(more.shape, np.float32) * np.float32(0.5 / more.shape[1] ** 0.5)
        vectors = np.concatenate([vectors, (more / np.linalg.norm(more, axis=1, keepdims=True)).astype(np.float16)])
    vectors = vectors[:num]
    stage = Semantic()
    links, resolution, seconds = clustered(stage, vectors)
    print(f"\n{num:,} vectors of {vectors.shape[1]} ({vectors.nbytes / 2**20:,.0f} MiB), {real:,} of them of texts")
    peak = peak_memory_bytes() / 2**20
    print(f"{sum(seconds.values()):.0f} s, peak {peak:,.0f} MiB, {links.num_rows:,} rows of links")
    for name, value in seconds.items():
        print(f"  {name}: {value:.1f} s")
    at = resolution["removed_at"].to_numpy()
    for place, epsilon in enumerate(stage.all_epsilons):
        print(f"  removed at {epsilon}: {is_removed(at, place).sum():,}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="Parquet; default: the development pages")
    parser.add_argument("--column", default="text")
    parser.add_argument("--model", default="static")
    parser.add_argument("--parts", default="recall,speed,planted,million")
    parser.add_argument("--num", type=int, default=10**6, help="vectors of `million`")
    parser.add_argument(
        "--limit", type=int, default=60_000, help="paragraphs of the other parts; slow models want fewer"
    )
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    parts = options.parts.split(",")
    pin()
    from tests.reference.oracle import data_path

    files = options.files or [data_path("web_sample.parquet")]
    texts = list(paragraphs(files, options.column, max(options.limit, options.num if "million" in parts else 0)))
    began = time.perf_counter()
    vectors = encoded(texts, options.model)
    print(f"{len(texts):,} paragraphs, encoded by {options.model} in {time.perf_counter() - began:.0f} s")
    if "speed" in parts:
        speed(vectors, options.repetitions)
    if "recall" in parts:
        recall(vectors[: options.limit])
    if "planted" in parts:
        from benchmarks.semantic_planted import planted

        planted(vectors[: min(50_000, options.limit)], options.model)
    if "million" in parts:
        million(vectors, options.num)


if __name__ == "__main__":
    main()
