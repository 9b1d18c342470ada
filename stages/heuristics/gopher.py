"""The document rules of Gopher, as datatrove's GopherQualityFilter has them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.contract import Bounds, Chars, Count, Filter, Ratio, Signals
from stages.evidence import Located, Span, matches
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
        from stages.text.kernels_lines import BULLET, ELLIPSIS
        from stages.text.kernels_words import HAS_LETTER, PUNCTUATION

        located = Located(text)
        words, lines = located.batch.words, located.batch.lines
        if signal == "hash_ratio":
            return matches("#+", text, "#")
        if signal == "ellipsis_ratio":
            return matches(r"\.\.\.|…", text, "ellipsis")
        if signal == "bullet_line_ratio":
            return located.of(lines, lines.flags & BULLET != 0, "bullet")
        if signal == "ellipsis_line_ratio":
            return located.of(lines, lines.flags & ELLIPSIS != 0, "ends in an ellipsis")
        if signal == "alpha_word_ratio":
            return located.of(words, words.flags & HAS_LETTER == 0, "no letter")
        is_word = words.flags & PUNCTUATION == 0
        if signal != "mean_word_length" or not is_word.any():
            return []
        mean, most = words.num_chars[is_word].mean(), self.mean_word_length.max
        if most is not None and mean > most:
            return located.of(words, is_word & (words.num_chars > most), "long word")
        return located.of(words, is_word & (words.num_chars <= mean), "short word")

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
