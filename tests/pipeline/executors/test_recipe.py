"""The whole recipe of Llama 3 on the quickstart corpus, by every executor and on a store that fails: the same bytes.

Twenty-two phases of a few tasks each, and each starts workers of its own on a cluster: minutes. `make test-clusters`
sets TAMIS_RECIPE=1; without it these tests are skipped.
"""

import hashlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.io import files
from tests.pipeline.executors.test_clusters import ROOT, slurm, wait_for

__all__ = ["slurm"]
RAW = ROOT / "data" / "quickstart" / "raw"
CODE = "import json, pipeline, sys; pipeline.run('configs/llama3-small.yaml', **json.loads(sys.argv[1]))"

pytestmark = [
    pytest.mark.skipif(not os.environ.get("TAMIS_RECIPE"), reason="minutes each; TAMIS_RECIPE=1 runs them"),
    pytest.mark.skipif(not RAW.is_dir(), reason=f"{RAW} is not there: make corpus"),
    pytest.mark.skipif(not importlib.util.find_spec("llama_models"), reason="pip install 'tamis[llama3]'"),
]


def launch(source: str, output: str, *settings: str) -> None:
    options = {"input": source, "output": output, "set": list(settings)}
    subprocess.run([sys.executable, "-c", CODE, json.dumps(options)], check=True, cwd=ROOT)


def digest(run: str) -> dict[str, str]:
    """Checksum of every file of `documents/` and `tokens/`, but for the run's own path in them."""
    found = contents(run)
    assert any("/tokens/train/" in name for name in found)
    return {name: hashlib.sha256(content.replace(run.encode(), b"RUN")).hexdigest() for name, content in found.items()}


def contents(run: str) -> dict[str, bytes]:
    fs, root = files.filesystem_of(run)
    names = [name for kind in ("documents", "tokens") for name in sorted(fs.find(f"{root}/{kind}"))]
    return {name.removeprefix(root): fs.cat_file(name) for name in names}


def without_folders(content: bytes) -> pa.Table:
    """A file of tokens, with the names of the files that documents came from but not their folders."""
    table = pq.read_table(io.BytesIO(content))
    sources = [[path.rpartition("/")[2] for path in row] for row in table["document_sources"].to_pylist()]
    return table.set_column(table.schema.get_field_index("document_sources"), "document_sources", pa.array(sources))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("recipe")


@pytest.fixture(scope="module")
def reference(folder) -> dict[str, str]:
    launch(f"{RAW}/*", str(folder / "local"), "execution.workers=1")
    return digest(str(folder / "local"))


def test_by_two_workers(folder, reference):
    launch(f"{RAW}/*", str(folder / "two"), "execution.workers=2")
    assert digest(str(folder / "two")) == reference


def test_by_slurm(folder, reference, slurm):
    block = json.dumps(slurm["slurm"] | {"memory_gb": 2, "tasks_per_job": 2})
    launch(f"{RAW}/*", str(folder / "slurm"), "execution.executor=slurm", f"execution.slurm={block}")
    run = wait_for(str(folder / "slurm"), 1800)
    assert run.state == "done", run.description.get("error")
    assert digest(run.path) == reference


def test_by_ray(folder, reference):
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install 'tamis[cluster]'")
    launch(f"{RAW}/*", str(folder / "ray"), "execution.executor=ray", "execution.ray.tasks_per_job=2")
    assert digest(str(folder / "ray")) == reference


def test_on_a_store_that_fails(folder, reference):
    """One request in twenty is answered by an error or cut short. Files of tokens name the files of the input, which
    are other ones here."""
    if not all(map(importlib.util.find_spec, ("moto", "s3fs", "flask"))):
        pytest.skip("no S3 server here: pip install 'moto[server]' s3fs")
    from tests.protocol_server import s3_bucket

    with s3_bucket() as (fs, faults):
        for path in RAW.iterdir():
            fs.put_file(str(path), f"crawl/raw/{path.name}")
        faults.rate = 0.05
        started = time.monotonic()
        launch("s3://crawl/raw/*", "s3://crawl/run", "execution.workers=1")
        seconds, injected = time.monotonic() - started, faults.faults.total()
        faults.rate = 0.0
        print(f"{faults.requests.total()} requests, {injected} of them failed, {seconds:.0f} s")
        found, expected = contents("s3://crawl/run"), contents(str(folder / "local"))
    assert injected > 0
    assert found.keys() == expected.keys()
    for name, content in found.items():
        if "/documents/" in name:
            assert content == expected[name], name
        elif name.endswith(".parquet"):
            assert without_folders(content).equals(without_folders(expected[name])), name
