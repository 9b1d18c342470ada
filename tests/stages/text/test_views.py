"""Words, lines, paragraphs and sentences: against their naive twins, and by example."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings

from stages.text import unicode_tables
from stages.text.batch import TextBatch
from stages.text.kernels import BLANK, BULLET, ELLIPSIS, HAS_LETTER, PUNCTUATION, TERMINATED
from stages.text.views import hash_word
from tests import naive
from tests.strategies import BATCHES, TEXTS

VIEWS = {"words": naive.words, "lines": naive.lines, "paragraphs": naive.paragraphs, "sentences": naive.sentences}


def spans(batch: TextBatch, name: str) -> list[list[str]]:
    """The view's spans as strings, document by document."""
    view, data = getattr(batch, name), batch.utf8.data
    found = []
    for d in range(batch.num_rows):
        base = batch.utf8.offsets[d]
        rows = range(view.begin[d], view.end[d])
        found.append([bytes(data[base + view.start[k] : base + view.stop[k]]).decode() for k in rows])
    return found


@pytest.mark.parametrize("name", VIEWS)
@settings(max_examples=300)
@given(texts=BATCHES)
def test_spans_are_those_of_the_naive_twin(name, texts):
    batch = TextBatch.from_texts(texts)
    twins = [VIEWS[name](text) for text in texts]
    found = [[span.replace("\r\n", "\n") for span in document] for document in spans(batch, name)]
    assert found == [[span.replace("\r\n", "\n") for span in document] for document in twins]
    lengths = [len(span) for document in spans(batch, name) for span in document]
    assert getattr(batch, name).num_chars.tolist() == lengths
    assert batch.num_chars.tolist() == [len(text) for text in texts]


@given(BATCHES)
def test_equal_spans_have_equal_hashes_and_others_have_not(texts):
    batch = TextBatch.from_texts(texts)
    for name in VIEWS:
        by_text: dict[str, int] = {}
        flat = [span for document in spans(batch, name) for span in document]
        for span, hash_ in zip(flat, getattr(batch, name).hash.tolist(), strict=True):
            assert by_text.setdefault(span, hash_) == hash_
        assert len(set(by_text.values())) == len(by_text)


@given(TEXTS)
def test_a_word_hashes_as_its_string_does(text):
    batch = TextBatch.from_texts([text])
    assert batch.words.hash.tolist() == [hash_word(word) for word in naive.words(text)]


@given(TEXTS)
def test_flags(text):
    batch = TextBatch.from_texts([text])
    for word, flags in zip(naive.words(text), batch.words.flags.tolist(), strict=True):
        assert bool(flags & PUNCTUATION) == naive.is_punctuation(word)
        assert bool(flags & HAS_LETTER) == any(char.isalpha() for char in word)
    for line, flags in zip(naive.lines(text), batch.lines.flags.tolist(), strict=True):
        bare = naive.strip(line)
        assert bool(flags & BLANK) == (bare == "")
        assert bool(flags & BULLET) == bare.startswith(("•", "-"))
        assert bool(flags & ELLIPSIS) == bare.endswith(("...", "…"))
        assert bool(flags & TERMINATED) == bool(bare and naive.kind(line[-1]) & unicode_tables.TERMINAL)


