"""The stage that takes lines out which come again and again in the corpus: menus, notices, calls to action."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash
from pydantic import Field, field_validator

from stages.contract import Barrier, Bounds, Count, Ratio, Signals
from stages.dedup.lines import Listed, bucket_of, is_listed, remove_spans, span_hashes
from stages.heuristics.ratios import ratio
from stages.text.batch import TextBatch
from stages.text.views import Spans

UInt64s = npt.NDArray[np.uint64]
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


class Lines(Barrier):
    """Line deduplication of Llama 3 (arXiv 2407.21783, section 3.1.1), after CCNet (Wenzek et al. 2020).

    A line that comes more than `max_copies` times is taken out of every document, first copies too. Lines are compared
    without the white space at their ends; case, digits and punctuation count. Give `within: [language.label]` to count
    each language by itself, as Llama 3 does.
    """

    removed_count: Count = Bounds()
    """Lines taken out."""
    removed_char_ratio: Ratio = Bounds()
    """Code points in them over code points of the text before."""

    unit: Literal["line", "paragraph"] = "line"
    """What is counted; paragraphs lie between empty lines."""
    max_copies: int = Field(6, ge=1)
    """Copies that are left alone."""
    min_chars: int = Field(1, ge=1)
    """Shorter lines, in code points, are neither counted nor taken out."""
    num_buckets: int = Field(1, ge=1)
    """Parts of the corpus that are counted apart: one for each 30 million documents in Llama 3. Documents are dealt out
    by a hash of their text."""

    @field_validator("priority")
    @classmethod
    def _keeps_none(cls, priority: tuple[str, ...]) -> tuple[str, ...]:
        if priority:
            raise ValueError("every copy is taken out, so there is nothing to prefer; leave priority away")
        return priority

    def sketch(self, batch: TextBatch) -> pa.Table:
        spans = self._spans(batch)
        hashes = span_hashes(batch, spans, self.min_chars)
        rows = _rows(spans)
        told = np.flatnonzero(hashes)
        key = hashes
        if self.num_buckets > 1:
            key = hashes + bucket_of(_text_hashes(batch), self.num_buckets)[rows].astype(np.uint64) * _SPREAD
        return pa.table({"row": rows[told], "key": key[told], "line": hashes[told]})

    def resolve(self, rows: pa.Table) -> pa.Table:
        _, places, counts = np.unique(rows["key"].to_numpy(), return_inverse=True, return_counts=True)
        return rows.filter(pa.array(counts[places] > self.max_copies)).select(["address", "line"])

    def transform(self, batch: TextBatch, resolution: pa.Table) -> tuple[TextBatch, Signals]:
        spans = self._spans(batch)
        hashes = span_hashes(batch, spans, self.min_chars)
        lists = resolution["line"].combine_chunks()
        listed = np.asarray(lists.flatten()).astype(np.uint64)
        rows = np.asarray(pa.compute.list_parent_indices(lists)).astype(np.int64)
        drop = is_listed(_in_row(hashes, _rows(spans)), Listed.of(_in_row(listed, rows)))
        text, count, chars = remove_spans(batch, spans, drop & (hashes != 0))
        signals: Signals = {"removed_count": count, "removed_char_ratio": ratio(chars, batch.num_chars)}
        return (batch.with_text(text) if count.any() else batch), signals

    def _spans(self, batch: TextBatch) -> Spans:
        return batch.lines if self.unit == "line" else batch.paragraphs


def _rows(spans: Spans) -> npt.NDArray[np.int64]:
    """The document of each span; of spans that belong to none any more, 0."""
    count = spans.count
    rows = np.repeat(np.arange(len(count)), count)
    first = np.repeat(spans.begin - np.cumsum(count) + count, count)
    out = np.zeros(len(spans.start), np.int64)
    out[first + np.arange(len(rows))] = rows
    return out


def _in_row(hashes: UInt64s, rows: npt.NDArray[np.int64]) -> UInt64s:
    """Hashes that tell equal lines of different documents of a batch apart."""
    return hashes ^ (rows.astype(np.uint64) + np.uint64(1)) * _SPREAD


def _text_hashes(batch: TextBatch) -> UInt64s:
    data: Any = batch.utf8.data
    spans = pairwise(batch.utf8.offsets.tolist())
    return np.array([xxhash.xxh3_64_intdigest(data[low:high]) for low, high in spans], np.uint64)
