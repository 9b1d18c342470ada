"""Band keys, S-curves and presets."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.dedup.bands import NO_KEY, PRESETS, band_keys, choose_bands, s_curve
from stages.dedup.minhash import signatures
from stages.errors import ConfigError, MissingPartError
from stages.text.batch import TextBatch


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=7, max_size=7), max_size=12))
def test_keys_are_equal_where_all_rows_of_a_band_are(slots: list[list[int]]) -> None:
    signature = np.array(slots, np.uint32).reshape(-1, 7)
    keys = band_keys(signature, 3, 2)
    values = {}
    for row, document in zip(slots, keys.tolist(), strict=True):
        for band, key in enumerate(document):
            rows = (band, *row[2 * band : 2 * band + 2])
            assert values.setdefault(rows, key) == key
            assert key != NO_KEY
    assert len(set(values.values())) == len(values), "bands and rows that differ have keys that differ"


def test_documents_without_words_have_no_key() -> None:
    signature = signatures(TextBatch.from_texts(["", "?", "a"]), 5, 16)
    assert (band_keys(signature, 4, 4)[:2] == NO_KEY).all()
    assert (band_keys(signature, 4, 4)[2] != NO_KEY).all()


def test_curves_of_the_presets() -> None:
    assert s_curve(1, 1, 0.3) == pytest.approx(0.3)
    found = {name: s_curve(*bands, [0.6, 0.7, 0.8]).round(3).tolist() for name, bands in PRESETS.items()}
    assert found == {
        "fineweb": [0.211, 0.565, 0.924],
        "strict": [0.026, 0.177, 0.677],
        "verified": [0.418, 0.85, 0.997],
    }


def test_settings_that_cannot_be_are_refused() -> None:
    signature = signatures(TextBatch.from_texts(["a"]), 5, 16)
    with pytest.raises(ConfigError, match="9 bands of 2 rows need 18 slots, signatures have 16"):
        band_keys(signature, 9, 2)
    with pytest.raises(ConfigError, match="num_rows is 0"):
        s_curve(1, 0, 0.5)
    with pytest.raises(ConfigError, match="threshold is 2"):
        choose_bands(2)
    with pytest.raises(ConfigError, match="num_perm is 0"):
        choose_bands(0.5, num_perm=0)


def test_datasketch_chooses_bands() -> None:
    datasketch = pytest.importorskip("datasketch")
    for threshold in (0.5, 0.7, 0.8, 0.9):
        for weight in (0.2, 0.5):
            lsh = datasketch.MinHashLSH(threshold=threshold, num_perm=64, weights=(weight, 1 - weight))
            assert choose_bands(threshold, 64, weight) == (lsh.b, lsh.r)


def test_without_datasketch_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasketch.lsh", None)
    with pytest.raises(MissingPartError, match=r"pip install 'tamis\[dedup\]'"):
        choose_bands(0.7)
