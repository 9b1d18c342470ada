"""How far a signal of one run is distributed otherwise than in another one, for all documents and by language.

Two distances, because each is blind where the other sees. Kolmogorov and Smirnov's: the largest gap between the two
distribution functions, in [0, 1], whatever the scale. The population stability index (Siddiqi 2006, Credit Risk
Scorecards, section 6): the sum of (p - q) ln(p / q) over bins that hold equal shares of the first run, which weighs
tails more. By its usual reading below 0.1 nothing moved, from 0.25 on much did. Labels have the second one alone.

Documents without the signal (null: dropped before its stage, or the stage could not tell) are counted apart: a signal
describes those that reached its stage, so an earlier bound that moved shows in the signals of all later stages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config import LANGUAGE

if TYPE_CHECKING:
    import pyarrow.dataset as ds

Numbers = npt.NDArray[np.float64]

MAX_ROWS = 200_000
"""Documents of a run that distributions are taken from, about; KS is then off by 0.003 or so."""
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
        noise: a gap that two samples of this size of one distribution exceed once in 20 times.
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
        """`large`, `moderate` or `none`; a gap that may be chance is none."""
        if self.psi < MODERATE or (self.ks is not None and self.ks <= self.noise):
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


def read_sample(dataset: ds.Dataset, columns: Sequence[str], max_rows: int = MAX_ROWS) -> pa.Table:
    """Some columns of a sample of the rows, chosen by the hash of their `address`: two runs on one input give the same
    documents. All rows of a smaller run."""
    total = dataset.count_rows()
    limit = np.uint64(min(max_rows / max(total, 1), 1) * (2**64 - 2**11))
    taken = list(dict.fromkeys(["address", *columns]))
    schema = pa.schema([dataset.schema.field(name) for name in taken])
    parts = [schema.empty_table()]
    for batch in dataset.to_batches(columns=taken):
        part = pa.Table.from_batches([batch])
        chosen = part if total <= max_rows else part.filter(_mixed(part["address"].to_numpy()) <= limit)
        parts.append(chosen)
    return pa.concat_tables(parts).combine_chunks()


def _mixed(addresses: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Splitmix64's finish: near addresses far apart."""
    x = addresses.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


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
    in_a, in_b = _sizes(a[LANGUAGE]), _sizes(b[LANGUAGE])
    for label in sorted(label for label, size in in_a.items() if min(size, in_b.get(label, 0)) >= least):
        yield label, a.filter(pc.equal(a[LANGUAGE], label)), b.filter(pc.equal(b[LANGUAGE], label))


def _sizes(labels: pa.ChunkedArray) -> dict[str, int]:
    counted = pc.value_counts(labels.drop_null())
    return {item["values"]: item["counts"] for item in counted.to_pylist()}


def _compare(signal: str, language: str | None, a: pa.ChunkedArray, b: pa.ChunkedArray, least: int) -> Drift | None:
    values_a, values_b = a.drop_null(), b.drop_null()
    num_a, num_b = len(values_a), len(values_b)
    if min(num_a, num_b) < max(least, 1):
        return None
    counted: dict[str, Any]
    if _kind(a.type) == "number":
        x, y = (values.to_numpy().astype(np.float64) for values in (values_a, values_b))
        edges = quantile_edges(x)
        counted = {
            "median_a": float(np.median(x)),
            "median_b": float(np.median(y)),
            "ks": ks_distance(x, y),
            "psi": stability_index(histogram(x, edges), histogram(y, edges)),
        }
    else:
        in_a, in_b = _sizes(values_a), _sizes(values_b)
        labels = sorted(in_a.keys() | in_b.keys())
        x_counts, y_counts = (np.array([counts.get(label, 0) for label in labels]) for counts in (in_a, in_b))
        counted = {"median_a": None, "median_b": None, "ks": None, "psi": stability_index(x_counts, y_counts)}
    return Drift(
        signal,
        language,
        num_a,
        num_b,
        unmeasured_a=1 - num_a / len(a),
        unmeasured_b=1 - num_b / len(b),
        noise=ks_noise(num_a, num_b),
        **counted,
    )
