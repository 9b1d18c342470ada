"""The repetition rules of Gopher, as datatrove's GopherRepetitionFilter has them."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from stages.contract import Bounds, Count, Filter, Ratio, Signals
from stages.evidence import MOST, Span, lines_of, repeated
from stages.heuristics.ratios import ratio
from stages.text.batch import TextBatch


class Repetition(Filter):
    """Repetition rules of Gopher (Rae et al. 2021, arXiv 2112.11446, table A1).

    Definitions are those of datatrove 0.10's GopherRepetitionFilter: "duplicate" means the second and later copies;
    every ratio is over all code points of the text, white space included; the top n-gram counts even if it occurs
    once, with a space between its words; duplicate n-grams are found left to right, jumping over each one found,
    without spaces. Lines are split at runs of newlines, so empty ones do not count (but for one before a leading, one
    after a trailing newline).
    """

    char_count: Count = Bounds(min=1)
    """Code points of the text."""
    duplicate_paragraph_ratio: Ratio = Bounds(max=0.30)
    """Paragraphs equal to an earlier one, over paragraphs."""
    duplicate_paragraph_char_ratio: Ratio = Bounds(max=0.20)
    """Code points in such paragraphs, over code points."""
    duplicate_line_ratio: Ratio = Bounds(max=0.30)
    """Lines equal to an earlier one, over lines."""
    duplicate_line_char_ratio: Ratio = Bounds(max=0.20)
    """Code points in such lines, over code points."""
    top_2gram_char_ratio: Ratio = Bounds(max=0.20)
    """Code points in copies of the most frequent pair of words, over code points."""
    top_3gram_char_ratio: Ratio = Bounds(max=0.18)
    """The same for three words in a row."""
    top_4gram_char_ratio: Ratio = Bounds(max=0.16)
    """The same for four words in a row."""
    duplicate_5gram_char_ratio: Ratio = Bounds(max=0.15)
    """Code points in sequences of five words seen before, over code points."""
    duplicate_6gram_char_ratio: Ratio = Bounds(max=0.14)
    """The same for six words."""
    duplicate_7gram_char_ratio: Ratio = Bounds(max=0.13)
    """The same for seven words."""
    duplicate_8gram_char_ratio: Ratio = Bounds(max=0.12)
    """The same for eight words."""
    duplicate_9gram_char_ratio: Ratio = Bounds(max=0.11)
    """The same for nine words."""
    duplicate_10gram_char_ratio: Ratio = Bounds(max=0.10)
    """The same for ten words."""

    def measure(self, batch: TextBatch) -> Signals:
        from stages.heuristics import kernels_ngrams as kernels

        words, n = batch.words, batch.num_rows
        chars = batch.num_chars
        ngrams = np.empty((n, 9), np.int64)
        kernels.count_ngrams(words.begin, words.end, words.hash, words.num_chars, ngrams)
        sizes = [*(f"top_{size}gram" for size in kernels.TOP_SIZES)]
        sizes += [f"duplicate_{size}gram" for size in kernels.DUPLICATE_SIZES]
        return {
            "char_count": chars,
            **self._paragraphs(batch),
            **self._lines(batch),
            **{f"{name}_char_ratio": ratio(ngrams[:, i], chars) for i, name in enumerate(sizes)},
        }

    def evidence(self, text: str, signal: str) -> list[Span]:
        """Words are split more simply than they are measured: at all that is no letter, mark or digit."""
        if "line" in signal:
            return repeated(lines_of(text), "repeated line")
        if "paragraph" in signal:
            parts = [(found.start(), found.group()) for found in re.finditer(r"(?:[^\n]|\n(?!\n))+", text)]
            return repeated(parts, "repeated paragraph")
        size = re.search(r"_(\d+)gram", signal)
        if size is None:
            return []
        words = [(found.group().casefold(), *found.span()) for found in re.finditer(r"\w+", text)]
        return _ngrams(words, int(size[1]), is_top=signal.startswith("top"))

    def _paragraphs(self, batch: TextBatch) -> Signals:
        from stages.heuristics import kernels_counts as kernels

        spans = batch.paragraphs
        counts = np.empty((batch.num_rows, 3), np.int64)
        no_flags = np.zeros(len(spans.start), np.uint8)
        kernels.count_duplicates(spans.begin, spans.end, spans.hash, spans.num_chars, no_flags, 0, counts)
        return {
            "duplicate_paragraph_ratio": ratio(counts[:, 1], counts[:, 0]),
            "duplicate_paragraph_char_ratio": ratio(counts[:, 2], batch.num_chars),
        }

    def _lines(self, batch: TextBatch) -> Signals:
        from stages.heuristics import kernels_counts as kernels

        lines = batch.lines
        counts = np.empty((batch.num_rows, 3), np.int64)
        empty = (lines.start == lines.stop).astype(np.uint8)
        kernels.count_duplicates(lines.begin, lines.end, lines.hash, lines.num_chars, empty, 1, counts)
        if len(empty):
            broken = lines.count > 1
            leads = broken & (empty[lines.begin] == 1)
            trails = broken & (empty[lines.end - 1] == 1)
            counts[:, 0] += leads.astype(np.int64) + trails
            counts[:, 1] += leads & trails
        return {
            "duplicate_line_ratio": ratio(counts[:, 1], counts[:, 0]),
            "duplicate_line_char_ratio": ratio(counts[:, 2], batch.num_chars),
        }


def _ngrams(words: list[tuple[str, int, int]], size: int, *, is_top: bool) -> list[Span]:
    """Where the most frequent sequence of words stands, or every sequence that stood before."""
    grams = [tuple(word for word, _, _ in words[i : i + size]) for i in range(len(words) - size + 1)]
    if not grams:
        return []
    counts = Counter(grams)
    top = counts.most_common(1)[0][0]
    seen: set[tuple[str, ...]] = set()
    found: list[Span] = []
    i = 0
    while i < len(grams) and len(found) < MOST:
        is_evidence = grams[i] == top if is_top else grams[i] in seen
        if is_evidence:
            note = f"{counts[grams[i]]} times" if is_top else "seen before"
            found.append(Span(words[i][1], words[i + size - 1][2], note))
        seen.add(grams[i])
        i += size if is_evidence else 1
    return found
