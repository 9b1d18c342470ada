"""Tokens a second of our encoder against plain `SentenceTransformer.encode(batch_size=32)`, on real pages.

    TAMIS_DATA=folder python -m benchmarks.embedding [--model minilm] [--documents 48] [--rounds 2]
    TAMIS_DATA=folder python -m benchmarks.embedding --device cuda --documents 1800 --peak-tflops 989

Both take the first window of each document (the library cuts off the rest), so that both do the same work; in turns, in
one process, on one thread, in seconds of the processor (on a GPU, of the clock). Vectors are compared. Then ours with
all windows, as the stage does by default. Padding is counted for the batches of a GPU, whatever the device is. On a GPU
`--peak-tflops` (of the precision that is used) gives the share of it that went into the model's products (MFU).
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pipeline.training.card import table
from stages.embedding.batches import cut_windows, plan_batches
from stages.embedding.encoder import Settings, load
from stages.embedding.models import find
from stages.embedding.transformer import TransformerEncoder
from stages.text.batch import TextBatch
from tests.reference.oracle import data_path

LIBRARY_BATCH = 32


def documents(number: int) -> list[str]:
    """Main texts of real pages, evenly over the file: as long as they come."""
    texts = [text for text in pq.read_table(data_path("web_sample.parquet"))["main_text"].to_pylist() if text]
    return [texts[i] for i in np.linspace(0, len(texts) - 1, min(number, len(texts)), dtype=int)]


def padding(encoder: TransformerEncoder, lengths: np.ndarray, budget: int) -> tuple[float, float]:
    """Share of padding in our batches of all windows, and in the library's of first windows, sorted by length."""
    special = len(encoder.before) + len(encoder.after)
    windows = cut_windows(lengths, encoder.capacity, "mean").num_tokens + special
    batches = plan_batches(windows, budget, encoder.capacity + special)
    ours = sum(len(batch.windows) * batch.length for batch in batches)
    first = np.sort(np.minimum(lengths, encoder.capacity) + special)[::-1]
    groups = [first[i : i + LIBRARY_BATCH] for i in range(0, len(first), LIBRARY_BATCH)]
    theirs = sum(len(group) * int(group.max()) for group in groups)
    return 1 - windows.sum() / ours, 1 - first.sum() / theirs


def flops(network: Any, windows: np.ndarray) -> float:
    """Of the products of a forward pass: two a weight and token, and attention's."""
    config = network[0].auto_model.config
    embedded = network[0].auto_model.get_input_embeddings().weight.numel()
    weights = sum(parameter.numel() for parameter in network.parameters()) - embedded
    attention = 4 * config.num_hidden_layers * config.hidden_size * (windows.astype(np.float64) ** 2).sum()
    return 2.0 * weights * float(windows.sum()) + float(attention)


def timed(function: Any, device: str) -> tuple[float, Any]:
    """Seconds that a function took, and its result; of one thread's work other programs take no part."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    began = clock()
    result = function()
    return clock() - began, result


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.embedding")
    parser.add_argument("--model", default="minilm", help="a transformer (%(default)s)")
    parser.add_argument("--documents", type=int, default=48, help="pages (%(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="goes of each, in turns (%(default)s)")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="(%(default)s)")
    parser.add_argument("--peak-tflops", type=float, help="of the GPU, for its MFU")
    args = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if args.device == "cuda" else "false"
    from sentence_transformers import SentenceTransformer

    model = find(args.model)
    ours = {pooling: load(model, Settings(pooling=pooling, device=args.device)) for pooling in ("first", "mean")}
    first, every = ours["first"], ours["mean"]
    assert isinstance(first, TransformerEncoder)
    library = SentenceTransformer(str(model.folder), device=args.device, local_files_only=True)
    texts = documents(args.documents)
    batch = TextBatch.from_texts(texts)
    lengths = first.encode(batch).tokens.astype(np.int64)
    special = len(first.before) + len(first.after)
    seen = int((np.minimum(lengths, first.capacity) + special).sum())
    goes: dict[str, list[float]] = {"library": [], "first window": [], "all windows": []}
    for _ in range(args.rounds):
        seconds, theirs = timed(
            lambda: library.encode(texts, batch_size=LIBRARY_BATCH, normalize_embeddings=True), args.device
        )
        goes["library"].append(seconds)
        seconds, encoded = timed(lambda: first.encode(TextBatch.from_texts(texts)), args.device)
        goes["first window"].append(seconds)
        goes["all windows"].append(timed(lambda: every.encode(TextBatch.from_texts(texts)), args.device)[0])
    best = {name: min(seconds) for name, seconds in goes.items()}
    windows = cut_windows(lengths, first.capacity, "mean").num_tokens + special
    tokens = {"library": seen, "first window": seen, "all windows": int(windows.sum())}
    rates = {name: tokens[name] / best[name] for name in best}
    print(f"{len(texts)} pages, {int(lengths.sum()):,} tokens; {args.model} on {args.device}; best of {args.rounds}\n")
    print(table(("", "tokens", "s", "documents/s", "tokens/s", "of the library's"), (
        (name, tokens[name], best[name], len(texts) / best[name], int(rates[name]), rates[name] / rates["library"])
        for name in best
    )))  # fmt: skip
    print(f"\nlargest difference of a number: {np.abs(encoded.vectors.astype(np.float32) - theirs).max():.1e}")
    corpus = first._tokenizer(documents(10**6))
    own, sorted_32 = padding(first, np.array([len(ids) for ids in corpus], np.int64), Settings().token_budget)
    print(f"padding, {len(corpus):,} pages: ours {own:.1%} (all windows), sorted batches of 32 {sorted_32:.1%}")
    if args.peak_tflops:
        share = flops(library, windows) / best["all windows"] / (args.peak_tflops * 1e12)
        print(f"MFU with all windows: {share:.1%} of {args.peak_tflops} TFLOP/s")


if __name__ == "__main__":
    main()
