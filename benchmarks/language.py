"""Accuracy of the stage `language` (lid.176.ftz) per language, and bounds on its score for a precision of 0.98.

    python -m benchmarks.language [--precision P] [--config PATH]

Data: langid_dev.parquet (in the folder TAMIS_DATA): sentences and paragraphs in 446 languages. A language's bound
is the lowest score at which, of the texts that keep its label, the share P is labelled rightly. Bounds are tuned on the
texts in languages that the model knows. Two tests of how far that carries: bounds tuned on one half (by a hash of the
text) judge the other, both ways; and the same bounds judge all texts, where hundreds of languages that the model has
never seen must be taken for one that it has. With --config the bounds are written as a preset. Then what capitals,
decomposed letters and shortness cost, and how well `other_ratio` finds documents joined from two languages.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from stages.contract import run_stage
from stages.fasttext.model import load
from stages.language import Language
from stages.lid import lid176_path
from stages.text.batch import TextBatch
from tests.reference.oracle import data_path

SAME = {"nb": "no"}
"""What the data calls otherwise than the model: Norwegian in its usual form."""
MIN_TEXTS = 300
MIXED = "en de fr es it pt nl ru pl tr zh ja ko ar vi id sv cs fi hu".split()
GRID = sorted({*(step / 100 for step in range(100)), *(step / 1000 for step in range(990, 1000))})
"""Bounds that are tried: hundredths, and thousandths from 0.99 on."""
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Judged:
    """What is known of every text."""

    truth: npt.NDArray[np.object_]
    label: npt.NDArray[np.object_]
    score: npt.NDArray[np.float32]
    first_half: Mask
    is_known: Mask
    """The model has a label for the text's language."""

    def counts(self, language: str, among: Mask, bound: float | None) -> npt.NDArray[np.int64]:
        """Texts that keep the label under the bound, those of them that are right, and texts of the language."""
        kept = among & (self.label == language) & (np.False_ if bound is None else self.score >= bound)
        is_right = self.truth == language
        return np.array([kept.sum(), (kept & is_right).sum(), (among & is_right).sum()])

    def lowest_bound(self, language: str, among: Mask, precision: float) -> float | None:
        """The lowest bound at which precision is reached; None if it never is."""
        for bound in GRID:
            kept, right, _ = self.counts(language, among, bound)
            if right and right / kept >= precision:
                return bound
        return None


def judge() -> Judged:
    table = pq.read_table(data_path("langid_dev.parquet"))
    texts = table["text"].to_pylist()
    _, columns = run_stage(Language(), TextBatch.from_texts(texts))
    truth = np.array([SAME.get(language, language) for language in table["lang"].to_pylist()], object)
    return Judged(
        truth,
        np.array(columns["label"].to_pylist(), object),
        columns["score"].to_numpy(zero_copy_only=False),
        np.array([hashlib.sha256(text.encode()).digest()[0] % 2 == 0 for text in texts]),
        np.isin(truth, list(load(str(lid176_path())).labels)),
    )


def ratios(counts: npt.NDArray[np.int64]) -> str:
    """Precision and recall as cells of a table; a dash where nothing is kept."""
    kept, right, whole = counts.tolist()
    return f"{right / kept if kept else float('nan'):.3f} | {right / whole:.3f}".replace("nan", "–")


def row(judged: Judged, language: str, precision: float) -> tuple[float | None, float, str]:
    """Bound and recall of a language, and its row of the table."""
    bound = judged.lowest_bound(language, judged.is_known, precision)
    tuned = judged.counts(language, judged.is_known, bound)
    halves: Any = sum(
        judged.counts(language, other, judged.lowest_bound(language, half, precision))
        for half, other in (
            (judged.is_known & judged.first_half, judged.is_known & ~judged.first_half),
            (judged.is_known & ~judged.first_half, judged.is_known & judged.first_half),
        )
    )
    everywhere = judged.counts(language, np.ones_like(judged.is_known), bound)
    cells = (
        f"{language} | {tuned[2]} | {ratios(judged.counts(language, judged.is_known, 0.0))} |"
        f" {'none' if bound is None else f'{bound:g}'} | {ratios(tuned)} | {ratios(halves)} |"
        f" {ratios(everywhere).split(' | ')[0]}"
    )
    return bound, tuned[1] / tuned[2], f"| {cells} |"


PRESET = """\
# Bounds on language.score, by language, for a precision of {precision}, with the recall that is left:
# python -m benchmarks.language --config PATH. docs/language.md has the table, the method and its limits.
#
# A language that loses most of its texts has close relatives, or others are taken for it: take a lower bound if a
# mixture will do. These need no bound:
{free}
# Copy the block into a config of your own, or start from this one: `extends: language-precise`.
input: {{path: corpus/*.parquet}}
output: runs/language-precise

stages:
  - language:
      by_language:
{lines}
"""


