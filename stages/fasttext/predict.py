"""What a fastText model says of the texts of a batch.

The same numbers as the library's `predict` gives: labels equal, scores within 1e-4 (both add float32 in different
orders). Like the library, a probability comes with 1e-5 on top, here never above 1. Texts are read as one line each,
newlines as spaces, with the end of the line that the library appends: a text without known words is judged by that
alone, if the model knows it. A text without any token is not judged at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import numpy as np
import numpy.typing as npt

from stages.fasttext import kernels_scores
from stages.fasttext.model import Model
from stages.fasttext.tokens import Int64s, Slots, Tokens, slots
from stages.text.batch import TextBatch, Utf8

_lock = Lock()
"""Vocabulary and memos belong to the process; threads take turns."""


def label_scores(
    model: Model, batch: TextBatch, labels: Sequence[str], tokens: Tokens = "whitespace"
) -> npt.NDArray[np.float32]:
    """Probability of some labels in each document, `float32[n, len(labels)]`, by name with or without `__label__`.

    NaN where the text has no token that the model can use. Raises StageError for a label that the model does not have.
    """
    wanted = model.label_rows(list(labels))
    with _lock:
        sums, counts = _sum(model, slots(batch, tokens), batch.utf8)
    out = np.empty((len(counts), len(labels)), np.float32)
    kernels_scores.find_label_scores(model.output, model.is_projected, sums, counts, wanted, out)
    return out


def top_labels(
    model: Model, batch: TextBatch, k: int, tokens: Tokens = "whitespace"
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """The `k` most likely labels of each document, best first: rows in `model.labels`, `int32[n, k]`, and their
    probabilities, `float32[n, k]`.

    -1 and NaN where there is none: the text has no token that the model can use, the model has fewer labels, or, under
    hierarchical softmax, the label's probability is below 1e-5.
    """
    with _lock:
        view = slots(batch, tokens)
    return top_labels_of(model, view, batch.utf8, k)


def top_labels_of(
    model: Model, view: Slots, utf8: Utf8, k: int, base: Int64s | None = None
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """As `top_labels`, for any spans of tokens; `base` is the byte in `utf8.data` where each span's document starts."""
    with _lock:
        sums, counts = _sum(model, view, utf8, base)
    rows, scores = np.empty((len(counts), k), np.int32), np.empty((len(counts), k), np.float32)
    kernels_scores.find_top_labels(model.output, model.is_projected, sums, counts, rows, scores)
    return rows, scores


def _sum(
    model: Model, view: Slots, utf8: Utf8, base: Int64s | None = None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Sum of the rows of each text and how many there are; no rows for a text without tokens."""
    memo = view.vocabulary.memo(model)
    n = len(view.begin)
    sums, counts = np.zeros((n, memo.sums.shape[1]), np.float32), np.empty(n, np.int64)
    kernels_scores.sum_tokens(
        model.input, model.output, view.arrays(utf8, base), model.is_projected, memo.sums, memo.counts, sums, counts
    )
    counts[view.begin == view.end] = 0
    return sums, counts
