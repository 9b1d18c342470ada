"""The command: what it prints where, and its exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from tests.corpus import write_jsonl

ROOT = Path(__file__).parents[2]
MAIN = "from pipeline.cli import main; main()"


def tamis(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-c", MAIN, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    write_jsonl(folder / "in.jsonl", 60)
    config = {"input": str(folder / "in.jsonl"), "output": str(folder / "run"), "stages": ["gopher", "repetition"]}
    (folder / "web.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.fixture(scope="module")
def done(folder):
    return tamis("run", folder / "web.yaml", "--workers", 1)


def test_a_run_ends_with_the_funnel_on_stdout(folder, done):
    assert done.returncode == 0, done.stderr
    assert "gopher.word_count" in done.stdout
    assert f"{folder}/run/documents" in done.stdout.replace("\n", "")
    assert "Next:" in done.stdout
    assert "state=running" in done.stderr, "without a terminal, progress is lines on stderr"
    assert max(map(len, done.stdout.split("Kept documents")[0].splitlines())) <= 80
    assert "\x1b" not in done.stdout + done.stderr


def test_json_is_the_summary_and_nothing_else(folder, done):
    found = tamis("run", folder / "web.yaml", "--json", "--quiet")
    assert json.loads(found.stdout)["state"] == "done"
    assert found.stderr == ""


def test_status_of_a_finished_run(folder, done):
    found = tamis("status", folder / "run")
    assert found.returncode == 0
    assert "done; kept documents" in found.stdout
    assert json.loads(tamis("status", folder / "run", "--json").stdout)["output"]["documents"] > 0


def test_plan_writes_nothing_and_knows_what_is_done(folder, done):
    before = sorted(folder.rglob("*"))
    found = tamis("plan", folder / "web.yaml")
    assert found.returncode == 0
    assert "01-sieve" in found.stdout
    assert "word_count 50 … 100000" in found.stdout
    assert "cost    about" in found.stdout
    phases = json.loads(tamis("plan", folder / "web.yaml", "--json").stdout)["phases"]
    assert [(phase["tasks"], phase["done"]) for phase in phases] == [(1, 1), (1, 1)]
    fresh = json.loads(tamis("plan", folder / "web.yaml", "--json", "--set", "stages.gopher.word_count.min=9").stdout)
    assert [phase["done"] for phase in fresh["phases"]] == [0, 0]
    assert sorted(folder.rglob("*")) == before


def test_stages_lists_and_explains(folder):
    assert "repetition" in tamis("stages").stdout
    found = tamis("stages", "gopher").stdout
    assert "Rae et al. 2021" in found
    assert "gopher.word_count  [int32, count]  {min: 50, max: 100000}" in found
    assert {stage["name"] for stage in json.loads(tamis("stages", "--json").stdout)} >= {"gopher", "c4"}


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_annotate_writes_every_row(folder, ending):
    output = folder / f"annotated.{ending}"
    found = tamis("annotate", folder / "in.jsonl", "--stages", "gopher, repetition", "--output", output)
    assert found.returncode == 0, found.stderr
    assert found.stdout == ""
    assert "60 rows" in found.stderr
    if ending == "parquet":
        rows = pq.read_table(output).to_pylist()
    else:
        rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"page-{i}" for i in range(60)]
    assert all(row["gopher.word_count"] >= 0 for row in rows)


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["rum"], 2, "Did you mean 'run'?"),
        (["run", "{}/web.yaml", "--wokers", "1"], 2, "--workers"),
        (["run", "{}/web.yaml", "--workers", "0"], 2, "--workers"),
        (["run", "{}/web.yaml", "--executor", "slrm"], 2, "execution.executor"),
        (["run"], 2, "Missing argument 'CONFIG'"),
        (["run", "{}/wbe.yaml"], 2, "Did you mean"),
        (["run", "{}/web.yaml", "--set", "stages.gopher.word_cout.min=3"], 2, "Did you mean 'word_count'?"),
        (["run", "{}/web.yaml", "--input", "{}/im.jsonl", "--output", "{}/other"], 2, "Did you mean"),
        (["run", "{}/web.yaml", "--output", "{}"], 2, "is no run directory"),
        (["status", "{}"], 1, "is not a run directory"),
        (["stages", "gofer"], 2, "Did you mean 'gopher'?"),
        (["annotate", "{}/in.jsonl", "--stages", "gopher", "--output", "{}/in.jsonl"], 2, "is one of the inputs"),
        (["annotate", "{}/in.jsonl", "--stages", "gopher", "--output", "{}/x.csv"], 2, "ends in .parquet or .jsonl"),
        (
            ["annotate", "{}/in.jsonl", "--stages", "gopher", "--output", "{}/x.jsonl", "--text", "txet"],
            2,
            "Did you mean 'text'",
        ),
    ],
)
def test_wrong_requests_are_told_what_to_write(folder, arguments, code, expected):
    found = tamis(*(argument.replace("{}", str(folder)) for argument in arguments))
    assert (found.returncode, found.stdout) == (code, ""), found.stderr
    assert expected in found.stderr
    assert "Traceback" not in found.stderr


def test_debug_shows_where_an_error_came_from(folder):
    assert "Traceback" in tamis("--debug", "stages", "gofer").stderr


def test_a_changed_input_fails_the_run(tmp_path):
    write_jsonl(tmp_path / "in.jsonl", 5)
    arguments = ["run", "fineweb", "--input", tmp_path / "in.jsonl", "--output", tmp_path / "run", "--quiet"]
    assert tamis(*arguments).returncode == 0
    write_jsonl(tmp_path / "in.jsonl", 6)
    found = tamis(*arguments)
    assert found.returncode == 1
    assert "has changed since the first launch" in found.stderr


def test_ctrl_c_says_how_to_go_on(tmp_path):
    write_jsonl(tmp_path / "in.jsonl", 3000)
    arguments = ["run", "fineweb", "--input", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "run")]
    small = ["--set", "input.shard_bytes=50000", "--set", "execution.task_bytes=1"]
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, *arguments, *small],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )
    while process.poll() is None and not list(tmp_path.glob("run/phases/*/completions/*")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"go on with: tamis run fineweb --input {tmp_path}/in.jsonl" in errors
    assert "Traceback" not in errors


def test_a_closed_pipe_is_no_error(folder):
    command = f'"{sys.executable}" -c "{MAIN}" stages gopher | head -1'
    found = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, check=False)
    assert found.returncode == 0
    assert "Traceback" not in found.stderr