@given(BATCHES)
def test_taking_documents_takes_their_views(texts):
    batch = TextBatch.from_texts(texts)
    for name in VIEWS:
        spans(batch, name)
    rows = np.arange(len(texts), dtype=np.int64)[::-2].copy()
    taken = batch.take(rows)
    fresh = TextBatch.from_texts([texts[row] for row in rows])
    for name in VIEWS:
        assert name in taken.__dict__
        assert spans(taken, name) == spans(fresh, name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't stop. It’s 'fine'!", ["Don't", "stop", ".", "It’s", "'", "fine", "'", "!"]),
        ("pi is 3.14, not 1,000;x", ["pi", "is", "3.14", ",", "not", "1,000", ";", "x"]),
        ("example.com snake_case e.g. _x_", ["example.com", "snake_case", "e.g", ".", "_", "x", "_"]),
        ("wait... -- =====", ["wait", "...", "--", "====="]),
        ("漢字カナ abc漢", ["漢", "字", "カ", "ナ", "abc", "漢"]),
        ("สวัสดี", ["ส", "วั", "ส", "ดี"]),
        ("हिन्दी 한국어 العَرَبِيَّة", ["हिन्दी", "한국어", "العَرَبِيَّة"]),
        ("می\u200cخواهم so\u00adft \u200b\ufeff", ["می\u200cخواهم", "so\u00adft"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),
        ("a\u00a0b\u3000c\u2028d\x00e", ["a", "b", "c", "d", "e"]),
    ],
)
def test_words_by_example(text, expected):
    assert spans(TextBatch.from_texts([text]), "words") == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ('He said "Go." Then (he left.) Done', ['He said "Go."', "Then (he left.)", "Done"]),
        ("J. R. Doe of the U.S. army, e.g. here", ["J. R. Doe of the U.S. army, e.g. here"]),
        ("Wait... what?! Yes", ["Wait... what?!", "Yes"]),
        ("一つ。二つ！三つ？", ["一つ。", "二つ！", "三つ？"]),
        ("It costs 3.14 dollars", ["It costs 3.14 dollars"]),
        ("The end.Next one", ["The end.", "Next one"]),
        ("  \n one\n\ntwo  ", ["one", "two"]),
    ],
)
def test_sentences_by_example(text, expected):
    assert spans(TextBatch.from_texts([text]), "sentences") == [expected]


def test_a_line_of_a_megabyte():
    text = "word " * 200_000
    batch = TextBatch.from_texts([text, "x"])
    assert batch.words.count.tolist() == [200_000, 1]
    assert batch.lines.count.tolist() == [1, 1]
    assert len(set(batch.words.hash[:200_000].tolist())) == 1


def test_text_that_starts_in_the_middle_of_a_buffer():
    whole = TextBatch.from_texts(["skipped", "one two", "three"])
    part = TextBatch(whole.table.slice(1))
    assert spans(part, "words") == [["one", "two"], ["three"]]
    assert part.num_chars.tolist() == [7, 5]


def test_only_a_newline_breaks_a_line():
    """Trap: `splitlines` also breaks at VT, FF, FS, GS, RS, NEL, U+2028 and U+2029."""
    text = "a\x0bb\x0cc\x1cd\x1de\x1ef\x85g\u2028h\u2029i\rj"
    assert spans(TextBatch.from_texts([text]), "lines") == [[text]]


def test_carriage_return_belongs_to_the_break():
    """Trap: a CR at the end of a line defeats every test of its last character."""
    batch = TextBatch.from_texts(["Done.\r\nNext.\r\n"])
    assert spans(batch, "lines") == [["Done.", "Next.", ""]]
    assert [bool(flags & TERMINATED) for flags in batch.lines.flags.tolist()] == [True, True, False]


def test_the_committed_table_is_what_this_unicode_version_gives():
    """The table is made by one Unicode version; code points that both versions know must agree on what they are."""
    made, now = unicode_tables.classes(), unicode_tables.generate()
    known = np.array([unicodedata.category(chr(code)) != "Cn" for code in range(0x110000)])
    differs = np.flatnonzero((made != now) & known & (made != 0))
    assert len(differs) < 300, [hex(code) for code in differs[:20].tolist()]
    assert (made[:0x2000] == now[:0x2000]).mean() > 0.999


def test_a_null_text_is_refused():
    import pyarrow as pa

    table = pa.table({"id": ["0"], "text": pa.array([None], pa.large_string())})
    with pytest.raises(ValueError, match="a text is null"):
        assert TextBatch(table).utf8
