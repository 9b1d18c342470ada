"""Paraphrases hidden among other documents: what is found, and what is touched, at every epsilon.

The documents are paragraphs of real pages. Among them are hidden the pairs of the Microsoft Research Paraphrase Corpus,
those marked as paraphrases and those marked as none although they share most words. A pair is found if its similarity
is recorded and at least 1 - epsilon. What has no label is counted apart: planted sentences that are near a paragraph of
some page, of which hardly any can be right, and paragraphs that go, near duplicates that were there before among
them.
"""

from __future__ import annotations

from typing import Any

EPSILONS = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3)


def planted(vectors: Any, model: str) -> None:
    """Print precision and recall over epsilon."""
    import numpy as np
    import pyarrow.parquet as pq

    from benchmarks.semantic import clustered, encoded
    from stages.dedup.semantic import Semantic, is_removed
    from tests.reference.oracle import data_path

    table = pq.read_table(data_path("semantic_pairs_dev.parquet"))
    rows = [row for row in table.to_pylist() if row["label"] is not None]
    label = np.array([row["label"] for row in rows])
    sentences = [row[side] for side in ("text_a", "text_b") for row in rows]
    hidden = encoded(sentences, model)
    assert len(hidden) == len(sentences)
    distinct = {sentence: number for number, sentence in enumerate(dict.fromkeys(sentences))}
    own = np.array([distinct[sentence] for sentence in sentences])
    first = np.unique(own, return_index=True)[1]
    everything = np.concatenate([vectors, hidden[first]])
    a, b = (own + len(vectors)).reshape(2, -1)
    stage = Semantic(keep="first", epsilons=EPSILONS, epsilon=EPSILONS[-1])
    print(
        f"\n{model}: {len(vectors):,} paragraphs, {len(first):,} planted sentences, {(label == 1).sum():,} pairs of "
        f"paraphrases, {(label == 0).sum():,} of others"
    )
    links, resolution, _ = clustered(stage, everything)
    links = links.filter(links["similarity"].is_valid())
    ends = [links[name].to_numpy().astype(np.int64) for name in ("address", "linked_to")]
    low, high, found = np.minimum(*ends), np.maximum(*ends), links["similarity"].to_numpy()
    linked = dict(zip(zip(high.tolist(), low.tolist(), strict=True), found.tolist(), strict=True))
    pairs = zip(np.maximum(a, b).tolist(), np.minimum(a, b).tolist(), strict=True)
    similarity = np.array([linked.get(pair, -1.0) for pair in pairs])
    crossing = (low < len(vectors)) & (high >= len(vectors))
    heads = (
        "epsilon",
        "pairs found",
        "precision among labelled pairs",
        "sentences near a paragraph",
        "paragraphs that go",
    )
    print(f"\n| {' | '.join(heads)} |\n|{'---:|' * len(heads)}")
    for place, epsilon in enumerate(stage.all_epsilons):
        near = similarity >= np.float32(1 - epsilon)
        hits, misses = (near & (label == 1)).sum(), (near & (label == 0)).sum()
        removed = is_removed(resolution["removed_at"].to_numpy(), place)[: len(vectors)]
        precision = f"{hits / (hits + misses):.1%}" if hits + misses else ""
        touched = len(np.unique(high[crossing & (found >= np.float32(1 - epsilon))])) / len(first)
        cells = [
            f"{hits / (label == 1).sum():.1%}",
            precision,
            f"{touched:.2%}",
            f"{removed.sum():,} ({removed.mean():.2%})",
        ]
        print(f"| {epsilon} | {' | '.join(cells)} |")
