"""The README says what is true: its commands exist, its example runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import stages
from stages.contract import run_stage
from stages.text.batch import TextBatch

ROOT = Path(__file__).parents[1]
DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
README = DOCS[0].read_text(encoding="utf-8")


def commands() -> set[str]:
    from pipeline.cli import app

    return {command.name or command.callback.__name__ for command in app.registered_commands}


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_command_in_the_docs_exists(path):
    text = path.read_text(encoding="utf-8")
    used = set(re.findall(r"(?:^|[`\s/])tamis ([a-z]+)(?=[\s`])", text)) & set(re.findall(r"[a-z]+", text))
    assert used <= commands(), used - commands()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)`|^make ([a-z]+)", text, re.MULTILINE)) <= {(t, "") for t in targets} | {
        ("", t) for t in targets
    }


def test_every_command_is_in_the_readme():
    for command in commands():
        assert f"`tamis {command}" in README


@pytest.mark.parametrize(
    "command", ["run", "plan", "status", "cancel", "clean", "annotate", "train", "bands", "inspect", "stages"]
)
def test_every_command_has_help(command):
    code = "from pipeline.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, command, "--help"], capture_output=True, text=True, check=True)
    assert "Usage:" in done.stdout
    assert len(done.stdout.splitlines()) > 5


def test_every_stage_is_in_the_readme():
    for name in stages.REGISTRY:
        assert f"| `{name}` |" in README


def test_the_example_stage_works():
    code = next(block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "class Questions" in block)
    namespace: dict = {}
    exec(compile(code, "README.md", "exec"), namespace)
    _, columns = run_stage(namespace["Questions"](), TextBatch.from_texts(["why? how?", ""]))
    assert columns["question_count"].to_pylist() == [2, 0]
