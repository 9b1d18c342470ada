"""Input, run and output on a server that speaks S3's protocol, and on one that fails. Skipped without moto and s3fs."""

import hashlib
import importlib.util
import io
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pipeline
from pipeline import exchange, lease
from pipeline.io import files, retry
from pipeline.io.files import AtomicFile, Source
from pipeline.lease import Lease, alone
from stages.errors import RunError, StorageError
from tests.corpus import write_jsonl
from tests.pipeline.test_engine import KINDS

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A bucket `crawl` with an input, and the server's faults."""
    if not all(map(importlib.util.find_spec, ("moto", "s3fs", "flask"))):
        pytest.skip("no S3 server here: pip install 'moto[server]' s3fs")
    from tests.protocol_server import s3_bucket

    folder = tmp_path_factory.mktemp("storage")
    write_jsonl(folder / "in.jsonl", 200)
    with s3_bucket() as (fs, faults):
        fs.put_file(str(folder / "in.jsonl"), "crawl/raw/in.jsonl")
        yield folder, faults


def config(source: str, output: str) -> dict:
    return {
        "input": {"path": source, "shard_bytes": 100_000},
        "output": output,
        "stages": ["gopher", "exact"],
        "execution": {"task_bytes": 1, "batch_bytes": 30_000, "output_bytes": 100_000, "rejected_rate": 0.5},
    }


def digest(run: str) -> dict[str, str]:
    """Checksum of every data file of a run, by name, but for the names of the input's files."""
    found = {}
    fs, root = files.filesystem_of(run)
    for name in (name for kind in KINDS for name in sorted(fs.find(f"{root}/{kind}"))):
        content = fs.cat_file(name)
        table = pq.read_table(io.BytesIO(content))
        if "source" in table.column_names:
            content = repr(table.drop_columns(["source"]).to_pylist()).encode()
        found["/".join(name.split("/")[-2:])] = hashlib.sha256(content).hexdigest()
    return found


@pytest.fixture(scope="module")
def reference(server):
    folder, _ = server
    return digest(pipeline.run(config(str(folder / "in.jsonl"), str(folder / "run")), workers=1).path)


def test_a_run_on_a_store_that_fails_gives_the_same_bytes(server, reference):
    """One request in twenty is answered by an error or cut short, the launch is killed, and another one goes on."""
    _, faults = server
    faults.rate = 0.05
    spec = config("s3://crawl/raw/*.jsonl", "s3://crawl/runs/a")
    code = "import json, pipeline, sys; pipeline.run(json.loads(sys.argv[1]), workers=2)"
    process = subprocess.Popen([sys.executable, "-c", code, json.dumps(spec)], cwd=ROOT)
    fs, _ = files.filesystem_of("s3://crawl")
    while process.poll() is None and len(fs.glob("crawl/runs/a/phases/*/completions/*")) < 2:
        time.sleep(0.1)
    with pytest.raises(RunError, match="another launch is at work on s3://crawl/runs/a"):
        Lease("s3://crawl/runs/a").take()
    process.kill()
    process.wait()
    before = len(fs.glob("crawl/runs/a/phases/*/completions/*"))
    run = pipeline.run(spec, workers=2)
    faults.rate = 0.0
    assert digest(run.path) == reference
    assert before >= 2
    assert min(faults.faults.values()) > 0, faults.faults
    assert run.documents.count_rows() == run.stats["output"]["documents"] > 0
    assert run.stats["input"]["rejected"].keys() == pipeline.open_run(run.path).stats["input"]["rejected"].keys()
    assert not fs.exists("crawl/runs/a/launch.lock")


