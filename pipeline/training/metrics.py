"""How good scores are: AUC, confusion at a bound, reliability, by source and language."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.floating[Any]]
Mask: TypeAlias = npt.NDArray[np.bool_]


def auc(labels: Mask, scores: Floats) -> float:
    """Probability that a positive row scores above a negative one, ties counting half; NaN with one class only."""
    positive = int(labels.sum())
    negative = len(labels) - positive
    if not positive or not negative:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[inverse]
    return float((ranks[labels].sum() - positive * (positive + 1) / 2) / (positive * negative))


def confusion(labels: Mask, flagged: Mask) -> dict[str, int]:
    """Rows by truth and verdict."""
    return {
        "true_positive": int((labels & flagged).sum()),
        "false_positive": int((~labels & flagged).sum()),
        "false_negative": int((labels & ~flagged).sum()),
        "true_negative": int((~labels & ~flagged).sum()),
    }


def reliability(labels: Mask, scores: Floats, weights: Floats, num_bins: int = 10) -> list[tuple[float, float, int]]:
    """For each tenth of the scale that has rows: mean score, share that is positive, rows; both means weighted."""
    bins = np.minimum((scores * num_bins).astype(np.int64), num_bins - 1)
    out = []
    for number in range(num_bins):
        inside = bins == number
        if inside.any():
            share = weights[inside] / weights[inside].sum()
            out.append((float(share @ scores[inside]), float(share @ labels[inside]), int(inside.sum())))
    return out


def expected_calibration_error(labels: Mask, scores: Floats, weights: Floats, num_bins: int = 10) -> float:
    """Mean distance between score and share of positives over the bins of `reliability`, by weight."""
    bins = np.minimum((scores * num_bins).astype(np.int64), num_bins - 1)
    error = sum(abs(float((weights * (scores - labels))[bins == number].sum())) for number in range(num_bins))
    return error / float(weights.sum())
