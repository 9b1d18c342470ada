"""Recall of planted edits and of natural near duplicates, side by side: FineWeb's 14 bands of 8 rows in five libraries.

    python -m benchmarks.planted [--pairs N] [--licences FILE]

Every edit of `tests/planted.py`, with documents of 200 random words, and the recall that the S-curve gives for our
5-grams. datatrove runs with its default, the English tokenizer; datasketch and rensa with `\\w+`, text-dedup splits at
`\\W`. Then natural cases: the pairs that `neardup_dev.parquet` names, and the licence texts of the quickstart corpus
whose 5-grams are alike to 0.8 or more; behind the recall, candidates that are alike to less than 0.5.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

from benchmarks.heuristics import pin
from benchmarks.minhash_peers import BANDS, NGRAM, PEERS, ROWS, Keys, installed

LICENCES = Path("data/quickstart/raw/licences.jsonl.zst")
Side = Callable[[list[str]], Keys]
Pair = tuple[int, int]


def our_keys(texts: list[str]) -> Keys:
    from stages.dedup.bands import NO_KEY, band_keys
    from stages.dedup.minhash import signatures
    from stages.text.batch import TextBatch

    keys = band_keys(signatures(TextBatch.from_texts(texts), NGRAM, BANDS * ROWS), BANDS, ROWS)
    return [tuple(row) if row[0] != NO_KEY else None for row in keys.tolist()]


def candidates(keys: Keys) -> set[Pair]:
    """Pairs of documents that agree in a band."""
    buckets = defaultdict(list)
    for number, row in enumerate(keys):
        for band, key in enumerate(row or ()):
            buckets[band, key].append(number)
    return {pair for numbers in buckets.values() for pair in combinations(numbers, 2)}


def similarities(texts: list[str]) -> dict[Pair, float]:
    """Exact Jaccard similarity of all pairs that share one of our 5-grams."""
    from tests import naive_dedup

    sets = [naive_dedup.ngrams(naive_dedup.folded_words(text), NGRAM) for text in texts]
    owners = defaultdict(list)
    for number, ngrams in enumerate(sets):
        for ngram in ngrams:
            owners[ngram].append(number)
    shared = Counter(pair for numbers in owners.values() for pair in combinations(numbers, 2))
    return {(a, b): count / (len(sets[a]) + len(sets[b]) - count) for (a, b), count in shared.items()}


def planted_rows(sides: dict[str, Side], num_pairs: int) -> Iterator[list[str]]:
    import numpy as np

    from stages.dedup.bands import s_curve
    from tests import naive_dedup, planted

    for name in planted.EDITS:
        originals, copies = map(list, zip(*planted.pairs(name, num_pairs), strict=True))
        exact = [naive_dedup.similarity(a, b, NGRAM) for a, b in zip(originals, copies, strict=True)]
        cells = [name, f"{np.mean(exact):.3f}", f"{s_curve(BANDS, ROWS, exact).mean():.2f}"]
        for keys in sides.values():
            found = [
                a is not None and b is not None and any(x == y for x, y in zip(a, b, strict=True))
                for a, b in zip(keys(originals), keys(copies), strict=True)
            ]
            cells.append(f"{np.mean(found):.2f}")
        yield cells


def natural_row(name: str, sides: dict[str, Side], texts: list[str], wanted: set[Pair] | None) -> list[str]:
    """Recall of the wanted pairs, or of those alike to 0.8 or more; and candidates that are alike to less than 0.5."""
    import numpy as np

    from stages.dedup.bands import s_curve

    exact = similarities(texts)
    wanted = wanted or {pair for pair, similarity in exact.items() if similarity >= 0.8}
    alike = [exact[pair] for pair in wanted]
    cells = [f"{name}: {len(wanted)} pairs", f"{np.mean(alike):.3f}", f"{s_curve(BANDS, ROWS, alike).mean():.2f}"]
    for keys in sides.values():
        found = candidates(keys(texts))
        cells.append(f"{len(found & wanted) / len(wanted):.2f} +{sum(exact.get(pair, 0.0) < 0.5 for pair in found)}")
    return cells


def natural_rows(sides: dict[str, Side], licences: Path) -> Iterator[list[str]]:
    import orjson
    import pyarrow.parquet as pq
    import zstandard

    from tests.reference.oracle import data_path

    rows = pq.read_table(data_path("neardup_dev.parquet")).to_pylist()
    rows = [row for row in rows if row["subset"] == "articles_2500"]
    place = {row["id"]: number for number, row in enumerate(rows)}
    named = {tuple(sorted((place[row["id"]], place[row["label"]]))) for row in rows if row["label"]}
    yield natural_row("news articles", sides, [row["text"] for row in rows], {(a, b) for a, b in named})
    if not licences.is_file():
        print(f"{licences} is not there: make corpus")
        return
    with zstandard.open(licences, "rt", encoding="utf-8") as lines:
        texts = [orjson.loads(line)["text"] for line in lines]
    yield natural_row("licences", sides, texts, None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--licences", type=Path, default=LICENCES)
    options = parser.parse_args()
    pin()
    sides = {"tamis": our_keys} | {name: PEERS[name] for name in installed()}
    print(f"| edit | Jaccard | S-curve | {' | '.join(sides)} |\n|---|{'---:|' * (len(sides) + 2)}")
    for cells in planted_rows(sides, options.pairs):
        print(f"| {' | '.join(cells)} |", flush=True)
    for cells in natural_rows(sides, options.licences):
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
