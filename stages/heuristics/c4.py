"""The rules of C4, as datatrove's C4QualityFilter has them: lines first, then the document."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.contract import Bounds, Count, Fact, Flag, Map, Signals
from stages.evidence import MOST, Span
from stages.text.batch import TextBatch

LOREM_IPSUM, JAVASCRIPT = "lorem ipsum", "javascript"
POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
PHRASES = (LOREM_IPSUM, JAVASCRIPT, *POLICIES)
RARE_LETTERS = "jkvm"
"""Every phrase has one of them; searching for the rarest first spares most comparisons."""


class C4(Map):
    """Rules of C4 (Raffel et al. 2020, arXiv 1910.10683, section 2.2).

    Definitions and constants are those of datatrove 0.10's C4QualityFilter; sentences are ours (`stages.text.views`).
    Lines are stripped, and removed by the rules below in this order; the rest, joined by newlines, is the new text, so
    blank lines vanish. The document is judged by what is left: its sentences, and what its remaining lines hold.
    Letters are compared without ASCII case.
    """

    lorem_ipsum: Fact = Flag()
    """A remaining line holds "lorem ipsum"."""
    curly_bracket: Fact = Flag()
    """A remaining line holds `{`."""
    sentence_count: Count = Bounds(min=5)
    """Sentences in the remaining lines (see `stages.text.views.Sentences`)."""
    long_word_line_count: Count = Bounds()
    """Lines removed for a word, between white space, of more than `max_word_chars`."""
    unfinished_line_count: Count = Bounds()
    """Lines removed because they do not end in `.` `?` `!` `"` or `'`, or end in `...`."""
    short_line_count: Count = Bounds()
    """Lines removed, blank ones included, for fewer than `min_line_words` words between white space."""
    javascript_line_count: Count = Bounds()
    """Lines removed because they mention JavaScript."""
    policy_line_count: Count = Bounds()
    """Lines removed because they mention terms of use, a privacy or cookie policy, or the use of cookies."""
    citation_count: Count = Bounds()
    """Marks like `[3]`, `[]`, `[edit]` and `[citation needed]` taken out of the remaining lines."""

    max_word_chars: int | None = 1000
    """Longest word of a line that stays, in code points; null for no limit."""
    min_line_words: int = 3
    """Fewest words, between white space, of a line that stays."""
    citations: bool = True
    """Take citation marks out."""
    terminal_punctuation: bool = True
    """Remove lines without terminal punctuation. FineWeb left this rule out."""
    javascript: bool = True
    """Remove lines that mention JavaScript."""
    policy: bool = True
    """Remove lines that mention a policy."""

    def transform(self, batch: TextBatch) -> tuple[TextBatch, Signals]:
        from stages.heuristics import kernels_c4 as kernels
        from stages.text.unicode_tables import classes

        utf8, lines, n = batch.utf8, batch.lines, batch.num_rows
        out = np.empty(int(utf8.offsets[-1] - utf8.offsets[0]) + 1, np.uint8)
        offsets, counts = np.empty(n + 1, np.int64), np.empty((n, kernels.NUM_COUNTS), np.int64)
        options = [-1 if self.max_word_chars is None else self.max_word_chars, self.min_line_words, self.citations]
        options += [self.terminal_punctuation, self.javascript, self.policy]
        kernels.clean_lines(
            utf8.data, utf8.offsets, classes(), lines.begin, lines.end, lines.start, lines.stop, *_phrase_tables(),
            _bytes("[edit]"), _bytes("[citation needed]"), np.array(options, np.int64), out, offsets, counts,
        )  # fmt: skip
        text = pa.LargeStringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(out[: offsets[-1]]))
        return batch.with_text(text), {
            "lorem_ipsum": counts[:, kernels.LOREM_IPSUM] > 0,
            "curly_bracket": counts[:, kernels.CURLY_BRACKET] > 0,
            "sentence_count": counts[:, kernels.SENTENCES],
            "long_word_line_count": counts[:, kernels.LONG_WORD],
            "unfinished_line_count": counts[:, kernels.UNFINISHED],
            "short_line_count": counts[:, kernels.SHORT],
            "javascript_line_count": counts[:, kernels.JAVASCRIPT],
            "policy_line_count": counts[:, kernels.POLICY],
            "citation_count": counts[:, kernels.CITATIONS],
        }

    def evidence(self, text: str, signal: str) -> list[Span]:
        phrases = {
            "lorem_ipsum": (LOREM_IPSUM,),
            "curly_bracket": ("{",),
            "javascript_line_count": (JAVASCRIPT,),
            "policy_line_count": POLICIES,
        }.get(signal, ())
        pattern = "|".join(map(re.escape, phrases))
        marks = re.finditer(pattern, text, re.IGNORECASE | re.ASCII) if pattern else ()
        return [Span(*found.span(), found.group().lower()) for found in marks][:MOST]


def _bytes(text: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


def _phrase_tables() -> tuple[
    npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint16]
]:
    """The arguments `phrases`, `sizes`, `anchors` and `anchored` of `clean_lines`."""
    phrases = np.zeros((len(PHRASES), max(map(len, PHRASES))), np.uint8)
    anchors = np.zeros(len(PHRASES), np.int64)
    anchored = np.zeros(256, np.uint16)
    anchored[ord("{")] = 1
    for i, phrase in enumerate(PHRASES):
        phrases[i, : len(phrase)] = _bytes(phrase)
        rarest = next(letter for letter in RARE_LETTERS if letter in phrase)
        anchors[i] = phrase.index(rarest)
        for byte in (ord(rarest), ord(rarest.upper())):
            anchored[byte] |= 2 << i
    return phrases, np.array([len(phrase) for phrase in PHRASES], np.int64), anchors, anchored
