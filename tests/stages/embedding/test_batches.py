import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stages.embedding.batches import bucket_lengths, cut_windows, plan_batches, pool
from tests import naive_embedding

COUNTS = st.lists(st.one_of(st.integers(0, 40), st.integers(0, 3000)), max_size=30)


@given(counts=COUNTS, capacity=st.integers(1, 600), pooling=st.sampled_from(["mean", "first"]))
def test_windows_and_their_means(counts, capacity, pooling):
    windows = cut_windows(np.array(counts, np.int64), capacity, pooling)
    expected = naive_embedding.windows(counts, capacity, pooling)
    assert list(zip(windows.document, windows.start, windows.stop, strict=True)) == expected
    vectors = np.random.default_rng(1).normal(size=(len(expected), 5)).astype(np.float32)
    mean = naive_embedding.pooled(vectors, expected, len(counts))
    np.testing.assert_allclose(pool(vectors, windows, len(counts)), mean, atol=1e-5)


@given(lengths=st.lists(st.integers(1, 512), max_size=60), budget=st.integers(1, 4096))
def test_batches_hold_every_window_once_within_the_budget(lengths, budget):
    own = np.array(lengths, np.int64)
    batches = list(plan_batches(own, budget, 512))
    assert sorted(w for batch in batches for w in batch.windows.tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert (own[batch.windows] <= batch.length).all()
        assert len(batch.windows) * batch.length <= budget or len(batch.windows) == 1
    assert [batch.length for batch in batches] == sorted((batch.length for batch in batches), reverse=True)


def test_little_is_padded():
    lengths = np.arange(1, 513)
    padded = bucket_lengths(lengths, 512)
    assert (padded >= lengths).all()
    assert (padded - lengths <= np.maximum(1, lengths // 16)).all()
    assert padded.max() == 512
    assert len(np.unique(padded)) < 90
    assert bucket_lengths(np.array([254]), 254)[0] == 254
