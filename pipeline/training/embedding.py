"""`tamis train nsfw|quality --features embedding`: a logistic head on the vectors of one encoder, and how it joins the
judge's score.

What the head is worth on text from elsewhere is measured by leave-one-source-out, and it joins by the weight that it
has earned there, beside the judge's other parts, which have not seen the source either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.training import card
from pipeline.training.head import apply_head, fit_head
from pipeline.training.metrics import auc, expected_calibration_error, reliability
from pipeline.training.rows import LabelledRows, balanced_weights, read_rows
from pipeline.training.search import folds, group_aucs, is_covered
from stages.embedding.head import MAX_LOGIT, EmbeddingHead, write_head
from stages.errors import InputError

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Report = Callable[[str], None]
L2 = 1e-3
"""Penalty on the head's weights; vectors have length 1."""
ENCODE_ROWS = 1000


@dataclass(frozen=True, eq=False)
class Judge:
    """What a judge says of labelled rows without the embedding, from models that have not seen a row's source."""

    rows: LabelledRows
    usable: Mask
    """Rows that the head may be trained on."""
    columns: Floats
    """What the judge combines, `float64[n, k]`: a logistic regression on them is its score."""
    weights: Callable[[Mask], Floats]
    """What each row weighs when some of them teach, 0 for the others."""
    teaching: Mask
    """Rows that the joining is fitted on."""


@dataclass(frozen=True, eq=False)
class Joined:
    """The head, and scores of all rows by parts that have not seen the row's source."""

    head: EmbeddingHead
    without: Floats
    alone: Floats
    score: Floats


def train(
    what: str, train_path: str, test_path: str, output: Path, encoder: str, excluded_licenses: tuple[str, ...],
    report: Report, reference_path: str | None = None,
) -> Joined:  # fmt: skip
    """Train the head, judge it, and write `output` (`.npz`) and its card (`.md`).

    Args:
        encoder: as in the stage `embedding`.
        excluded_licenses: rows whose licence contains one of these are judged and not trained on.
        reference_path: see `pipeline.training.quality.train`; of use to `quality` alone.

    Raises InputError for rows that cannot be trained on, AssetError or MissingPartError for an encoder that is not
    there.
    """
    from stages.embedding.models import find

    model = find(encoder)
    if what == "nsfw":
        judge = nsfw_judge(train_path, test_path, excluded_licenses, report)
    else:
        judge = quality_judge(train_path, test_path, excluded_licenses, report, reference_path)
    vectors = encode_rows(judge.rows, encoder, report)
    joined = join(judge, vectors, model.identity)
    write_head(output, joined.head)
    text = write_card(judge, joined, what, output.stem, model.identity)
    output.with_suffix(".md").write_text(text, encoding="utf-8")
    report(f"wrote {output} ({output.stat().st_size:,} bytes) and {output.with_suffix('.md').name}")
    return joined


def encode_rows(rows: LabelledRows, encoder: str, report: Report) -> npt.NDArray[np.float16]:
    """Vectors of all texts, `float16[n, d]`; 0 where there is none."""
    from stages.embedding.encoder import encode

    texts = rows.texts.to_pylist()
    parts = []
    for first in range(0, len(texts), ENCODE_ROWS):
        parts.append(encode(encoder, texts[first : first + ENCODE_ROWS]))
        if first % (20 * ENCODE_ROWS) == 0:
            report(f"{first:,} of {len(texts):,} texts embedded")
    return np.nan_to_num(np.concatenate(parts), nan=0.0)


def join(judge: Judge, vectors: npt.NDArray[np.float16], encoder: str) -> Joined:
    """Fit the head and its joining; judge both by leave-one-source-out."""
    labels, fold = judge.rows.labels, folds(judge.rows)
    logit = unseen_logits(judge, vectors)
    columns = np.column_stack([judge.columns, logit])
    without, score = np.empty(len(labels)), np.empty(len(labels))
    for name in np.unique(fold):
        own = fold == name
        others = judge.teaching & ~own
        weights = judge.weights(others)[others]
        without[own] = apply_head(judge.columns[own], fit_head(judge.columns[others], labels[others], weights))
        score[own] = apply_head(columns[own], fit_head(columns[others], labels[others], weights))
    weights = judge.weights(judge.teaching)[judge.teaching]
    together = fit_head(columns[judge.teaching], labels[judge.teaching], weights)
    bias, coefficients = fit_vectors(vectors, labels, judge.weights(judge.usable))
    return Joined(EmbeddingHead(encoder, coefficients, bias, together), without, logit, score)


def unseen_logits(judge: Judge, vectors: npt.NDArray[np.float16]) -> Floats:
    """Logit of each row by a head that was trained without the row's source, `float64[n]`, bounded."""
    out, fold = np.empty(len(vectors)), folds(judge.rows)
    for name in np.unique(fold):
        own = fold == name
        bias, coefficients = fit_vectors(vectors, judge.rows.labels, judge.weights(judge.usable & ~own))
        out[own] = bias + vectors[own].astype(np.float64) @ coefficients
    return np.clip(out, -MAX_LOGIT, MAX_LOGIT)


