"""Labelled documents: read, checked, and weighted so that no source or language carries the label."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stages.errors import InputError, MissingInputError
from stages.text.batch import TextBatch

REQUIRED = ("text", "label")
OPTIONAL = ("lang", "source", "license")
UNKNOWN = "unknown"
ONE_CLASS_WEIGHT = 0.2
"""What a row weighs whose source, in its language, has one label only; others weigh about 1."""


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Texts with their labels and where they come from; arrays of one length."""

    texts: pa.LargeStringArray
    labels: npt.NDArray[np.bool_]
    languages: npt.NDArray[np.str_]
    sources: npt.NDArray[np.str_]
    licenses: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: npt.NDArray[Any]) -> LabelledRows:
        """Some of the rows: by number, or by a mask."""
        picked = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return LabelledRows(
            self.texts.take(pa.array(picked)), self.labels[picked], self.languages[picked], self.sources[picked],
            self.licenses[picked],
        )  # fmt: skip

    def __add__(self, other: LabelledRows) -> LabelledRows:
        return LabelledRows(
            pa.concat_arrays([self.texts, other.texts]), np.concatenate([self.labels, other.labels]),
            np.concatenate([self.languages, other.languages]), np.concatenate([self.sources, other.sources]),
            np.concatenate([self.licenses, other.licenses]),
        )  # fmt: skip

    def batch(self) -> TextBatch:
        """The texts as a batch for stages."""
        ids = pa.array([str(i) for i in range(len(self))], pa.string())
        return TextBatch(pa.table({"id": ids, "text": self.texts}))

    def groups(self) -> dict[tuple[str, str], npt.NDArray[np.int64]]:
        """Row numbers of each source and language, sorted by name."""
        pairs: dict[tuple[str, str], list[int]] = {}
        for row, pair in enumerate(zip(self.sources.tolist(), self.languages.tolist(), strict=True)):
            pairs.setdefault(pair, []).append(row)
        return {pair: np.array(rows, np.int64) for pair, rows in sorted(pairs.items())}


def read_rows(
    path: str | Path, positive: tuple[str, ...] = ("1", "1.0", "true"), negative: tuple[str, ...] | None = None
) -> LabelledRows:
    """The labelled rows of a Parquet or JSON lines file; rows without text or label are left out.

    Columns: `text`, `label`; also `lang`, `source` and `license` if there. A label is positive if it is, as lower-case
    text, one of `positive`; if `negative` is given, every other one must be in that.

    Raises MissingInputError for a file or a column that is not there, InputError for one that cannot be read, for a
    label that is neither, and for rows of one class only.
    """
    table = read_table(Path(path))
    missing = [name for name in REQUIRED if name not in table.column_names]
    if missing:
        raise MissingInputError(
            f"{path} has no column '{missing[0]}'; its columns are {', '.join(table.column_names)}. "
            f"Training needs text and label, and uses lang, source and license"
        )
    table = table.filter(pc.and_(pc.is_valid(table["text"]), pc.is_valid(table["label"])))
    names = [str(label).lower() for label in table["label"].to_pylist()]
    unknown = sorted(set(names).difference(positive, negative)) if negative is not None else []
    if unknown:
        raise InputError(
            f"{path}: label '{unknown[0]}' is neither positive ({', '.join(positive)}) nor negative "
            f"({', '.join(negative or ())})"
        )
    labels = [name in positive for name in names]
    rows = LabelledRows(
        pa.concat_arrays([pa.array([], pa.large_string()), *table["text"].cast(pa.large_string()).chunks]),
        np.array(labels, np.bool_), *(_column(table, name) for name in OPTIONAL),
    )  # fmt: skip
    counts = Counter(labels)
    if len(counts) < 2:
        raise InputError(
            f"{path}: of {len(rows)} rows {counts[True]} are positive (label {' or '.join(positive)}) "
            f"and {counts[False]} are not; a classifier needs both"
        )
    return rows


def balanced_weights(rows: LabelledRows) -> npt.NDArray[np.float64]:
    """What each row weighs in training, 1 on average.

    Within every source and language both labels weigh the same, together twice the rarer one: what tells sources or
    languages apart then tells nothing of the label. Rows of a source with one label only weigh `ONE_CLASS_WEIGHT`.
    """
    weights = np.empty(len(rows), np.float64)
    for members in rows.groups().values():
        labels = rows.labels[members]
        positive = int(labels.sum())
        rarer = min(positive, len(members) - positive)
        if rarer == 0:
            weights[members] = ONE_CLASS_WEIGHT
        else:
            weights[members] = np.where(labels, rarer / positive, rarer / (len(members) - positive))
    return weights / weights.mean()


def read_table(path: Path) -> pa.Table:
    """A Parquet or JSON lines file. Raises MissingInputError or InputError for one that is not there or unreadable."""
    if not path.is_file():
        raise MissingInputError(f"there is no file {path}")
    try:
        if path.suffix in (".jsonl", ".json"):
            import pyarrow.json as pj

            return pj.read_json(path)
        import pyarrow.parquet as pq

        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read as Parquet or JSON lines: {error}") from error


def _column(table: pa.Table, name: str) -> npt.NDArray[np.str_]:
    if name not in table.column_names:
        return np.full(len(table), UNKNOWN)
    return np.array([UNKNOWN if value is None else str(value) for value in table[name].to_pylist()], np.str_)
