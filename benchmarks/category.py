"""What `category` confuses: sources of known kind, and how each of them is sorted.

    python -m benchmarks.category --data DATA [--champ v0.json] [--corpus SHARD.parquet]

Code is what this machine has: the Python files of its library and packages, Python's C headers, and the sources that
installed packages carry.
General and multilingual text is that of DATA (quality_dev, web_sample), and the descriptions of installed packages.
Mathematics is CHAMP (`pip download champ-dataset`, MIT): 270 competition problems with solutions by hand; pass its
`champ_dataset/dataset_files/v0.json`. With a shard of `benchmarks.corpus`, what the rules do to Debian's sources and
documentation, which nobody looked at when they were made. Prints a table in Markdown, and MB/s of the stage on words
that are there.
"""

from __future__ import annotations

import argparse
import json
import random
import site
import sysconfig
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.category import LABELS, Category
from stages.contract import run_stage
from stages.language import Language
from stages.text.batch import TextBatch

MOST = 300
"""Documents of a source."""


def files(folder: str, *patterns: str) -> list[str]:
    """Texts of some files, 400 to 60,000 bytes long."""
    found = sorted(path for pattern in patterns for path in Path(folder).rglob(pattern))
    random.Random(0).shuffle(found)
    texts: list[str] = []
    for path in found:
        if len(texts) < MOST and path.is_file() and 400 < path.stat().st_size < 60_000:
            try:
                texts.append(path.read_text(encoding="utf-8"))
            except UnicodeDecodeError:
                continue
    return texts


def sources(data: Path, champ: Path | None) -> Iterator[tuple[str, str, list[str]]]:
    """Name, label and texts of every source."""
    packages = site.getsitepackages()[0]
    yield "Python: standard library and packages", "code", files(sysconfig.get_path("stdlib"), "*.py")
    yield "C headers of Python", "code", files(sysconfig.get_path("include"), "*.h")
    yield "C and C++ of packages", "code", files(packages, "*.c", "*.cpp", "*.hpp")
    yield "Cython of packages", "code", files(packages, "*.pyx", "*.pxd")
    yield "Fortran of packages", "code", files(packages, "*.f90", "*.f")
    yield "JavaScript of packages", "code", files(packages, "*.js")
    quality = pq.read_table(data / "quality_dev.parquet").filter(pc.field("lang") == "en")
    for kind in ("wikipedia_paragraph", "news_edited", "email_ham", "technical_book"):
        rows = quality.filter(pc.starts_with(pc.field("kind"), kind))
        yield kind.replace("_", " "), "general", rows["text"].to_pylist()[:MOST]
    yield "descriptions of packages", "general", files(packages, "METADATA")
    web = [row for row in pq.read_table(data / "web_sample.parquet").to_pylist() if len(row["main_text"] or "") > 300]
    yield "web pages in English", "general", [row["main_text"] for row in web if row["lang"] == "en"]
    others = [row["main_text"] for row in web if row["lang"] not in ("en", "und")]
    yield "web pages in other languages", "multilingual", others
    if champ is not None:
        problems = json.loads(champ.read_text())["problems"].values()
        texts = ["\n".join([p["_text"], "", *(s["_text"] for s in p["solution"]["steps"])]) for p in problems]
        yield "competition problems (CHAMP)", "maths", texts


def debian(shard: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Sources of four packages, English documentation, documentation in other languages (or what is said to be)."""
    table = pq.read_table(shard)
    is_code, is_english = pc.equal(table["category"], "code"), pc.equal(table["lang"], "en")
    yield "Debian: Rust, Go, Linux and Python sources", "code", _sample(table.filter(is_code))
    prose = pc.invert(is_code)
    yield "Debian: English documentation", "general", _sample(table.filter(pc.and_(prose, is_english)))
    others = table.filter(pc.and_not(prose, is_english))
    yield "Debian: documentation in other languages", "multilingual", _sample(others)


def _sample(table: pa.Table) -> list[str]:
    rows = np.random.default_rng(0).permutation(table.num_rows)[:3000]
    texts: list[str] = table["text"].take(pa.array(rows)).to_pylist()
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--champ", type=Path)
    parser.add_argument("--corpus", type=Path)
    arguments = parser.parse_args()
    language, category = Language(), Category()
    language.setup()
    print(f"| source | is | documents | {' | '.join(LABELS)} |\n|---|---|---:|{'---:|' * len(LABELS)}")
    size = seconds = 0.0
    known = sources(arguments.data, arguments.champ)
    for name, label, texts in chain(known, debian(arguments.corpus) if arguments.corpus else ()):
        batch, _ = run_stage(language, TextBatch.from_texts(texts))
        assert len(batch.words.begin) == len(batch.lines.begin)
        started = time.perf_counter()
        labels = run_stage(category, batch)[1]["label"].to_pylist()
        seconds += time.perf_counter() - started
        size += float(batch.utf8.offsets[-1])
        cells = [f"{100 * labels.count(other) / len(texts):.1f}" for other in LABELS]
        print(f"| {name} | {label} | {len(texts):,} | {' | '.join(cells)} |")
    print(f"\n{size / 1e6 / seconds:.0f} MB/s, words and lines given")


if __name__ == "__main__":
    main()
