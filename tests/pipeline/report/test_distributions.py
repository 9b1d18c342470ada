"""Distributions on one axis: what is drawn of them, on which side of which bound."""

import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.report.distributions import Drawn, distributions

COUNTS = st.lists(st.integers(0, 100_000), min_size=1, max_size=60)
RATIOS = st.lists(st.floats(0, 1), min_size=1, max_size=60)


def steps(outline):
    """Left, right and height of every step of a path of the square."""
    found, x, y = [], 0.0, 0.0
    for command, number in re.findall(r"([MHV])([\d.e-]+)", re.sub(r"M(\S+) 100", r"M\1", outline)):
        if command == "M":
            x, y = float(number), 100.0
        elif command == "V":
            y = float(number)
        else:
            if y < 100:
                found.append((x, float(number), 100 - y))
            x = float(number)
    return found


def drawn(values, bounds, other=(), whole=True):
    samples = [Drawn("a", np.array(values, np.float64), bounds), Drawn("b", np.array(other, np.float64), {})]
    return distributions(samples, whole=whole)


@given(COUNTS, st.integers(0, 500), st.integers(0, 100_000), COUNTS)
def test_no_step_lies_on_both_sides_of_a_bound(values, low, more, other):
    row = drawn(values, {"min": float(low), "max": float(low + more)}, other).rows[0]
    place = {mark.label: mark.place for mark in row.bounds}
    past_max = min((left for left, _ in row.sides if left >= place["max"]), default=100.0)
    for left, right, height in steps(row.kept[0]):
        assert 2 <= height <= 100
        assert place["min"] - 0.1 <= left < right
    for left, right, _ in steps(row.gone[0]):
        assert right <= place["min"] + 0.1 or left >= past_max - 0.1
    assert bool(row.kept[0]) == any(low <= value <= low + more for value in values)
    assert bool(row.gone[0]) == any(not low <= value <= low + more for value in values)


@given(RATIOS, st.floats(0, 1))
@example([5e-324], 0.0)
def test_a_value_at_its_bound_is_kept(values, bound):
    row = drawn([*values, bound], {"max": bound}, whole=False).rows[0]
    assert row.kept[0]
    assert bool(row.gone[0]) == any(value > bound for value in values)
    assert bool(row.gone[1]) == bool(row.gone[0])


def test_areas_are_as_large_as_their_samples():
    rng = np.random.default_rng(2)
    row = drawn(rng.uniform(0, 1, 10_000), {"min": 0.25}, whole=False).rows[0]
    kept, gone = (
        sum((right - left) * height for left, right, height in steps(side[0])) for side in (row.kept, row.gone)
    )
    assert gone / (kept + gone) == pytest.approx(0.25, abs=0.02)


def test_a_sample_of_few_is_as_tall_as_one_of_many():
    rng = np.random.default_rng(2)
    rows = drawn(rng.normal(5, 1, 9000), {}, rng.normal(6, 1, 90), whole=False).rows
    assert [max(height for _, _, height in steps(row.kept[0])) for row in rows] == [100, 100]


def test_all_share_one_axis_and_an_empty_one_is_empty():
    found = drawn([1, 2, 3], {"max": 2.0}, [1000, 5000])
    assert found.logarithmic
    assert max(right for _, right, _ in steps(found.rows[0].kept[0])) < min(
        x for x, _, _ in steps(found.rows[1].kept[0])
    )
    empty = drawn([1, 2, 3], {"min": 2.0})
    assert (empty.rows[1].kept, empty.rows[1].gone, empty.rows[1].spread) == (("", ""), ("", ""), ())
    constant = drawn([7, 7], {})
    assert steps(constant.rows[0].kept[0])[0][2] == 100
