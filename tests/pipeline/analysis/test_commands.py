"""tamis compare, calibrate and profile: what they print, and what wrong requests are told."""

import json
import shlex

import pytest
import yaml

from pipeline.cli_analysis import profile, write_config
from tests.corpus import write_jsonl
from tests.pipeline.test_cli import tamis


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("commands")
    write_jsonl(folder / "in.jsonl", 300)
    for name, least in (("a", 50), ("b", 150)):
        config = {
            "input": str(folder / "in.jsonl"),
            "output": str(folder / name),
            "stages": ["language", {"gopher": {"word_count": {"min": least}}}],
        }
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config))
        assert tamis("run", folder / f"{name}.yaml", "--quiet", "--workers", 1).returncode == 0
    return folder


def test_compare_shows_what_differs_in_80_columns(folder):
    found = tamis("compare", folder / "a", folder / "b", "--html", folder / "compared.html")
    assert found.returncode == 0, found.stderr
    assert f"{folder / 'compared.html'}: " in found.stderr
    assert "documents decided otherwise" in (folder / "compared.html").read_text()
    assert "word_count.min" in found.stdout
    assert "told by address" in found.stdout
    assert "that A keeps are dropped by B; 0 that A drops are kept by B" in found.stdout
    assert max(map(len, found.stdout.split("Config")[1].splitlines())) <= 80
    as_json = json.loads(tamis("compare", folder / "a", folder / "b", "--json").stdout)
    assert as_json["documents"]["lost"] > 0


def test_calibrate_writes_a_config_that_runs(folder):
    output = folder / "calibrated.yaml"
    found = tamis(
        "calibrate",
        folder / "a",
        "--reference",
        "en",
        "--output",
        output,
        "--min-documents",
        20,
        "--html",
        folder / "calibrated.html",
    )
    assert found.returncode == 0, found.stderr
    assert "enough documents" in (folder / "calibrated.html").read_text()
    assert "reference en" in found.stdout
    assert f"tamis run {output}" in found.stderr
    ran = tamis("run", output, "--output", folder / "calibrated", "--quiet", "--workers", 1)
    assert ran.returncode == 0, ran.stderr
    as_json = json.loads(tamis("calibrate", folder / "a", "--reference", "en", "--json").stdout)
    assert as_json["reference"] == "en"


def test_profile_needs_nothing_but_a_file(folder):
    output = folder / "first.yaml"
    found = tamis("profile", folder / "in.jsonl", "--output", output, "--html", folder / "profile.html")
    assert found.returncode == 0, found.stderr
    assert "300 documents of 1 file" in (folder / "profile.html").read_text()
    for expected in ("300 documents", "fineweb", "What published rules would drop", "Just beyond a bound"):
        assert expected in found.stdout
    assert max(map(len, found.stdout.splitlines())) <= 80
    ran = tamis("run", output, "--output", folder / "first", "--quiet", "--workers", 1)
    assert ran.returncode == 0, ran.stderr
    as_json = json.loads(tamis("profile", folder / "in.jsonl", "--json", "--sample-bytes", 50000).stdout)
    assert as_json["sample"]["is_whole"] is False


def test_the_command_that_profile_hints_at_reads_the_same_input(tmp_path, capsys):
    path = write_jsonl(tmp_path / "a b's.txt", 30)
    path.write_text(path.read_text().replace('"text"', '"body"'))
    profile(str(path), sample_bytes=10_000, text="body", format="jsonl")
    hint = shlex.split(capsys.readouterr().err.splitlines()[-1].partition(": ")[2])
    assert hint == ["tamis", "profile", str(path), "--text", "body", "--format", "jsonl", "--output", "first.yaml"]
    write_config(tmp_path / "a b.yaml", "")
    assert shlex.quote(str(tmp_path / "a b.yaml")) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["compare", "{}/a"], 2, "RUN_B"),
        (["compare", "{}/a", "{}"], 1, "is not a run directory"),
        (["compare", "{}/a", "{}/b", "--jsn"], 2, "--jsn"),
        (["calibrate", "{}/a"], 2, "--reference"),
        (["calibrate", "{}/a", "--reference", "fi"], 2, "Languages with 200 or more: en"),
        (["calibrate", "{}/a", "--reference", "en", "--languages", "xx"], 2, "has no document of it"),
        (["calibrate", "{}/a", "--reference", "en", "--signals", "gopher.nothing"], 2, "is no signal with a bound"),
        (["calibrate", "{}/a", "--reference", "en", "--min-documents", "3"], 2, "--min-documents"),
        (["calibrate", "{}/a", "--reference", "en", "--output", "{}/x.txt"], 2, "ends in .yaml"),
        (["calibrate", "{}/a", "--reference", "en", "--reference-text", "{}/no.txt"], 2, "no.txt"),
        (["compare", "{}/a", "{}/b", "--html", "{}/a.yaml/x.html"], 2, "give another --html"),
        (["profile"], 2, "INPUT"),
        (["profile", "{}/im.jsonl"], 2, "Did you mean"),
        (["profile", "{}/in.jsonl", "--text", "txet"], 2, "text"),
        (["profile", "{}/in.jsonl", "--format", "parket"], 2, "format"),
        (["profile", "{}/in.jsonl", "--sample-bytes", "3"], 2, "--sample-bytes"),
        (["profile", "{}/in.jsonl", "--output", "{}/nowhere/x.yaml"], 2, "cannot be written"),
    ],
)
def test_wrong_requests_are_told_what_to_write(folder, arguments, code, expected):
    found = tamis(*(argument.replace("{}", str(folder)) for argument in arguments))
    assert (found.returncode, found.stdout) == (code, ""), found.stderr
    assert expected in found.stderr
    assert "Traceback" not in found.stderr
