"""What `semantic` and `diversity` share: a sample of the corpus's vectors, by hash, and the clusters made of it."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from stages.contract import Bounds, Signal, Survey
from stages.dedup.centroids import MIN_PER_CENTROID, Centroids, sample_size
from stages.dedup.products import Device, Products, products_on
from stages.dedup.vectors import Halves, Int64s, hashes, plain_matrix, to_column, to_matrix
from stages.errors import StageError
from stages.text.batch import TextBatch

Cosine = Annotated[Bounds, Signal(pa.float32(), "cosine similarity")]
VECTOR = "embedding.vector"


class VectorSurvey(Survey):
    """Clusters the vectors of `embedding`: spherical k-means on a sample by hash."""

    tallied = ()

    num_clusters: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    """`auto`: the square root of half the number of documents."""
    device: Device = "auto"
    """Where vectors are compared: on a GPU if there is one. It makes no difference to the result."""

    @cached_property
    def _products(self) -> Products:
        return products_on(self.device)

    def tally(self, batch: TextBatch) -> pa.Table:
        vectors, _ = vectors_of(batch)
        return self.combine(pa.table({"key": hashes(vectors), "vector": to_column(vectors)}))

    def combine(self, rows: pa.Table) -> pa.Table:
        """One row a vector, however often it comes."""
        _, first = np.unique(rows["key"].to_numpy(), return_index=True)
        return rows.take(pa.array(first)) if len(first) < rows.num_rows else rows

    def sample_limit(self, num_documents: int) -> int:
        return sample_size(self._wanted(num_documents))

    def conclude(self, rows: pa.Table, num_documents: int) -> pa.Table:
        sample = sample_of(rows)
        k = min(self._wanted(num_documents), max(1, len(sample) // MIN_PER_CENTROID))
        return Centroids.of(sample, k, self._products).to_table()

    def _wanted(self, num_documents: int) -> int:
        return max(1, round(math.sqrt(num_documents / 2))) if self.num_clusters == "auto" else self.num_clusters

    def checked(self, centroids: Centroids, vectors: Halves) -> Centroids:
        """The centroids, if they are as long as the vectors; raises StageError otherwise."""
        if len(vectors) and len(centroids) and centroids.lower.shape[1] != vectors.shape[1]:
            raise StageError(
                f"{self.name}: {VECTOR} has {vectors.shape[1]} numbers, but the corpus was clustered with "
                f"{centroids.lower.shape[1]}; vectors of one encoder are wanted"
            )
        return centroids


def sample_of(rows: pa.Table) -> Halves:
    """The vectors of a tally, distinct, in the order of their hashes."""
    return plain_matrix(rows["vector"].combine_chunks())


def vectors_of(batch: TextBatch) -> tuple[Halves, Int64s]:
    """The vectors of documents and their rows, as `to_matrix` gives them: of the stage `embedding`, or a column that
    came in with this name. Raises StageError when there is neither."""
    if VECTOR not in batch.signals and VECTOR not in batch.table.column_names:
        raise StageError(f"there is no {VECTOR}: put the stage `embedding` before")
    return to_matrix(batch.signals[VECTOR] if VECTOR in batch.signals else batch.table[VECTOR], VECTOR)
