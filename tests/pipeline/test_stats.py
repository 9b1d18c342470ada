"""Stats merge in any order and grouping."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import stats as counting

NUMBERS = st.integers(0, 1 << 40)
STATS = st.recursive(
    st.dictionaries(st.sampled_from(["documents", "bytes", "peak_memory_bytes"]), NUMBERS, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from(["input", "gopher", "dropped"]), inner, max_size=3),
    max_leaves=6,
)


@given(STATS, STATS, STATS)
def test_merge_is_associative_and_commutative(a, b, c):
    left = counting.merge([counting.merge([a, b]), c])
    assert left == counting.merge([a, counting.merge([b, c])]) == counting.merge([c, b, a])


@given(STATS)
def test_nothing_is_neutral(a):
    assert counting.merge([{}, a, {}]) == a


def test_merge_leaves_its_arguments_alone():
    a = {"input": {"documents": 1}}
    counting.merge([a, a])
    assert a == {"input": {"documents": 1}}


def test_sums_and_peaks():
    parts = [{"n": 2, "peak_memory_bytes": 5, "s": {"x": 1}}, {"n": 3, "peak_memory_bytes": 4, "s": {"y": 2}}]
    assert counting.merge(parts) == {"n": 5, "peak_memory_bytes": 5, "s": {"x": 1, "y": 2}}


def test_a_rule_of_a_stage_that_is_named_like_a_peak_is_a_sum():
    one = {"stages": {"peak_g": {"unmeasured": {"peak_g.word_count": 5}}}}
    assert counting.merge([one, one])["stages"]["peak_g"]["unmeasured"] == {"peak_g.word_count": 10}


def test_dropped_lists_the_commonest_rule_first():
    stats = counting.empty(["a", "b"])
    stats["stages"]["a"]["dropped"] = {"a.x": {"documents": 1, "bytes": 9}}
    stats["stages"]["b"]["dropped"] = {"b.y": {"documents": 3, "bytes": 2}}
    assert list(counting.dropped(stats)) == ["b.y", "a.x"]


@pytest.fixture
def few_labels(monkeypatch):
    monkeypatch.setattr(counting, "MAX_LABELS", 3)


PAIRS = st.fixed_dictionaries({"documents": NUMBERS, "bytes": NUMBERS})
LABELS = st.sampled_from(["a", "b", "c", "d", "e", "peak_f"])
BY_LABEL = st.dictionaries(LABELS, st.fixed_dictionaries({"read": PAIRS, "dropped": st.dictionaries(LABELS, PAIRS)}))
WITH_LABELS = st.fixed_dictionaries(
    {
        "languages": BY_LABEL,
        "sources": BY_LABEL,
        "stages": st.dictionaries(
            st.sampled_from(["x", "labels", "sources"]),
            st.fixed_dictionaries(
                {
                    "documents_in": NUMBERS,
                    "labels": st.dictionaries(LABELS, st.dictionaries(LABELS, NUMBERS)),
                    "histograms": st.dictionaries(LABELS, st.dictionaries(st.sampled_from(["0", "17"]), NUMBERS)),
                }
            ),
        ),
    }
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(WITH_LABELS, WITH_LABELS, WITH_LABELS)
def test_merge_keeps_its_laws_where_labels_are_too_many(few_labels, a, b, c):
    a, b, c = (counting.merge([part]) for part in (a, b, c))  # as tasks give them: within the limit
    left = counting.merge([counting.merge([a, b]), c])
    assert left == counting.merge([a, counting.merge([b, c])]) == counting.merge([c, b, a])
    for kind in ("languages", "sources"):
        assert len(left[kind]) <= 3
        for total in ("documents", "bytes"):
            parts = [label["read"][total] for part in (a, b, c) for label in part[kind].values()]
            assert sum(label["read"][total] for label in left[kind].values()) == sum(parts)
    for stage in left["stages"].values():
        assert all(len(labels) <= 3 for labels in stage["labels"].values())


def test_what_is_light_has_all_that_a_display_wants():
    stats = counting.empty(["a"])
    stats["stages"]["a"]["histograms"] = {"a.x": {"1": 2}}
    light = counting.light(stats)
    assert not {"languages", "sources"} & light.keys()
    assert not {"histograms", "labels"} & light["stages"]["a"].keys()
    assert light["input"] == stats["input"]
    assert counting.light({}) == {}
