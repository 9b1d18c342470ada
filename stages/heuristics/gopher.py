"""The document rules of Gopher, as datatrove's GopherQualityFilter has them."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.contract import Bounds, Chars, Count, Filter, Ratio, Signals
from stages.evidence import MOST, Span
from stages.heuristics.ratios import ratio, sum_per_document
from stages.text.batch import TextBatch
from stages.text.views import Lines, hash_word

ENGLISH = ("the", "be", "to", "of", "and", "that", "have", "with")


class Gopher(Filter):
    """Document rules of Gopher (Rae et al. 2021, arXiv 2112.11446, appendix A1.1).

    Thresholds and definitions are those of datatrove 0.10's GopherQualityFilter; words and lines are ours (see
    `stages.text.views`): a word is never glued to punctuation, and only "\\n" breaks a line.
    """

    word_count: Count = Bounds(min=50, max=100_000)
    """Words, punctuation excluded."""
    mean_word_length: Chars = Bounds(min=3, max=10)
    """Mean code points of a word, punctuation excluded."""
    hash_ratio: Ratio = Bounds(max=0.1)
    """Characters `#` over words and punctuation."""
    ellipsis_ratio: Ratio = Bounds(max=0.1)
    """Ellipses (`...` or `…`) over words and punctuation."""
    bullet_line_ratio: Ratio = Bounds(max=0.9)
    """Lines that start with `•` or `-` over lines."""
    ellipsis_line_ratio: Ratio = Bounds(max=0.3)
    """Lines that end with an ellipsis over lines."""
    alpha_word_ratio: Ratio = Bounds(min=0.8)
    """Words with at least one letter, over words and punctuation."""
    stop_word_count: Count = Bounds(min=2)
    """Different stop words that occur, case as written; null for a language without a list."""

    stop_words: dict[str, tuple[str, ...]] = {"en": ENGLISH}
    """Stop words by language. Without a `language` stage before, every document is held against `en`."""

    def measure(self, batch: TextBatch) -> Signals:
        from stages.heuristics import kernels_counts as kernels

        words, n = batch.words, batch.num_rows
        counts = np.empty((n, 3), np.int64)
        kernels.count_words(words.begin, words.end, words.num_chars, words.flags, counts)
        hashes, ellipses = np.empty(n, np.int64), np.empty(n, np.int64)
        kernels.count_symbols(batch.utf8.data, batch.utf8.offsets, hashes, ellipses)
        num_lines, bullets, dots = _line_counts(batch.lines)
        return {
            "word_count": counts[:, 0],
            "mean_word_length": ratio(counts[:, 1], counts[:, 0]),
            "hash_ratio": ratio(hashes, words.count),
            "ellipsis_ratio": ratio(ellipses, words.count),
            "bullet_line_ratio": ratio(bullets, num_lines),
            "ellipsis_line_ratio": ratio(dots, num_lines),
            "alpha_word_ratio": ratio(counts[:, 2], words.count),
            "stop_word_count": self._count_stop_words(batch),
        }

    def evidence(self, text: str, signal: str) -> list[Span]:
        patterns = {
            "hash_ratio": r"#+",
            "ellipsis_ratio": r"\.\.\.|…",
            "bullet_line_ratio": r"(?m)^\s*[•-].*$",
            "ellipsis_line_ratio": r"(?m)^.*(?:\.\.\.|…)\s*$",
            "alpha_word_ratio": r"[^\w\s]+|\b\d+\b",
        }
        marks = re.finditer(patterns[signal], text) if signal in patterns else ()
        return [Span(*found.span(), signal.replace("_", " ")) for found in marks if found.end() > found.start()][:MOST]

    def _count_stop_words(self, batch: TextBatch) -> pa.Array:
        from stages.heuristics import kernels_counts as kernels

        lists = [sorted({hash_word(word) for word in words}) for words in self.stop_words.values()]
        listed = np.array([word for words in lists for word in words], np.uint64)
        list_ends = np.cumsum([len(words) for words in lists], dtype=np.int64)
        list_of = batch.language_rows(list(self.stop_words), "en")
        found = np.empty(batch.num_rows, np.int64)
        words = batch.words
        kernels.count_listed(words.begin, words.end, words.hash, list_of, listed, list_ends, found)
        return pa.array(found, mask=found < 0)


def _line_counts(lines: Lines) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Lines (the empty one after a last newline excluded), those with a bullet, those that end in an ellipsis."""
    from stages.text.kernels_lines import BULLET, ELLIPSIS

    num_lines = lines.count
    if len(lines.start):
        last = lines.end - 1
        num_lines = num_lines - (lines.start[last] == lines.stop[last])
    bullets = sum_per_document(lines.flags & BULLET != 0, lines.begin, lines.end)
    dots = sum_per_document(lines.flags & ELLIPSIS != 0, lines.begin, lines.end)
    return num_lines, bullets, dots
