"""What kind of text a document is: general, maths, code or multilingual. Rules on what the shared pass has found."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pyarrow as pa
from pydantic import Field

from stages.contract import Allowed, Bounds, Filter, Label, Ratio, Signal, Signals
from stages.heuristics.ratios import ratio
from stages.text.batch import TextBatch

GENERAL, MATHS, CODE, MULTILINGUAL = LABELS = ("general", "maths", "code", "multilingual")
CODE_LANGUAGE = "code.language"
MIN_MARKS = 3
"""Marks of mathematics without which a text is not maths, however short it is."""
PROSE_FORMATS = ("csv", "html", "markdown", "restructuredtext", "tex", "text", "xml")
"""What `code.language` may say of a file that is a document, not a program."""


class Category(Filter):
    """The four categories of Llama 3's mix (arXiv 2407.21783, section 3.1.2): general knowledge, mathematics and
    reasoning, code, multilingual. The paper has classifiers for the first and pipelines of their own for the others;
    the rules here are Tamis's, and docs/mix.md has what they confuse.

    In this order: a document is `code` if most of it reads like code, or if `code` knows its programming language;
    `multilingual` if `language.label` is another one than `main_language`; `maths` if marks of mathematics are dense;
    `general` otherwise. Without a `language` stage before it nothing is multilingual.
    """

    label: Label = Allowed()
    """`general`, `maths`, `code` or `multilingual`; null for a text without words."""
    code_ratio: Ratio = Bounds()
    """Bytes of lines that read like code, or stand between fences (```), over bytes of all lines; comments, headings,
    items of lists and what triple quotes enclose are left out of both. Null if nothing else is there."""
    maths_density: Annotated[Bounds, Signal(pa.float64(), "marks per thousand words")] = Bounds()
    """Marks of mathematics a thousand words: TeX commands, symbols, superscripts, equations (`=`, `^`, `+`, `<` between
    numbers or single letters), words such as `theorem`; words of reasoning (`suppose`, `therefore`, `twice`) and `$`
    count a third. English words only; symbols and TeX are the same everywhere."""

    main_language: str = "en"
    """The language whose documents are not multilingual."""
    min_code_ratio: float = Field(0.5, ge=0, le=1)
    """From here on a document is code."""
    min_maths_density: float = Field(50, ge=0)
    """From here on a document is maths."""

    def measure(self, batch: TextBatch) -> Signals:
        from stages.category_words import word_table
        from stages.kernels_category import POINTS, count_code, count_maths

        utf8, lines, words = batch.utf8, batch.lines, batch.words
        code, maths = np.empty((batch.num_rows, 2), np.int64), np.empty((batch.num_rows, 2), np.int64)
        table = word_table()
        count_code(utf8.data, utf8.offsets, lines.begin, lines.end, lines.start, lines.stop, *table, code)
        count_maths(
            utf8.data, utf8.offsets, words.begin, words.end, words.start, words.stop, words.hash, words.num_chars,
            words.flags, *table, maths,
        )  # fmt: skip
        code_ratio, density = ratio(code[:, 1], code[:, 0]), 1000 / POINTS * ratio(maths[:, 1], maths[:, 0])
        with np.errstate(invalid="ignore"):
            is_code = (code_ratio >= self.min_code_ratio) | self._is_program(batch)
            is_maths = (density >= self.min_maths_density) & (maths[:, 1] >= POINTS * MIN_MARKS)
        rules = [is_code, self._is_foreign(batch), is_maths]
        label = np.select(rules, [2, 3, 1], 0)
        labels = pa.array(LABELS, pa.string()).take(pa.array(label, mask=words.count == 0))
        return {"label": labels, "code_ratio": code_ratio, "maths_density": density}

    def _is_foreign(self, batch: TextBatch) -> np.typing.NDArray[np.bool_]:
        if batch.languages is None:
            return np.zeros(batch.num_rows, np.bool_)
        return np.array([label not in (None, self.main_language) for label in batch.languages.to_pylist()], np.bool_)

    def _is_program(self, batch: TextBatch) -> np.typing.NDArray[np.bool_]:
        known = batch.signals.get(CODE_LANGUAGE)
        if known is None:
            return np.zeros(batch.num_rows, np.bool_)
        return np.array([label is not None and label not in PROSE_FORMATS for label in known.to_pylist()], np.bool_)
