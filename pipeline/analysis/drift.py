"""How far a signal of one run is distributed otherwise than in another one, for all documents and by language.

Two distances, because each is blind where the other sees. Kolmogorov and Smirnov's: the largest gap between the two
distribution functions, in [0, 1], whatever the scale. The population stability index (Siddiqi 2006, Credit Risk
Scorecards, section 6): the sum of (p - q) ln(p / q) over bins that hold equal shares of the first run, which weighs
tails more. By its usual reading below 0.1 nothing moved, from 0.25 on much did. Labels have the second one alone.

Chance moves both. The gap is held against what two samples of one distribution exceed once in 20 times; so is the index
of labels, which then is near to (1/n + 1/m) times a chi-square with one degree less than there are labels (Yurdakul and
Naranjo 2020, Journal of Risk Model Validation 14). Half a document in every cell keeps rare labels below that.

Documents without the signal (null: dropped before its stage, or the stage could not tell) are counted apart: a signal
describes those that reached its stage, so an earlier bound that moved shows in the signals of all later stages.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.analysis.columns import Numbers, counted, numbers
from pipeline.config import LANGUAGE

MIN_DOCUMENTS = 50
"""A language with fewer documents in either run is not compared by itself."""
NUM_BINS = 10
NAMES = (".duplicate_of", ".duplicate_in", ".cluster", ".item", ".items", ".host", ".domain")
"""Endings of signals that name something: no two runs need have one name in common."""
MODERATE, LARGE = 0.1, 0.25
"""Usual readings of the population stability index."""


@dataclass(frozen=True)
class Drift:
    """A signal in two runs.

    Attributes:
        language: of the documents; None for all of them.
        documents_a, documents_b: sampled ones that have the signal.
        unmeasured_a, unmeasured_b: share of the sampled that have not.
        median_a, median_b: None for labels.
        ks: largest gap of the two distribution functions; None for labels.
        noise: what two samples of this size of one distribution exceed once in 20 times: a gap, or for labels an index.
        psi: population stability index.
    """

    signal: str
    language: str | None
    documents_a: int
    documents_b: int
    unmeasured_a: float
    unmeasured_b: float
    median_a: float | None
    median_b: float | None
    ks: float | None
    noise: float
    psi: float

    @property
    def level(self) -> str:
        """`large`, `moderate` or `none`; what may be chance is none."""
        if self.psi < MODERATE or (self.psi if self.ks is None else self.ks) <= self.noise:
            return "none"
        return "large" if self.psi >= LARGE else "moderate"


def ks_distance(a: Numbers, b: Numbers) -> float:
    """Largest gap between the distribution functions of two samples, neither empty; ties are counted as one step."""
    a, b = np.sort(a), np.sort(b)
    steps = np.concatenate([a, b])
    below_a = np.searchsorted(a, steps, side="right") / len(a)
    below_b = np.searchsorted(b, steps, side="right") / len(b)
    return float(np.abs(below_a - below_b).max())


def ks_noise(num_a: int, num_b: int) -> float:
    """The gap that chance alone exceeds once in 20 times, for large samples (Smirnov 1948)."""
    return 1.358 * float(np.sqrt((num_a + num_b) / (num_a * num_b)))


def stability_noise(num_labels: int, num_a: int, num_b: int) -> float:
    """The stability index that chance alone exceeds once in 20 times; chi-square's quantile by Wilson and Hilferty
    (1931, PNAS 17)."""
    if num_labels < 2:
        return 0.0
    spread = 2 / (9 * (num_labels - 1))
    quantile = (num_labels - 1) * (1 - spread + 1.644854 * float(np.sqrt(spread))) ** 3
    return quantile * (1 / num_a + 1 / num_b)


def stability_index(counts_a: npt.NDArray[np.int64], counts_b: npt.NDArray[np.int64]) -> float:
    """Population stability index of two histograms over the same bins; half a document is added to every bin, so that
    an empty one does not make it infinite."""
    p = (counts_a + 0.5) / (counts_a.sum() + 0.5 * len(counts_a))
    q = (counts_b + 0.5) / (counts_b.sum() + 0.5 * len(counts_b))
    return float(((p - q) * np.log(p / q)).sum())


def histogram(values: Numbers, edges: Numbers) -> npt.NDArray[np.int64]:
    """Values in each of the `len(edges) + 1` bins; a value that equals an edge lies in the bin below it."""
    return np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)


def quantile_edges(values: Numbers, num_bins: int = NUM_BINS) -> Numbers:
    """Edges of bins with equal shares of the values; fewer where values come again and again."""
    quantiles = np.quantile(values, np.arange(1, num_bins) / num_bins, method="inverted_cdf")
    return np.unique(quantiles)


def common_signals(a: pa.Schema, b: pa.Schema) -> list[str]:
    """Signals of both tables that can be compared: numbers, labels, flags, of like type, in the order of the first."""
    known = {field.name: field.type for field in b}
    return [
        field.name
        for field in a
        if "." in field.name and field.name in known and _kind(field.type) == _kind(known[field.name]) != "other"
    ]


def _kind(type_: pa.DataType) -> str:
    if pa.types.is_integer(type_) or pa.types.is_floating(type_):
        return "number"
    return "label" if pa.types.is_string(type_) or pa.types.is_boolean(type_) else "other"


def drift(a: pa.Table, b: pa.Table, min_documents: int = MIN_DOCUMENTS) -> list[Drift]:
    """Every signal that two samples have in common, over all documents and by language, the most drifted first.

    A signal that one of the two has of fewer than `min_documents` is left out.
    """
    found = []
    groups = list(_groups(a, b, min_documents))
    for signal in common_signals(a.schema, b.schema):
        if signal.endswith(NAMES):
            continue
        for language, of_a, of_b in groups:
            pair = _compare(signal, language, of_a[signal], of_b[signal], min_documents)
            if pair is not None:
                found.append(pair)
    return sorted(found, key=lambda one: (-one.psi, one.signal, one.language or ""))


def _groups(a: pa.Table, b: pa.Table, least: int) -> Iterator[tuple[str | None, pa.Table, pa.Table]]:
    yield None, a, b
    if LANGUAGE not in a.column_names or LANGUAGE not in b.column_names:
        return
    in_a, in_b = counted(a[LANGUAGE]), counted(b[LANGUAGE])
    for label in sorted(label for label, size in in_a.items() if min(size, in_b.get(label, 0)) >= least):
        yield label, a.filter(pc.equal(a[LANGUAGE], label)), b.filter(pc.equal(b[LANGUAGE], label))


def _compare(signal: str, language: str | None, a: pa.ChunkedArray, b: pa.ChunkedArray, least: int) -> Drift | None:
    is_number = _kind(a.type) == "number"
    x, y = (numbers(column) if is_number else column.drop_null() for column in (a, b))
    num_a, num_b = len(x), len(y)
    if min(num_a, num_b) < max(least, 1):
        return None
    told: dict[str, Any]
    if is_number:
        edges = quantile_edges(x)
        told = {
            "median_a": float(np.median(x)),
            "median_b": float(np.median(y)),
            "ks": ks_distance(x, y),
            "noise": ks_noise(num_a, num_b),
            "psi": stability_index(histogram(x, edges), histogram(y, edges)),
        }
    else:
        in_a, in_b = counted(x), counted(y)
        labels = sorted(in_a.keys() | in_b.keys())
        x_counts, y_counts = (np.array([counts.get(label, 0) for label in labels]) for counts in (in_a, in_b))
        noise = stability_noise(len(labels), num_a, num_b)
        told = {
            "median_a": None,
            "median_b": None,
            "ks": None,
            "noise": noise,
            "psi": stability_index(x_counts, y_counts),
        }
    return Drift(
        signal,
        language,
        num_a,
        num_b,
        unmeasured_a=1 - num_a / len(a),
        unmeasured_b=1 - num_b / len(b),
        **told,
    )
