"""A gigabyte of real text in a hundred languages, and code, out of Debian packages: what benchmarks are run on.

    apt-get update
    python -m benchmarks.corpus --output FOLDER [--cache FOLDER]

Packages are fetched with `apt-get download` into the cache (~900 MB; a package that is there is not fetched again),
read without being installed or unpacked on disk, and written as Parquet shards with `id` (package/path), `text`,
`lang`, `source` (package) and `category` (`general` or `code`). A document's shard is chosen by a hash of its id, so
every shard has all languages and sources. HTML becomes text as in WARC files (resiliparse); of DocBook, Mallard and
manual pages the markup is taken off roughly; a catalog of translated messages is one document for every hundred
messages. `lang` is what the package's folder says, English where it says nothing, `code` for source files: translated
manuals hold pages that were not translated.

Licences: nearly everything here is copyleft (libreoffice-help and -l10n: MPL-2.0; debian-handbook: GPL-2+ or
CC-BY-SA-3.0; installation-guide, linux-doc, linux-source, manpages-*: GPL-2 and per file; gnome-user-docs: CC-BY-SA;
gnucash, kicad, linuxcnc and debian-edu manuals: GPL, CC-BY, GFDL; golang: BSD-3-Clause; rust: MIT or Apache-2.0;
Python: PSF). The text is fetched when a benchmark is run and is part of no distribution.
"""

from __future__ import annotations

import argparse
import gettext
import gzip
import io
import lzma
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections import Counter
from collections.abc import Iterator
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

PACKAGES = re.compile(
    r"libreoffice-help-[a-z]{2}(-[a-z]{2})?|libreoffice-l10n-[a-z]{2,3}(-[a-z]{2})?|manpages(-[a-z]{2})?(-[a-z]{2})?(-dev)?"
    r"|(aptitude-doc|debian-edu-doc|kicad-doc|linuxcnc-doc|debian-reference|maint-guide|developers-reference|debian-faq)-[a-z]{2}"
    r"|debian-handbook|installation-guide-amd64|linux-doc-6\.1|python3\.11-doc|gnome-user-docs|gnucash-docs"
    r"|golang-1\.19-src|rust-src|linux-source-6\.1|erlang-doc|qtbase5-doc-html|python-pandas-doc|ghc-doc"
)
"""Names of packages: what apt does not have is left out."""
CODE = ("golang-1.19-src", "rust-src", "linux-source-6.1", "python")
CODE_SUFFIXES = (".go", ".rs", ".c", ".h", ".S", ".py", ".sh", ".pl", ".js", ".ts", ".dts")
CODE_BYTES = 160_000_000
"""As much source code of one package, the first in its own order."""
MAX_FILE_BYTES = 4_000_000
NUM_SHARDS = 16
NAMED = re.compile(r"(?:help|l10n|manpages|doc|guide|reference|faq)-(?!dev)([a-z]{2,3})(-[a-z]{2,4})?(-dev)?")
FOLDER = re.compile(r"(?:/html/|/installation-guide-amd64/|/help/|/translations/)([a-z]{2,3})([_@-]\w+)?/")
FOLDERS = ("debian-handbook", "installation-guide-amd64", "gnome-user-docs", "gnucash-docs", "linux-doc-6.1")
"""Packages whose folders say the language."""
SCHEMA = pa.schema([(name, pa.string()) for name in ("id", "text", "lang", "source", "category")])
TAG = re.compile(r"<[^<>]*>")
ROFF = re.compile(r'^[.\'](?:\\"|[A-Z]{1,2}[A-Z0-9]?\b|[a-z]{2}\b)[ ]?|\\f[BIRP(]?\w?|\\&|\\%|\\\||\\c$', re.M)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--cache", type=Path, default=Path("data/debian"))
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    debs = fetch(options.cache)
    options.output.mkdir(parents=True, exist_ok=True)
    names = [f"corpus-{shard:02}.parquet" for shard in range(NUM_SHARDS)]
    writers = [pq.ParquetWriter(options.output / f"{name}.part", SCHEMA, compression="zstd") for name in names]
    sizes: Counter[str] = Counter()
    waiting: list[list[dict[str, str]]] = [[] for _ in names]
    with Pool(options.workers) as pool:
        for package in pool.imap(read_package, [None, *debs]):
            for row in package:
                sizes[row["lang"]] += len(row["text"].encode())
                waiting[xxhash.xxh64_intdigest(row["id"].encode()) % NUM_SHARDS].append(row)
            if sum(map(len, waiting)) > 40_000:
                flush(writers, waiting)
    flush(writers, waiting)
    for writer, name in zip(writers, names, strict=True):
        writer.close()
        (options.output / f"{name}.part").rename(options.output / name)
    print(f"{sum(sizes.values()) / 1e6:.0f} MB of text in {len(sizes)} languages (MB): ", end="")
    print(", ".join(f"{lang} {size / 1e6:.1f}" for lang, size in sizes.most_common()))


