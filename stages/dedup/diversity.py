"""The most typical documents of a corpus, and how many of them are enough: `diversity`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from stages.contract import Bounds, Census, Count, Ratio, Signals
from stages.dedup.centroids import Centroids
from stages.dedup.survey import Cosine, VectorSurvey, sample_of, vectors_of
from stages.text.batch import TextBatch

NUM_QUANTILES = 1024


class Diversity(VectorSurvey, Census):
    """Drops the documents nearest to their clusters' centroids (D4: Tirumala et al. 2023, arXiv 2308.12284).

    D4 is `semantic`, then this: clusters of templates and near duplicates would attract the centroids otherwise. The
    rule is that of Sorscher et al. 2022 (arXiv 2206.14486, "SSL prototypes"): of much data the typical part teaches
    least. How typical a document is, is told from a sample of up to a million vectors.
    """

    typicality: Ratio = Bounds(max=0.8)
    """Share of the corpus's vectors that are less typical: farther from the centroid of their cluster."""
    cluster: Count = Bounds()
    """Number of its cluster."""
    centroid_similarity: Cosine = Bounds()
    """Similarity to the centroid of its cluster."""

    def conclude(self, rows: pa.Table, num_documents: int) -> pa.Table:
        """Centroids, and in every row the quantiles of the sample's similarities to them."""
        table = super().conclude(rows, num_documents)
        _, similarity = Centroids.from_table(table).nearest(sample_of(rows), 1, self._products)
        ordered = np.sort(similarity[:, 0])
        places = np.linspace(0, len(ordered) - 1, min(len(ordered), NUM_QUANTILES)).round().astype(np.int64)
        quantiles = pa.array([ordered[places]] * table.num_rows, pa.list_(pa.float32()))
        return table.append_column("quantiles", quantiles)

    def measure(self, batch: TextBatch, reference: pa.Table) -> Signals:
        vectors, rows = vectors_of(batch)
        if not len(reference):
            rows, vectors = rows[:0], vectors[:0]
        centroids = self.checked(Centroids.from_table(reference), vectors)
        index, similarity = centroids.nearest(vectors, 1, self._products)
        cluster, near, typicality = (np.full(batch.num_rows, np.nan) for _ in range(3))
        cluster[rows], near[rows] = index[:, 0], similarity[:, 0]
        if len(rows):
            quantiles = np.array(reference["quantiles"][0].as_py(), np.float32)
            typicality[rows] = np.searchsorted(quantiles, similarity[:, 0]) / len(quantiles)
        return {
            "typicality": typicality,
            "cluster": pa.array(cluster, from_pandas=True).cast(pa.int32()),
            "centroid_similarity": near.astype(np.float32),
        }
