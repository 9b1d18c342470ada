"""A small part of `benchmarks/fuzz.py`, so that it keeps working and what it found stays mended."""

import random
import warnings

import pytest

from benchmarks.fuzz import broken_input, try_input
from benchmarks.fuzz_mutations import Seed, mutated, with_other_values
from benchmarks.fuzz_targets import TARGETS

NUM_INPUTS = {"packed": 15, "config": 60, "fasttext": 0, "inspector": 0}
"""Of the slow ones; models take seconds to be trained, and the inspector is tried beside its other tests."""


@pytest.mark.parametrize("name", [name for name in TARGETS if NUM_INPUTS.get(name, 1)])
def test_nothing_but_errors_of_ours(name, tmp_path):
    if name == "packed":
        pytest.importorskip("torch", reason="torch is not installed: pip install 'tamis[train]'")
    target = TARGETS[name][0](tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outcomes = [try_input(target, *broken_input(name, target, 11, i)) for i in range(NUM_INPUTS.get(name, 150))]
    assert [finding for _, finding in outcomes if finding] == []
    assert len({accepted for accepted, _ in outcomes}) == (1 if name == "tokenizer" else 2), "some pass, some do not"


def test_a_fault_is_a_finding(tmp_path):
    target = TARGETS["jsonl"][0](tmp_path)

    def judge(kind: str, content: bytes) -> bool:
        raise KeyError(kind)

    accepted, finding = try_input(type(target)(target.seeds, target.words, judge), "a.jsonl", b"")
    assert not accepted
    assert finding is not None
    assert finding.startswith("KeyError at test_fuzz.py:")


def test_input_number_n_is_always_the_same(tmp_path):
    target = TARGETS["jsonl"][0](tmp_path)
    assert broken_input("jsonl", target, 5, 9) == broken_input("jsonl", target, 5, 9)
    assert len({broken_input("jsonl", target, 5, i) for i in range(50)}) > 45


def test_mutations_break_what_they_are_given():
    seed = Seed("x", bytes(range(64)) * 4)
    found = {mutated(seed, random.Random(i), [b"word"], [seed]) for i in range(400)}
    assert len(found) > 350
    assert any(b"word" in content for content in found)
    trees = [with_other_values({"a": [1, {"b": 2}]}, random.Random(i), ["name"]) for i in range(100)]
    assert len({repr(tree) for tree in trees}) > 60
