"""Hyper-parameters by leave-one-source-out: the score of every row comes from a model that never saw its source.

Rows of one source share more than a label: topic, platform, annotators. A random split lets a model use all that, and
promises what it cannot keep on text from elsewhere.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.training.features import Features, Shape
from pipeline.training.linear import Schedule, fit, logits
from pipeline.training.metrics import auc
from pipeline.training.rows import LabelledRows, balanced_weights

NUM_FOLDS = 5
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Trial:
    """One setting, and how well it did."""

    shape: Shape
    schedule: Schedule
    mean_auc: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Found:
    """The best trial, its features, and its logit for every row from models that did not see the row's source."""

    best: Trial
    trials: tuple[Trial, ...]
    features: Features
    unseen_logits: Floats


def folds(rows: LabelledRows) -> npt.NDArray[np.str_]:
    """What is left out together: the source; with a single source, a fifth of the texts by hash."""
    if len(set(rows.sources.tolist())) > 1:
        return rows.sources
    digests = [hashlib.sha256(text.encode()).digest() for text in rows.texts.to_pylist()]
    return np.array([str(digest[0] % NUM_FOLDS) for digest in digests], np.str_)


def leave_one_source_out(
    features: Features, rows: LabelledRows, usable: npt.NDArray[np.bool_], schedule: Schedule
) -> Floats:
    """Logit of every row by a model trained on the usable rows of the other sources, `float64[n]`."""
    out, fold = np.empty(len(rows)), folds(rows)
    for name in np.unique(fold):
        chosen = usable & (fold != name)
        weights = np.zeros(len(rows))
        weights[chosen] = balanced_weights(rows.take(chosen))
        own = fold == name
        out[own] = logits(features, fit(features, rows.labels, weights, schedule))[own]
    return out


def group_aucs(rows: LabelledRows, scores: Floats) -> dict[tuple[str, str], float]:
    """AUC in each source and language that has both labels."""
    found = {pair: auc(rows.labels[members], scores[members]) for pair, members in rows.groups().items()}
    return {pair: value for pair, value in found.items() if not np.isnan(value)}


def is_covered(rows: LabelledRows, usable: npt.NDArray[np.bool_], source: str, language: str) -> bool:
    """Whether usable rows of another source are in the language: nothing can be learned of one that is not."""
    return bool((usable & (rows.languages == language) & (rows.sources != source)).any())


def search(
    texts: list[str],
    rows: LabelledRows,
    usable: npt.NDArray[np.bool_],
    settings: Iterable[tuple[Shape, Schedule]],
    seconds: float,
    report: Callable[[str], None] = lambda line: None,
) -> Found:
    """Try settings in their order until the time is up (at least one) and keep the best.

    Best is the highest mean AUC over sources and languages that the other sources cover; over all if none is covered.
    """
    started = time.monotonic()
    trials: list[Trial] = []
    best: Found | None = None
    features: Features | None = None
    for shape, schedule in settings:
        begun = time.monotonic()
        if best is not None and begun - started > seconds:
            report(f"time is up after {len(trials)} settings")
            break
        if features is None or features.shape != shape:
            features = Features.of(texts, shape)
        unseen = leave_one_source_out(features, rows, usable, schedule)
        aucs = group_aucs(rows, unseen)
        covered = [value for (source, language), value in aucs.items() if is_covered(rows, usable, source, language)]
        mean = float(np.mean(covered or list(aucs.values()) or [0.5]))
        trials.append(Trial(shape, schedule, mean, time.monotonic() - begun))
        report(f"{_describe(trials[-1])}: unseen sources {mean:.4f}, {trials[-1].seconds:.0f} s")
        if best is None or mean > best.best.mean_auc:
            best = Found(trials[-1], (), features, unseen)
    assert best is not None, "no settings to try"
    return Found(best.best, tuple(trials), best.features, best.unseen_logits)


def _describe(trial: Trial) -> str:
    shape, schedule = trial.shape, trial.schedule
    return (
        f"n-grams {shape.minn}-{shape.maxn}, words up to {shape.word_ngrams}, 2^{shape.num_buckets.bit_length() - 1} "
        f"buckets, min. count {shape.min_count}, {schedule.epochs} epochs, step {schedule.step:g}"
    )
