"""`tamis train nsfw`: a classifier, its calibration, and its card, from labelled rows.

The classifier is chosen and judged by leave-one-source-out. The head that combines it with the word lists is fitted on
scores for unseen sources too, so that what it believes of the classifier holds for text from elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.training import card
from pipeline.training.features import Shape
from pipeline.training.head import apply_head, fit_head, probability
from pipeline.training.linear import Schedule, fit
from pipeline.training.metrics import auc, expected_calibration_error, reliability
from pipeline.training.model_file import write_model
from pipeline.training.rows import LabelledRows, balanced_weights, read_rows
from pipeline.training.search import Floats, Found, folds, group_aucs, is_covered, search
from stages.errors import InputError

CLEAN = ("0", "0.0", "false")
"""Labels of rows without abuse."""
MAX_BYTES = 2_000_000
BOUNDS = (0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, eq=False)
class Judged:
    """Scores of all rows, training rows first; `usable` marks those that the model was trained on."""

    rows: LabelledRows
    usable: npt.NDArray[np.bool_]
    unseen_classifier: Floats
    unseen_score: Floats
    """By classifier and head that did not see the row's source."""
    score: Floats
    """By the model as written: for rows that it was not trained on."""
    covered: npt.NDArray[np.bool_]
    """Rows whose language rows of another source cover; all, if there are none. The head is fitted on these: where the
    language is new too, a classifier can only guess, and no user would ask it."""
    head: Floats
    trained: Found


def settings() -> Iterator[tuple[Shape, Schedule]]:
    """What the search tries, likeliest first."""
    shapes = (Shape(), Shape(maxn=5), Shape(minn=4), Shape(minn=2, maxn=5), Shape(word_ngrams=2), Shape(min_count=20))
    for shape in shapes:
        for epochs, step in ((6, 1.0), (3, 1.0)):
            yield shape, Schedule(epochs=epochs, step=step)


def train(
    train_path: str,
    test_path: str,
    output: Path,
    seconds: float = 300.0,
    excluded_licenses: tuple[str, ...] = (),
    report: Callable[[str], None] = lambda line: None,
) -> Judged:
    """Train on one file, judge on both, and write `output`, its calibration (`.json`) and its card (`.md`).

    Args:
        excluded_licenses: rows whose licence contains one of these are judged and not trained on.

    Raises InputError for rows that cannot be trained on; see `rows.read_rows`.
    """
    from stages.fasttext.tokens import training_text

    first, second = read_rows(train_path, negative=CLEAN), read_rows(test_path, negative=CLEAN)
    rows = first + second
    usable = np.arange(len(rows)) < len(first)
    for part in excluded_licenses:
        usable &= np.char.find(rows.licenses, part) < 0
    if rows.labels[usable].all() or not rows.labels[usable].any():
        raise InputError(f"{train_path}: without rows of {', '.join(excluded_licenses)} one class is left")
    report(f"{usable.sum():,} rows to train on, {len(rows) - usable.sum():,} to judge by")
    batch = rows.batch()
    found = search(training_text(batch), rows, usable, settings(), seconds, report=report)
    weights = np.zeros(len(rows))
    weights[usable] = balanced_weights(rows.take(usable))
    values = fit(found.features, rows.labels, weights, found.best.schedule)
    positive = int(rows.labels[usable].sum())
    size = write_model(output, found.features, values, (int(usable.sum()) - positive, positive))
    if size > MAX_BYTES:
        raise InputError(f"{output} has {size:,} bytes, more than {MAX_BYTES:,}: train on fewer words")
    judged = _judge(rows, usable, found, output)
    output.with_suffix(".json").write_text(json.dumps({"coefficients": judged.head.round(6).tolist()}) + "\n")
    output.with_suffix(".md").write_text(write_card(judged, output.stem, size), encoding="utf-8")
    report(f"wrote {output} ({size:,} bytes), {output.with_suffix('.json').name}, {output.with_suffix('.md').name}")
    return judged


