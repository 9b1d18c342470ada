"""The matcher of word lists: what counts as a hit, and that the kernel equals its twin."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stages.errors import StageError
from stages.files import read_list
from stages.lexicon import Lexicon, in_lower_case
from stages.text.batch import TextBatch
from stages.text.views import hash_word
from tests import naive_lexicon
from tests.strategies import documents, texts

ENTRIES = {
    "en": ["darn", "Dingbat", "silly goose", "silly old goose", "son of a gun"],
    "da": ["fjols"],
    "ja": ["ばか", "馬"],
    "th": ["โง่"],
    "de": ["BLÖDMANN", "Straße"],
    "*": ["dingbat"],
}
ALLOWED = ["silly goose chase", "ばかり"]


def count(text: str, language: str | None = None, entries=ENTRIES, allowed=ALLOWED) -> int:
    batch = TextBatch.from_texts([text])
    if language:
        batch = batch.with_signals({"language.label": pa.array([language])})
    return int(Lexicon.of(entries, allowed).count(batch)[0])


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        ("Darn! darn, DARN.", 3),
        ("darning darned", 0),
        ("a silly goose", 1),
        ("a Silly-Goose", 1),
        ("silly, goose", 0),
        ("a silly old goose", 1),
        ("a silly goose chase", 0),
        ("silly darn", 1),
        ("son of a gun, son of a", 1),
        ("ein Blödmann in der STRASSE, der straße", 2),
        ("彼はばかだ", 1),
        ("そればかり", 0),
        ("馬", 0),
        ("คนโง่มาก", 1),
        ("", 0),
        ("silly", 0),
    ],
)
def test_what_is_a_hit(text, hits):
    assert count(text) == hits == naive_lexicon.hits(text, ENTRIES, ALLOWED, None).count(1)


def test_lists_go_by_language():
    assert [count("darn fjols dingbat", language) for language in ("en", "da", "sw", None)] == [2, 2, 1, 3]


def test_an_allowed_entry_wins_against_an_equal_one():
    assert count("a gun", entries={"*": ["gun"]}, allowed=["GUN"]) == 0


def test_every_document_by_its_own_language():
    batch = TextBatch.from_texts(["fjols"] * 4).with_signals(
        {"language.label": pa.array(["en", "da", None, "da"], pa.string())}
    )
    lexicon = Lexicon.of(ENTRIES)
    assert lexicon.count(batch).tolist() == [0, 1, 1, 1]
    assert lexicon.count(batch.take(np.array([1, 0]))).tolist() == [1, 0]


def test_empty_lists_hit_nothing():
    assert count("anything at all", entries={"en": ["", " ", "- -"]}, allowed=["-"]) == 0
    assert count("anything at all", entries={}, allowed=[]) == 0


def test_too_many_lists_are_refused():
    with pytest.raises(StageError, match="at most 64 lists"):
        Lexicon.of({str(i): [] for i in range(65)})


WORDS = st.sampled_from(["a", "b", "ab", "日", "本", "é", "É", "-", "--", "ด", "ดี", "'", "longer-word", "Verylongword"])
PHRASES = st.lists(WORDS, min_size=1, max_size=4).map(" ".join) | texts(max_pieces=3)


@given(
    documents() | st.lists(st.lists(WORDS, max_size=30).map(" ".join), max_size=4),
    st.dictionaries(st.sampled_from(["en", "ja", "*"]), st.lists(PHRASES, max_size=6)),
    st.lists(PHRASES, max_size=3),
    st.sampled_from([None, "en", "sw"]),
)
@example(["x" * 1_000_000 + " A " * 1000], {"en": ["a"]}, [], None)
@settings(deadline=None, max_examples=200)
def test_the_kernel_equals_its_twin(documents, entries, allowed, label):
    batch = TextBatch.from_texts(documents)
    if label:
        batch = batch.with_signals({"language.label": pa.array([label] * len(documents), pa.string())})
    expected = [mark for text in documents for mark in naive_lexicon.hits(text, entries, allowed, label)]
    assert Lexicon.of(entries, allowed).hits(batch).tolist() == expected


@given(texts())
@settings(deadline=None, max_examples=300)
@example("ÀÉÎabcdefgh")
@example("ABCDEFGH")
@example("ABCDEFGHijklmnopQ")
def test_the_hash_of_a_word_in_lower_case(text):
    """Of any word, however long: what the trie looks up is the hash of the lower-cased word."""
    words = naive_lexicon.split(text)
    lexicon = Lexicon.of({"*": [f"{text} unseen"]})
    assert all(hash_word(in_lower_case(word)) == hash_word(word) for word in words)
    assert lexicon.count(TextBatch.from_texts([f"{text.upper()} UNSEEN"]))[0] <= 1


def test_lists_from_files(tmp_path):
    import pyarrow.parquet as pq

    (tmp_path / "words.txt").write_text("darn\n\n  silly goose \n", encoding="utf-8")
    pq.write_table(pa.table({"term": ["dingbat", None]}), tmp_path / "words.parquet")
    assert read_list(str(tmp_path / "words.txt")) == ["darn", "silly goose"]
    assert read_list(f"{tmp_path / 'words.parquet'}:term") == ["dingbat"]
    for wrong in (tmp_path / "nothing.txt", f"{tmp_path / 'words.parquet'}:word"):
        with pytest.raises(StageError, match="cannot be read"):
            read_list(str(wrong))
