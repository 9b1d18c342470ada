"""`benchmarks/simulation.py` where the answer is known."""

import numpy as np
import pytest

from benchmarks.simulation import Cluster, simulate

CALM = Cluster(num_nodes=2, cores=2, start_s=3.0, overhead_s=0.5, queue_s=7.0)


def test_where_nothing_fails():
    found = simulate(CALM, np.full(8, 10.0), cpus=2, tasks_per_job=4)
    assert found.makespan_s == 7 + 3 + 2 * 10.5 + 7
    assert (found.ideal_s, found.tail_s, found.lost_s, found.failures) == (20, 0, 0, 0)
    one = simulate(CALM, np.full(8, 10.0), cpus=1, tasks_per_job=8)
    assert one.makespan_s == 7 + 3 + 8 * 10.5 + 7


def test_a_slow_node_is_waited_for():
    slow = Cluster(num_nodes=2, cores=1, start_s=0, overhead_s=0, queue_s=0, slow_ratio=0.5, slowness=3)
    found = simulate(slow, np.full(2, 10.0), cpus=1, tasks_per_job=1)
    assert found.makespan_s == pytest.approx(30)


def test_all_is_done_whatever_fails():
    """Work is only ever added to: what was cut off is done again, and no core works while its node is gone."""
    durations = np.random.default_rng(1).uniform(5, 15, 4000)
    calm = simulate(CALM, durations, cpus=2, tasks_per_job=20)
    bad = Cluster(**{**CALM.__dict__, "mean_time_between_failures_s": 2000.0, "repair_s": 100.0, "failing_ratio": 0.05})
    found = simulate(bad, durations, cpus=2, tasks_per_job=20)
    assert found.failures > 10
    assert found.lost_s > 0.02 * durations.sum()
    assert found.makespan_s > calm.makespan_s + found.lost_s / 4