def preset(bounds: dict[str, tuple[float, float]], precision: float) -> str:
    """The bounds, given with their recall, as a config."""
    lines = [f"        {name}: {{score: {{min: {bound:g}}}}}" for name, (bound, _) in bounds.items() if bound]
    recalls = [recall for bound, recall in bounds.values() if bound]
    free = ", ".join(name for name, (bound, _) in bounds.items() if not bound)
    return PRESET.format(
        precision=precision,
        free=textwrap.fill(free, 116, initial_indent="#   ", subsequent_indent="#   "),
        lines="\n".join(f"{line:40}# {recall:.3f}" for line, recall in zip(lines, recalls, strict=True)),
    )


def variants(texts: list[str], truth: npt.NDArray[np.object_]) -> None:
    """Print the share of right labels on texts in languages that the model knows, as they are and changed."""
    changes: dict[str, Callable[[str], str]] = {
        "as they are": str,
        "in capitals": str.upper,
        "in NFD": lambda text: unicodedata.normalize("NFD", text),
        "their first 20 characters": lambda text: text[:20],
        "their first 50 characters": lambda text: text[:50],
    }
    for name, change in changes.items():
        _, columns = run_stage(Language(), TextBatch.from_texts([change(text) for text in texts]))
        print(f"{name}: {(np.array(columns['label'].to_pylist(), object) == truth).mean():.3f}")


def mixed(texts: list[str], truth: npt.NDArray[np.object_], num_documents: int = 600) -> None:
    """Print how `other_ratio` tells documents of eight paragraphs in one language from those with two in another."""
    rng = random.Random(0)
    by_language = {name: [text for text, label in zip(texts, truth, strict=True) if label == name] for name in MIXED}

    def paragraph(name: str) -> str:
        size, sentences = rng.randint(80, 600), [rng.choice(by_language[name])]
        while len(" ".join(sentences).encode()) < size:
            sentences.append(rng.choice(by_language[name]))
        return " ".join(sentences)

    def found(documents: list[str]) -> npt.NDArray[np.float64]:
        _, columns = run_stage(Language(paragraphs=True), TextBatch.from_texts(documents))
        return columns["other_ratio"].to_numpy(zero_copy_only=False)

    pure, joined, shares = [], [], []
    for _ in range(num_documents):
        first, second = rng.sample(MIXED, 2)
        pure.append("\n".join(paragraph(first) for _ in range(8)))
        parts = [paragraph(first) for _ in range(6)]
        others = [paragraph(second) for _ in range(2)]
        shares.append(sum(len(part.encode()) for part in others) / sum(len(part.encode()) for part in parts + others))
        joined.append("\n".join(rng.sample(parts + others, 8)))
    is_mixed = np.array(shares) > 0.15
    pages = [text for text in pq.read_table(data_path("web_sample.parquet"))["main_text"].to_pylist() if text]
    print(f"one language: {(found(pure) > 0).mean():.3f} of {num_documents} documents have an other_ratio above 0")
    print(f"a second one in over 0.15: {(found(joined)[is_mixed] > 0.1).mean():.3f} of {is_mixed.sum()} above 0.1")
    print(f"real pages: {(found(pages) > 0.1).mean():.3f} of {len(pages)} above 0.1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", type=float, default=0.98)
    parser.add_argument("--config", type=Path)
    options = parser.parse_args()
    judged = judge()
    is_right = judged.label == judged.truth
    sizes = Counter(judged.truth[judged.is_known])
    largest = sorted((-size, language) for language, size in sizes.items() if size >= MIN_TEXTS)
    print(
        f"{len(is_right):,} texts in {len(set(judged.truth))} languages, {is_right.mean():.3f} labelled rightly;"
        f" {judged.is_known.sum():,} in {len(sizes)} languages that the model knows,"
        f" {is_right[judged.is_known].mean():.3f}\n\n"
        "| language | texts | precision | recall | bound | precision | recall | other half: precision | recall |"
        " all languages: precision |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    )
    bounds = {}
    for _, language in largest:
        bound, recall, line = row(judged, language, options.precision)
        print(line)
        if bound is not None:
            bounds[language] = (bound, recall)
    reached = sum(language in bounds for _, language in largest[:30])
    print(f"\n{reached} of the 30 largest and {len(bounds)} of {len(largest)} reach a precision of {options.precision}")
    rows = pq.read_table(data_path("langid_dev.parquet"))["text"].to_numpy()[judged.is_known]
    print()
    variants(rows.tolist(), judged.truth[judged.is_known])
    mixed(rows.tolist(), judged.truth[judged.is_known])
    if options.config:
        options.config.write_text(preset(dict(sorted(bounds.items())), options.precision), encoding="utf-8")


if __name__ == "__main__":
    main()
