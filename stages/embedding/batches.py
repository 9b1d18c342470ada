"""Long documents as windows, and windows as batches by tokens.

A batch of so many texts is as slow as its longest text and as large as luck has it. Here windows are sorted by length,
their lengths rounded up to one of few (so that a GPU sees few shapes), and those of one length put together until a
budget of tokens is full. What is padded is less than a sixteenth of a window, and of windows of full length nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Windows:
    """Parts of documents: window `w` is tokens `start[w]` to `stop[w]` of document `document[w]`; in their order."""

    document: Int64s
    start: Int64s
    stop: Int64s

    @property
    def num_tokens(self) -> Int64s:
        return self.stop - self.start


@dataclass(frozen=True, eq=False)
class Batch:
    """Windows to be encoded together, each padded to `length` tokens."""

    windows: Int64s
    length: int


def cut_windows(num_tokens: Int64s, capacity: int, pooling: Literal["mean", "first"]) -> Windows:
    """Windows of `capacity` tokens, the last of a document shorter; `first` takes the first of each alone.

    A document without tokens has no window. `num_tokens` are those of each document.
    """
    counts = -(-num_tokens // capacity)
    if pooling == "first":
        counts = np.minimum(counts, 1)
    document = np.repeat(np.arange(len(num_tokens)), counts)
    number = np.arange(len(document)) - np.repeat(np.cumsum(counts) - counts, counts)
    start = number * capacity
    return Windows(document, start, np.minimum(start + capacity, num_tokens[document]))


def bucket_lengths(lengths: Int64s, capacity: int) -> Int64s:
    """Lengths rounded up, by at most a sixteenth (or one token), and never above `capacity`."""
    step = 2 ** np.maximum(1, np.log2(np.maximum(lengths, 1)).astype(np.int64) - 4)
    return np.minimum(-(-lengths // step) * step, np.maximum(lengths, capacity))


def plan_batches(lengths: Int64s, budget: int, capacity: int) -> Iterator[Batch]:
    """Batches of at most `budget` tokens, padding included, but of one window at least; the longest first, so that a
    budget that is too large shows at once."""
    padded = bucket_lengths(lengths, capacity)
    order = np.argsort(-padded, kind="stable")
    cuts = np.flatnonzero(np.diff(padded[order])) + 1
    for group in np.split(order, cuts):
        if len(group):
            length = int(padded[group[0]])
            size = max(1, budget // length)
            for first in range(0, len(group), size):
                yield Batch(group[first : first + size], length)


def pool(vectors: npt.NDArray[np.float32], windows: Windows, num_documents: int) -> npt.NDArray[np.float32]:
    """Mean of the vectors of each document's windows, `float32[n, d]`, by their tokens; 0 where there is none."""
    out = np.zeros((num_documents, vectors.shape[1]), np.float32)
    if len(windows.document):
        first = np.flatnonzero(np.diff(windows.document, prepend=-1))
        weights = windows.num_tokens.astype(np.float32)
        sums = np.add.reduceat(vectors * weights[:, None], first, axis=0)
        out[windows.document[first]] = sums / np.add.reduceat(weights, first)[:, None]
    return out
