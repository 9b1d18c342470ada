"""Caps: of each value so many documents stay, whichever partition they are in and however they are ordered."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stages.cap import Cap
from stages.contract import run_stage
from stages.text.batch import TextBatch
from stages.text.hashes import text_hashes
from tests.resolution import resolution_of


def over(cap: Cap, batch: TextBatch, num_partitions: int = 1) -> list[bool | None]:
    return run_stage(cap, batch, resolution_of(cap, batch, num_partitions))[1]["over"].to_pylist()


def batch_of(domains: list[str | None], texts: list[str] | None = None) -> TextBatch:
    texts = texts or [f"text {i}" for i in range(len(domains))]
    return TextBatch.from_texts(texts, domain=pa.array(domains, pa.string()), date=pa.array(range(len(texts))))


@settings(deadline=None)
@given(
    domains=st.lists(st.sampled_from(["a.org", "b.org", "c.org", None]), max_size=30),
    max_documents=st.integers(1, 5),
    max_amount=st.none() | st.integers(1, 60),
    seed=st.integers(0, 3),
)
def test_a_cap_is_that_of_its_twin(domains, max_documents, max_amount, seed):
    batch = batch_of(domains, [f"{'x' * (i % 9)}{i}" for i in range(len(domains))])
    cap = Cap(by="domain", max_documents=max_documents, max_amount=max_amount, seed=seed)
    hashes, sizes = text_hashes(batch, seed), np.diff(batch.utf8.offsets)
    expected: list[bool | None] = [None] * len(domains)
    seen, amounts = Counter(), Counter()
    for i in sorted(range(len(domains)), key=lambda i: hashes[i]):
        if (domain := domains[i]) is not None:
            seen[domain] += 1
            amounts[domain] += sizes[i]
            expected[i] = bool(
                seen[domain] > max_documents or (max_amount is not None and amounts[domain] > max_amount)
            )
    assert over(cap, batch) == over(cap, batch, 5) == expected


def test_priority_says_who_stays():
    batch = batch_of(["a.org"] * 10 + ["b.org"])
    found = over(Cap(by="domain", max_documents=3, priority=("-date",)), batch)
    assert [i for i, is_over in enumerate(found) if not is_over] == [7, 8, 9, 10]


def test_within_bounds_each_part_alone():
    batch = batch_of(["a.org"] * 6)
    cap = Cap(by="domain", max_documents=1, within=("date",))
    assert over(cap, batch) == [False] * 6


def test_tokens_are_counted():
    batch = batch_of(["a.org"] * 6).with_signals({"tokens.count": pa.array([10] * 6, pa.int32())})
    assert over(Cap(by="domain", max_amount=35, unit="tokens"), batch).count(True) == 3


def test_the_choice_depends_on_the_text_alone():
    batch = batch_of(["a.org"] * 50)
    cap = Cap(by="domain", max_documents=10)
    order = np.random.default_rng(0).permutation(50)
    assert over(cap, batch.take(order)) == [over(cap, batch)[i] for i in order]


def test_a_cap_bounds_something():
    with pytest.raises(ValidationError, match="write max_documents, max_amount or both"):
        Cap()
