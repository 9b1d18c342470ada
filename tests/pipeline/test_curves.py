"""The S-curve on request: numbers of the field, a check by simulation, and what the command says."""

import json

import numpy as np
import pytest

from pipeline.curves import Setting, describe, probability, settings
from stages.errors import ConfigError
from tests.pipeline.test_cli import tamis


def test_presets_find_what_their_papers_say():
    fineweb, strict, verified = (describe(setting)["probability"] for setting in settings())
    assert [round(fineweb[s], 3) for s in ("0.50", "0.70", "0.80", "0.90")] == [0.053, 0.565, 0.924, 1.0]
    assert [round(strict[s], 3) for s in ("0.50", "0.70", "0.80", "0.90")] == [0.002, 0.177, 0.677, 0.997]
    assert verified["0.60"] < 0.001
    assert verified["0.70"] == pytest.approx(0.04, abs=0.005)
    assert verified["0.80"] == pytest.approx(0.978, abs=0.005)


def test_a_check_of_slots_is_a_binomial_tail():
    """Signatures drawn at random: a pair that passes bands and check does so at least as often as promised."""
    setting, rng = Setting("x", 6, 4, 24, 0.7), np.random.default_rng(0)
    for similarity in (0.6, 0.7, 0.8):
        equal = rng.random((40_000, 24)) < similarity
        found = equal.reshape(-1, 6, 4).all(axis=2).any(axis=1) & (equal.mean(axis=1) >= 0.7)
        promised = float(probability(setting, similarity))
        assert promised - 0.01 <= found.mean() <= promised + 0.1
    assert probability(setting, [0.0, 1.0]).tolist() == [0.0, 1.0]


def test_settings_that_make_no_sense_are_refused():
    for wrong in ({"num_bands": 3}, {"num_rows": 3}, {"num_bands": 3, "num_rows": 3, "threshold": 0.5}):
        with pytest.raises(ConfigError, match="bands and rows"):
            settings(**wrong)
    with pytest.raises(ConfigError, match="num_bands is 0"):
        describe(settings(0, 3)[0])


def test_the_command_prints_a_table_and_a_curve():
    found = tamis("bands")
    assert found.returncode == 0, found.stderr
    assert max(map(len, found.stdout.splitlines())) <= 80
    assert "56.5 %" in found.stdout
    assert "fineweb        ▁" in found.stdout
    assert "verified: 32 bands of 8 rows, and 75% of 256 slots equal" in found.stdout
    own = json.loads(tamis("bands", "--bands", 14, "--rows", 8, "--json").stdout)
    assert own[0]["name"] == "14 x 8"
    assert len(own[0]["curve"]) == 51
    wrong = tamis("bands", "--rows", 8)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "--bands 14 --rows 8" in wrong.stderr


def test_a_threshold_chooses():
    pytest.importorskip("datasketch")
    (setting,) = settings(threshold=0.8)
    assert setting.name == "threshold 0.8"
    assert 0.7 < describe(setting)["half_found_at"] < 0.9
