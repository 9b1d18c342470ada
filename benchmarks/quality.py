"""How well `quality` tells high quality from the rest on sources that it was not trained on.

    TAMIS_DATA=folder python -m benchmarks.quality [--cache DIR] [--write]

Leave one source out: for each source, classifier, feature model and the scale of languages are trained without it and
judge its rows. All those judgements together are compared with the labels: pooled, so that a model which likes one
source better than the others pays for it; and as the mean over pairs of sources, so that no large source drowns the
others. Two sources are judged and never trained on, for their licence. The final score's calibration is a rising
function, the same for all rows, so it changes no number here.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.quickstart import default_cache
from pipeline.training.card import table
from pipeline.training.metrics import auc
from pipeline.training.quality import POSITIVE, Material, Unseen, judge_unseen, read_reference
from pipeline.training.quality_rows import gather, may_be_trained_on, reference
from pipeline.training.rows import read_rows
from tests.reference.oracle import data_path

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
CARD = Path(__file__).parents[1] / "docs" / "models" / "quality.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
DOCUMENT_CHARS = 400
NAMES = ("classifier", "features", "both")


def judged(data: Path, cache: Path) -> tuple[pa.Table, Material, Unseen]:
    """The development rows and all others, and what models say that have not seen their source."""
    rows = gather(data, cache)
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(rows, Path(folder, "rows.parquet"))
        pq.write_table(reference(data), Path(folder, "reference.parquet"))
        labelled = read_rows(Path(folder, "rows.parquet"), POSITIVE)
        ordinary = read_reference(str(Path(folder, "reference.parquet")))
    material = Material.of(labelled, np.array(may_be_trained_on(rows), np.bool_), ordinary)
    return rows, material, judge_unseen(material, report=lambda line: print(line, file=sys.stderr, flush=True))


def pair_auc(high: Mask, low: Mask, sources: npt.NDArray[np.str_], scores: Floats) -> float:
    """Mean over all pairs of a source with high rows and a source with low ones."""
    values = [
        two_auc(high & (sources == first), low & (sources == second), scores)
        for first in np.unique(sources[high])
        for second in np.unique(sources[low])
    ]
    return float(np.mean(values))


def two_auc(high: Mask, low: Mask, scores: Floats) -> float:
    """AUC of some rows against some others; NaN if either has none."""
    chosen = high | low
    return auc(high[chosen], scores[chosen])


def subsets(rows: pa.Table) -> Iterator[tuple[str, Mask]]:
    """Parts of the development rows, by name."""
    languages = np.array(rows["lang"].to_pylist())
    lengths = np.array([len(text) for text in rows["text"].to_pylist()])
    english = languages == "en"
    yield "all", np.ones(len(languages), np.bool_)
    yield f"documents of {DOCUMENT_CHARS} characters and more", lengths >= DOCUMENT_CHARS
    yield "shorter texts", lengths < DOCUMENT_CHARS
    yield "English", english
    yield f"English documents of {DOCUMENT_CHARS} characters and more", english & (lengths >= DOCUMENT_CHARS)


def report(rows: pa.Table, unseen: Unseen, is_judged: Mask) -> str:
    """The tables, as Markdown. `is_judged` marks the development rows; the others were trained on only."""
    labels, sources = (np.array(rows[name].to_pylist()) for name in ("label", "source"))
    languages = np.array(rows["lang"].to_pylist())
    high, medium, low = (is_judged & (labels == name) for name in ("high", "medium", "low"))
    asked = np.where(np.isnan(unseen.classifier), -np.inf, unseen.classifier)
    columns = dict(zip(NAMES, (asked, unseen.features, unseen.combined), strict=True))
    parts = ["High against low and against medium, AUC, pooled | mean over pairs of sources:\n"]
    lines = []
    for name, mask in subsets(rows):
        above = high & mask
        for column, scores in columns.items():
            if column == "classifier" and not name.startswith("English"):
                continue
            cells = [
                f"{two_auc(above, rest & mask, scores):.3f} \\| {pair_auc(above, rest & mask, sources, scores):.3f}"
                for rest in (low, medium)
            ]
            lines.append(
                (name, column, int((high & mask).sum()), int((low & mask).sum()), int((medium & mask).sum()), *cells)
            )
    parts.append(table(("rows", "score", "high", "low", "medium", "high : low", "high : medium"), lines))
    parts += ["\nSource against source, both models:\n", _matrix(high, (low, medium), sources, unseen.combined)]
    parts += ["\nHigh rows of each language against all low and all medium rows (English), both models:\n"]
    parts.append(table(("language", "high rows", "high : low", "high : medium"), (
        (name, int((high & (languages == name)).sum()),
         *(two_auc(high & (languages == name), rest, unseen.combined) for rest in (low, medium)))
        for name in np.unique(languages[high]).tolist()
    )))  # fmt: skip
    return "\n".join(parts)


def _matrix(high: Mask, rest: Iterable[Mask], sources: npt.NDArray[np.str_], scores: Floats) -> str:
    above = np.unique(sources[high]).tolist()
    lines = [
        (name, source, *(two_auc(high & (sources == first), mask & (sources == source), scores) for first in above))
        for name, mask in zip(("low", "medium"), rest, strict=True)
        for source in np.unique(sources[mask]).tolist()
    ]
    return table(("", "", *(source.split("/")[-1] for source in above)), lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where archives are kept (%(default)s)")
    parser.add_argument("--write", action="store_true", help="write the tables into the model card")
    args = parser.parse_args()
    started = time.perf_counter()
    data = data_path("quality_dev.parquet").parent
    rows, _, unseen = judged(data, args.cache)
    is_judged = np.arange(len(rows)) < pq.read_metadata(data / "quality_dev.parquet").num_rows
    text = report(rows, unseen, is_judged)
    print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)
    if not args.write:
        print(text)
        return
    before, _, rest = CARD.read_text(encoding="utf-8").partition(BEGIN)
    CARD.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
