"""The committed tables of lower case and of scripts are what their generators make."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from stages.text import unicode_lower, unicode_scripts
from stages.text.unicode_tables import unicode_version


def test_lower_case_is_that_of_python() -> None:
    if unicodedata.unidata_version != unicode_version(unicode_lower.TABLE_PATH):
        pytest.skip(f"the table is of Unicode {unicode_version(unicode_lower.TABLE_PATH)}")
    assert np.array_equal(unicode_lower.lower(), unicode_lower.generate())
    assert all(chr(code).lower() == chr(code) for code in range(unicode_lower.NUM_CODE_POINTS, 0x110000))


def test_lower_case_is_one_code_point_for_one() -> None:
    table = unicode_lower.lower()
    assert [chr(table[ord(char)]) for char in "AzÄΣİẞ"] == list("azäσİß")
    assert table.min() >= 0
    assert (
        max(len(chr(code).encode()) / len(chr(i).encode()) for i, code in enumerate(table) if chr(i).isupper()) <= 1.5
    )


def test_scripts_are_those_of_regex() -> None:
    pytest.importorskip("regex")
    table, names = unicode_scripts.generate()
    known = unicode_scripts.scripts()
    assigned = known > 0
    committed = np.array(unicode_scripts.names())[known[assigned]]
    assert np.array_equal(committed, np.array(names)[table[assigned]]), "only a newer `regex` may know more"


def test_letters_have_the_script_they_are_of() -> None:
    names, table = unicode_scripts.names(), unicode_scripts.scripts()
    expected = {
        "a": "Latn",
        "д": "Cyrl",
        "漢": "Hani",
        "の": "Hira",
        "カ": "Kana",
        "한": "Hang",
        "ก": "Thai",
        "ᓀ": "Cans",
    }
    assert {char: names[table[ord(char)]] for char in expected} == expected
    assert not any(table[ord(char)] for char in "1 .\u0301ー😀")
