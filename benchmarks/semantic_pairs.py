"""How well the cosine of two vectors tells how close two texts are in meaning, for each encoder and language.

    TAMIS_DATA=folder python -m benchmarks.semantic_pairs [--models static,use,minilm,e5] [--pairs 2000]

STS benchmark in 11 languages (people's scores of sentence pairs; Spearman's rank correlation with the cosine) and MRPC
(English; paraphrase or not; AUC). Speed: documents a second on one thread, on the sentences themselves and on pages of
about 3 KB. E5's cosines lie close together by design: compare ranks, not values.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.training.card import table
from pipeline.training.metrics import auc
from stages.embedding.encoder import Encoder, Settings, load
from stages.embedding.models import find
from stages.text.batch import TextBatch
from tests.reference.oracle import data_path

PAGE_CHARS = 3000


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0, equal values sharing theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(ranks(first), ranks(second))[0, 1])


def sample(pairs: pa.Table, number: int) -> pa.Table:
    """At most `number` pairs of each source and language, evenly over the file."""
    groups: dict[tuple[str, str], list[int]] = {}
    for row, key in enumerate(zip(pairs["source"].to_pylist(), pairs["lang"].to_pylist(), strict=True)):
        groups.setdefault(key, []).append(row)
    picked = [own[i] for own in groups.values() for i in np.linspace(0, len(own) - 1, min(number, len(own)), dtype=int)]
    return pairs.take(sorted(picked))


def cosines(encoder: Encoder, pairs: pa.Table) -> np.ndarray:
    """Of each pair; 0 where one of the texts has no vector."""
    first, second = (
        np.nan_to_num(encoder.encode(TextBatch.from_texts(pairs[name].to_pylist())).vectors.astype(np.float64))
        for name in ("text_a", "text_b")
    )
    return (first * second).sum(axis=1)


def pages(number: int) -> list[str]:
    texts = pq.read_table(data_path("web_sample.parquet"))["main_text"].to_pylist()
    return [text[:PAGE_CHARS] for text in texts if text and len(text) >= PAGE_CHARS][:number]


def rate(encoder: Encoder, texts: list[str]) -> float:
    """Texts a second of one thread's work, the shared pass included; the best of two goes."""
    best = 0.0
    for _ in range(2):
        began = time.process_time()
        encoder.encode(TextBatch.from_texts(texts))
        best = max(best, len(texts) / (time.process_time() - began))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.semantic_pairs")
    parser.add_argument("--models", default="static,use,minilm,e5", help="comma separated (%(default)s)")
    parser.add_argument("--pairs", type=int, default=2000, help="of each source and language (%(default)s)")
    args = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    pairs = sample(pq.read_table(data_path("semantic_pairs_dev.parquet")), args.pairs)
    languages = np.array(pairs["lang"].to_pylist())
    score = np.array([np.nan if value is None else value for value in pairs["score"].to_pylist()], np.float64)
    label = np.array([np.nan if value is None else value for value in pairs["label"].to_pylist()], np.float64)
    has_score, has_label = ~np.isnan(score), ~np.isnan(label)
    names = np.unique(languages[has_score]).tolist()
    lines = []
    for model in args.models.split(","):
        encoder = load(find(model), Settings(device="cpu"))
        found = cosines(encoder, pairs)
        by_language = [
            spearman(found[rows], score[rows]) for rows in (has_score & (languages == name) for name in names)
        ]
        long = pages(1000 if model == "static" else 60)
        sentences = pairs["text_a"].to_pylist()[: 20_000 if model == "static" else 500]
        lines.append((
            model, find(model).dimension, auc(label[has_label] == 1, found[has_label]), *by_language,
            int(rate(encoder, sentences)), int(rate(encoder, long)),
        ))  # fmt: skip
        print(f"{model} done", flush=True)
    header = ("encoder", "numbers", "MRPC, AUC", *(f"STS {name}" for name in names), "sentences/s", "pages of 3 KB/s")
    print(table(header, lines))


if __name__ == "__main__":
    main()
