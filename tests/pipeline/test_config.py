"""Configs: what they may say, and what they are told when they say something else."""

import json
import tomllib
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.config import PRESETS, Config, dump_config, load_config, profile_path
from stages.contract import Allowed, Bounds
from stages.errors import ConfigError

GOOD = """\
input: {path: "*.jsonl"}
output: runs/x
stages:
  - language: {label: [en, no]}
  - gopher:
      word_count: {min: 60}
      by_language:
        ja: {mean_word_length: {min: 1}}
  - repetition
execution:
  workers: 3
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "web.yaml") -> str:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def message(source, **arguments) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(source, **arguments)
    return str(caught.value)


def test_a_good_config(write):
    config = load_config(write(GOOD))
    language, gopher, repetition = config.stages
    assert language.label == Allowed(labels=("en", "no")), "`no` is Norwegian, not false"
    assert gopher.word_count == Bounds(min=60, max=100_000), "a partial bound keeps its other end"
    assert gopher.decisions("ja")["mean_word_length"] == Bounds(min=1, max=10)
    assert repetition.name == "repetition"
    assert config.execution.workers == 3


def test_a_config_survives_being_written_and_read(write):
    config = load_config(write(GOOD))
    assert load_config(dump_config(config)) == config == load_config(config)
    assert load_config(yaml.safe_load(yaml.safe_dump(dump_config(config)))) == config


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        (
            "word_count",
            "word_cout",
            6,
            "gopher has no field 'word_cout'. Did you mean 'word_count'? See: tamis stages gopher",
        ),
        ("{min: 60}", "{mim: 60}", 6, "gopher.word_count has no field 'mim'. Did you mean 'min'?"),
        ("{min: 60}", "60", 6, "gopher.word_count is a bound: write {min: 60}, {max: 60} or both, not 60."),
        ("{min: 60}", "[60, 90]", 6, "gopher.word_count is a bound: write {min: 60}, {max: 90} or both"),
        ("{min: 60}", "{min: 9, max: 3}", 6, "min 9 is above max 3: no document could pass"),
        ("{min: 60}", "{min: many}", 6, "gopher.word_count.min"),
        ("{min: 60}", "{min: -.inf}", 6, "a bound is a finite number, or null for no limit"),
        ("{min: 60}", f"{{min: {10**400}}}", 6, "a bound is a finite number, or null for no limit"),
        ("gopher:", "gofer:", 5, "there is no stage 'gofer'. Did you mean 'gopher'?"),
        ("output:", "outptu:", 2, "there is no key 'outptu'. Did you mean 'output'?"),
        (
            "mean_word_length: {min: 1}",
            "mean_word_len: {min: 1}",
            8,
            "by_language.ja has no signal 'mean_word_len'. Did you",
        ),
        ("workers: 3", "worker: 3", 11, "execution has no field 'worker'. Did you mean 'workers'?"),
        ("workers: 3", "workers: many", 11, "execution.workers"),
        ("- repetition", "- gopher", 9, "there are two stages 'gopher'; give one another name"),
        ("- repetition", "- {a: 1, b: 2}", 9, "a stage is a name, or a name and its fields"),
        ("- repetition", "- repetition: 3", 9, "repetition takes fields, `repetition: {field: value}`, not 3"),
        ("[en, no]", "[]", 4, "an empty list allows nothing"),
        ("output: runs/x", "output: 3", 2, "output is the path of a run directory, not 3"),
        ("  - repetition", "  - [", 11, "this is not YAML"),
        ("output: runs/x", "input: y", 2, "'input' is written twice"),
        ('path: "*.jsonl"', 'paht: "*.jsonl"', 1, "input has no field 'paht'. Did you mean 'path'?"),
    ],
)
def test_an_error_says_where_what_and_what_to_write(write, old, new, line, expected):
    path = write(GOOD.replace(old, new, 1))
    found = message(path)
    assert found.startswith(f"{path}:{line}: "), found
    assert expected in found


@pytest.mark.parametrize("value", ["2001-99-99", "2001-01-01 25:00:00", "!!bool x", "!!int ''", "!!timestamp x", "0b_"])
def test_values_that_the_library_trips_over_are_no_yaml(write, value):
    assert "this is not YAML" in message(write(GOOD.replace("60", value, 1)))
    assert "is not a YAML value" in message(write(GOOD), overrides=[f"stages.gopher.word_count.min={value}"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a\n- b\n", "a config is a mapping"),
        ("", "a config is a mapping"),
        ("output: x\nstages: [gopher]\n", "'input' is missing"),
        ("input: x\noutput: x\nstages: []\n", "'stages' is missing or empty"),
        ("input: x\noutput: x\nstages: gopher\n", "stages is a list"),
        (
            "input: x\noutput: x\nstages:\n- gopher: {by_language: {ja: {word_count: {min: 1}}}}\n",
            "put the stage `language` before",
        ),
        ("extends: nothing\n", "there is no config nothing."),
        (f"extends: {'x' * 5000}\n", "there is no config xxx"),
        ("input: {? [a, b] : 1}\n", ":1: a key is a word, not a list"),
        ("input: " + "[" * 2000 + "]" * 2000, "this is not YAML: it is nested too deep"),
        ("extends: [a]\n", "extends takes the name of a preset"),
    ],
)
def test_whole_configs_that_cannot_be(write, text, expected):
    assert expected in message(write(text))


def test_a_missing_file_names_the_nearest(write):
    path = write(GOOD, "crawl.yaml")
    assert "Did you mean" in message(path.replace("crawl", "crwl"))
    presets = ", ".join(sorted(path.stem for path in PRESETS.glob("*.yaml")))
    assert f"Presets: {presets}" in message("no-such-thing-at-all.yaml")


def test_overrides_address_stages_by_name(write):
    path = write(GOOD)
    config = load_config(
        path,
        overrides=["stages.gopher.word_count.max=9", "stages.repetition.action=annotate", "execution.workers=1",
                   "stages.gopher.word_count.min=null"],
        input="other/*.jsonl",
        output="runs/y",
    )  # fmt: skip
    assert config.stages[1].word_count == Bounds(max=9)
    assert config.stages[2].action == "annotate"
    assert (config.execution.workers, config.output, config.input.path) == (1, "runs/y", "other/*.jsonl")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("stages.gofer.word_count.min=1", "the config has no stage 'gofer'. Did you mean 'gopher'?"),
        (
            "stages.gopher.word_cout.min=1",
            "--set stages.gopher.word_cout.min=1: gopher has no field 'word_cout'. Did you",
        ),
        ("stages.gopher=1", "name a stage and a field"),
        ("stages.gopher.word_count.min", "write a path, `=` and a value"),
        ("execution.workrs=1", "--set execution.workrs=1: execution has no field 'workrs'. Did you mean 'workers'?"),
        ("stages.gopher.word_count.min=[", "is not a YAML value"),
        ("output.path.x=1", "output is a value, there is nothing below it"),
    ],
)
def test_overrides_that_cannot_be(write, override, expected):
    assert expected in message(write(GOOD), overrides=[override])


@pytest.mark.parametrize("name", ["x.y", "../x", "[/r]", "<b>", "", "a" * 61])
def test_names_of_stages_that_could_be_something_else(write, name):
    assert "a stage's name has letters, digits, _ and -" in message(
        write(GOOD), overrides=[f"stages.gopher.name={json.dumps(name)}"]
    )


def test_the_end_of_an_override_that_was_not_written_follows_the_stage(write):
    stages = [{"language": {}}, {"gopher": {"by_language": {"de": {"word_count": {"max": 1000}}}}}]
    config = load_config({"input": "x", "output": "y", "stages": stages})
    assert config.stages[1].decisions("de")["word_count"] == Bounds(min=50, max=1000)
    changed = load_config(dump_config(config), overrides=["stages.gopher.word_count.min=30"])
    assert changed.stages[1].decisions("de")["word_count"] == Bounds(min=30, max=1000)


def test_a_preset_can_be_extended(write):
    config = load_config(
        write("extends: fineweb\ninput: {path: mine/*.parquet}\noutput: runs/z\nexecution: {workers: 2}\n")
    )
    assert [stage.name for stage in config.stages] == [stage.name for stage in load_config("fineweb").stages]
    assert config.input.path == "mine/*.parquet"
    assert config.input.extract == load_config("fineweb").input.extract


def test_configs_that_extend_each_other_are_a_circle(write):
    write("extends: b.yaml\n", "a.yaml")
    path = write("extends: a.yaml\n", "b.yaml")
    assert "that is a circle" in message(path)


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_is_a_config(path):
    assert isinstance(load_config(str(path)), Config)


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_has_a_plan(path, tmp_path):
    """On pages as WARC files give them."""
    from pipeline.io.shards import list_shards
    from pipeline.plan import make_plan

    (tmp_path / "a.jsonl").write_text('{"id": "1", "text": "one", "url": "http://a.test", "date": "2026-01-01"}\n')
    config = load_config(str(path), input=str(tmp_path / "a.jsonl"), overrides=["input.format=auto"])
    plan = make_plan(config, list_shards(config.input))
    assert plan.phases[-1] == plan.outputs[-1]


def test_fineweb_is_the_published_recipe():
    """Every bound of the preset equals the stage's published default, but for C4's terminal punctuation and the
    language."""
    stages = {stage.name: stage for stage in load_config("fineweb").stages}
    assert list(stages) == ["url", "language", "repetition", "gopher", "c4", "fineweb"]
    for name in ("repetition", "gopher", "fineweb"):
        assert stages[name] == type(stages[name])()
    assert stages["c4"] == type(stages["c4"])(terminal_punctuation=False)
    assert (stages["language"].label.labels, stages["language"].score.min) == (("en",), 0.65)


@given(st.text(max_size=80))
@example("?")
def test_any_text_is_a_config_or_a_config_error(text):
    from pipeline.config import _Checker
    from pipeline.yaml_lines import Located

    try:
        located = Located(text, "x.yaml")
        if isinstance(located.content, dict):
            _Checker(located).config(located.content)
    except ConfigError as error:
        said = str(error)
    else:
        said = "x.yaml: fine"
    assert said.startswith("x.yaml:")


def test_every_preset_is_installed_with_the_package():
    declared = tomllib.loads((PRESETS.parent / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]
    found = {path for patterns in declared.values() for pattern in patterns for path in PRESETS.parent.glob(pattern)}
    assert found == {path for path in PRESETS.rglob("*") if path.is_file()}


def test_a_profile_says_what_a_config_leaves_open(write, tmp_path, monkeypatch):
    profile = "execution:\n  workers: 9\n  slurm: {partition: cpu, memory_gb: 8, gpu: {partition: gpu}}\n"
    monkeypatch.setenv("TAMIS_PROFILE", write(profile, "profile.yaml"))
    own = GOOD + "  slurm: {memory_gb: 2}\n"
    execution = load_config(write(own), profile=profile_path(), overrides=["execution.slurm.cpus=3"]).execution
    assert execution.workers == 3, "the config's"
    assert (execution.slurm.partition, execution.slurm.memory_gb, execution.slurm.cpus) == ("cpu", 2, 3)
    assert execution.slurm.gpu.partition == "gpu"
    assert load_config(write(own)).execution.slurm.partition == "", "only where it is asked for"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stages: [gopher]", "profile.yaml:1: a profile has the key execution, and no 'stages'"),
        (
            "execution:\n  slurm: {partitoin: cpu}",
            "2: execution.slurm has no field 'partitoin'. Did you mean 'partition'",
        ),
        ("execution:\n  slurm:\n    gpu: {tmie: 3}", "profile.yaml:3: execution.slurm.gpu has no field 'tmie'"),
        ("execution:\n  slurm: {time: tomorrow}", "execution.slurm.time: String should match"),
        ("execution:\n  slurm: {phases: {sieve: {mem: 3}}}", "execution.slurm.phases.sieve has no field 'mem'"),
    ],
)
def test_a_wrong_profile_is_told_where(write, text, expected):
    write(text, "profile.yaml")
    assert expected in message(write(GOOD), profile=Path(write(text, "profile.yaml")))


@pytest.mark.parametrize("path", sorted((PRESETS / "profiles").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_profile_that_comes_along_is_right(write, path):
    assert load_config(write(GOOD), profile=path).execution.executor == path.stem


@pytest.mark.parametrize(
    ("url", "is_secret"),
    [
        ("s3://key:hunter2@bucket/raw/*.jsonl", True),
        ("https://host/a.jsonl?X-Amz-Credential=x&X-Amz-Signature=hunter2", True),
        ("https://host/a.jsonl?sv=2&sig=hunter2", True),
        ("https://host/a.jsonl?access_token=hunter2", True),
        ("https://host/a.jsonl?page=2", False),
        ("s3://bucket/raw/token=5/*.jsonl", False),
        ("raw/a:b@c/*.jsonl", False),
    ],
)
def test_secrets_in_urls_are_refused_and_not_repeated(url, is_secret):
    spec = {"input": {"path": [url]}, "output": "runs/x", "stages": ["gopher"]}
    if not is_secret:
        assert load_config(spec).input.paths == (url,)
        return
    for wrong in (spec, {**spec, "input": url}, {**spec, "input": "raw", "output": url}):
        told = message(wrong)
        assert "leave it out" in told
        assert "hunter2" not in told