def _judge(rows: LabelledRows, usable: npt.NDArray[np.bool_], found: Found, model_path: Path) -> Judged:
    from stages.fasttext import model, predict
    from stages.nsfw import POSITIVE, head_columns

    covered, num_words = count_listed(rows)
    unseen = probability(found.unseen_logits)
    columns, weights, fold = head_columns(unseen, covered, num_words), balanced_weights(rows), folds(rows)
    teaching = covered_rows(rows, usable)
    unseen_score = np.empty(len(rows))
    for name in np.unique(fold):
        own, others = fold == name, teaching & (fold != name)
        unseen_score[own] = apply_head(columns[own], fit_head(columns[others], rows.labels[others], weights[others]))
    head = fit_head(columns[teaching], rows.labels[teaching], weights[teaching])
    final = predict.label_scores(model.load(str(model_path)), rows.batch(), [POSITIVE], tokens="words")[:, 0]
    final = np.nan_to_num(final.astype(np.float64), nan=0.5)
    score = apply_head(head_columns(final, covered, num_words), head)
    return Judged(rows, usable, unseen, unseen_score, score, teaching, head, found)


def count_listed(rows: LabelledRows) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Words that list entries cover, and all words, of each text."""
    from stages.heuristics.ratios import sum_per_document
    from stages.language import Language
    from stages.lexicon_lists import default_lexicon
    from stages.text.kernels_words import PUNCTUATION

    batch = rows.batch()
    batch = batch.with_signals({"language.label": Language().measure(batch)["label"]})
    words = batch.words
    num_words = sum_per_document(words.flags & PUNCTUATION == 0, words.begin, words.end)
    return sum_per_document(default_lexicon().hits(batch) != 0, words.begin, words.end), num_words


def covered_rows(rows: LabelledRows, usable: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Rows whose language usable rows of another source cover; all, if there are none."""
    out = np.zeros(len(rows), np.bool_)
    for (source, language), members in rows.groups().items():
        out[members] = is_covered(rows, usable, source, language)
    return out if out.any() else ~out


def means(judged: Judged) -> dict[str, float]:
    """Mean AUC on unseen sources: English, other languages that other sources cover, and all others."""
    groups: dict[str, list[float]] = {"English": [], "other, covered": [], "other, not covered": []}
    for (source, language), value in group_aucs(judged.rows, judged.unseen_score).items():
        covered = is_covered(judged.rows, judged.usable, source, language)
        groups["English" if language == "en" else "other, covered" if covered else "other, not covered"].append(value)
    return {name: float(np.mean(values)) if values else float("nan") for name, values in groups.items()}


def write_card(judged: Judged, name: str, size: int) -> str:
    """The card, as Markdown."""
    rows, usable = judged.rows, judged.usable
    held_out = rows.take(~usable)
    judged_rows, judged_scores = rows.take(judged.covered), judged.unseen_score[judged.covered]
    weights = balanced_weights(judged_rows)

    def coverage(source: str, language: str) -> str:
        return "" if is_covered(rows, usable, source, language) else "language not covered"

    def training(source: str, language: str) -> str:
        return "" if usable[rows.sources == source].any() else "unseen source"

    scores = {"classifier": judged.unseen_classifier, "score": judged.unseen_score}
    error = expected_calibration_error(judged_rows.labels, judged_scores, weights)
    parts = [
        f"# {name}: model card\n",
        f"A fastText classifier of {size:,} bytes and a calibration. Labels: 1 = abusive, obscene or hateful.\n",
        "## Data\n", card.data_table(rows, usable),
        "\nEach source and language weighs as much as twice its rarer label, both labels alike.\n",
        "## Unseen sources\n",
        "Every row is scored by a classifier and a head that saw no row of its source. AUC:\n",
        card.group_table(rows, scores, coverage), "",
        card.table(("mean over sources and languages", "AUC"), means(judged).items()),
        "\n## Held-out rows\n",
        "Rows that the model was not trained on: of its own sources, and of sources left out for their licence. AUC:\n",
        card.group_table(held_out, {"score": judged.score[~usable]}, training),
        f"\nAll held-out rows: {auc(held_out.labels, judged.score[~usable]):.3f}\n",
        "## Confusion\n", "Held-out rows, as they come:\n",
        card.confusion_table(held_out, judged.score[~usable], BOUNDS),
        "\nUnseen sources in languages that others cover:\n",
        card.confusion_table(judged_rows, judged_scores, BOUNDS),
        "\n## Calibration\n", f"The same rows, weighted; expected calibration error {error:.3f}:\n",
        card.reliability_table(reliability(judged_rows.labels, judged_scores, weights)),
        f"\nThe head: intercept {judged.head[0]:.3f}, classifier's logit {judged.head[1]:.3f}, density of list words "
        f"{judged.head[2]:.3f}.\n",
        "## Search\n", card.trial_table(judged.trained.trials), "",
    ]  # fmt: skip
    return "\n".join(parts)
