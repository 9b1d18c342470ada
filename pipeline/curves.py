"""What a setting of `minhash` finds: the probability that two documents of a similarity are taken for duplicates."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stages.dedup.bands import PRESETS, Bands, choose_bands, s_curve
from stages.errors import ConfigError

VERIFIED_JACCARD = 0.75
"""Share of equal slots that the preset `verified` asks for."""
SIMILARITIES = tuple(round(0.05 * step, 2) for step in range(6, 21))


class Setting(NamedTuple):
    """Bands and rows, and perhaps a check of the documents that meet in a band.

    With a check, the share of equal slots among all `num_perm` must be at least `verified_jaccard` as well.
    """

    name: str
    num_bands: int
    num_rows: int
    num_perm: int
    verified_jaccard: float | None = None


def settings(
    num_bands: int | None = None, num_rows: int | None = None, threshold: float | None = None
) -> list[Setting]:
    """The setting that is asked for, or all presets. Raises ConfigError when more than one is asked for, or half of
    one."""
    if (num_bands is None) != (num_rows is None):
        raise ConfigError("bands and rows go together: tamis bands --bands 14 --rows 8")
    if num_bands is not None and num_rows is not None:
        if threshold is not None:
            raise ConfigError("a threshold chooses bands and rows: give it, or them")
        return [Setting(f"{num_bands} x {num_rows}", num_bands, num_rows, num_bands * num_rows)]
    if threshold is not None:
        found = choose_bands(threshold)
        return [Setting(f"threshold {threshold:g}", *found, found.num_bands * found.num_rows)]
    return [
        Setting(name, *bands, bands.num_bands * bands.num_rows, VERIFIED_JACCARD if name == "verified" else None)
        for name, bands in (PRESETS | {"verified": Bands(32, 8)}).items()
    ]


def probability(setting: Setting, jaccard: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """That two documents of a similarity (or of each of several) are found.

    The check counts as if independent of the bands: 1 - (1 - s^r)^b times P(Bin(num_perm, s) >= wanted). A pair that
    shares a band is a little likelier to pass, so this is a lower bound.
    """
    similarity = np.asarray(jaccard, np.float64)
    found = s_curve(setting.num_bands, setting.num_rows, similarity)
    if setting.verified_jaccard is None:
        return found
    wanted = math.ceil(setting.verified_jaccard * setting.num_perm)
    return found * np.array([_upper_tail(setting.num_perm, float(s), wanted) for s in similarity.flat]).reshape(
        similarity.shape
    )


def _upper_tail(num_trials: int, chance: float, wanted: int) -> float:
    """P(Bin(num_trials, chance) >= wanted)."""
    terms = (
        math.comb(num_trials, k) * chance**k * (1 - chance) ** (num_trials - k) for k in range(wanted, num_trials + 1)
    )
    return min(1.0, math.fsum(terms))


def describe(setting: Setting) -> dict[str, Any]:
    """A setting with what it finds: at each of `SIMILARITIES`, as a curve (51 points from 0 to 1), and the similarity
    at which it finds half."""
    fine = np.linspace(0, 1, 1001)
    curve = probability(setting, fine)
    found = {f"{s:.2f}": float(p) for s, p in zip(SIMILARITIES, probability(setting, SIMILARITIES), strict=True)}
    return setting._asdict() | {
        "half_found_at": round(float(fine[np.searchsorted(curve, 0.5)]), 3),
        "probability": found,
        "curve": [round(float(p), 4) for p in curve[::20]],
    }
