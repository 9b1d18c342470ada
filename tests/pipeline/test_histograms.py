"""Bins that no bound cuts, and quantiles from them."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stages
from pipeline.histograms import binned, dense, edges, edges_of, is_numeric, quantile
from stages.contract import Bounds, Count, Filter, Score, decide
from tests.toy import Length

FLOATS = st.floats(-10, 2000, width=32)


class Measured(Filter):
    """One number of each kind. Source: none, a toy."""

    count: Count = Bounds()
    """Whole numbers."""
    score: Score = Bounds()
    """Numbers of 32 bits."""

    def measure(self, batch):
        raise NotImplementedError


def naive_bin(limits: list[float], value: float) -> int:
    return sum(limit <= value for limit in limits)


@settings(deadline=None)
@given(st.lists(FLOATS | st.none(), max_size=40), st.lists(FLOATS, min_size=1, max_size=8, unique=True))
def test_a_bin_holds_its_lower_edge_and_not_its_upper_one(values, limits):
    limits = sorted(limits)
    found = binned(np.array(limits), pa.array(values, pa.float64()))
    assert len(found) == len(limits) + 1
    for place, documents in enumerate(found):
        assert documents == sum(naive_bin(limits, value) == place for value in values if value is not None)


@settings(deadline=None)
@given(
    st.sampled_from(["count", "score"]),
    st.lists(st.integers(0, 300), min_size=1, max_size=40),
    st.integers(0, 150) | st.floats(0, 150),
    st.integers(150, 300) | st.floats(150, 300),
    st.integers(0, 300),
)
def test_counts_beside_every_bound_are_a_recount(name, numbers, low, high, other):
    """Also of bounds by language, and for numbers of 32 bits, which numpy compares with the bound as one of 32 bits."""
    by_language = {"ja": {name: {"min": other, "max": None}}}
    stage = Measured.model_validate({name: {"min": low, "max": high}, "by_language": by_language})
    scale = 1 if name == "count" else np.float32(0.7)
    values = np.array([*numbers, low, high, other], np.float64) * scale
    if name == "score":  # the bound itself, and its neighbours
        near = np.float32([low, high, other])
        values = np.concatenate([values, near, np.nextafter(near, np.float32(0)), np.nextafter(near, np.float32(999))])
    column = pa.array(values.astype(np.int32 if name == "count" else np.float32))
    limits = edges(stage, name)
    assert (np.diff(limits) > 0).all()
    documents, places = binned(limits, column), np.searchsorted(limits, column.to_numpy().astype(float), side="right")
    for language in (None, "ja"):
        columns = dict.fromkeys(stage.signals(), column)
        dropped = decide(stage, columns, pa.array([language] * len(column), pa.string()))[name]
        in_bin = np.bincount(places[dropped], minlength=len(limits) + 1)
        assert all(count in (0, whole) for count, whole in zip(in_bin, documents, strict=True))


@pytest.mark.parametrize("name", list(stages.REGISTRY))
def test_every_signal_of_every_stage_has_bins(name):
    if name in ("datatrove", "decontamination", "cap", "mix", "semantic_decontamination"):
        pytest.skip("has fields that must be given")
    stage = stages.load(name).model_validate({"name": name})
    for column, limits in edges_of([stage]).items():
        signal = column.removeprefix(f"{name}.")
        assert is_numeric(stage.signals()[signal].type)
        assert 0.0 in limits
        assert (np.diff(limits) > 0).all()
        rule = stage.decisions()[signal]
        assert rule.min is None or np.isclose(limits, rule.min, rtol=1e-6, atol=0 if rule.min else 1e-12).any()


@settings(deadline=None)
@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=200), st.floats(0, 1))
def test_quantiles_are_right_to_within_a_bin(values, q):
    limits = edges(Length(), "byte_count")
    found = quantile(limits, binned(limits, pa.array(values, pa.int32())), q)
    wanted = sorted(values)[max(int(np.ceil(q * len(values))) - 1, 0)]
    place = naive_bin(limits.tolist(), wanted)
    assert limits[place - 1] <= found <= limits[place]


def test_quantiles_of_nothing_and_of_open_bins():
    limits = np.array([1.0, 2.0])
    assert quantile(limits, [0, 0, 0], 0.5) is None
    assert quantile(limits, [4, 0, 0], 0.5) == 1.0
    assert quantile(limits, [0, 0, 4], 0.5) == 2.0
    assert quantile(limits, [0, 4, 0], 0.25) == 1.25
    assert quantile(limits, dense(2, {"1": 4}), 1) == 2.0
