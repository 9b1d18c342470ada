"""Crawled text as people may look at it."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.safe_text import redact, segments, visible
from stages.evidence import Span
from tests.strategies import texts

ANY = st.text() | texts()
SURROGATES = st.text(st.characters())


def spans(size: int) -> st.SearchStrategy[list[Span]]:
    place = st.integers(0, size)
    return st.lists(st.tuples(place, place).map(sorted).map(lambda ends: Span(*ends, "note")), max_size=8)


@given(ANY | SURROGATES)
def test_nothing_that_is_shown_is_hidden(text):
    shown = visible(text)
    for place, character in enumerate(shown):
        category = unicodedata.category(character)
        if character in "\u200c\u200d":
            assert 0 < place < len(shown) - 1
        else:
            assert character in "\n\t" or category not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    shown.encode()


def test_what_cannot_be_seen_is_written_out():
    assert visible("a\u202eb\x00c\u200bd\ue000e\ud800f\r") == ("a⟦U+202E⟧b⟦U+0000⟧c⟦U+200B⟧d⟦U+E000⟧e⟦U+D800⟧f⟦U+000D⟧")
    assert visible("\u3164 \u2800") == "⟦U+3164⟧ ⟦U+2800⟧"
    assert visible("👩\u200d💻 می\u200cخواهم") == "👩\u200d💻 می\u200cخواهم"
    assert visible("\u200da\u200d\u202e") == "⟦U+200D⟧a⟦U+200D⟧⟦U+202E⟧"
    assert visible("<script>&amp;\tline\n") == "<script>&amp;\tline\n"


def test_marks_that_choose_a_form_are_written_out_where_there_is_none_to_choose():
    assert visible("a\ufe00b\U000e0101c") == "a⟦U+FE00⟧b⟦U+E0101⟧c"
    hidden = "".join(chr(0xE0100 + byte - 16) for byte in b"ignore all that")
    assert visible(f"😊{hidden}").isprintable()
    assert visible(f"😊{hidden}").count("⟦") == len(hidden)
    assert visible("😊\ufe0f\ufe0e") == "😊\ufe0f⟦U+FE0E⟧"
    for emoji in ("❤\ufe0f\u200d🔥", "1\ufe0f\u20e3", "©\ufe0f", "ℹ\ufe0f", "‼\ufe0f", "∩\ufe00", "\u1820\u180b"):
        assert visible(emoji) == emoji
    assert visible("a\u180b") == "a⟦U+180B⟧"


@given(ANY)
def test_redacted_text_has_the_length_and_no_letter_or_digit(text):
    hidden = redact(text)
    assert len(hidden) == len(text)
    assert {character for character in hidden if character.isalnum()} <= {"x", "0"}
    assert [character.isspace() for character in hidden] == [character.isspace() for character in text]


@given(st.data())
def test_segments_of_a_short_text_are_all_of_it(data):
    text = data.draw(st.text("ab \n", max_size=60))
    marks = data.draw(spans(len(text)))
    pieces = segments(text, marks)
    assert "".join(piece for piece, _ in pieces) == text
    marked, place = set(), 0
    for piece, note in pieces:
        marked |= set(range(place, place + len(piece))) if note else set()
        place += len(piece)
    assert marked == {place for span in marks for place in range(span.start, span.end)}


@given(st.data())
def test_segments_of_a_long_text_stand_around_the_marks(data):
    text = data.draw(st.text("abcd", min_size=100, max_size=300)) * 5
    marks = data.draw(spans(len(text)))
    pieces = segments(text, marks, limit=90)
    shown = [piece for piece, _ in pieces if piece != "…"]
    assert sum(map(len, shown)) <= 90
    place = 0
    for piece in shown:  # in the order of the text
        place = text.index(piece, place) + len(piece)
    some = [span for span in marks if span.start < span.end]
    assert not some or any(note for _, note in pieces)


def test_a_cut_text_says_so():
    assert segments("a" * 50, limit=10) == [("a" * 10, None), ("…", None)]
    text = "a" * 1000 + "MARK" + "b" * 1000
    found = segments(text, [Span(1000, 1004, "here")], limit=500)
    assert found == [("…", None), ("a" * 125, None), ("MARK", "here"), ("b" * 125, None), ("…", None)]
