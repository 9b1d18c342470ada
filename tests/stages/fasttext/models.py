"""Tiny fastText models of every kind that the library trains, on generated text."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import fasttext

ALPHABETS = {
    "en": "abcdefghij",
    "de": "äöüßxyzklm",
    "ru": "абвгдежзик",
    "zh": "的一是在不了有和人这",
    "th": "กขคงจฉชซญด",
    "mix": "aбc的d😀é",
}
PREFIX = "__label__"
NUM_THREADS = 10
"""fastText 0.9.3 fills a tenth of a new matrix for each thread, up to ten; what is left over is whatever was in memory,
and training may then fail with "Encountered NaN". For the same reason dimensions are a multiple of ten."""

TRAINED: dict[str, dict[str, Any]] = {
    "softmax": {"loss": "softmax"},
    "softmax_bigrams": {"loss": "softmax", "wordNgrams": 2, "bucket": 500},
    "softmax_wide": {"loss": "softmax", "num_labels": 13, "wordNgrams": 3, "bucket": 700, "minn": 1, "maxn": 2},
    "hierarchical": {"loss": "hs"},
    "hierarchical_subwords": {"loss": "hs", "num_labels": 30, "minn": 2, "maxn": 4, "bucket": 900},
    "one_vs_all": {"loss": "ova", "minn": 3, "maxn": 5, "bucket": 600},
    "one_vs_all_trigrams": {"loss": "ova", "wordNgrams": 3, "bucket": 600},
    "negative_sampling": {"loss": "ns", "minn": 2, "maxn": 3, "bucket": 600},
    "rare_words_dropped": {"loss": "softmax", "minCount": 3, "minn": 2, "maxn": 3, "bucket": 600},
}
QUANTISED: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("softmax", {}),
    "norms_apart": ("softmax_bigrams", {"qnorm": True}),
    "output_too": ("many_labels", {"qnorm": True, "qout": True}),
    "output_too_no_norm": ("many_labels", {"qout": True}),
    "pruned": ("hierarchical_subwords", {"cutoff": 400}),
    "pruned_retrained": ("softmax_wide", {"cutoff": 300, "retrain": True, "qnorm": True}),
    "parts_of_three": ("one_vs_all", {"dsub": 3, "qnorm": True}),
    "pruned_to_words": ("negative_sampling", {"cutoff": 280, "dsub": 5}),
}


def words(rng: random.Random, label: str) -> list[str]:
    """A vocabulary of one label's alphabet."""
    return ["".join(rng.choices(ALPHABETS[label], k=rng.randint(1, 6))) for _ in range(80)]


def lines(seed: int = 0, num_lines: int = 500, labels: tuple[str, ...] = tuple(ALPHABETS)) -> list[tuple[str, str]]:
    """Labelled lines: mostly words of the label's alphabet, some of others."""
    rng = random.Random(0)
    vocabulary = {label: words(rng, label) for label in ALPHABETS}
    rng = random.Random(seed)
    out = []
    for _ in range(num_lines):
        label = rng.choices(labels, weights=range(len(labels), 0, -1))[0]
        own = rng.choices(vocabulary[label], k=rng.randint(2, 12))
        other = rng.choices(vocabulary[rng.choice(list(ALPHABETS))], k=rng.randint(0, 3))
        out.append((label, " ".join(rng.sample(own + other, len(own + other)))))
    return out


def training_file(path: Path, num_labels: int = 0) -> Path:
    """A training file; with `num_labels`, labels are numbers that go round."""
    rows = lines()
    if num_labels:
        rows = [(str(i % num_labels), text) for i, (_, text) in enumerate(rows * 2)]
    path.write_text("".join(f"{PREFIX}{label} {text}\n" for label, text in rows), encoding="utf-8")
    return path


def train(folder: Path, **options: Any) -> Any:
    """A small model of the library; threads make it another one every time."""
    data = training_file(folder / "train.txt", options.pop("num_labels", 0))
    chosen = {"dim": 10, "epoch": 8, "lr": 0.4, "thread": NUM_THREADS, "verbose": 0, "minCount": 1} | options
    return fasttext.train_supervised(str(data), **chosen)


def save(folder: Path, name: str) -> Path:
    """Train a kind by its name and save it; `quantised/NAME` for those of QUANTISED."""
    path = folder / f"{name.replace('/', '_')}.bin"
    if name.startswith("quantised/"):
        kind, options = QUANTISED[name.removeprefix("quantised/")]
        path = path.with_suffix(".ftz")
        model = train(folder, num_labels=300) if kind == "many_labels" else train(folder, **TRAINED[kind])
        model.quantize(str(folder / "train.txt"), thread=NUM_THREADS, verbose=0, epoch=2, **options)
    else:
        model = train(folder, **TRAINED[name])
    model.save_model(str(path))
    return path


KINDS = [*TRAINED, *(f"quantised/{name}" for name in QUANTISED)]


def library_says(model: Any, text: str, k: int) -> list[tuple[str, float]]:
    """What `fasttext.predict` gives for a text: newlines as spaces, the end of the line appended.

    The method of the library's Python wrapper fails with numpy 2; this is what it calls.
    """
    found = model.f.predict(text.replace("\n", " ") + "\n", k, 0.0, "strict")
    return [(label.removeprefix(PREFIX), score) for score, label in found]
