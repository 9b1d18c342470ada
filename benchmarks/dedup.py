"""Whole deduplication beside datatrove, datasketch, rensa and text-dedup: one core, one run, the same documents.

    python -m benchmarks.dedup TEXTS [--documents N] [--repetitions N] [--sides NAME ...] [--full NAME ...]

Text in, kept documents out (`benchmarks/dedup_peers.py`), each side in a process of its own on one core, in turns.
Seconds are from the start of the process to its end, so starting up is counted; beside them the processor's, which
other processes on the machine disturb less, and the largest resident set.

The input is real documents, from a Parquet file or a folder of them (column `text`; `python -m benchmarks.corpus` makes
one); pages of more than 6,000 characters are cut into sections of about 3,000, and equal ones left out. One in ten is
an edited copy of one of 800 characters or more up to 1,000 documents before; it is found if not both are kept.
Slow sides get the first part of the documents, and their seconds are extrapolated linearly, which is said: what 100
documents take, which is nearly all start-up, counts once. `--full` names sides that get everything nevertheless.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.heuristics import pin

PARTS = {"datatrove": 40, "datasketch": 8, "text-dedup": 8, "rensa": 2}
"""Sides that get one in so many of the documents."""
START, NEAR = 100, 1000
COPIES = 0.1
MIN_CHARS = 800
SECTION_CHARS = 3000
MENU = "Home\nProducts\nAbout us\nContact\n\n"
FOOTER = "\n\nAll rights reserved. Terms of use and privacy."


def substitute(text: str, rng: random.Random, share: float) -> str:
    """Some words replaced by others of the text."""
    words = text.split(" ")
    return " ".join(rng.choice(words) if rng.random() < share else word for word in words)


def shuffle_lines(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    rng.shuffle(lines)
    return "\n".join(lines)


EDITS: dict[str, Callable[[str, random.Random], str]] = {
    "none": lambda text, rng: text,
    "upper case": lambda text, rng: text.upper(),
    "punctuation": lambda text, rng: text.replace(", ", " - ").replace(". ", " ! "),
    "white space": lambda text, rng: text.replace(" ", "\u00a0 ").replace("\n", "\r\n\n"),
    "prefix of 12 words": lambda text, rng: " ".join(rng.choices(text.split(), k=12)) + "\n" + text,
    "suffix of 12 words": lambda text, rng: text + "\n" + " ".join(rng.choices(text.split(), k=12)),
    "last tenth cut": lambda text, rng: text[: len(text) * 9 // 10],
    **{f"{share} % of words": partial(substitute, share=share / 100) for share in (1, 2, 4, 8)},
    "lines shuffled": shuffle_lines,
    "boilerplate around": lambda text, rng: MENU + text + FOOTER,
    "NFD": lambda text, rng: unicodedata.normalize("NFD", text),
}


def sections(text: str) -> Iterator[str]:
    """A text, or, of a long one, pieces that end at empty lines."""
    if len(text) <= 2 * SECTION_CHARS:
        yield text
        return
    parts: list[str] = []
    for paragraph in text.split("\n\n"):
        parts.append(paragraph)
        if sum(map(len, parts)) > SECTION_CHARS:
            yield "\n\n".join(parts)
            parts = []
    yield "\n\n".join(parts)


def read_texts(path: Path, size: int) -> list[str]:
    """Different documents of 200 characters or more, in the order of the files."""
    import pyarrow.parquet as pq

    found: dict[str, None] = {}
    for file in sorted(path.glob("*.parquet")) if path.is_dir() else [path]:
        for group in pq.ParquetFile(file).iter_batches(columns=["text"]):
            pieces = (piece for text in group["text"].to_pylist() for piece in sections(text or ""))
            found |= dict.fromkeys(piece for piece in pieces if len(piece) >= 200)
            if len(found) >= size:
                return list(found)[:size]
    return list(found)


@dataclass(frozen=True)
class Corpus:
    """Documents in order, and the pairs that were planted: ids, and the edit of the second."""

    ids: list[str]
    texts: list[str]
    pairs: list[tuple[str, str, str]]

    @classmethod
    def of(cls, originals: list[str], size: int) -> Corpus:
        """`size` documents: originals in order, and edited copies of some a little behind them."""
        rng = random.Random(0)
        num_originals = size - int(size * COPIES)
        rows = [(float(i), str(i), text) for i, text in enumerate(originals[:num_originals])]
        pairs = []
        long = [i for i, (_, _, text) in enumerate(rows) if len(text) >= MIN_CHARS]
        for number, i in enumerate(rng.sample(long, int(size * COPIES))):
            name = list(EDITS)[number % len(EDITS)]
            rows.append((rng.uniform(i, min(i + NEAR, num_originals)), f"{i}+", EDITS[name](rows[i][2], rng)))
            pairs.append((str(i), f"{i}+", name))
        rows.sort()
        return cls([row[1] for row in rows], [row[2] for row in rows], pairs)

    def part(self, size: int) -> Corpus:
        """The first documents, and the pairs that are whole in them."""
        here = set(self.ids[:size])
        return Corpus(self.ids[:size], self.texts[:size], [pair for pair in self.pairs if pair[1] in here])

    def write(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table({"id": self.ids, "text": pa.array(self.texts, pa.large_string())})
        pq.write_table(table, path, compression="zstd", row_group_size=5000)

    def recall(self, kept: set[str]) -> dict[str, float]:
        """By edit, the share of pairs of which not both were kept."""
        found: dict[str, list[bool]] = {name: [] for name in EDITS}
        for original, copy, name in self.pairs:
            found[name].append(not (original in kept and copy in kept))
        return {name: statistics.mean(several) if several else float("nan") for name, several in found.items()}


@dataclass(frozen=True)
class Result:
    """What one side did with one input."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    kept: set[str]


