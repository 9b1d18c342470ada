"""Columns of a run's signals: a sample of the documents, and how often each label comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import pyarrow.dataset as ds

Numbers = npt.NDArray[np.float64]

MAX_ROWS = 200_000
"""Documents of a run that distributions are taken from, about; KS is then off by 0.003 or so."""


def counted(labels: pa.ChunkedArray) -> dict[str, int]:
    """How often each label comes, the most frequent first."""
    found = pc.value_counts(labels.drop_null()).to_pylist()
    return {row["values"]: row["counts"] for row in sorted(found, key=lambda row: (-row["counts"], row["values"]))}


def count_labels(dataset: ds.Dataset, column: str) -> dict[str, int]:
    """The same of a column that need not fit into memory."""
    found: Counter[str] = Counter()
    for batch in dataset.to_batches(columns=[column]):
        found.update(counted(pa.chunked_array([batch[column]])))
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def numbers(column: pa.ChunkedArray) -> Numbers:
    """The numbers of a column; null and NaN both say that nothing could be told."""
    values: Numbers = column.drop_null().to_numpy().astype(np.float64)
    return values[~np.isnan(values)]


def finite(values: Numbers) -> Numbers:
    """Those that a picture has a place for."""
    return values[np.isfinite(values)]


def read_sample(dataset: ds.Dataset, columns: Sequence[str], max_rows: int = MAX_ROWS) -> pa.Table:
    """Some columns of a sample of the rows, chosen by the hash of their `address`: two runs on one input give the same
    documents. All rows of a smaller run."""
    rate = max_rows / max(dataset.count_rows(), 1)
    return _read(dataset, columns, lambda part: np.full(part.num_rows, rate))


def read_samples(dataset: ds.Dataset, columns: Sequence[str], label: str, rates: Mapping[str, float]) -> pa.Table:
    """The same with a rate for each label of a column; rows with another label, or none, are left out."""
    labels, by_label = pa.array(list(rates), pa.string()), np.array([*rates.values(), -1.0])

    def rate(part: pa.Table) -> Numbers:
        places = pc.fill_null(pc.index_in(part[label], labels), len(rates))
        found: Numbers = by_label[places.to_numpy()]
        return found

    return _read(dataset, [label, *columns], rate)


def _read(dataset: ds.Dataset, columns: Sequence[str], rate: Callable[[pa.Table], Numbers]) -> pa.Table:
    taken = list(dict.fromkeys(["address", *columns]))
    parts = [pa.schema([dataset.schema.field(name) for name in taken]).empty_table()]
    for batch in dataset.to_batches(columns=taken):
        part = pa.Table.from_batches([batch])
        shares = _mixed(part["address"].to_numpy()) / 2.0**64
        parts.append(part.filter(pa.array((shares < (rates := rate(part))) | (rates >= 1))))
    return pa.concat_tables(parts).combine_chunks()


def _mixed(addresses: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Splitmix64's finish: near addresses far apart."""
    x = addresses.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
