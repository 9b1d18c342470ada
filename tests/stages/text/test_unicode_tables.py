"""The committed table of character classes is what `unicodedata` says, and fits what the kernels assume of ASCII."""

from __future__ import annotations

import string
import unicodedata

import numpy as np
import pytest

from stages.text import unicode_tables as u


def test_the_committed_table_is_what_its_generator_makes() -> None:
    pytest.importorskip("regex")
    if unicodedata.unidata_version != u.unicode_version():
        pytest.skip(f"the table is of Unicode {u.unicode_version()}, this Python has {unicodedata.unidata_version}")
    committed, generated = u.classes(), u.generate()
    differ = committed ^ generated
    assert not np.any(differ & committed)
    assert not np.any(differ & np.uint16(0xFFFF ^ u.TERMINAL)), "only a newer `regex` may know more: further terminals"


def test_every_class_agrees_with_python() -> None:
    if unicodedata.unidata_version != u.unicode_version():
        pytest.skip(f"the table is of Unicode {u.unicode_version()}, this Python has {unicodedata.unidata_version}")
    table = u.classes()
    chars = [chr(code) for code in range(u.NUM_CODE_POINTS)]
    assert [char for char in chars if char.isspace()] == [chars[i] for i in np.flatnonzero(table & u.SPACE)]
    assert [char for char in chars if char.isalpha()] == [chars[i] for i in np.flatnonzero(table & u.LETTER)]


def test_ascii_is_as_the_kernels_assume() -> None:
    table = u.classes()[:128]
    assert "".join(map(chr, np.flatnonzero(table & u.LETTER))) == string.ascii_uppercase + string.ascii_lowercase
    assert "".join(map(chr, np.flatnonzero(table & u.DIGIT))) == string.digits
    assert "".join(map(chr, np.flatnonzero(table & u.TERMINAL))) == "!.?"
    assert not np.any(table & (u.MARK | u.UNSPACED | u.JOINER))


def test_zero_width_space_and_bom_are_no_white_space() -> None:
    table = u.classes()
    for code in (0x200B, 0xFEFF):
        assert table[code] & u.IGNORED
        assert not table[code] & u.SPACE
    for code in (0x00A0, 0x3000, 0x2028):
        assert table[code] & u.SPACE


def test_vowel_marks_are_no_letters_but_belong_to_words() -> None:
    table = u.classes()
    for char in "\u093f\u0e34\u0301":
        assert table[ord(char)] & u.MARK
        assert not table[ord(char)] & u.LETTER
