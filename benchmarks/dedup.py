"""Whole deduplication beside datatrove, datasketch, rensa and text-dedup: one core, one run, the same documents.

    python -m benchmarks.dedup TEXTS [--documents N] [--repetitions N] [--sides NAME ...] [--full NAME ...]

Text in, kept documents out (`benchmarks/dedup_peers.py`), each side in a process of its own on one core, in turns.
Seconds are from the start of the process to its end, so starting up is counted; beside them the processor time, which
other processes on the machine disturb less, and the largest resident set.

The input is real documents, from a Parquet file or a folder of them (column `text`; `python -m benchmarks.corpus` makes
one); pages of more than 6,000 characters are cut into sections of about 3,000, and equal ones left out. One in ten is
an edited copy of one of 800 characters or more somewhere in front of it; it is found if not both of the pair are kept.
Slow sides get the first part of the documents, and their rates are extrapolated linearly, which is said; `--full` names
sides that get everything nevertheless.
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

from benchmarks.heuristics import pin

PARTS = {"datatrove": 40, "datasketch": 8, "text-dedup": 8, "rensa": 2}
"""Sides that get one in so many of the documents."""
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
        """`size` documents: originals in order, and edited copies of some at random places behind them."""
        rng = random.Random(0)
        num_originals = size - int(size * COPIES)
        rows = [(float(i), str(i), text) for i, text in enumerate(originals[:num_originals])]
        pairs = []
        long = [i for i, (_, _, text) in enumerate(rows) if len(text) >= MIN_CHARS]
        for number, i in enumerate(rng.sample(long, int(size * COPIES))):
            name = list(EDITS)[number % len(EDITS)]
            rows.append((rng.uniform(i, num_originals), f"{i}+", EDITS[name](rows[i][2], rng)))
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
        parts, results = {}, {}
        for name in installed(options.sides):
            divisor = 1 if name in options.full else PARTS.get(name, 1)
            parts[name] = corpus.part(len(corpus.ids) // divisor)
            parts[name].write(Path(folder, f"{name}.parquet"))
            results[name] = perform(name, Path(folder, f"{name}.parquet"), Path(folder, name))  # warms caches
        several: dict[str, list[Result]] = {name: [] for name in results}
        for _ in range(options.repetitions):
            for name, runs in several.items():
                runs.append(perform(name, Path(folder, f"{name}.parquet"), Path(folder, name)))
    report(parts, several)


def report(parts: dict[str, Corpus], several: dict[str, list[Result]]) -> None:
    """Print a table of speeds and one of recall."""
    rates = {}
    print("\n| | documents | seconds | of processor | spread | documents/s | kept | peak MiB |\n|---|" + "---:|" * 7)
    for name, runs in several.items():
        walls, count = [run.wall_s for run in runs], len(parts[name].ids)
        rates[name] = count / statistics.median(walls)
        cells = [
            f"{count:,}", f"{statistics.median(walls):,.1f}", f"{statistics.median(run.cpu_s for run in runs):,.1f}",
            f"{min(walls):,.1f} to {max(walls):,.1f}", f"{rates[name]:,.0f}",
            f"{len(runs[0].kept) / count:.1%}", f"{max(run.peak_mib for run in runs):,.0f}",
        ]  # fmt: skip
        print(f"| {name} | {' | '.join(cells)} |")
    for name, rate in rates.items():
        if name != "tamis" and "tamis" in rates:
            fewer = len(parts[name].ids) < len(parts["tamis"].ids)
            print(f"tamis to {name}: {rates['tamis'] / rate:.1f}" + (" (its rate taken as linear)" if fewer else ""))
    print(f"\n| edit | {' | '.join(several)} |\n|---|{'---:|' * len(several)}")
    recall = {name: parts[name].recall(runs[0].kept) for name, runs in several.items()}
    for edit in EDITS:
        print(f"| {edit} | {' | '.join(f'{recall[name][edit]:.2f}' for name in several)} |")


if __name__ == "__main__":
    main()
