"""The `input:` block of a config."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pipeline.io.files import absolute

Format = Literal["auto", "parquet", "jsonl", "warc", "wet", "text"]


class Input(BaseModel):
    """Where documents come from, and how they are read."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    path: str | tuple[str, ...]
    """Files, globs (`crawl/**/*.jsonl.gz`) or directories, local or of any fsspec URL; relative to the current
    directory."""
    format: Format = "auto"
    """What the files are; `auto` goes by their endings."""
    text: str = "text"
    """Column that holds the text; or dialogs, lists of `role` and `content`: then the text of a document is what the
    messages say, and the column travels along for `tokens`."""
    id: str | None = "id"
    """Column that names a document. Where there is none, ids are made from file name and place."""
    url: str | None = "url"
    """Column that holds the address of a page, if there is one."""
    source: str | None = "source"
    """Column that says where a document is from (a site, a crawl, a data set), by which it is counted; the path of its
    file where there is no such column, or for `null`."""
    extract: Literal["resiliparse", "trafilatura"] = "resiliparse"
    """What turns HTML into text: resiliparse is fast; trafilatura is more precise and about ten times slower."""
    max_document_bytes: int = Field(10_000_000, gt=0)
    """A larger document is set aside in `rejected/`."""
    shard_bytes: int = Field(64 << 20, gt=0)
    """Large Parquet and plain JSONL files are split into parts of about this many bytes."""
    against: tuple[str, ...] = ()
    """Directories of finished runs whose documents are there already. `same_url`, `exact` and `minhash` compare with
    them too, and with those that they were held against: every document that repeats one of theirs is a duplicate. They
    must have had these stages, with the same settings."""

    @field_validator("against")
    @classmethod
    def _from_anywhere(cls, against: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(absolute, against))

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,) if isinstance(self.path, str) else self.path


SECRET_KEYS = re.compile(
    r"(?i)(?:^|[&;])(?:sig|[^=&;]*(?:token|signature|secret|password|credential|api_?key)[^=&;]*)="
)
SECRET = (
    "there is a password, token or signature in the URL. A run keeps its config in run.json and names files in its "
    "logs: leave it out, and give it to the storage library in the environment (AWS_ACCESS_KEY_ID and so on)"
)


def has_secret(url: str) -> bool:
    """Whether a URL holds a password, a token or a signature."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return "://" in url and bool(parts.password or SECRET_KEYS.search(parts.query))
