"""Views equal their slow twins on any text; and the rules that users rely on, one by one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import example, given, settings

from stages.text import kernels_lines, kernels_words
from stages.text.batch import TextBatch, Utf8
from stages.text.views import Spans, hash_word
from tests import naive
from tests.strategies import documents, texts

LONG_LINE = "The cat's 1,234.5 “quotes” aren’t 日本 – fine. " * 20_000


def batch_of(documents: list[str]) -> TextBatch:
    """A batch whose buffer does not start at offset 0 and goes on after its end."""
    array = pa.array(["before. ", *documents, " after"], pa.large_string())[1:-1]
    return TextBatch(pa.table({"id": pa.array(map(str, range(len(documents))), pa.string()), "text": array}))


def spans_of(view: Spans, d: int) -> list[tuple[int, int]]:
    rows = slice(view.begin[d], view.end[d])
    return list(zip(view.start[rows].tolist(), view.stop[rows].tolist(), strict=True))


def column_of(view: Spans, name: str, d: int) -> list[int]:
    column: npt.NDArray[np.uint64] = getattr(view, name)
    return [int(value) for value in column[view.begin[d] : view.end[d]]]


def assert_same_spans(view: Spans, d: int, expected: list[naive.Span]) -> None:
    assert spans_of(view, d) == [(span.start, span.stop) for span in expected]
    assert column_of(view, "num_chars", d) == [len(span.text) for span in expected]


def words_of(text: str) -> list[str]:
    batch = TextBatch.from_texts([text])
    return [text.encode()[low:high].decode() for low, high in spans_of(batch.words, 0)]


def sentences_of(text: str) -> list[str]:
    batch = TextBatch.from_texts([text])
    return [text.encode()[low:high].decode() for low, high in spans_of(batch.sentences, 0)]


@given(documents())
@example([""])
@example(["a", "", "\n", "é"])
@example([LONG_LINE])
@settings(deadline=None, max_examples=300)
def test_words_equal_their_twin(documents: list[str]) -> None:
    words = batch_of(documents).words
    for d, text in enumerate(documents):
        expected = naive.words(text)
        assert_same_spans(words, d, expected)
        assert column_of(words, "hash", d) == [hash_word(word.text) for word in expected]
        flags = [
            kernels_words.PUNCTUATION * naive.is_punctuation(word.text)
            | kernels_words.HAS_LETTER * naive.has_letter(word.text)
            for word in expected
        ]
        assert column_of(words, "flags", d) == flags


@given(documents())
@example([""])
@example(["a\r\nb\rc\n", "\n", "\r\n"])
@example([LONG_LINE])
@settings(deadline=None, max_examples=300)
def test_lines_equal_their_twin(documents: list[str]) -> None:
    lines = batch_of(documents).lines
    for d, text in enumerate(documents):
        expected = naive.lines(text)
        assert_same_spans(lines, d, expected)
        assert column_of(lines, "hash", d) == [hash_word(line.text) for line in expected]
        flags = [
            kernels_lines.BLANK * naive.is_blank(line.text)
            | kernels_lines.BULLET * naive.is_bullet(line.text)
            | kernels_lines.ELLIPSIS * naive.ends_in_ellipsis(line.text)
            | kernels_lines.TERMINATED * naive.is_terminated(line.text)
            for line in expected
        ]
        assert column_of(lines, "flags", d) == flags


@given(documents())
@example(["\n\na\r\n\r\n\r\nb\n \nc\n\n", " \n a"])
@settings(deadline=None, max_examples=300)
def test_paragraphs_equal_their_twin(documents: list[str]) -> None:
    paragraphs = batch_of(documents).paragraphs
    for d, text in enumerate(documents):
        expected = naive.paragraphs(text)
        assert spans_of(paragraphs, d) == [(span.start, span.stop) for span in expected]
        bodies = [naive.paragraph_text(span) for span in expected]
        assert column_of(paragraphs, "num_chars", d) == [len(body) for body in bodies]
        hashes = column_of(paragraphs, "hash", d)
        assert len(set(hashes)) == len(set(bodies))
        assert len(set(zip(hashes, bodies, strict=True))) == len(set(bodies))


@given(documents())
@example(["e.g. this. end.Next “Quoted.” Then… J. Doe! 3.5 。a. b."])
@example([LONG_LINE])
@settings(deadline=None, max_examples=300)
def test_sentences_equal_their_twin(documents: list[str]) -> None:
    sentences = batch_of(documents).sentences
    for d, text in enumerate(documents):
        expected = naive.sentences(text)
        assert_same_spans(sentences, d, expected)
        assert column_of(sentences, "hash", d) == [hash_word(sentence.text) for sentence in expected]


@given(documents())
@settings(deadline=None)
def test_code_points_are_counted(documents: list[str]) -> None:
    assert batch_of(documents).num_chars.tolist() == [len(text) for text in documents]


@given(texts(), texts())
@settings(deadline=None)
def test_taking_documents_takes_their_spans(first: str, second: str) -> None:
    batch = TextBatch.from_texts([first, second, first])
    assert all((batch.words, batch.lines, batch.paragraphs, batch.sentences))
    taken = batch.take(np.array([2, 1]))
    fresh = TextBatch.from_texts([first, second])
    for name in ("words", "lines", "paragraphs", "sentences"):
        for d in range(2):
            assert spans_of(getattr(taken, name), d) == spans_of(getattr(fresh, name), d)


def test_a_batch_may_be_empty() -> None:
    batch = TextBatch.from_texts([])
    for view in (batch.words, batch.lines, batch.paragraphs, batch.sentences):
        assert len(view.begin) == len(view.end) == len(view.start) == 0
    assert len(batch.num_chars) == 0


def test_the_utf8_of_a_batch_needs_no_copy() -> None:
    array = pa.array(["one", "two"], pa.large_string())
    utf8 = TextBatch(pa.table({"id": ["0", "1"], "text": array})).utf8
    assert isinstance(utf8, Utf8)
    assert utf8.data.ctypes.data == array.buffers()[2].address


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("don't stop", ["don't", "stop"]),
        ("l’été d'", ["l’été", "d", "'"]),
        ("'quoted'", ["'", "quoted", "'"]),
        ("well-known_name", ["well", "-", "known_name"]),
        ("$1,234.50, v3.11.", ["$", "1,234.50", ",", "v3.11", "."]),
        (
            "end.Next 3.a a.3 _x_ --- a--b",
            ["end.Next", "3", ".", "a", "a", ".", "3", "_", "x", "_", "---", "a", "--", "b"],
        ),
        ("wait... what…", ["wait", "...", "what", "…"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),
        ("co\u00adop می\u200cخواهم \u200da", ["co\u00adop", "می\u200cخواهم", "a"]),
        ("a\u200bb\ufeffc\x00d", ["a", "b", "c", "d"]),
        ("日本語tokyo東京", ["日", "本", "語", "tokyo", "東", "京"]),
        ("カー。々", ["カ", "ー", "。", "々"]),
        ("ภาษาดี", ["ภ", "า", "ษ", "า", "ดี"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("हिन्दी", ["हिन्दी"]),
        ("😀👍🏽", ["😀", "👍", "🏽"]),
        ("3½ x²", ["3½", "x²"]),
        ("\u00a0\u3000\u2028", []),
    ],
)
def test_what_a_word_is(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ('He said "no." She left.', ['He said "no."', "She left."]),
        ("Dr. Who", ["Dr.", "Who"]),
        ("J. Doe, e.g. here, in the U.S. now.", ["J. Doe, e.g. here, in the U.S. now."]),
        ("Version 3.11 costs 4.50 now.", ["Version 3.11 costs 4.50 now."]),
        ("Well... maybe", ["Well... maybe"]),
        ("First.Second", ["First.", "Second"]),
        ("data.gov.uk", ["data.gov.uk"]),
        ("日本語。文章！", ["日本語。", "文章！"]),
        ("no end", ["no end"]),
        ("a line\nanother", ["a line", "another"]),
        (" \n\t\n", []),
    ],
)
def test_what_a_sentence_is(text: str, sentences: list[str]) -> None:
    assert sentences_of(text) == sentences
