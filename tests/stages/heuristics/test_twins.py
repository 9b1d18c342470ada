"""Every signal of the four heuristic stages equals that of its slow twin, to the last bit."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
from hypothesis import example, given, settings

from stages.contract import Stage, run_stage
from stages.heuristics.c4 import C4
from stages.heuristics.fineweb import FineWeb
from stages.heuristics.gopher import Gopher
from stages.heuristics.repetition import Repetition
from stages.text.batch import TextBatch
from tests import naive
from tests.strategies import documents

LONG_LINE = "to be or not to be, that is the question... " * 4_000
PAGES = [
    "# Heading #\n\n- item one…\n• item two...\n\nThe rest of the text, and that with it.\n",
    "same line\nsame line\n\nsame line\n\n\nother\n\nsame line\nsame line\n",
    "One two. [1] Four five six [edit]!\r\nshort.\r\nWe use cookies.\r\nPlain text of words [citation needed].\r\n",
]


def rows(columns: dict[str, pa.Array]) -> list[dict[str, Any]]:
    return [
        dict(zip(columns, row, strict=True)) for row in zip(*(c.to_pylist() for c in columns.values()), strict=True)
    ]


def measured(stage: Stage, documents: list[str]) -> tuple[list[str], list[dict[str, Any]]]:
    after, columns = run_stage(stage, TextBatch.from_texts(documents))
    return after.table["text"].to_pylist(), rows(columns)


@given(documents())
@example([""])
@example(PAGES)
@example([LONG_LINE])
@settings(deadline=None, max_examples=200)
def test_gopher_equals_its_twin(documents: list[str]) -> None:
    assert measured(Gopher(), documents)[1] == [naive.gopher(text) for text in documents]


@given(documents())
@example([""])
@example(PAGES)
@settings(deadline=None, max_examples=200)
def test_repetition_equals_its_twin(documents: list[str]) -> None:
    assert measured(Repetition(), documents)[1] == [naive.repetition(text) for text in documents]


@given(documents())
@example([""])
@example(PAGES)
@example([LONG_LINE])
@settings(deadline=None, max_examples=200)
def test_fineweb_equals_its_twin(documents: list[str]) -> None:
    assert measured(FineWeb(), documents)[1] == [naive.fineweb(text) for text in documents]


@given(documents())
@example([""])
@example(PAGES)
@example(["x" * 1001 + " and two more.\n" + "x" * 1000 + " and two more.", "{ is here now.\nlorem ipsum dolor sit!"])
@settings(deadline=None, max_examples=200)
def test_c4_equals_its_twin(documents: list[str]) -> None:
    for terminal_punctuation in (True, False):
        texts, signals = measured(C4(terminal_punctuation=terminal_punctuation), documents)
        expected = [naive.c4(text, terminal_punctuation) for text in documents]
        assert texts == [text for text, _ in expected]
        assert signals == [values for _, values in expected]


def test_a_split_batch_gives_the_same_answer() -> None:
    for stage in (Gopher(), Repetition(), C4(), FineWeb()):
        together = measured(stage, PAGES)
        apart = [measured(stage, [page]) for page in PAGES]
        assert together == ([texts[0] for texts, _ in apart], [signals[0] for _, signals in apart])


def test_nothing_to_divide_by_is_null_and_never_nan() -> None:
    for stage in (Gopher(), Repetition(), C4(), FineWeb()):
        for value in measured(stage, ["", " \n ", "!?"])[1]:
            assert not any(isinstance(number, float) and math.isnan(number) for number in value.values())
