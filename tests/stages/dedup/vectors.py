"""Made-up vectors: groups that resemble each other more and less."""

import numpy as np

from stages.dedup.products import Near, NumpyProducts
from stages.dedup.vectors import Halves


def unit(vectors: np.ndarray) -> Halves:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def groups(seed: int, num: int, num_groups: int, width: int = 32, spread: float = 0.5) -> Halves:
    """Vectors around some centres, at all distances up to `spread`."""
    rng = np.random.default_rng(seed)
    centres = unit(rng.standard_normal((num_groups, width))).astype(np.float64)
    noise = rng.standard_normal((num, width)) * rng.random((num, 1)) * spread / np.sqrt(width)
    return unit(centres[rng.integers(0, num_groups, num)] + noise)


class Noisy(NumpyProducts):
    """Multiplies as badly as it says it may, in tiles of another size: what is decided must not change."""

    slack = 1e-4
    tile = 33

    def near(self, a, b, floor, diagonal):
        rng = np.random.default_rng(len(a) * 1000 + len(b))
        products = a @ b.T + rng.uniform(-self.slack, self.slack, (len(a), len(b))).astype(np.float32)
        found = products >= floor - self.slack
        if diagonal:
            found &= np.tri(*found.shape, -1, dtype=np.bool_)
        rows, columns = np.nonzero(found)
        return Near(rows.astype(np.int32), columns.astype(np.int32), products[rows, columns])

    def largest(self, a, b, count):
        rng = np.random.default_rng(len(a))
        products = a @ b.T + rng.uniform(-1e-6, 1e-6, (len(a), len(b)))
        order = np.argsort(-products, axis=1)[:, :count]
        return np.pad(order, [(0, 0), (0, count - order.shape[1])], constant_values=-1)
