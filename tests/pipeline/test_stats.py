"""Stats merge in any order and grouping."""

from hypothesis import given
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


def test_dropped_lists_the_commonest_rule_first():
    stats = counting.empty(["a", "b"])
    stats["stages"]["a"]["dropped"] = {"a.x": {"documents": 1, "bytes": 9}}
    stats["stages"]["b"]["dropped"] = {"b.y": {"documents": 3, "bytes": 2}}
    assert list(counting.dropped(stats)) == ["b.y", "a.x"]