def flush(writers: list[Any], waiting: list[list[dict[str, str]]]) -> None:
    for writer, rows in zip(writers, waiting, strict=True):
        if rows:
            writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
            rows.clear()


def fetch(cache: Path) -> list[Path]:
    """The packages' files, fetched where they are not in the cache."""
    cache.mkdir(parents=True, exist_ok=True)
    known = subprocess.run(["apt-cache", "pkgnames"], capture_output=True, text=True, check=True).stdout.split()
    wanted = sorted(set(filter(PACKAGES.fullmatch, known)))
    missing = [name for name in wanted if not any(cache.glob(f"{name}_*.deb"))]
    if missing:
        print(f"fetching {len(missing)} packages into {cache}", file=sys.stderr)
        subprocess.run(["apt-get", "download", "-q", *missing], cwd=cache, check=False, stdout=subprocess.DEVNULL)
    return [path for name in wanted for path in sorted(cache.glob(f"{name}_*.deb"))[:1]]


def read_package(deb: Path | None) -> list[dict[str, str]]:
    """Documents of a package; None is Python's own standard library."""
    name = "python" if deb is None else deb.name.partition("_")[0]
    is_code = name in CODE
    rows, size = [], 0
    for path, body in _standard_library() if deb is None else _members(deb):
        for part, text in enumerate(texts(path, body, is_code)):
            if len(text) >= 80:
                where = f"{name}/{path}" if part == 0 else f"{name}/{path}#{part}"
                lang = "code" if is_code else language(name, path)
                category = "code" if is_code else "general"
                rows.append({"id": where, "text": text, "lang": lang, "source": name, "category": category})
                size += len(text)
        if is_code and size > CODE_BYTES:
            break
    return rows


def _standard_library() -> Iterator[tuple[str, bytes]]:
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.rglob("*.py")):
        if "site-packages" not in path.parts:
            yield str(path.relative_to(root)), path.read_bytes()


def _members(deb: Path) -> Iterator[tuple[str, bytes]]:
    """Files of a package, and of the archive of sources in it."""
    process = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE)
    try:
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            for member in archive:
                path = member.name.removeprefix("./")
                if not member.isfile() or (stream := archive.extractfile(member)) is None:
                    continue
                if path.endswith(".tar.xz"):
                    yield from _inner(stream)
                elif member.size <= MAX_FILE_BYTES:
                    yield path, stream.read()
    except tarfile.ReadError as error:
        print(f"{deb.name}: {error}", file=sys.stderr)
    finally:
        process.kill()
        process.wait()


def _inner(stream: Any) -> Iterator[tuple[str, bytes]]:
    with lzma.open(stream) as plain, tarfile.open(fileobj=plain, mode="r|") as archive:
        for member in archive:
            if member.isfile() and member.size <= MAX_FILE_BYTES and (inside := archive.extractfile(member)):
                yield member.name, inside.read()


def texts(path: str, body: bytes, is_code: bool) -> Iterator[str]:
    """The texts in a file; none if it is of a kind that holds no prose."""
    if path.endswith(".gz"):
        path, body = path.removesuffix(".gz"), gzip.decompress(body)
    suffix = Path(path).suffix
    if is_code:
        if suffix in CODE_SUFFIXES:
            yield _decoded(body)
    elif suffix in (".html", ".htm", ".xhtml"):
        from resiliparse.extract.html2text import extract_plain_text

        yield str(extract_plain_text(_decoded(body)))
    elif suffix in (".page", ".xml", ".docbook"):
        yield re.sub(r"\n\s*\n\s*", "\n\n", TAG.sub("", _decoded(body))).strip()
    elif suffix in (".rst", ".txt", ".md"):
        yield _decoded(body)
    elif "/man/" in path and re.fullmatch(r"\.[0-9]\w*", suffix):
        yield re.sub(r"\\-", "-", ROFF.sub("", _decoded(body)))
    elif suffix == ".mo":
        yield from _catalog(body)


def _decoded(body: bytes) -> str:
    return body.decode("utf-8", errors="replace").replace("\r\n", "\n")


def _catalog(body: bytes) -> Iterator[str]:
    """Translated messages of a catalog, a hundred in one text."""
    messages = gettext.GNUTranslations(io.BytesIO(body))._catalog  # type: ignore[attr-defined]
    lines = [text for key, text in sorted((str(key), text) for key, text in messages.items()) if key and text]
    for first in range(0, len(lines), 100):
        yield "\n".join(lines[first : first + 100])


def language(package: str, path: str) -> str:
    """Language of a file by the end of the package's name or the folder it lies in; English if neither tells."""
    named = NAMED.search(package) if package != "linux-doc-6.1" else None
    if named and package.endswith(named[0]):
        return named[1]
    folder = FOLDER.search(path) if package in FOLDERS else None
    return folder[1] if folder else "en"


if __name__ == "__main__":
    main()
