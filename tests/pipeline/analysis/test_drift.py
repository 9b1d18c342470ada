"""Distances of distributions, against slow twins and known cases."""

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.columns import count_labels, read_sample, read_samples
from pipeline.analysis.drift import (
    drift,
    histogram,
    ks_distance,
    ks_noise,
    quantile_edges,
    stability_index,
)
from tests import naive_drift as naive

samples = st.lists(st.floats(-5, 5).map(lambda x: round(x, 1)), min_size=1, max_size=40)
counts = st.lists(st.integers(0, 50), min_size=3, max_size=3)


@given(samples, samples)
def test_ks_is_the_largest_gap(a, b):
    assert ks_distance(np.array(a), np.array(b)) == pytest.approx(naive.ks_distance(a, b))


@given(counts, counts)
def test_stability_index_is_its_formula(a, b):
    found = stability_index(np.array(a), np.array(b))
    assert found == pytest.approx(naive.stability_index(a, b))
    assert found >= 0
    assert stability_index(np.array(a), np.array(a)) == 0


@given(samples)
def test_every_value_lies_in_one_bin(values):
    edges = quantile_edges(np.array(values))
    assert histogram(np.array(values), edges).sum() == len(values)
    assert (np.diff(edges) > 0).all()


def test_chance_alone_seldom_exceeds_the_noise():
    rng = np.random.default_rng(0)
    over = [ks_distance(rng.normal(size=200), rng.normal(size=300)) > ks_noise(200, 300) for _ in range(300)]
    assert np.mean(over) < 0.09


@pytest.mark.parametrize(("num_labels", "size"), [(2, 60), (8, 60), (8, 1000), (200, 300)])
def test_labels_of_one_distribution_seldom_drift(num_labels, size):
    rng = np.random.default_rng(1)

    def labels():
        return pa.table({"category.label": [f"l{label}" for label in rng.integers(0, num_labels, size)]})

    levels = [drift(labels(), labels())[0].level for _ in range(200)]
    assert np.mean([level != "none" for level in levels]) < 0.09


def test_labels_that_moved_have_drifted():
    a, b = (pa.table({"category.label": ["x"] * x + ["y"] * (100 - x)}) for x in (50, 80))
    assert drift(a, b)[0].level == "large"


def test_nan_is_not_measured_and_infinity_is():
    values = [float("nan")] * 40 + [float("inf")] * 60
    (found,) = drift(*(pa.table({"x.y": values}) for _ in "ab"))
    assert (found.documents_a, found.unmeasured_a, found.psi, found.level) == (60, 0.4, 0, "none")


def table(n, shift, seed, label="en"):
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "address": pa.array(range(n), pa.uint64()),
            "language.label": [label] * n,
            "gopher.word_count": pa.array(rng.normal(100 + shift, 10, n)),
            "c4.lorem_ipsum": [True] * (n // 2) + [None] * (n - n // 2),
        }
    )


def test_what_moved_comes_first_and_the_rest_is_none():
    found = drift(table(1000, 0, 1), table(1000, 20, 2))
    assert found[0].signal == "gopher.word_count"
    assert found[0].level == "large"
    assert found[0].median_b - found[0].median_a == pytest.approx(20, abs=2)
    assert {one.level for one in found if one.signal != "gopher.word_count"} == {"none"}
    assert next(one for one in found if one.signal == "c4.lorem_ipsum").unmeasured_a == 0.5
    assert {one.language for one in found} == {None, "en"}


def test_the_same_twice_has_not_drifted():
    assert all(one.psi == 0 and one.level == "none" for one in drift(table(300, 0, 1), table(300, 0, 1)))


def test_languages_of_one_run_alone_and_small_ones_are_left_out():
    assert {one.language for one in drift(table(300, 0, 1), table(300, 0, 1, label="de"))} == {None}
    assert drift(table(10, 0, 1), table(300, 0, 1)) == []


def test_a_sample_is_the_same_of_the_same_addresses():
    whole = table(5000, 0, 1)
    turned = whole.take(np.arange(5000)[::-1])
    a, b = (read_sample(ds.dataset(one), ["gopher.word_count"], 1000) for one in (whole, turned))
    assert 850 < a.num_rows < 1150
    assert a.sort_by("address") == b.sort_by("address")
    assert read_sample(ds.dataset(whole), [], 9999).num_rows == 5000


def test_a_sample_by_label_takes_of_each_what_it_is_told():
    parts = [table(n, 0, 1, label=label) for n, label in ((4000, "en"), (300, "de"), (50, "ja"))]
    whole = pa.concat_tables(parts)
    whole = whole.set_column(0, "address", pa.array(range(whole.num_rows), pa.uint64()))
    found = read_samples(ds.dataset(whole), [], "language.label", {"en": 0.1, "de": 1.0})
    labels = found["language.label"].to_pylist()
    assert (labels.count("de"), labels.count("ja")) == (300, 0)
    assert 330 < labels.count("en") < 470
    assert list(count_labels(ds.dataset(whole), "language.label").items()) == [("en", 4000), ("de", 300), ("ja", 50)]
