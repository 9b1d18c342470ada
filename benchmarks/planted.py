"""Recall of planted edits, side by side: FineWeb's 14 bands of 8 rows over 5-grams of words in four libraries.

    python -m benchmarks.planted [--pairs N]

Every edit of `tests/planted.py`, with documents of 200 random words, and the recall that the S-curve gives for our
n-grams. datatrove runs with its default, the English tokenizer; datasketch and rensa with `\\w+`.
"""

from __future__ import annotations

import argparse

from benchmarks.heuristics import pin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=100)
    options = parser.parse_args()
    pin()
    import numpy as np

    from benchmarks.minhash_peers import BANDS, NGRAM, PEERS, ROWS, Keys, installed
    from stages.dedup.bands import NO_KEY, band_keys, s_curve
    from stages.dedup.minhash import signatures
    from stages.text.batch import TextBatch
    from tests import naive_dedup, planted

    def our_keys(texts: list[str]) -> Keys:
        keys = band_keys(signatures(TextBatch.from_texts(texts), NGRAM, BANDS * ROWS), BANDS, ROWS)
        return [tuple(row) if row[0] != NO_KEY else None for row in keys.tolist()]

    sides = {"tamis": our_keys} | {name: PEERS[name] for name in installed()}
    print(f"| edit | Jaccard | S-curve | {' | '.join(sides)} |\n|---|{'---:|' * (len(sides) + 2)}")
    for name in planted.EDITS:
        originals, copies = map(list, zip(*planted.pairs(name, options.pairs), strict=True))
        exact = [naive_dedup.similarity(a, b, NGRAM) for a, b in zip(originals, copies, strict=True)]
        cells = [f"{np.mean(exact):.3f}", f"{s_curve(BANDS, ROWS, exact).mean():.2f}"]
        for keys in sides.values():
            found = [
                a is not None and b is not None and any(x == y for x, y in zip(a, b, strict=True))
                for a, b in zip(keys(originals), keys(copies), strict=True)
            ]
            cells.append(f"{np.mean(found):.2f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
