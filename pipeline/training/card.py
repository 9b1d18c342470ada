"""The model card: what a model was trained on, how good it is, and where it fails, as Markdown beside the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pipeline.training.metrics import auc, confusion
from pipeline.training.rows import LabelledRows
from pipeline.training.search import Floats, Trial


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; floats with three digits, NaN as a dash."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def data_table(rows: LabelledRows, is_used: Any) -> str:
    """Sources with their languages, licences, rows by label, and whether they were trained on."""
    lines = []
    for source in np.unique(rows.sources):
        own = rows.sources == source
        positive = int(rows.labels[own].sum())
        lines.append((
            source, ", ".join(np.unique(rows.languages[own])), ", ".join(np.unique(rows.licenses[own])),
            positive, int(own.sum()) - positive, "yes" if is_used[own].any() else "no",
        ))  # fmt: skip
    return table(("source", "languages", "licence", "positive", "negative", "trained on"), lines)


def group_table(rows: LabelledRows, scores: dict[str, Floats], note: Any) -> str:
    """AUC of several scores in every source and language with both labels; `note(source, language)` fills a column."""
    lines = []
    for (source, language), members in rows.groups().items():
        labels = rows.labels[members]
        if labels.any() and not labels.all():
            values = [auc(labels, column[members]) for column in scores.values()]
            lines.append((source, language, len(members), *values, note(source, language)))
    return table(("source", "language", "rows", *scores, ""), lines)


def confusion_table(rows: LabelledRows, scores: Floats, bounds: Sequence[float]) -> str:
    """Truth and verdict at several bounds: above is flagged."""
    lines = []
    for bound in bounds:
        cells = confusion(rows.labels, scores > bound)
        flagged = cells["true_positive"] + cells["false_positive"]
        positive = cells["true_positive"] + cells["false_negative"]
        precision = cells["true_positive"] / flagged if flagged else float("nan")
        recall = cells["true_positive"] / positive if positive else float("nan")
        lines.append((f"{bound:g}", *cells.values(), precision, recall))
    header = ("bound", "true positive", "false positive", "false negative", "true negative", "precision", "recall")
    return table(header, lines)


def reliability_table(bins: Iterable[tuple[float, float, int]]) -> str:
    return table(("mean score", "share positive", "rows"), bins)


def trial_table(trials: Iterable[Trial]) -> str:
    """What the search tried."""
    return table(
        ("n-grams", "word n-grams", "buckets", "min. count", "epochs", "step", "AUC on unseen sources"),
        (
            (f"{t.shape.minn}–{t.shape.maxn}", t.shape.word_ngrams, t.shape.num_buckets, t.shape.min_count,
             t.schedule.epochs, f"{t.schedule.step:g}", f"{t.mean_auc:.4f}")
            for t in trials
        ),
    )  # fmt: skip


def _cell(value: Any) -> str:
    if isinstance(value, (float, np.floating)):
        return "–" if np.isnan(value) else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, (int, np.integer)) else str(value)
