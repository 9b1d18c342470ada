"""What the clusters of a corpus are about: typical documents and telling words; and what each epsilon costs.

These go by recorded signals and by texts that are at hand, so they take no rerun.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stages.text.batch import TextBatch
from stages.text.kernels_words import HAS_LETTER

Int64s = npt.NDArray[np.int64]
MIN_CHARS = 3
"""Code points of a telling word, save where a letter is a word."""


def describe_clusters(
    documents: pa.Table, stage: str = "semantic", num_exemplars: int = 5, num_words: int = 10
) -> pa.Table:
    """A row for each cluster: `cluster`, `documents` (how many), `exemplars` (ids of those nearest to its centroid) and
    `words` (see `telling_words`), the largest cluster first.

    Args:
        documents: `id`, `text` and the signals `cluster` and `centroid_similarity` of the stage; the documents that a
            run kept, or a sample of them.
    """
    documents = documents.filter(documents[f"{stage}.cluster"].is_valid())
    cluster = documents[f"{stage}.cluster"].to_numpy().astype(np.int64)
    similarity = documents[f"{stage}.centroid_similarity"].to_numpy()
    numbers, group, count = np.unique(cluster, return_inverse=True, return_counts=True)
    words = telling_words(TextBatch(documents.select(["id", "text"])), group, len(numbers), num_words)
    order = np.lexsort((np.arange(len(group)), -similarity, group))
    starts = np.cumsum(count) - count
    ids = documents["id"].take(pa.array(order)).to_pylist()
    exemplars = [ids[start : start + min(size, num_exemplars)] for start, size in zip(starts, count, strict=True)]
    largest = np.lexsort((numbers, -count))
    return pa.table(
        {
            "cluster": pa.array(numbers, pa.int32()),
            "documents": pa.array(count, pa.int64()),
            "exemplars": pa.array(exemplars, pa.list_(pa.string())),
            "words": pa.array(words, pa.list_(pa.string())),
        }
    ).take(pa.array(largest))


def telling_words(batch: TextBatch, group: Int64s, num_groups: int, num_words: int) -> list[list[str]]:
    """Of each group of documents the words that come more often in it than elsewhere.

    By class-based tf-idf (Grootendorst 2022, arXiv 2203.05794): the word's share of the group's words, times log(1 +
    mean number of words in a group / number of times that the word comes in all). Words are in lower case and have a
    letter; ties go to the word that comes first.
    """
    batch = batch.with_text(pc.utf8_lower(batch.table["text"]).combine_chunks())
    words, utf8 = batch.words, batch.utf8
    document = np.repeat(np.arange(batch.num_rows), words.count)
    telling = (words.flags & HAS_LETTER != 0) & (
        (words.num_chars >= MIN_CHARS) | (words.stop - words.start >= MIN_CHARS)
    )
    places = np.flatnonzero(telling)
    _, first, word = np.unique(words.hash[places], return_index=True, return_inverse=True)
    pairs, counts = np.unique(group[document[places]] * max(1, len(first)) + word, return_counts=True)
    of_group, of_word = np.divmod(pairs, max(1, len(first)))
    per_group = np.bincount(of_group, counts, num_groups)
    overall = np.bincount(word, minlength=len(first))
    weight = counts / per_group[of_group] * np.log1p(per_group.sum() / max(1, num_groups) / overall[of_word])
    order = np.lexsort((first[of_word], -weight, of_group))
    found: list[list[str]] = [[] for _ in range(num_groups)]
    for k in order.tolist():
        if len(found[of_group[k]]) < num_words:
            place = places[first[of_word[k]]]
            base = utf8.offsets[document[place]]
            raw = utf8.data[base + words.start[place] : base + words.stop[place]]
            found[of_group[k]].append(raw.tobytes().decode())
    return found


def removal_curve(signals: pa.Table, epsilons: Sequence[float], stage: str = "semantic") -> pa.Table:
    """What each epsilon removes: `epsilon`, `removed` (documents, with greedy keep: exact), and `removed_by_any`
    (by SemDeDup's own rule, which lets a dropped document drop others).

    Args:
        signals: `removed_at` and `similarity` of the stage: a run's signals.
        epsilons: all that the stage compared, ascending (`Semantic.all_epsilons`).
    """
    at = signals[f"{stage}.removed_at"].to_numpy()
    at = np.nan_to_num(at).astype(np.int64)
    similarity = signals[f"{stage}.similarity"].to_numpy()
    return pa.table(
        {
            "epsilon": pa.array(epsilons, pa.float64()),
            "removed": [int((at >> place & 1).sum()) for place in range(len(epsilons))],
            "removed_by_any": [int((similarity >= np.float32(1 - epsilon)).sum()) for epsilon in epsilons],
        }
    )
