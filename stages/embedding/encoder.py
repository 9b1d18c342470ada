"""What an encoder answers for a batch, and how the one of a model is loaded: once in a process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from stages.embedding.models import EmbeddingModel, find
from stages.text.batch import TextBatch

Pooling = Literal["mean", "first"]
Precision = Literal["float16", "bfloat16", "float32"]


@dataclass(frozen=True, eq=False)
class Encoded:
    """Of `n` documents: vectors of length 1, `float16[n, d]`, NaN in a row that is none; their `tokens` (-1 where the
    encoder does not tell) and `windows`, `int32[n]`."""

    vectors: npt.NDArray[np.float16]
    tokens: npt.NDArray[np.int32]
    windows: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Settings:
    """How an encoder is to work; see the fields of `stages.embedding.stage.Embedding`."""

    pooling: Pooling = "mean"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Precision = "float16"
    token_budget: int = 65_536
    window_tokens: int | None = None
    prompt: str | None = None


class Encoder(Protocol):
    """Turns documents into vectors. A vector depends on its document alone: on a CPU to the last bit, on a GPU to
    rounding."""

    def encode(self, batch: TextBatch) -> Encoded:
        """The vectors of a batch; none for a text without tokens."""
        ...

    def counters(self) -> Mapping[str, float]:
        """What it has done since it was last asked: see `Stage.counters`."""
        ...


def load(model: EmbeddingModel, settings: Settings | None = None) -> Encoder:
    """The encoder of a model; the same one for the same settings, so that a worker loads it once.

    Raises MissingPartError, with the command that installs it, when a library is missing.
    """
    return _load(model.name, model.identity, settings or Settings())


@lru_cache(maxsize=4)
def _load(name: str, identity: str, settings: Settings) -> Encoder:
    model = find(name)
    if model.kind == "static":
        from stages.embedding.static import StaticEncoder

        return StaticEncoder(model)
    if model.kind == "use":
        from stages.embedding.use import UseEncoder

        return UseEncoder(model, settings)
    from stages.embedding.transformer import TransformerEncoder

    return TransformerEncoder(model, settings)


def encode(model: str, texts: list[str], settings: Settings | None = None) -> npt.NDArray[np.float16]:
    """Vectors of some texts, `float16[n, d]`, NaN where there is none: for training, evaluation and tries."""
    return load(find(model), settings).encode(TextBatch.from_texts(texts)).vectors
