"""The committed table of folded code points is the one that its rules give."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from stages.text import unicode_fold as u
from stages.text.unicode_tables import unicode_version
from tests import naive_dedup


def test_the_table_is_that_of_the_twin() -> None:
    if unicode_version(u.TABLE_PATH) != unicodedata.unidata_version:
        pytest.skip(
            f"the table is of Unicode {unicode_version(u.TABLE_PATH)}, this Python has {unicodedata.unidata_version}"
        )
    for code in range(u.NUM_CODE_POINTS):
        if not 0xD800 <= code < 0xE000:
            assert u.fold(chr(code)) == naive_dedup.fold(chr(code)), hex(code)
    single, several = u.generate()
    with np.load(u.TABLE_PATH) as archive:
        assert np.array_equal(archive["steps"] + np.arange(u.NUM_CODE_POINTS), single)
        assert np.array_equal(archive["several"], several)


def test_what_is_folded_and_what_is_not() -> None:
    assert u.fold("ÉCOLE e\u0301cole ΟΔΟΣ") == u.fold("école École οδος") == "e\u0301cole e\u0301cole οδοσ"
    assert u.fold("Ａｂｃ１ ｱ don’t co\u00adop 한") == "abc1 ア don't coop \u1112\u1161\u11ab"
    for kept in ("má", "ß", "ﬁ", "x²", "①"):
        assert u.fold(kept) == unicodedata.normalize("NFD", kept)
    assert u.fold("\U000e0100\U0010ffff") == "\U000e0100\U0010ffff", "past the end of the table"
