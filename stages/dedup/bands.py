"""Bands of a signature: two documents are candidates if all rows of a band agree in at least one band.

The probability that documents of Jaccard similarity s become candidates is 1 - (1 - s^rows)^bands (Leskovec, Rajaraman,
Ullman, Mining of Massive Datasets, section 3.4.2): an S-curve, steepest near (1 / bands)^(1 / rows).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stages.dedup.minhash import Signatures
from stages.errors import ConfigError, MissingPartError

NO_KEY = 0
"""Key of every band of a document without words: `link_equal` links it to nothing. No other key is 0."""


class Bands(NamedTuple):
    """A setting: so many bands, of so many rows (slots) each."""

    num_bands: int
    num_rows: int


PRESETS = {
    "fineweb": Bands(14, 8),
    "strict": Bands(20, 13),
    "verified": Bands(32, 8),
}
"""Settings of the field.

- `fineweb`: 112 slots, as in FineWeb (Penedo et al. 2024, arXiv 2406.17557); finds 56 % at 0.7, 92 % at 0.8.
- `strict`: 260 slots, as in NeMo Curator; finds 18 % at 0.7, 68 % at 0.8.
- `verified`: 256 slots; finds 85 % at 0.7, 99.7 % at 0.8, of which those are taken whose estimate is `VERIFIED`.
"""
VERIFIED = 0.75


def band_keys(signatures: Signatures, num_bands: int, num_rows: int) -> npt.NDArray[np.uint64]:
    """A 64-bit key for every band of every document, `uint64[n, num_bands]`; equal keys, equal rows.

    Band b is made of the slots from `b * num_rows` on; further slots are not used. Keys of different bands are hashed
    differently, so all may go into one table. Among 10^9 documents a band has 0.03 accidental pairs.

    Raises ConfigError if the signatures are too short.
    """
    from stages.dedup import kernels_minhash

    _check(num_bands, num_rows)
    if num_bands * num_rows > signatures.shape[1]:
        raise ConfigError(
            f"{num_bands} bands of {num_rows} rows need {num_bands * num_rows} slots, signatures have "
            f"{signatures.shape[1]}: take fewer bands or rows"
        )
    out = np.empty((len(signatures), num_bands), np.uint64)
    kernels_minhash.hash_bands(np.ascontiguousarray(signatures), num_rows, out)
    return out


def s_curve(num_bands: int, num_rows: int, jaccard: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Probability that documents of a similarity (or of each of several) become candidates."""
    _check(num_bands, num_rows)
    return np.asarray(1 - (1 - np.asarray(jaccard, np.float64) ** num_rows) ** num_bands)


def choose_bands(threshold: float, num_perm: int = 256, false_positive_weight: float = 0.5) -> Bands:
    """Bands and rows for a target similarity, as datasketch's `MinHashLSH` chooses them.

    Of all settings with at most `num_perm` slots, the one with the least `w * FP + (1 - w) * FN`: FP is the area under
    the S-curve below the threshold, FN the area over it above, with similarities taken as uniform. Crawls are nothing
    like uniform (nearly all pairs are far below any threshold), so look at `s_curve` of what comes out.

    Args:
        threshold: Jaccard similarity in [0, 1].
        false_positive_weight: w, in [0, 1].

    Raises ConfigError for numbers outside their range, MissingPartError without datasketch.
    """
    for name, value in (("threshold", threshold), ("false_positive_weight", false_positive_weight)):
        if not 0 <= value <= 1:
            raise ConfigError(f"{name} is {value}: must lie in [0, 1]")
    if num_perm < 1:
        raise ConfigError(f"num_perm is {num_perm}: must be at least 1")
    try:
        from datasketch.lsh import _optimal_param
    except ImportError as error:
        raise MissingPartError("choosing bands for a threshold needs datasketch: pip install 'tamis[dedup]'") from error
    return Bands(*_optimal_param(threshold, num_perm, false_positive_weight, 1 - false_positive_weight))


def _check(num_bands: int, num_rows: int) -> None:
    for name, value in (("num_bands", num_bands), ("num_rows", num_rows)):
        if value < 1:
            raise ConfigError(f"{name} is {value}: must be at least 1")
