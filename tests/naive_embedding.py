"""Slow and obvious twins of the kernel and of the batching of `stages/embedding/`."""

from __future__ import annotations

import numpy as np


def mean_vector(words: list[str], tokenizer, rows: np.ndarray) -> np.ndarray | None:
    """The mean of the rows of the words' pieces, of length 1; None without any, or of length 0."""
    pieces = [piece for word in words for piece in tokenizer.encode(word, add_special_tokens=False).ids]
    if not pieces:
        return None
    mean = sum(rows[piece].astype(np.float64) for piece in pieces) / len(pieces)
    length = float(np.sqrt((mean**2).sum()))
    return mean / length if length > 1e-9 else None


def windows(num_tokens: list[int], capacity: int, pooling: str) -> list[tuple[int, int, int]]:
    """(document, start, stop) of every window."""
    found = []
    for document, count in enumerate(num_tokens):
        own = [(document, start, min(start + capacity, count)) for start in range(0, count, capacity)]
        found += own[:1] if pooling == "first" else own
    return found


def pooled(vectors: np.ndarray, parts: list[tuple[int, int, int]], num_documents: int) -> np.ndarray:
    """The mean of each document's windows by their tokens."""
    out = np.zeros((num_documents, vectors.shape[1]))
    for document in range(num_documents):
        own = [w for w, part in enumerate(parts) if part[0] == document]
        if own:
            weights = [parts[w][2] - parts[w][1] for w in own]
            out[document] = sum(weight * vectors[w] for weight, w in zip(weights, own, strict=True)) / sum(weights)
    return out
