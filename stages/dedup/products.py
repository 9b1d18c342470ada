"""Products of blocks of vectors, on the CPU by numpy or on a GPU by torch: they find candidates, and decide nothing.

Both give what may be near; the exact similarity of float16 vectors is computed afterwards and is the same for both
(`kernels_semantic`). `slack` says how far a product may be off.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from stages.dedup.vectors import Halves, Int64s, Singles
from stages.errors import ConfigError, MissingPartError

Device = Literal["auto", "cpu", "cuda"]


class Near(NamedTuple):
    """Places of a tile, row by row, and the products there."""

    rows: npt.NDArray[np.int32]
    columns: npt.NDArray[np.int32]
    values: Singles


class Products(Protocol):
    """Where blocks of vectors are multiplied."""

    slack: float
    """How far a product may be off."""
    tile: int
    """Rows of the blocks that are multiplied at a time."""

    def block(self, vectors: Halves) -> Any:
        """Vectors of unit length, up to rounding, where and as they are multiplied."""

    def near(self, a: Any, b: Any, floor: float, diagonal: bool) -> Near:
        """Where the products of two blocks may be at least `floor`; below the diagonal only, if a block is multiplied
        with itself."""

    def largest(self, a: Any, b: Any, count: int) -> Int64s:
        """For every row of `a` the rows of `b` with the largest products, `int64[n, count]`; -1 for none."""


class NumpyProducts:
    """On the CPU, in float32: a tile of products is 4 MiB, which is when numpy multiplies fastest."""

    slack = 2e-5
    tile = 1024

    def __init__(self) -> None:
        places = self.tile * self.tile
        self._tile = np.empty(places, np.float32)
        self._near = Near(np.empty(places, np.int32), np.empty(places, np.int32), np.empty(places, np.float32))

    def block(self, vectors: Halves) -> Singles:
        from stages.dedup import kernels_semantic as kernels

        out, squared = vectors.astype(np.float32), np.empty(len(vectors))
        kernels.squared_norms(out, squared)
        out /= np.sqrt(squared)[:, None].astype(np.float32)
        return out

    def near(self, a: Singles, b: Singles, floor: float, diagonal: bool) -> Near:
        from stages.dedup import kernels_semantic as kernels

        tile = self._tile[: len(a) * len(b)].reshape(len(a), len(b))
        np.matmul(a, b.T, out=tile)
        rows, columns, values = self._near
        least = np.float32(floor - self.slack)
        among = np.flatnonzero(tile.max(axis=1) >= least)  # numpy finds the largest ten times as fast as a loop
        count = kernels.find_above(tile, among, least, diagonal, rows, columns, values)
        return Near(rows[:count], columns[:count], values[:count])

    def largest(self, a: Singles, b: Singles, count: int) -> Int64s:
        from stages.dedup import kernels_semantic as kernels

        out = np.empty((len(a), count), np.int64)
        for start in range(0, len(a), self.tile):
            kernels.find_largest(a[start : start + self.tile] @ b.T, out[start : start + self.tile])
        return out


class TorchProducts:
    """With torch. On a GPU pairs are looked for in float16, summed up in float32, and the vectors as they are stored,
    since they are exact so; what is nearest is found in float32, whose products have to be told apart."""

    def __init__(self, device: str) -> None:
        import torch

        self._torch, self._device, self._on_gpu = torch, device, device != "cpu"
        self.slack = 2e-3 if self._on_gpu else 2e-5
        self.tile = 4096 if self._on_gpu else 1024

    def block(self, vectors: Halves) -> Any:
        found = self._torch.from_numpy(np.array(vectors)).to(self._device)
        return found if self._on_gpu else self._unit(found)

    def _unit(self, vectors: Any) -> Any:
        vectors = vectors.float()
        return vectors / vectors.norm(dim=1, keepdim=True)

    def near(self, a: Any, b: Any, floor: float, diagonal: bool) -> Near:
        products = a @ b.T
        if diagonal:
            products = products.masked_fill(self._torch.ones_like(products).triu() > 0, -2)
        rows, columns = (products >= floor - self.slack).nonzero(as_tuple=True)
        values = products[rows, columns].float().cpu().numpy()
        return Near(rows.int().cpu().numpy(), columns.int().cpu().numpy(), values)

    def largest(self, a: Any, b: Any, count: int) -> Int64s:
        out = np.full((len(a), count), -1, np.int64)
        width, others = min(count, len(b)), self._unit(b).T
        for start in range(0, len(a), self.tile):
            found = (self._unit(a[start : start + self.tile]) @ others).topk(width, dim=1).indices
            out[start : start + self.tile, :width] = found.cpu().numpy()
        return out


def products_on(device: Device) -> Products:
    """Where to multiply: `auto` takes a GPU if torch finds one, else the CPU.

    Raises MissingPartError without torch, ConfigError without a GPU, where `cuda` was asked for.
    """
    if device == "cpu":
        return NumpyProducts()
    try:
        import torch

        found = torch.cuda.is_available()
    except ImportError as error:
        if device == "cuda":
            raise MissingPartError("device: cuda needs torch: pip install 'tamis[embedding]'") from error
        found = False
    if found:
        return TorchProducts("cuda")
    if device == "cuda":
        raise ConfigError("device: cuda, but torch finds no GPU; write device: auto or cpu")
    return NumpyProducts()
