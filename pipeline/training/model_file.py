"""A trained classifier as a fastText file (`.ftz`), which `stages.fasttext` and the fastText library read.

The input matrix is product-quantised (Joulin et al. 2016, arXiv 1612.03651) with a single part of width 1: one byte a
row that names one of 256 values. Rows that were never trained are 0, and so is one of the values.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.training.features import Features

MAGIC, VERSION, SOFTMAX, SUPERVISED = 793712314, 12, 3, 3
NUM_CENTROIDS = 256
NOT_PRUNED = -1
POSITIVE, NEGATIVE = "__label__1", "__label__0"


def quantise(values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """One of 256 values for each row: codes, and the values in rising order. Value 0 stays exactly 0.

    The values are even on the scale of asinh(value / median): fine where most rows are, and off by a few per cent at
    most in the tails, where the rows are that decide.
    """
    sizes = np.abs(values[values != 0])
    unit = float(np.median(sizes)) if len(sizes) else 1.0
    scaled = np.arcsinh(values / unit)
    below = np.linspace(min(scaled.min(initial=0), -1e-6), 0, NUM_CENTROIDS // 2 + 1)[:-1]
    above = np.linspace(0, max(scaled.max(initial=0), 1e-6), NUM_CENTROIDS // 2)
    levels = np.concatenate([below, above])
    codes = np.searchsorted((levels[1:] + levels[:-1]) / 2, scaled)
    return codes.astype(np.uint8), (np.sinh(levels) * unit).astype(np.float32)


def write_model(path: Path, features: Features, values: npt.NDArray[np.float64], num_labels: tuple[int, int]) -> int:
    """Write the file; returns its size in bytes. `num_labels` are the rows of each class, negative first."""
    shape = features.shape
    codes, centroids = quantise(values)
    # The labels go by their counts in the file, the more frequent first.
    labels = sorted(zip((NEGATIVE, POSITIVE), num_labels, (-0.5, 0.5), strict=True), key=lambda item: -item[1])
    words = [(word, 1, 0) for word in features.words] + [(label, count, 1) for label, count, _ in labels]
    parts = [
        struct.pack("<ii", MAGIC, VERSION),
        struct.pack("<12id", 1, 5, 1, shape.min_count, 5, shape.word_ngrams, SOFTMAX, SUPERVISED, shape.num_buckets,
                    shape.minn, shape.maxn, 100, 1e-4),
        struct.pack("<iiiqq", len(words), len(features.words), len(labels), sum(num_labels), NOT_PRUNED),
        *(word.encode() + b"\0" + struct.pack("<qb", count, kind) for word, count, kind in words),
        struct.pack("<?", True),  # the input matrix is quantised
        struct.pack("<?qqi", False, len(codes), 1, len(codes)), codes.tobytes(),
        struct.pack("<4i", 1, 1, 2, 1), centroids.tobytes(),
        struct.pack("<?qq", False, len(labels), 1), np.array([sign for *_, sign in labels], np.float32).tobytes(),
    ]  # fmt: skip
    path.write_bytes(b"".join(parts))
    return path.stat().st_size
