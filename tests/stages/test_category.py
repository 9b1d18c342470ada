"""Categories: the kernels against their twins, and texts that anyone would sort as they are sorted here."""

import sysconfig
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.category import Category
from stages.category_words import COMMANDS, KEYWORDS, STRONG, WEAK, word_table
from stages.contract import run_stage
from stages.kernels_category import count_code, count_maths
from stages.text.batch import TextBatch
from tests.corpus import page
from tests.naive_category import code_counts, maths_counts
from tests.strategies import texts

CODE = """\
import os

def read(path):
    with open(path) as file:
        return [line.strip() for line in file if line]

for name in os.listdir("."):
    print(name, len(read(name)))
"""
MATHS = """\
Suppose that n is an even integer, so that n = 2k for some integer k. Then n^2 = 4k^2, which is divisible by 4.
Therefore the remainder of n² modulo 4 is 0. Conversely, let n = 2k + 1; then n^2 = 4(k^2 + k) + 1.
"""
WORD_PROBLEM = """\
Anna has 12 apples and gives away half of them, 12 / 2 = 6. She buys twice as many as remain: 6 * 2 = 12.
The total number of apples equals 6 + 12 = 18.
"""
TEX = r"""
\begin{theorem} For all $x \in \mathbb{R}$ we have $\sin^2 x + \cos^2 x = 1$. \end{theorem}
\begin{proof} Differentiate: $\frac{d}{dx} (\sin^2 x + \cos^2 x) = 0$. \end{proof}
"""
TABLE = "| name | kind = sort | place |\n|---|---|---|\n" * 4
LINKS = (
    "See [the manual](https://example.org/a_b?c=d&e=f;g) and [the notes](https://example.org/notes), both are short\n"
)
MARKDOWN = (
    "# How to begin\n\n* First, write a sentence.\n* Then another one, and so on.\n\nThat is all there is to it.\n"
)


def sorted_as(text: str, language: str | None = None, **fields) -> str | None:
    batch = TextBatch.from_texts([text])
    if language is not None:
        batch = batch.with_signals({"language.label": pa.array([language], pa.string())})
    return run_stage(Category(**fields), batch)[1]["label"][0].as_py()


def pieces() -> st.SearchStrategy[str]:
    """Text that the rules have something to say about, among any other."""
    words = st.sampled_from(
        [*KEYWORDS[::9], *COMMANDS[::9], *STRONG[::9], *WEAK[::9], "Theorem", "x", "n²", "12", "3.5", "x₁"]
    )
    marks = st.sampled_from([*"=^+*-<>$\\(){}[];|&#@_%:.?×∑≤∂𝑥", "==", "](", "://", '"""', "```", "~~~", "//", "/*"])
    spaces = st.sampled_from([" ", " ", "\n", "\n\n", "\n    ", "\n\t", "", "\r\n"])
    return st.lists(st.one_of(words, marks, spaces), max_size=40).map("".join)


@settings(max_examples=300, deadline=None)
@given(st.lists(texts() | pieces(), max_size=4))
def test_kernels_equal_their_twins(documents):
    batch = TextBatch.from_texts(documents)
    utf8, lines, words = batch.utf8, batch.lines, batch.words
    code, maths = np.empty((len(documents), 2), np.int64), np.empty((len(documents), 2), np.int64)
    count_code(utf8.data, utf8.offsets, lines.begin, lines.end, lines.start, lines.stop, *word_table(), code)
    count_maths(
        utf8.data, utf8.offsets, words.begin, words.end, words.start, words.stop, words.hash, words.num_chars,
        words.flags, *word_table(), maths,
    )  # fmt: skip
    assert code.tolist() == [list(code_counts(text)) for text in documents]
    assert maths.tolist() == [list(maths_counts(batch, row)) for row in range(len(documents))]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (CODE, "code"),
        (MATHS, "maths"),
        (WORD_PROBLEM, "maths"),
        (TEX, "maths"),
        (page(1), "general"),
        (TABLE, "general"),
        (LINKS * 3, "general"),
        (MARKDOWN, "general"),
        ("Call 555-1234 or 555-4321 before 12/05/2026; it costs $25 = a bargain.", "general"),
        (f"Here is what to write:\n```\n{CODE}```\n", "code"),
        ("", None),
        (" \n ", None),
        ("!!!", "general"),
    ],
)
def test_texts_are_what_they_are(text, label):
    assert sorted_as(text) == label


def test_other_languages_are_multilingual_but_code_is_code():
    assert sorted_as("Die Katze sitzt auf der Matte.", "de") == "multilingual"
    assert sorted_as("Die Katze sitzt auf der Matte.", "de", main_language="de") == "general"
    assert sorted_as(CODE, "de") == "code"
    assert sorted_as(MATHS, "fr") == "multilingual"
    assert sorted_as(MATHS, "en") == "maths"


def test_a_file_of_a_known_language_is_code():
    batch = TextBatch.from_texts(["only words here"] * 3)
    batch = batch.with_signals({"code.language": pa.array(["python", "markdown", None], pa.string())})
    assert run_stage(Category(), batch)[1]["label"].to_pylist() == ["code", "general", "general"]


def test_the_standard_library_is_code():
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    sources = [text for file in files if len(text := file.read_text(encoding="utf-8")) > 2000]
    labels = run_stage(Category(), TextBatch.from_texts(sources))[1]["label"].to_pylist()
    assert len(labels) > 100
    assert labels.count("code") / len(labels) > 0.95


def test_one_long_line_and_odd_bytes():
    assert sorted_as("x" * 1_000_000) == "general"
    assert sorted_as("x = 1;" * 200_000) == "code"
    assert sorted_as("\x00 \\ $ = ^") == "general"
