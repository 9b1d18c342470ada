"""Slow, obvious twins of semantic deduplication: cosines of whole numbers, all pairs, greedy keep one at a time."""

from __future__ import annotations

import math

import numpy as np

Vector = list[float]


def dot(a: Vector, b: Vector) -> float:
    """In whole numbers, which know no rounding: every float16 is a multiple of 2^-24."""
    total = (np.array(a) * 2**24).astype(np.int64) @ (np.array(b) * 2**24).astype(np.int64)
    assert abs(total) < 2**53
    return float(total) / 2**48


def cosine(a: Vector, b: Vector) -> np.float32:
    """Rounded to double precision where its definition is, then to single."""
    return np.float32(min(1.0, dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))))


def nearest(vector: Vector, centroids: list[Vector], count: int) -> list[int]:
    """The nearest centroids, the first among equals; -1 where there are no more."""
    length = dot(vector, vector)
    values = [dot(vector, other) / math.sqrt(length * dot(other, other)) for other in centroids]
    order = sorted(range(len(centroids)), key=lambda i: (-values[i], i))
    return [*order, *[-1] * count][:count]


def pairs(vectors: list[Vector], least: float) -> dict[tuple[int, int], np.float32]:
    """(later, earlier) of every two vectors at least as similar as `least`."""
    found = {(j, i): cosine(vectors[j], vectors[i]) for j in range(len(vectors)) for i in range(j)}
    return {pair: value for pair, value in found.items() if value >= np.float32(least)}


def kept(num: int, near: dict[tuple[int, int], np.float32], bound: float) -> list[bool]:
    """A document is kept iff no kept one before it is near."""
    stays: list[bool] = []
    for j in range(num):
        stays.append(not any(stays[i] and near.get((j, i), -1) >= np.float32(bound) for i in range(j)))
    return stays
