"""Estimates of a finite population hold the truth as often as they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.estimates import Estimate, share_of, total

COVERAGE = 0.93
"""Asked of 95 % intervals of counts, of which a few hundred trials are made."""


@pytest.mark.parametrize(("population", "rate"), [(200, 0.1), (2000, 0.02), (50_000, 0.01)])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_intervals_hold_the_truth(population, rate, share):
    rng = np.random.default_rng(5)
    weights = rng.lognormal(7, 1, population)
    has = rng.random(population) < share
    hits = {"documents": 0, "bytes": 0}
    trials = 400
    for _ in range(trials):
        drawn = rng.random(population) < rate
        both = drawn & has
        found = share_of(population, int(drawn.sum()), int(both.sum()))
        hits["documents"] += found.low <= has.sum() <= found.high
        sums = (weights[drawn].sum(), weights[both].sum(), (weights[drawn] ** 2).sum())
        found = share_of(population, int(drawn.sum()), int(both.sum()), whole=weights.sum(), weights=sums)
        hits["bytes"] += found.low <= weights[has].sum() <= found.high
    assert hits["documents"] / trials >= COVERAGE
    assert hits["bytes"] / trials >= COVERAGE - 0.06  # few and uneven weights


@given(st.integers(0, 1000), st.data())
def test_intervals_are_within_what_is_known(population, data):
    sampled = data.draw(st.integers(0, population))
    hits = data.draw(st.integers(0, sampled))
    found = share_of(population, sampled, hits)
    assert hits <= found.low <= found.value <= found.high <= population - (sampled - hits)
    if sampled == population:
        assert found == Estimate.counted(hits)


def test_sums_keep_counted_numbers_and_lean_as_their_parts():
    assert total([Estimate.counted(3), Estimate.counted(4)]) == Estimate.counted(7)
    summed = total([Estimate.counted(10), Estimate(5, 4, 9, exact=False)])
    assert (summed.value, summed.low, summed.high, summed.exact) == (15, 14, 19, False)


def test_ends_of_what_nobody_looked_at_add_up():
    blind = [Estimate(5, 0, 10, exact=False)] * 4
    assert total([Estimate.counted(1)], blind) == Estimate(21, 1, 41, exact=False)
    assert total([], [Estimate.counted(0)]).exact
