"""A fastText classifier of two labels, trained as what it is: logistic regression on the mean of its rows.

With two labels and a softmax, only the difference of the two output rows matters, so one number a row says all that a
hidden layer of any width could. Trained here and not by the library, because the library knows no weights, its result
changes from run to run, and with one thread it leaves nine tenths of the matrix uninitialised (0.9.3).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from pipeline.training import kernels
from pipeline.training.features import Features


class Schedule(BaseModel):
    """How long and how hard to train."""

    model_config = ConfigDict(frozen=True)

    epochs: int = 6
    step: float = 1.0
    """AdaGrad's step, in units of the logit."""


def fit(
    features: Features,
    labels: npt.NDArray[np.bool_],
    weights: npt.NDArray[np.float64],
    schedule: Schedule,
    seed: int = 0,
) -> npt.NDArray[np.float64]:
    """The value of every row, `float64[features.num_rows]`; texts of weight 0 are left out. Same input, same values."""
    values, squares = np.zeros(features.num_rows), np.full(features.num_rows, 1e-8)
    rng = np.random.default_rng(seed)
    chosen = np.flatnonzero(weights)
    for _ in range(schedule.epochs):
        order = rng.permutation(chosen)
        kernels.fit_pass(
            features.rows, features.begin, features.end, order, labels, weights, schedule.step, values, squares
        )
    return values


def logits(features: Features, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Logit of the positive label for every text, `float64[n]`."""
    out = np.empty(len(features.end))
    kernels.mean_of_rows(features.rows, features.begin, features.end, values, out)
    return out
