"""Files through which rows change hands: every part is found, and damage is seen."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.exchange import concat, first_key, key_firsts, read_all, read_keys, read_part, write_parts
from pipeline.io.files import checksum_of
from stages.errors import RunError

KEYS = st.lists(st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 1 << 62, 1 << 63, 2**64 - 1])), max_size=40)
PATH = "phases/01-sieve-0/sketch/00000.bin"


def rows(keys: list[int]) -> pa.Table:
    binary = pa.array([key.to_bytes(9, "big") for key in keys], pa.binary(9))
    return pa.table({"key": pa.array(keys, pa.uint64()), "id": [f"é{key}" for key in keys], "priority": binary})


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(KEYS, st.integers(1, 9), st.integers(1, 9))
def test_parts_are_the_sorted_rows_in_order(tmp_path: Path, keys: list[int], num_parts: int, others: int) -> None:
    file = write_parts(str(tmp_path), PATH, rows(keys), key_firsts(num_parts))
    expected = rows(sorted(keys))
    parts = [read_part(str(tmp_path), file, part) for part in range(num_parts)]
    assert concat(parts).equals(expected)
    assert read_all(str(tmp_path), file).equals(expected)
    ranges = [
        read_keys(str(tmp_path), file, first_key(part, others), first_key(part + 1, others) - 1)
        for part in range(others)
    ]
    assert concat(ranges).equals(expected)
    assert file.rows == len(keys)
    assert file.bytes == (tmp_path / PATH).stat().st_size
    assert file.checksum == checksum_of(f"{tmp_path}/{PATH}")


def test_rows_of_one_key_keep_their_order(tmp_path: Path) -> None:
    table = pa.table({"key": pa.array([5, 3, 5, 3], pa.uint64()), "value": [1, 2, 3, 4]})
    found = read_all(str(tmp_path), write_parts(str(tmp_path), PATH, table, key_firsts(2)))
    assert found["value"].to_pylist() == [2, 4, 1, 3]


def test_parts_of_any_size_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.exchange.BATCH_ROWS", 3)
    table = rows(list(range(20)))
    file = write_parts(str(tmp_path), PATH, table, np.array([0, 4, 4, 15], np.uint64))
    assert [read_part(str(tmp_path), file, part).num_rows for part in range(4)] == [4, 0, 11, 5]
    assert read_all(str(tmp_path), file).equals(table)


@pytest.mark.parametrize("place", [0.0, 0.001, 0.5, 0.97, 0.99, 0.999])
def test_damage_is_seen_as_a_part_is_read(tmp_path: Path, place: float) -> None:
    file = write_parts(str(tmp_path), PATH, rows(list(range(0, 2**63, 2**55))), key_firsts(2))
    content = bytearray((tmp_path / PATH).read_bytes())
    content[int(len(content) * place)] ^= 0x10
    (tmp_path / PATH).write_bytes(content)
    with pytest.raises(
        RunError, match=r"sketch/00000.bin is damaged: .*delete .*/phases/01-sieve-0 to have that phase"
    ):
        read_all(str(tmp_path), file)
