"""A text as rows of a fastText model's input matrix: words of a vocabulary, character n-grams, word n-grams.

Tokens are those that the stages read (`stages.fasttext.tokens.training_text`): lower-cased words and marks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from pipeline.training import kernels


class Shape(BaseModel):
    """What a model looks at."""

    model_config = ConfigDict(frozen=True)

    minn: int = 3
    """Shortest character n-gram; 0 with `maxn` 0: none."""
    maxn: int = 6
    """Longest character n-gram."""
    word_ngrams: int = 1
    """Longest word n-gram."""
    num_buckets: int = 1 << 20
    """Rows for n-grams; a byte each in the file."""
    min_count: int = 5
    """A word has a row of its own if it occurs so often."""


@dataclass(frozen=True, eq=False)
class Features:
    """Rows of the input matrix for some texts: text `d` has `rows[begin[d]:end[d]]`."""

    shape: Shape
    words: tuple[str, ...]
    """Words with a row of their own: word `w` has row `w`, bucket `b` row `len(words) + b`."""
    rows: npt.NDArray[np.int32]
    begin: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]

    @property
    def num_rows(self) -> int:
        return len(self.words) + self.shape.num_buckets

    @classmethod
    def of(cls, texts: list[str], shape: Shape) -> Features:
        """The rows of some texts, given as tokens with one space between; the vocabulary comes from the same texts."""
        ids: dict[str, int] = {}
        tokens, begin, end = _number(texts, ids)
        counts = np.bincount(tokens, minlength=len(ids))
        with_row = np.flatnonzero(counts >= shape.min_count)
        with_row = with_row[np.argsort(-counts[with_row], kind="stable")]
        word_rows = np.full(len(ids), -1, np.int32)
        word_rows[with_row] = np.arange(len(with_row))
        names = list(ids)
        bracketed = [b"<" + name.encode() + b">" for name in names]
        data = np.frombuffer(b"".join(bracketed), np.uint8)
        offsets = np.concatenate([[0], np.cumsum([len(name) for name in bracketed])]).astype(np.int64)
        width = max(shape.maxn - shape.minn + 1, 0)
        buckets, bucket_ends = np.empty(len(data) * width, np.int32), np.empty(len(ids), np.int64)
        hashes = np.empty(len(ids), np.int32)
        m = kernels.hash_tokens(data, offsets, shape.minn, shape.maxn, shape.num_buckets, buckets, bucket_ends, hashes)
        shared = (tokens, begin, end, word_rows, buckets[:m], bucket_ends, hashes, len(with_row), shape.num_buckets,
                  shape.word_ngrams)  # fmt: skip
        nothing = np.empty(0, np.int32)
        size = kernels.fill_rows(*shared, nothing, np.empty(0, np.int64), True)
        rows, ends = np.empty(size, np.int32), np.zeros(len(texts), np.int64)
        kernels.fill_rows(*shared, rows, ends, False)
        return cls(shape, tuple(names[i] for i in with_row), rows, np.concatenate([[0], ends])[:-1], ends)


def _number(
    texts: list[str], ids: dict[str, int]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Tokens as numbers, and where those of each text begin and end."""
    tokens: list[int] = []
    end = []
    for text in texts:
        tokens.extend(ids.setdefault(token, len(ids)) for token in text.split(" ") if token)
        end.append(len(tokens))
    ends = np.array(end, np.int64)
    return np.array(tokens, np.int32), np.concatenate([[0], ends])[:-1].astype(np.int64), ends
