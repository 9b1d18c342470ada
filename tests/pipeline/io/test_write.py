"""Files that are there whole or not at all, and bytes that depend on rows alone."""

import json
import random
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.io import write
from pipeline.io.files import AtomicFile, checksum_of, read_json, write_json
from pipeline.io.write import ParquetSink
from stages.errors import RunError

TABLE = pa.table(
    {"id": [str(i) for i in range(100)], "text": pa.array([f"text {i}" * i for i in range(100)], pa.large_string())}
)


def written(folder: Path, cuts: list[int]) -> tuple[bytes, write.Written]:
    edges = [0, *sorted(cuts), 100]
    with ParquetSink(str(folder), "out/x.parquet", TABLE.schema) as sink:
        for low, high in pairwise(edges):
            sink.write(TABLE.slice(low, high - low))
        done = sink.close()
    return (folder / "out/x.parquet").read_bytes(), done


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 100), max_size=6))
def test_the_same_rows_give_the_same_bytes_however_they_are_cut(tmp_path, cuts):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "ROW_GROUP_BYTES", 3000)
        content, done = written(tmp_path, cuts)
        assert content == written(tmp_path, [])[0]
    assert pq.read_table(tmp_path / "out/x.parquet").equals(TABLE)
    assert pq.read_metadata(tmp_path / "out/x.parquet").num_row_groups > 3
    assert (done.path, done.rows, done.bytes) == ("out/x.parquet", 100, len(content))
    assert done.checksum == checksum_of(str(tmp_path / "out/x.parquet"))


def test_a_sink_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), ParquetSink(str(tmp_path), "x.parquet", TABLE.schema) as sink:  # noqa: PT012
        sink.write(TABLE)
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_another_schema_is_refused(tmp_path):
    with pytest.raises((pa.ArrowInvalid, ValueError)), ParquetSink(str(tmp_path), "x.parquet", TABLE.schema) as sink:
        sink.write(pa.table({"other": [1]}))


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "deep" / "x.bin"
    file = AtomicFile(str(path))
    file.write(b"half")
    assert not path.exists()
    file.write(b" and half")
    file.commit()
    assert path.read_bytes() == b"half and half"
    assert [entry.name for entry in path.parent.iterdir()] == ["x.bin"]


def test_on_a_store_a_file_appears_when_it_is_complete():
    file = AtomicFile("memory://store/x.json")
    file.write(b"{}")
    file.commit()
    assert read_json("memory://store/x.json") == {}


def test_json_is_replaced_whole(tmp_path):
    path = str(tmp_path / "x.json")
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {("not", "json"): 1})
    assert json.loads(Path(path).read_text()) == {"a": 1}


@pytest.mark.parametrize(("content", "expected"), [(b"", "is empty"), (b"{", "is damaged"), (None, "is missing")])
def test_json_that_cannot_be_read_is_named(tmp_path, content, expected):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RunError, match=rf"x\.json {expected}"):
        read_json(str(path))


@pytest.mark.parametrize("small_bytes", [1 << 20, 0], ids=["small", "large"])
def test_a_flipped_byte_is_damage_wherever_it_is(tmp_path, monkeypatch, small_bytes):
    """The pages of a file have checksums, its footer has none: names, sizes and places in it may be anything."""
    monkeypatch.setattr(write, "SMALL_BYTES", small_bytes)
    content, file = written(tmp_path, [])
    path = tmp_path / file.path
    rng, damaged = random.Random(3), 0
    for _ in range(300):
        changed = bytearray(content)
        changed[rng.randrange(len(changed))] ^= 0xFF
        path.write_bytes(changed)
        try:
            with write.open_written(str(tmp_path), file) as parquet:
                assert parquet.read().num_rows == 100
        except RunError as error:
            damaged += f"{path} is damaged: " in str(error)
    assert damaged == 300 if small_bytes else damaged > 200
