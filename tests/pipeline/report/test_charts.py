"""Geometry of histograms: areas, sides of bounds, whole numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.histograms import binned, edges
from pipeline.report.charts import decades, histogram
from pipeline.report.signals import _told
from stages.heuristics.gopher import Gopher

VALUES = st.lists(st.integers(0, 200_000), min_size=1, max_size=60)


def drawn(values, bounds, **options):
    import pyarrow as pa

    stage = Gopher(word_count={"min": None, "max": None} | bounds)
    limits = edges(stage, "word_count")
    counts = binned(limits, pa.array(values, pa.int32()))
    return histogram(limits, counts, {end: float(value) for end, value in bounds.items()}, whole=True, **options)


@given(VALUES, st.integers(0, 300), st.integers(0, 100_000))
def test_bars_hold_all_documents_and_lie_on_one_side_of_each_bound(values, low, more):
    bounds = {"min": low, "max": low + more}
    chart = drawn(values, bounds)
    assert sum(bar.documents for bar in chart.bars) == len(values)
    gone = sum(bar.documents for bar in chart.bars if bar.dropped)
    assert gone == sum(not low <= value <= low + more for value in values)
    cuts = {mark.label: mark.place for mark in chart.bounds}
    for bar in chart.bars:
        assert -1e-6 <= bar.left <= bar.left + bar.width <= 100.001
        assert 0 < bar.linear <= 1
        assert 0 < bar.logarithmic <= 1
        inside = cuts["min"] - 0.36 <= bar.left and bar.left + bar.width <= cuts["max"] + 0.36
        assert inside or bar.dropped


@given(VALUES)
def test_equal_areas_hold_equally_many_documents(values):
    bars = [bar for bar in drawn(values, {"min": 50}).bars if bar.width > 0.36]
    densities = [bar.documents / bar.width for bar in bars]
    for bar, density in zip(bars, densities, strict=True):
        assert bar.linear / bars[0].linear == pytest.approx(density / densities[0], rel=0.02, abs=0.02 / bars[0].linear)


def test_a_whole_number_at_its_upper_bound_is_kept():
    chart = drawn([3, 3, 4], {"max": 3})
    assert [(bar.low, bar.high, bar.documents, bar.dropped) for bar in chart.bars] == [
        (3.0, 4.0, 2, False),
        (4.0, 5.0, 1, True),
    ]
    assert chart.bounds[0].value == 3


def test_a_linear_axis_ends_where_the_documents_do():
    values = [10] * 999 + [150_000]
    chart, linear = drawn(values, {"min": 5}), drawn(values, {"min": 5}, linear=True)
    assert chart.logarithmic
    assert len(chart.bars) == 2
    assert len(linear.bars) == 1
    assert (chart.beyond, linear.beyond) == (0, 1)
    far = drawn(values, {"max": 100_000}, linear=True)
    assert far.bounds == far.sides == ()


def test_scores_at_their_end():
    limits = np.append(np.arange(101) / 100, 10.0)
    counts = np.zeros(103, np.int64)
    counts[101] = 5  # exactly 1
    bar = histogram(limits, counts, {"min": 0.5}).bars[0]
    assert (bar.documents, bar.dropped, bar.low) == (5, False, 1.0)
    assert bar.width < 5


def test_no_documents_and_no_bounds():
    chart = histogram(np.arange(3.0), np.zeros(4, np.int64), {})
    assert chart.bars == ()
    assert chart.sides == ()


def test_decades():
    found = decades([2, 10, 1000], [500, 20, 1])
    assert found.points[2] == (75.0, 0.0)
    assert [mark.value for mark in found.x_ticks] == [1, 10, 100, 1000, 10000]
    assert all(math.isfinite(x) and math.isfinite(y) for x, y in found.points)


@pytest.mark.parametrize(("unit", "whole"), [("ratio", False), ("", False), ("words", True)])
def test_what_lies_past_the_last_bin_is_not_told_as_a_number(unit, whole):
    assert _told(1e10, whole, unit) == "10,000,000,000 or more"
