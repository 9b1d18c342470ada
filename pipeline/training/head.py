"""Logistic regression on a few numbers: combines scores and calibrates them. Plain Newton steps, no randomness."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def fit_head(
    columns: npt.NDArray[np.float64],
    labels: npt.NDArray[np.bool_],
    weights: npt.NDArray[np.float64],
    l2: float = 1e-3,
    num_rounds: int = 50,
) -> npt.NDArray[np.float64]:
    """Intercept and one coefficient a column, `float64[k + 1]`.

    Args:
        columns: `float64[n, k]`.
        l2: penalty on the squared coefficients, per unit of weight; not on the intercept.
    """
    inputs = np.column_stack([np.ones(len(columns)), columns])
    share = weights / weights.sum()
    penalty = np.full(inputs.shape[1], 2 * l2)
    penalty[0] = 1e-12
    coefficients = np.zeros(inputs.shape[1])
    for _ in range(num_rounds):
        scores = probability(inputs @ coefficients)
        gradient = inputs.T @ (share * (scores - labels)) + penalty * coefficients
        curvature = (inputs * (share * scores * (1 - scores))[:, None]).T @ inputs + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        coefficients -= step
        if np.abs(step).max() < 1e-9:
            break
    return coefficients


def apply_head(columns: npt.NDArray[np.float64], coefficients: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Probability of the positive label, `float64[n]`."""
    return probability(coefficients[0] + columns @ coefficients[1:])


def probability(logit: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The logistic function, without overflow."""
    return np.exp(-np.logaddexp(0.0, -logit))
