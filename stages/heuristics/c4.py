"""The rules of C4, as datatrove's C4QualityFilter has them: lines first, then the document."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.contract import Bounds, Count, Fact, Flag, Map, Signals
from stages.text.batch import TextBatch

LOREM_IPSUM, JAVASCRIPT = "lorem ipsum", "javascript"
POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
PHRASES = (LOREM_IPSUM, JAVASCRIPT, *POLICIES)


class C4(Map):
    """Rules of C4 (Raffel et al. 2020, arXiv 1910.10683, section 2.2), with the constants of datatrove 0.10's C4QualityFilter.

    Lines are stripped, and removed by the rules below in this order; the rest, joined by newlines, is the new text, so blank
    lines vanish. The document is judged by what is left: its sentences, and what its remaining lines hold. Letters are
    compared without ASCII case.
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

    max_word_chars: int = 1000
    """Longest word of a line that stays; -1 for no limit."""
    min_line_words: int = 3
    """Fewest words of a line that stays."""
    citations: bool = True
    """Take citation marks out."""
    terminal_punctuation: bool = True
    """Remove lines without terminal punctuation. FineWeb left this rule out."""
    javascript: bool = True
    """Remove lines that mention JavaScript."""
    policy: bool = True
    """Remove lines that mention a policy."""

    def transform(self, batch: TextBatch) -> tuple[TextBatch, Signals]:
        from stages.heuristics import kernels
        from stages.text.unicode_tables import classes

        utf8, lines, n = batch.utf8, batch.lines, batch.num_rows
        out = np.empty(int(utf8.offsets[-1] - utf8.offsets[0]) + 1, np.uint8)
        offsets, counts = np.empty(n + 1, np.int64), np.empty((n, 9), np.int64)
        options = [self.max_word_chars, self.min_line_words, self.citations]
        options += [self.terminal_punctuation, self.javascript, self.policy]
        kernels.clean_lines(
            utf8.data, utf8.offsets, classes(), lines.begin, lines.end, lines.start, lines.stop, *_phrase_tables(),
            _bytes("[edit]"), _bytes("[citation needed]"), np.array(options, np.int64), out, offsets, counts,
        )  # fmt: skip
        text = pa.LargeStringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(out[: offsets[-1]]))
        flags = {name: counts[:, 1 + i].astype(np.bool_) for i, name in enumerate(("lorem_ipsum", "curly_bracket"))}
        removed = ("long_word_line", "unfinished_line", "short_line", "javascript_line", "policy_line", "citation")
        numbers = {f"{name}_count": counts[:, 3 + i] for i, name in enumerate(removed)}
        return batch.with_text(text), {**flags, "sentence_count": counts[:, 0], **numbers}


def _bytes(text: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


def _phrase_tables() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """The phrases as rows of bytes, their lengths, and for every byte the mask of the phrases it may start."""
    phrases = np.zeros((len(PHRASES), max(map(len, PHRASES))), np.uint8)
    starters = np.zeros(256, np.uint8)
    for i, phrase in enumerate(PHRASES):
        phrases[i, : len(phrase)] = _bytes(phrase)
        for first in (phrase[0], phrase[0].upper()):
            starters[ord(first)] |= 1 << i
    return phrases, np.array([len(phrase) for phrase in PHRASES], np.int64), starters
