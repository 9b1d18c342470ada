"""Logistic regression whose coefficients may not be negative: every column speaks in one direction or not at all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.training.head import probability

Floats = npt.NDArray[np.float64]


def fit_signed(
    columns: Floats, labels: npt.NDArray[np.bool_], weights: Floats, l2: float, num_rounds: int = 2000
) -> tuple[float, Floats]:
    """Intercept, and coefficients `float64[k]`, none below 0, that minimise the mean weighted loss + l2 * |c|².

    Accelerated projected gradient (Beck and Teboulle 2009); no randomness. `columns` are standardised, `float64[n, k]`.
    """
    inputs = np.column_stack([np.ones(len(columns)), columns])
    share = weights / weights.sum()
    penalty = np.full(inputs.shape[1], 2 * l2)
    penalty[0] = 0
    steepest = 0.25 * np.linalg.eigvalsh((inputs * share[:, None]).T @ inputs)[-1] + 2 * l2
    least = np.zeros(inputs.shape[1])
    least[0] = -np.inf
    point = ahead = np.zeros(inputs.shape[1])
    pace = 1.0
    for _ in range(num_rounds):
        slope = inputs.T @ (share * (probability(inputs @ ahead) - labels)) + penalty * ahead
        new = np.maximum(ahead - slope / steepest, least)
        pace, last_pace = (1 + np.sqrt(1 + 4 * pace * pace)) / 2, pace
        ahead = new + (last_pace - 1) / pace * (new - point)
        moved = np.abs(new - point).max()
        point = new
        if moved < 1e-8:
            break
    return float(point[0]), point[1:]