def fit_vectors(vectors: npt.NDArray[np.float16], labels: Mask, weights: Floats) -> tuple[float, Floats]:
    """Bias and weights of a logistic regression on the rows that weigh anything."""
    used = weights > 0
    centre = vectors[used].astype(np.float64).mean(axis=0)
    found = fit_head(vectors[used].astype(np.float64) - centre, labels[used], weights[used], L2, num_rounds=10)
    return float(found[0] - centre @ found[1:]), found[1:]


def nsfw_judge(train_path: str, test_path: str, excluded_licenses: tuple[str, ...], report: Report) -> Judge:
    """Classifier and word lists, as `tamis train nsfw` fits them with its first setting."""
    from pipeline.training.head import probability
    from pipeline.training.nsfw import CLEAN, count_listed, covered_rows, settings
    from pipeline.training.search import search
    from stages.fasttext.tokens import training_text
    from stages.nsfw import head_columns

    rows, usable = _read(train_path, test_path, excluded_licenses, negative=CLEAN)
    found = search(training_text(rows.batch()), rows, usable, settings(), 0, report=report)
    columns = head_columns(probability(found.unseen_logits), *count_listed(rows))

    def weights(chosen: Mask) -> Floats:
        out = np.zeros(len(rows))
        out[chosen] = balanced_weights(rows.take(chosen))
        return out

    return Judge(rows, usable, columns, weights, covered_rows(rows, usable))


def quality_judge(
    train_path: str, test_path: str, excluded_licenses: tuple[str, ...], report: Report, reference_path: str | None
) -> Judge:
    """Classifier and model of style, as `tamis train quality` fits them with its first setting; in the language of
    most rows alone, as the classifier."""
    from pipeline.training.quality import POSITIVE, Material, judge_unseen, read_reference

    rows, usable = _read(train_path, test_path, excluded_licenses, positive=POSITIVE)
    material = Material.of(rows, usable, None if reference_path is None else read_reference(reference_path))
    combined = judge_unseen(material, report=report).combined
    n, at_home = len(rows), rows.languages == material.language
    usable = usable & at_home & material.teaches_words[:n]

    def weights(chosen: Mask) -> Floats:
        every = np.zeros(len(material.origin), np.bool_)
        every[:n] = chosen
        return material.weights(every)[:n]

    return Judge(rows, usable, combined[:, None], weights, at_home)


def _read(
    train_path: str,
    test_path: str,
    excluded_licenses: tuple[str, ...],
    positive: tuple[str, ...] = ("1", "1.0", "true"),
    negative: tuple[str, ...] | None = None,
) -> tuple[LabelledRows, Mask]:
    first, second = read_rows(train_path, positive, negative), read_rows(test_path, positive, negative)
    rows = first + second
    usable = np.arange(len(rows)) < len(first)
    for part in excluded_licenses:
        usable &= np.char.find(rows.licenses, part) < 0
    if rows.labels[usable].all() or not rows.labels[usable].any():
        raise InputError(f"{train_path}: without rows of {', '.join(excluded_licenses)} one class is left")
    return rows, usable


def write_card(judge: Judge, joined: Joined, what: str, name: str, encoder: str) -> str:
    """The card, as Markdown."""
    rows, teaching = judge.rows, judge.teaching
    scores = {"embedding alone": joined.alone, f"{what} without": joined.without, f"{what} with": joined.score}
    weights = judge.weights(teaching)[teaching]
    taught, taught_scores = rows.take(teaching), joined.score[teaching]
    error = expected_calibration_error(taught.labels, taught_scores, weights)
    numbers = ", ".join(f"{value:.3f}" for value in joined.head.join)

    def coverage(source: str, language: str) -> str:
        return "" if is_covered(rows, judge.usable, source, language) else "language not covered"

    parts = [
        f"# {name}: model card\n",
        f"A logistic head of {len(joined.head.weights)} weights on the vectors of `{encoder}`, which joins the score "
        f"of `{what}`.\n",
        "## Data\n", card.data_table(rows, judge.usable), "",
        "## Unseen sources\n",
        "Every row is scored by parts that saw no row of its source. AUC:\n",
        card.group_table(rows, scores, coverage), "",
        card.table(("mean over sources and languages", *scores), means(judge, scores)),
        f"\nAll rows: {', '.join(f'{part} {auc(rows.labels, values):.3f}' for part, values in scores.items())}\n",
        "## Calibration\n", f"Unseen sources, weighted; expected calibration error {error:.3f}:\n",
        card.reliability_table(reliability(taught.labels, taught_scores, weights)),
        f"\nJoined with: intercept, the judge's columns, the embedding's logit: {numbers}.\n",
    ]  # fmt: skip
    return "\n".join(parts)


def means(judge: Judge, scores: dict[str, Floats]) -> Iterator[tuple[object, ...]]:
    """Mean AUC of each score on unseen sources: English, other languages that other sources cover, and all others."""
    by_group: dict[str, list[list[float]]] = {}
    found = [group_aucs(judge.rows, values) for values in scores.values()]
    for source, language in found[0]:
        covered = is_covered(judge.rows, judge.usable, source, language)
        group = "English" if language == "en" else "other, covered" if covered else "other, not covered"
        by_group.setdefault(group, []).append([aucs[source, language] for aucs in found])
    for group, values in sorted(by_group.items()):
        yield group, *np.mean(values, axis=0).tolist()
