"""The heuristics that Llama 3 names, with definitions where its paper gives none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from stages.contract import Bounds, Fitted, Ratio, Signal, Signals
from stages.evidence import Located, Ngrams, Span
from stages.heuristics.ratios import ratio, sum_per_document
from stages.text.batch import TextBatch

NUM_BINS = 32
"""Bins of length: bin b holds the documents of 2**b to 2**(b+1) - 1 words."""
NORMAL_MAD = 1.4826
"""Standard deviation of normally distributed values over their median absolute deviation."""

Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]


class Llama3(Fitted):
    """Heuristics of Llama 3 (arXiv 2407.21783, section 3.1.1, "Heuristic filtering").

    The paper names them and gives neither formula nor threshold; the definitions and bounds here are Tamis's. What the
    corpus's words are like is learned, for every language of its own, from a sample of the documents that reach this
    stage; without a `language` stage before it, from all of them together.
    """

    repeated_ngram_ratio: Ratio = Bounds(max=0.2)
    """Code points in words that belong to an n-gram of `ngram_size` words occurring more than once (all copies, each
    word once), over code points in words. RedPajama-V2's definition of duplicate n-grams; 0.2 is twice Gopher's bound
    for ten words, which leaves the first copy out. For logs and error messages that line deduplication cannot see."""
    dirty_word_ratio: Ratio = Bounds(max=0.03)
    """Words that entries of the word lists cover (those of `nsfw`, in the document's own language), over words,
    punctuation excluded. A ratio and not C4's first hit: one word does not condemn a page."""
    kl_divergence: Annotated[Bounds, Signal(pa.float64(), "nats")] = Bounds()
    """Kullback-Leibler divergence of the document's words from those of the sample in its language: the sum of
    p ln(p / q) over words, hashed to 2^15 buckets, one added to each count of the sample. Longer documents have a
    lower one by construction; null for a language with fewer than `min_documents` documents in the sample."""
    kl_deviation: Annotated[Bounds, Signal(pa.float64(), "standard deviations")] = Bounds(max=6)
    """How far `kl_divergence` lies above the median of sample documents of the same language and length (number of
    words to the next power of two), in standard deviations estimated from the median absolute deviation; null where
    the sample has fewer than `min_documents` of those. For documents with too many words that are rare elsewhere."""

    ngram_size: int = Field(10, ge=2)
    """Words in an n-gram."""
    min_documents: int = Field(30, ge=2)
    """Documents of the sample without which nothing is said of a language or a length."""

    def setup(self) -> None:
        from stages.lexicon_lists import default_lexicon

        default_lexicon()

    def assets(self) -> Mapping[str, str]:
        from stages.lexicon_lists import package_hash

        return {"lists": package_hash()}

    def fit(self, sample: TextBatch) -> pa.Table:
        from stages.heuristics import kernels_divergence as kernels

        names = _names(sample)
        rows = sample.language_rows(names, None)
        words = sample.words
        counts = np.zeros((len(names), kernels.NUM_BUCKETS), np.int64)
        kernels.count_words(words.begin, words.end, words.hash, rows, counts)
        found = np.empty(sample.num_rows, np.float64)
        kernels.divergence(words.begin, words.end, words.hash, rows, counts, 1, found)
        medians, spreads = np.full((2, len(names), NUM_BINS), np.nan)
        bins = _bins(words.count)
        for row in range(len(names)):
            for b in np.unique(bins[rows == row]):
                values = found[(rows == row) & (bins == b) & ~np.isnan(found)]
                if len(values) >= self.min_documents:
                    medians[row, b] = median = np.median(values)
                    spreads[row, b] = NORMAL_MAD * np.median(np.abs(values - median))
        return pa.table(
            {
                "language": pa.array(names, pa.string()),
                "num_documents": pa.array(np.bincount(rows[rows >= 0], minlength=len(names)), pa.int64()),
                "word_counts": _lists(counts),
                "kl_median": _lists(medians),
                "kl_spread": _lists(spreads),
            }
        )

    def measure(self, batch: TextBatch, reference: pa.Table) -> Signals:
        from stages.heuristics import kernels_divergence, kernels_ngrams
        from stages.lexicon_lists import default_lexicon
        from stages.text.kernels_words import PUNCTUATION

        words, n = batch.words, batch.num_rows
        num_words = sum_per_document(words.flags & PUNCTUATION == 0, words.begin, words.end)
        dirty = sum_per_document(default_lexicon().hits(batch) != 0, words.begin, words.end)
        covered = np.empty((n, 2), np.int64)
        kernels_ngrams.cover_repeated(words.begin, words.end, words.hash, words.num_chars, self.ngram_size, covered)
        known = reference.filter(pa.compute.greater_equal(reference["num_documents"], self.min_documents))
        rows = batch.language_rows(known["language"].to_pylist(), None)
        used = np.unique(rows[rows >= 0])
        rows = np.where(rows >= 0, np.searchsorted(used, rows), -1)
        known = known.take(pa.array(used))
        found = np.empty(n, np.float64)
        counts = _matrix(known["word_counts"], kernels_divergence.NUM_BUCKETS).astype(np.int64)
        kernels_divergence.divergence(words.begin, words.end, words.hash, rows, counts, 0, found)
        return {
            "repeated_ngram_ratio": ratio(covered[:, 0], covered[:, 1]),
            "dirty_word_ratio": ratio(dirty, num_words),
            "kl_divergence": found,
            "kl_deviation": _deviation(found, rows, _bins(words.count), known),
        }

    def evidence(self, text: str, signal: str) -> list[Span]:
        """How unusual the words are goes by the corpus, so `kl_deviation` has no place."""
        from stages.lexicon_lists import default_lexicon

        if signal == "dirty_word_ratio":
            return default_lexicon().spans(text)
        if signal != "repeated_ngram_ratio":
            return []
        located = Located(text)
        words = located.batch.words
        found = np.array(Ngrams(words.hash, self.ngram_size).repeated, np.int64).reshape(-1, 2)
        note = f"in {self.ngram_size} words that come again"
        return located.spans(words.start[found[:, 0]], words.stop[found[:, 1] - 1], note)


def _names(sample: TextBatch) -> list[str | None]:
    """The languages of the sample, sorted; one without a name if no stage has told them."""
    if sample.languages is None:
        return [None]
    return sorted(set(sample.languages.to_pylist()) - {None})


def _bins(num_words: Int64s) -> Int64s:
    return np.minimum(np.frexp(num_words.astype(np.float64))[1] - 1, NUM_BINS - 1).clip(0).astype(np.int64)


def _deviation(found: Float64s, rows: Int64s, bins: Int64s, known: pa.Table) -> Float64s:
    """Deviation of each divergence from the median of its language and bin; NaN where there is no median."""
    medians, spreads = _matrix(known["kl_median"], NUM_BINS), _matrix(known["kl_spread"], NUM_BINS)
    out = np.full(len(found), np.nan)
    told = np.flatnonzero(rows >= 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        out[told] = (found[told] - medians[rows[told], bins[told]]) / spreads[rows[told], bins[told]]
    out[~np.isfinite(out)] = np.nan
    return out


def _lists(matrix: npt.NDArray[np.generic]) -> pa.Array:
    """A matrix as a column of lists, a row each."""
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1])


def _matrix(column: pa.ChunkedArray, width: int) -> npt.NDArray[np.float64]:
    chunks = column.combine_chunks()
    values = chunks.flatten() if len(chunks) else pa.array([], pa.float64())
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(-1, width)
