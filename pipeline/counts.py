"""What is counted of a batch of documents: by rule, by bin and label of every signal, by source and language."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.histograms import Floats, binned, is_numeric
from pipeline.stats import MANY, UNKNOWN, Stats, absorb, label_name
from stages.contract import Stage
from stages.decisions import Mask

Sizes = npt.NDArray[np.int64]


def count_rules(counts: Stats, stage: Stage, verdicts: Mapping[str, Mask], sizes: Sizes) -> None:
    """Documents that each rule of a stage would drop alone, and those that no other rule of it drops.

    Args:
        verdicts: of `decide`, by field.
        sizes: bytes of the documents that reached the stage, as they were read.
    """
    num_violated = np.zeros(len(sizes), np.int64)
    for mask in verdicts.values():
        num_violated += mask
    for name, mask in verdicts.items():
        rule = f"{stage.name}.{name}"
        _add(counts["alone"], rule, mask, sizes)
        _add(counts["only"], rule, mask & (num_violated == 1), sizes)


def count_signals(counts: Stats, stage: Stage, columns: Mapping[str, pa.Array], edges: Mapping[str, Floats]) -> None:
    """Histograms of a stage's numbers, counts of its labels and flags, and what it could not tell.

    Args:
        columns: the signals by field.
        edges: of `pipeline.histograms.edges_of`.
    """
    for name, column in columns.items():
        signal = f"{stage.name}.{name}"
        if column.null_count:
            counts["unmeasured"][signal] = counts["unmeasured"].get(signal, 0) + column.null_count
        if column.null_count == len(column):
            continue
        if is_numeric(column.type):
            _add_bins(counts["histograms"].setdefault(signal, {}), binned(edges[signal], column))
        else:
            _add_labels(counts["labels"].setdefault(signal, {}), column.drop_null())


def count_by_label(
    counts: Stats, labels: pa.Array, sizes: Sizes, reasons: pa.Array, *, is_first: bool, is_last: bool
) -> None:
    """Documents and bytes by a label: those that were read, kept, and dropped by each rule.

    Args:
        labels: of each document; null is unknown.
        sizes: bytes as they were read.
        reasons: the rule that dropped each one, null for none.
        is_first: they are counted as read.
        is_last: those that no rule dropped are counted as kept.
    """
    if not len(labels):
        return
    coded, rules = labels.dictionary_encode(), reasons.dictionary_encode()
    names = [*map(label_name, coded.dictionary.to_pylist()), UNKNOWN]
    causes = [*rules.dictionary.to_pylist(), None]
    of_label = pc.fill_null(coded.indices, len(names) - 1).to_numpy()
    of_cause = pc.fill_null(rules.indices, len(causes) - 1).to_numpy()
    cells = of_label.astype(np.int64) * len(causes) + of_cause
    documents = np.bincount(cells, minlength=len(names) * len(causes)).reshape(len(names), -1)
    num_bytes = np.bincount(cells, sizes, minlength=len(names) * len(causes)).reshape(len(names), -1).astype(np.int64)
    for row in np.flatnonzero(documents.sum(axis=1)).tolist():
        own = counts.setdefault(names[row] if MANY not in counts else MANY, {"read": {}, "kept": {}, "dropped": {}})
        if is_first:
            _sum(own["read"], int(documents[row].sum()), int(num_bytes[row].sum()))
        for place in np.flatnonzero(documents[row]).tolist():
            pair = int(documents[row, place]), int(num_bytes[row, place])
            if causes[place] is not None:
                _sum(own["dropped"].setdefault(causes[place], {}), *pair)
            elif is_last:
                _sum(own["kept"], *pair)
    absorb(counts)


def reached(reasons: pa.Array, earlier: Collection[Stage]) -> npt.NDArray[np.bool_]:
    """Which documents none of some stages dropped."""
    rules = [f"{stage.name}.{name}" for stage in earlier for name in stage.signals()]
    return pc.invert(pc.is_in(reasons, pa.array(rules, pa.string()))).to_numpy(zero_copy_only=False)


def _add(total: Stats, rule: str, mask: Mask, sizes: Sizes) -> None:
    if documents := int(np.count_nonzero(mask)):
        _sum(total.setdefault(rule, {}), documents, int(sizes[mask].sum()))


def _sum(total: Stats, documents: int, num_bytes: int) -> None:
    total["documents"] = total.get("documents", 0) + documents
    total["bytes"] = total.get("bytes", 0) + num_bytes


def _add_bins(histogram: Stats, counts: npt.NDArray[np.int64]) -> None:
    places = np.flatnonzero(counts)
    for place, documents in zip(places.tolist(), counts[places].tolist(), strict=True):
        histogram[str(place)] = histogram.get(str(place), 0) + documents


def _add_labels(labels: Stats, column: pa.Array) -> None:
    if MANY in labels:
        labels[MANY] += len(column)
        return
    values = pc.value_counts(column)
    named = values.field("values").to_pylist()
    if pa.types.is_boolean(column.type):
        named = ["true" if value else "false" for value in named]
    for label, documents in zip(map(label_name, named), values.field("counts").to_pylist(), strict=True):
        labels[label] = labels.get(label, 0) + documents
    absorb(labels)