def perform(name: str, source: Path, output: Path) -> Result:
    """One side, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.dedup_peers", name, str(source), str(output)]
    with open(output.with_suffix(".log"), "wb") as log:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
    if status:
        raise SystemExit(f"{name} failed:\n{output.with_suffix('.log').read_text(errors='replace')[-2000:]}")
    found = json.loads((output / "result.json").read_text())
    return Result(wall, usage.ru_utime + usage.ru_stime, found["peak_bytes"] / 2**20, set(found["ids"]))


def installed(names: list[str]) -> Iterator[str]:
    """The sides that can be imported; says what is missing."""
    modules = {"text-dedup": "text_dedup.minhash", "tamis": "pipeline"}
    for name in names:
        code = f"import {modules.get(name, name)}"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name} left out ({done.stderr.strip().splitlines()[-1]})")
        else:
            yield name


def main() -> None:
    from benchmarks.dedup_peers import SIDES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path, help="Parquet file or folder with a column `text`")
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--sides", nargs="+", choices=list(SIDES), default=list(SIDES))
    parser.add_argument("--full", nargs="+", choices=list(SIDES), default=[])
    options = parser.parse_args()
    pin()
    originals = read_texts(options.texts, options.documents)
    corpus = Corpus.of(originals, min(options.documents, int(len(originals) / (1 - COPIES))))
    size = sum(len(text.encode()) for text in corpus.texts)
    print(
        f"{len(corpus.ids):,} documents, {size / len(corpus.ids):,.0f} bytes on average, {len(corpus.pairs):,} copies"
    )
    with tempfile.TemporaryDirectory(prefix="tamis-dedup-") as folder:
        start = Path(folder, "start.parquet")
        corpus.part(START).write(start)
        parts = {}
        for name in installed(options.sides):
            parts[name] = corpus.part(len(corpus.ids) // (1 if name in options.full else PARTS.get(name, 1)))
            parts[name].write(Path(folder, f"{name}.parquet"))
            perform(name, start, Path(folder, name))  # warms caches
        several: dict[str, list[Measured]] = {name: [] for name in parts}
        for _ in range(options.repetitions):
            for name, runs in several.items():
                output = Path(folder, name)
                runs.append(
                    Measured(perform(name, start, output), perform(name, output.with_suffix(".parquet"), output))
                )
    report(len(corpus.ids), parts, several)


class Measured(NamedTuple):
    """One side with `START` documents, and with its part of them."""

    start: Result
    whole: Result

    def extrapolated(self, seconds: str, count: int, wanted: int) -> float:
        """Seconds for `wanted` documents, of `count` that were measured, the start of the process counted once."""
        first, last = getattr(self.start, seconds), getattr(self.whole, seconds)
        return float(last if count == wanted else first + (last - first) * (wanted - START) / (count - START))


def report(wanted: int, parts: dict[str, Corpus], several: dict[str, list[Measured]]) -> None:
    """Print a table of speeds and one of recall."""
    totals: dict[str, list[float]] = {}
    print(
        f"\n| | documents | s | start, s | {wanted:,}, s | processor, s | spread, s | kept | peak MiB |\n|---|"
        + "---:|" * 8
    )
    for name, runs in several.items():
        count = len(parts[name].ids)
        walls = [run.extrapolated("wall_s", count, wanted) for run in runs]
        processor = statistics.median(run.extrapolated("cpu_s", count, wanted) for run in runs)
        totals[name] = [statistics.median(walls), processor]
        cells = [
            f"{count:,}", f"{statistics.median(run.whole.wall_s for run in runs):,.1f}",
            f"{statistics.median(run.start.wall_s for run in runs):,.1f}",
            f"{totals[name][0]:,.1f}", f"{processor:,.1f}",
            f"{min(walls):,.1f} to {max(walls):,.1f}", f"{len(runs[0].whole.kept) / count:.1%}",
            f"{max(run.whole.peak_mib for run in runs):,.0f}",
        ]  # fmt: skip
        print(f"| {name} | {' | '.join(cells)} |")
    ours = totals.get("tamis", [1.0, 1.0])
    for name, (wall, processor) in totals.items():
        linear = " (extrapolated)" if len(parts[name].ids) < wanted else ""
        print(f"{name} to tamis: {wall / ours[0]:.1f}, by processor {processor / ours[1]:.1f}{linear}")
    print(f"\n| edit | {' | '.join(several)} |\n|---|{'---:|' * len(several)}")
    recall = {name: parts[name].recall(runs[0].whole.kept) for name, runs in several.items()}
    for edit in EDITS:
        print(f"| {edit} | {' | '.join(f'{recall[name][edit]:.2f}' for name in several)} |")


if __name__ == "__main__":
    main()
