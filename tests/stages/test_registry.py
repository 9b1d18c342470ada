"""Names and classes of stages, ours and other people's."""

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import pipeline
import stages
from stages.errors import ConfigError

THIRD_PARTY = Path(__file__).parents[1] / "third_party"


@pytest.fixture
def shout(tmp_path, monkeypatch):
    """The package under tests/third_party as pip would leave it: its code, and metadata with its entry point."""
    shutil.copytree(THIRD_PARTY / "tamis_shout", tmp_path / "tamis_shout")
    info = tmp_path / "tamis_shout-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tamis-shout\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[tamis.stages]\nshout = tamis_shout:Shout\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    stages._third_party.cache_clear()
    yield tmp_path
    stages._third_party.cache_clear()
    sys.modules.pop("tamis_shout", None)


def test_every_registered_stage_loads():
    for name in stages.REGISTRY:
        assert stages.load(name).__doc__


def test_an_unknown_stage_names_the_nearest():
    with pytest.raises(ConfigError, match=r"there is no stage 'gofer'\. Did you mean 'gopher'"):
        stages.load("gofer")


def test_a_third_party_stage_joins_by_entry_point_and_runs(shout, tmp_path):
    assert "shout" in stages.names()
    (tmp_path / "in.jsonl").write_text('{"text": "LOUD AND CLEAR"}\n{"text": "soft and clear"}\n')
    config = {"input": {"path": str(tmp_path / "in.jsonl")}, "output": str(tmp_path / "run"), "stages": ["shout"]}
    run = pipeline.run(config, workers=1)
    assert run.documents.to_table()["text"].to_pylist() == ["soft and clear"]
    assert run.signals.to_table()["dropped_by"].to_pylist() == ["shout.upper_ratio", None]


def test_a_third_party_stage_needs_few_lines():
    assert len((THIRD_PARTY / "tamis_shout" / "__init__.py").read_text().splitlines()) < 40


def test_two_stages_of_one_name_are_refused(shout, tmp_path):
    (tmp_path / "tamis_shout-0.1.0.dist-info" / "entry_points.txt").write_text(
        "[tamis.stages]\ngopher = tamis_shout:Shout\n"
    )
    stages._third_party.cache_clear()
    with pytest.raises(ConfigError, match="two stages are called 'gopher'"):
        stages.names()


def test_the_metadata_of_the_example_is_what_the_test_installs():
    text = (THIRD_PARTY / "pyproject.toml").read_text()
    assert 'shout = "tamis_shout:Shout"' in text
    assert metadata.EntryPoint("shout", "tamis_shout:Shout", stages.ENTRY_POINT_GROUP).attr == "Shout"


@pytest.mark.parametrize("package", ["stages", "pipeline", "pipeline.cli"])
def test_imports_stay_light(package):
    """`tamis --help` may not wait for what only a run needs."""
    heavy = ("numba", "pyarrow", "datatrove", "fasttext", "numpy", "pydantic", "fastwarc", "torch")
    code = f"import sys, {package}; print(*(name for name in {heavy!r} if name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == []


def test_exported_names():
    assert sorted(stages.__all__) == ["ENTRY_POINT_GROUP", "REGISTRY", "load", "name_of", "names"]
    assert sorted(pipeline.__all__) == ["Run", "Tokens", "annotate", "open_run", "open_tokens", "run"]
    for name in pipeline.__all__:
        assert getattr(pipeline, name)
    with pytest.raises(AttributeError):
        _ = pipeline.nothing
