"""Time and memory of deduplication against the number of documents: `python -m benchmarks.dedup_growth`.

- `run`: synthetic documents of sixty words, Parquet in, kept documents out, with `minhash` alone: all of a run.
- `steps`: sketches made of random numbers in place of documents (text is the same work for each of them), and then
  everything from the first resolve task to the last settle task, which is where documents meet.
- `hot`: the same, but all documents, different as they are, share a key, so that they are one cluster.

Of ten documents three repeat another one: a tenth of them word for word, the others at a similarity of 0.8 or 0.9; the
largest cluster has some percent of all copies. Partitions hold equally many documents at every size, so their number
grows. The peak is the largest resident set of any worker, of which 200 to 250 MiB are Python, Arrow and the compiled
kernels. The last table says where the time of the last line of `steps` went.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import pipeline
from pipeline import launch
from pipeline.config import load_config
from pipeline.executors.local import WorkerPool
from pipeline.io.shards import ROW_BITS, list_shards
from pipeline.phases import Phase
from pipeline.plan import make_plan
from pipeline.progress import Progress
from pipeline.records import commit
from pipeline.runs import Run
from pipeline.sketches import Sketch, fold, write_sketch
from stages.dedup.bands import PRESETS, Bands
from stages.dedup.components import scatter
from stages.dedup.duplicates import MinHash

TASK_DOCUMENTS, PARTITION_DOCUMENTS = 50_000, 250_000
NUM_WORDS, VOCABULARY = 60, 100_000
DUPLICATES = 0.3
SIMILARITIES = np.array([1.0, 0.9, 0.9, 0.8, 0.8, 0.8, 0.8, 0.9, 0.9, 0.9])
Numbers = np.ndarray[tuple[int, ...], np.dtype[np.uint64]]


def originals(documents: Numbers, num_documents: int, rng: np.random.Generator) -> tuple[Numbers, Numbers]:
    """For each document the one that it repeats (itself, for most) and how similar the two are.

    Copies choose among a hundredth of all documents, with a preference for few of them.
    """
    is_copy = rng.random(len(documents)) < DUPLICATES
    chosen = (num_documents / 100 * rng.random(len(documents)) ** 3).astype(np.uint64) * np.uint64(100)
    similarity = np.where(is_copy, rng.choice(SIMILARITIES, len(documents)), 1.0)
    return np.where(is_copy, chosen, documents), similarity


def write_texts(folder: Path, num_documents: int) -> None:
    """Files of documents; a word of a copy is another one with the probability that gives 5-grams its similarity."""
    words = np.array([f"w{i:x}" for i in range(VOCABULARY)], object)
    for first in range(0, num_documents, TASK_DOCUMENTS):
        rng = np.random.default_rng(first)
        documents = np.arange(first, min(first + TASK_DOCUMENTS, num_documents), dtype=np.uint64)
        source, similarity = originals(documents, num_documents, rng)
        seeds = scatter(source)[:, np.newaxis] + np.arange(NUM_WORDS, dtype=np.uint64)
        choice = scatter(seeds) % np.uint64(VOCABULARY)
        other = rng.random(choice.shape) > ((2 * similarity / (1 + similarity)) ** (1 / 5))[:, np.newaxis]
        choice[other] = rng.integers(0, VOCABULARY, int(other.sum()), np.uint64)
        texts = [" ".join(row) for row in words[choice.astype(np.int64)].tolist()]
        table = pa.table({"id": [str(i) for i in documents], "text": texts})
        pq.write_table(table, folder / f"{first:010d}.parquet")


def sketch_of(documents: Numbers, num_documents: int, bands: Bands, shard: int, hot: bool) -> Sketch:
    """What a task would have sketched of these documents; `hot`: if they all had one key in common."""
    rng = np.random.default_rng(shard)
    source, similarity = originals(documents, num_documents, rng)
    number = np.arange(bands.num_bands, dtype=np.uint64)
    own = rng.random((len(documents), bands.num_bands)) > similarity[:, np.newaxis] ** bands.num_rows
    keys = scatter(np.where(own, documents[:, np.newaxis], source[:, np.newaxis]) * np.uint64(64) + number)
    if hot:
        keys[:, 0] = 7
    addresses = np.arange(len(documents), dtype=np.uint64) + np.uint64(shard << ROW_BITS)
    width = bands.num_bands * bands.num_rows
    signature = rng.integers(0, 256, len(documents) * width, np.uint8)
    rows = {"key": keys.reshape(-1), "address": np.repeat(addresses, bands.num_bands)}
    profiles = {
        "address": addresses,
        "id": pa.array(documents).cast(pa.string()),
        "copies": np.ones(len(documents), np.int32),
        "signature": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(width), len(documents), [None, pa.py_buffer(signature)]
        ),
    }
    return Sketch(pa.table(rows), pa.table(profiles))


def measure_run(folder: Path, num_documents: int, preset: str, workers: int) -> tuple[str, Run]:
    texts = folder / "texts"
    texts.mkdir()
    write_texts(texts, num_documents)
    size = sum(file.stat().st_size for file in texts.iterdir())
    run = pipeline.run(
        {
            "input": str(texts),
            "output": str(folder / "run"),
            "stages": [{"minhash": {"preset": preset}}],
            "execution": {"task_bytes": 1, "partition_bytes": size * PARTITION_DOCUMENTS // num_documents + 1},
        },
        workers=workers,
    )
    return row(run, num_documents, workers, run.stats["wall_seconds"], run.stats["peak_memory_bytes"]), run


def prepare(folder: Path, num_tasks: int, preset: str) -> Run:
    """A run whose input is a file of five bytes for each task, so that the plan has as many; nobody reads them."""
    inputs = folder / "inputs"
    inputs.mkdir()
    for task in range(num_tasks):
        (inputs / f"{task:06d}.txt").write_text("none\n")
    config = load_config(
        {
            "input": str(inputs),
            "output": str(folder / "run"),
            "stages": [{"minhash": {"preset": preset}}],
            "execution": {"task_bytes": 1, "partition_bytes": 5 * PARTITION_DOCUMENTS // TASK_DOCUMENTS},
        }
    )
    manifest = list_shards(config.input)
    (folder / "run").mkdir()
    return launch._prepare(str(folder / "run"), config, manifest, make_plan(config, manifest))


def measure_steps(folder: Path, num_documents: int, preset: str, workers: int, hot: bool = False) -> tuple[str, Run]:
    num_tasks = -(-num_documents // TASK_DOCUMENTS)
    run = prepare(folder, num_tasks, preset)
    first, segment = run.plan.segments
    barrier = segment.barrier
    assert isinstance(barrier, MinHash)
    for rank in range(num_tasks):
        documents = np.arange(rank * TASK_DOCUMENTS, min((rank + 1) * TASK_DOCUMENTS, num_documents), dtype=np.uint64)
        whole = fold(barrier, [sketch_of(documents, num_documents, barrier.bands, rank, hot)])
        files = write_sketch(run.path, first.sieve.directory, rank, whole, segment.before[0].num_tasks or 1)
        commit(run.path, first.sieve, rank, files, {})
    progress = Progress(run.path, ["minhash"], 0, workers)
    with WorkerPool(run, workers) as pool:
        started = 0.0
        for phase in segment.before:
            launch._begin(run, phase, progress)
            pool.do(phase, progress)
            started = started or time.perf_counter()  # workers start in the first phase: the time of its tasks counts
        seconds = time.perf_counter() - started
    seconds += sum(times(run, segment.before[0])) / workers
    return row(run, num_documents, workers, seconds, progress.stats()["peak_memory_bytes"]), run


def measure_hot(folder: Path, num_documents: int, preset: str, workers: int) -> tuple[str, Run]:
    return measure_steps(folder, num_documents, preset, workers, hot=True)


def times(run: Run, phase: Phase) -> list[float]:
    return [record.stats["stages"]["minhash"]["seconds"] for record in run.records(phase)]


def row(run: Run, num_documents: int, workers: int, seconds: float, peak: int) -> str:
    segment = run.plan.segments[1]
    size = sum(file.stat().st_size for file in Path(run.path).rglob("phases/*/*/*.bin"))
    root = segment.phase("root")
    joins = sum(record.file("joins").rows for record in run.records(root)) if root else 0
    per = seconds * workers / num_documents * 1e6
    return (
        f"| {num_documents:,} | {segment.before[0].num_tasks} | {seconds:.1f} | {per:.1f} | {peak / 2**20:.0f} MiB "
        f"| {size / num_documents:.0f} | {joins / num_documents:.5f} |"
    )


def by_phase(run: Run) -> str:
    lines = ["| phase | tasks | seconds of a core | longest task |", "|---|---:|---:|---:|"]
    for phase in run.plan.segments[1].before:
        spent = times(run, phase)
        lines.append(f"| {phase.kind} | {len(spent)} | {sum(spent):.1f} | {max(spent):.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", default="100000,1000000", help="documents, comma separated")
    parser.add_argument("--steps", default="100000,1000000,10000000", help="documents, comma separated")
    parser.add_argument("--hot", default="1000000", help="documents, comma separated")
    parser.add_argument("--preset", choices=["fineweb", "strict"], default="fineweb")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", help="where to work; default: the folder of temporary files")
    arguments = parser.parse_args()
    print(f"minhash, preset {arguments.preset} {tuple(PRESETS[arguments.preset])}, {arguments.workers} workers\n")
    measures = {"run": measure_run, "steps": measure_steps, "hot": measure_hot}
    columns = "partitions | seconds | µs of a core each | peak memory per worker | bytes each | joins each"
    phases = ""
    for name, measure in measures.items():
        print(f"| {name}: documents | {columns} |\n|---:|---:|---:|---:|---:|---:|---:|")
        for size in filter(None, getattr(arguments, name).split(",")):
            folder = Path(tempfile.mkdtemp(prefix="tamis-growth-", dir=arguments.folder))
            try:
                line, run = measure(folder, int(size), arguments.preset, arguments.workers)
                print(line, flush=True)
                phases = by_phase(run) if name == "steps" else phases
            finally:
                shutil.rmtree(folder)
        print()
    print(phases)


if __name__ == "__main__":
    main()
