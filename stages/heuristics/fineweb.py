"""The rules that FineWeb added, as datatrove's FineWebQualityFilter has them."""

from __future__ import annotations

import numpy as np

from stages.contract import Bounds, Count, Filter, Ratio, Signals
from stages.evidence import MOST, Span, lines_of, repeated
from stages.heuristics.ratios import ratio, sum_per_document
from stages.text.batch import TextBatch


class FineWeb(Filter):
    """Rules of FineWeb (Penedo et al. 2024, arXiv 2406.17557, section 3.5).

    Definitions are those of datatrove 0.10's FineWebQualityFilter. Lines of white space alone do not count; the others
    are taken as they are, so a space behind the full stop hides it.
    """

    line_count: Count = Bounds(min=1)
    """Lines that are not blank."""
    terminated_line_ratio: Ratio = Bounds(min=0.12)
    """Lines whose last character ends a sentence (Unicode Sentence_Terminal: no quotes, no `:`, no `…`), over lines."""
    short_line_ratio: Ratio = Bounds(max=0.67)
    """Lines of at most `max_short_line_chars` code points, over lines."""
    duplicate_line_char_ratio: Ratio = Bounds(max=0.01)
    """Code points in second and later copies of a line, over code points without line breaks."""
    newline_ratio: Ratio = Bounds(max=0.3)
    """Newlines over words and punctuation: high in lists."""

    max_short_line_chars: int = 30
    """A line is short up to this many code points."""

    def measure(self, batch: TextBatch) -> Signals:
        from stages.heuristics import kernels_counts as kernels
        from stages.text.kernels_lines import BLANK, TERMINATED

        lines = batch.lines
        counts = np.empty((batch.num_rows, 3), np.int64)
        kernels.count_duplicates(lines.begin, lines.end, lines.hash, lines.num_chars, lines.flags, BLANK, counts)
        num_lines = counts[:, 0]
        written = lines.flags & BLANK == 0
        short = written & (lines.num_chars <= self.max_short_line_chars)
        newlines = lines.count - 1
        num_chars = sum_per_document(lines.num_chars, lines.begin, lines.end)
        return {
            "line_count": num_lines,
            "terminated_line_ratio": ratio(
                sum_per_document(lines.flags & TERMINATED != 0, lines.begin, lines.end), num_lines
            ),
            "short_line_ratio": ratio(sum_per_document(short, lines.begin, lines.end), num_lines),
            "duplicate_line_char_ratio": ratio(counts[:, 2], num_chars),
            "newline_ratio": ratio(newlines, batch.words.count),
        }

    def evidence(self, text: str, signal: str) -> list[Span]:
        if signal == "duplicate_line_char_ratio":
            return repeated(lines_of(text), "repeated line")
        lines = [(place, line) for place, line in lines_of(text) if line.strip()]
        found = []
        for place, line in lines:
            if signal == "short_line_ratio" and len(line) <= self.max_short_line_chars:
                found.append(Span(place, place + len(line), "short line"))
            if signal == "terminated_line_ratio" and line[-1] not in ".?!。！？":
                found.append(Span(place, place + len(line), "no end of a sentence"))
        return found[:MOST]
