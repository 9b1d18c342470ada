"""The stage that finds benchmark items in other words: by their embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from stages.benchmark_items import Benchmarks, file_and_columns, read_items
from stages.contract import Allowed, Bounds, Filter, Label, Signals
from stages.dedup.centroids import nearest
from stages.dedup.products import Device, Products, products_on
from stages.dedup.survey import Cosine, vectors_of
from stages.dedup.vectors import Halves
from stages.embedding.encoder import Pooling, Settings, load
from stages.embedding.models import EmbeddingModel, find
from stages.errors import AssetError, StageError
from stages.files import file_hash
from stages.text.batch import TextBatch

ENCODER = "embedding.encoder"


class _Items(NamedTuple):
    """Items that have a vector, `float16[m, d]`."""

    labels: list[str]
    vectors: Halves


class SemanticDecontamination(Filter):
    """Documents that say what a benchmark item says, in other words (Yang et al. 2023, arXiv 2311.04850: rephrased
    items pass every test of n-grams).

    Compares the vectors of `embedding` with those of the items, made by the same encoder. A page that holds an item
    among much else does not resemble it as a whole: `decontamination` finds that, and documents as short as items
    are what this finds. What similarity is too much depends on the encoder and the benchmark: start with `action:
    annotate` and read the nearest pairs.
    """

    needs = (ENCODER,)

    similarity: Cosine = Bounds(max=0.9)
    """Largest cosine similarity to an item; null for a document without a vector."""
    item: Label = Allowed()
    """That item, as `gsm8k:17`, the 17th record of its benchmark's files; the first among equals."""

    benchmarks: Benchmarks = Field({}, validate_default=True)
    """Files by the benchmark's name, as for `decontamination`."""
    model: str = "static"
    """Encoder of the items: that of `embedding`."""
    pooling: Pooling = "mean"
    """As in `embedding`."""
    window_tokens: int | None = None
    """As in `embedding`."""
    prompt: str | None = None
    """As in `embedding`."""
    device: Device = "auto"
    """Where items are embedded and vectors compared."""

    def setup(self) -> None:
        assert self._items

    def assets(self) -> Mapping[str, str]:
        files = [file_and_columns(file)[0] for files in self.benchmarks.values() for file in files]
        return {**{file: file_hash(file) for file in files}, **self._model.hashes}

    @cached_property
    def _model(self) -> EmbeddingModel:
        return find(self.model)

    @cached_property
    def _products(self) -> Products:
        return products_on(self.device)

    @cached_property
    def _items(self) -> _Items:
        """Raises AssetError when no item has a vector."""
        items = read_items(self.benchmarks)
        settings = Settings(self.pooling, self.device, window_tokens=self.window_tokens, prompt=self.prompt)
        batch = TextBatch.from_texts([item.text for item in items])
        vectors = load(self._model, settings).encode(batch).vectors
        there = np.flatnonzero(np.isfinite(vectors).all(axis=1))
        if not len(there):
            raise AssetError(f"no item of {', '.join(self.benchmarks)} has a text that {self._model.name} can embed")
        return _Items([items[row].label for row in there.tolist()], vectors[there])

    def measure(self, batch: TextBatch) -> Signals:
        others = pc.unique(batch.signals[ENCODER].drop_null()).to_pylist()
        if others not in ([], [self._model.identity]):
            raise StageError(
                f"{self.name}: the vectors were made by {', '.join(others)}, the items' by {self._model.identity}; "
                "write the same model for both"
            )
        vectors, rows = vectors_of(batch)
        index, similarity = nearest(vectors, self._items.vectors, 1, self._products)
        out = np.full(batch.num_rows, np.nan, np.float32)
        out[rows] = similarity[:, 0]
        places = np.full(batch.num_rows, -1)
        places[rows] = index[:, 0]
        labels = pa.array(self._items.labels, pa.string())
        return {"similarity": out, "item": labels.take(pa.array(places, mask=places < 0))}