def test_a_second_launch_asks_for_little(server, reference):
    """A record a task, and a few listings a phase: not a request for each file."""
    _, faults = server
    run = pipeline.open_run("s3://crawl/runs/a")
    num_tasks = sum(run.num_tasks(phase) for phase in run.plan.phases)
    before = faults.requests.total()
    pipeline.run(config("s3://crawl/raw/*.jsonl", "s3://crawl/runs/a"), workers=2)
    assert faults.requests.total() - before < 6 * num_tasks + 20 * len(run.plan.phases) + 40
    assert digest(run.path) == reference


def test_what_is_not_committed_is_not_there(server):
    fs, _ = files.filesystem_of("s3://crawl")
    for size in (10, 12 << 20):
        file = AtomicFile("s3://crawl/half")
        file.write(b"x" * size)
        file.discard()
        assert not fs.exists("crawl/half")
        file = AtomicFile("s3://crawl/whole")
        file.write(b"x" * size)
        file.commit()
        assert fs.size("crawl/whole") == size


class Flaky:
    """A remote filesystem whose files fail, or end early, at the reads that it is told."""

    content = bytes(range(256)) * 40

    def __init__(self, faults: dict[int, str]) -> None:
        self.faults, self.reads = faults, 0

    def open(self, name: str, mode: str) -> "Flaky":
        handle = Flaky(self.faults)
        handle.owner, handle.at, handle.size = self, 0, len(self.content)
        return handle

    def seek(self, at: int) -> None:
        self.at = at

    def read(self, size: int) -> bytes:
        self.owner.reads += 1
        fault = self.faults.get(self.owner.reads)
        if fault == "gone":
            raise FileNotFoundError
        if fault == "error":
            raise ConnectionError("reset by peer")
        found = self.content[self.at :][: size if size >= 0 else None]
        self.at += len(found)
        return found[: len(found) // 2] if fault == "cut" else found

    def close(self) -> None: ...


@pytest.fixture
def flaky(monkeypatch):
    def make(**faults: str) -> None:
        fs = Flaky({int(number.removeprefix("at_")): fault for number, fault in faults.items()})
        monkeypatch.setattr(files, "filesystem_of", lambda path: (fs, path))
        monkeypatch.setattr(retry, "time", type("NoWait", (), {"sleep": staticmethod(lambda seconds: None)}))

    return make


def test_a_read_goes_on_where_it_stopped(flaky):
    flaky(at_2="error", at_4="cut", at_5="error", at_6="cut")
    before = files.read_bytes_so_far()
    source = Source("x://file")
    pieces = [source.read(1000), source.read(3000), source.read(-1)]
    assert b"".join(pieces) == Flaky.content
    assert [len(piece) for piece in pieces] == [1000, 3000, len(Flaky.content) - 4000]
    assert source.read(10) == b""
    source.seek(-3, 2)
    assert (source.read(), source.tell()) == (Flaky.content[-3:], len(Flaky.content))
    assert files.read_bytes_so_far() - before == len(Flaky.content) + 3


def test_one_that_keeps_failing_is_an_error_that_no_reader_takes_for_data(flaky):
    flaky(**{f"at_{number}": "error" for number in range(2, 20)})
    source = Source("x://file")
    source.read(10)
    with pytest.raises(StorageError, match=r"x://file cannot be read at byte 10: ConnectionError: reset by peer"):
        source.read(10)
    assert not issubclass(StorageError, (OSError, ValueError, EOFError))
    flaky(at_1="gone")
    with pytest.raises(FileNotFoundError):
        Source("x://file").read(10)


real = time.time


def test_what_tasks_hand_on_to_each_other_is_read_again_too(flaky, tmp_path, monkeypatch):
    rows = pa.table({"key": pa.array([1, 2, 1 << 63], pa.uint64()), "value": ["a", "b", "c"]})
    file = exchange.write_parts(str(tmp_path), "phases/01-sieve/sketch/0.bin", rows, exchange.key_firsts(2))
    monkeypatch.setattr(Flaky, "content", (tmp_path / file.path).read_bytes())
    for small in (file.bytes, 0):
        monkeypatch.setattr(exchange, "SMALL_BYTES", small)
        flaky(at_1="error", at_2="cut", at_4="cut", at_5="error")
        assert exchange.read_all("x://run", file).equals(rows)
        flaky(**{f"at_{number}": "error" for number in range(1, 20)})
        with pytest.raises(StorageError, match="cannot be read"):
            exchange.read_all("x://run", file)


@pytest.fixture
def quick(monkeypatch):
    """Leases behind a URL of memory, with the times of a second."""
    for name, seconds in {"RENEW_S": 0.05, "LEASE_S": 0.4, "SETTLE_S": 0.05}.items():
        monkeypatch.setattr(lease, name, seconds)
    yield "memory://runs/a"
    files.remove_folder("memory://runs")


def test_a_lease_is_held_by_one_and_left_by_the_dead(quick):
    with alone(quick) as check:
        check()
        with (
            pytest.raises(RunError, match=r"another launch is at work on memory://runs/a \(process \d+ on "),
            alone(quick),
        ):
            pass
    assert files.read_if_there(f"{quick}/launch.lock") is None
    gone = Lease(quick)
    gone.owner["host"] = "another"
    gone._write()
    started = time.monotonic()
    with alone(quick) as check:
        assert time.monotonic() - started >= 0.4, "it watched"
        Lease(quick)._write()
        time.sleep(0.3)
        with pytest.raises(RunError, match="has taken memory://runs/a over"):
            check()


def test_a_lease_needs_no_clocks(quick, monkeypatch):
    """A launch that sees a lease of another machine goes by whether it changes, not by what any clock says."""
    for off in (-400 * 86_400, -60, 7 * 3_600, 40 * 86_400):
        with alone(quick):
            monkeypatch.setattr(time, "time", lambda off=off: real() + off)
            with pytest.raises(RunError, match="another launch is at work"):
                Lease(quick).take()
            monkeypatch.setattr(time, "time", real)
        gone = Lease(quick)
        gone.owner["host"] = "another"
        gone._write()
        monkeypatch.setattr(time, "time", lambda off=off: real() + off)
        with alone(quick) as check:
            check()
        monkeypatch.setattr(time, "time", real)


def _refused_though_it_saw_none(folder: str) -> None:
    """A lease that appears between a launch's look and its write stays: there is no moment in which both hold one."""
    first, second = Lease(folder), Lease(folder)
    first._create()
    with pytest.raises(RunError, match="another launch is at work on"):
        second._create()
    assert json.loads(files.read_if_there(f"{folder}/launch.lock"))["owner"] == first.owner["owner"]
    first._create()  # the answer to its request was lost, and it asked again
    first.give_back()


def test_a_lease_is_created_in_one_step(quick):
    _refused_though_it_saw_none(quick)


def test_a_lease_is_created_in_one_step_on_a_store(server):
    _refused_though_it_saw_none("s3://crawl/leased")


def test_a_store_without_that_step_gets_a_lease_too(quick, monkeypatch):
    def refuses(self, path, value, mode="overwrite"):
        raise NotImplementedError(mode)

    monkeypatch.setattr(type(files.filesystem_of(quick)[0]), "pipe_file", refuses)
    monkeypatch.setattr(retry.again, "__defaults__", ((),))  # no waits between tries
    lone = Lease(quick)
    lone._create()
    assert json.loads(files.read_if_there(f"{quick}/launch.lock"))["owner"] == lone.owner["owner"]


def test_of_two_that_take_a_lease_at_once_one_gets_it(quick, monkeypatch):
    monkeypatch.setattr(lease, "SETTLE_S", 1.0)  # both threads have begun by then, on a busy machine too
    ends: list[str] = []

    def take() -> None:
        mine = Lease(quick)
        mine.owner["host"] = mine.owner["owner"]
        try:
            mine.take()
            ends.append("held")
        except RunError:
            ends.append("refused")

    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["held", "refused"]
