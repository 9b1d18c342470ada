"""What a page's address says about it, against lists that the user names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from typing import ClassVar
from urllib.parse import urlsplit

import pyarrow as pa
from pydantic import field_validator

from stages.contract import Allowed, Bounds, Count, Fact, Filter, Flag, Label, Signals
from stages.files import file_hash, path_and_column, read_list
from stages.text.batch import TextBatch

SECOND_LEVEL = frozenset(
    "ac co com edu go gob gov gouv govt gv id info ltd me mil ne net nhs nom or org plc sch".split()
)
"""Labels under which countries register domains: `example.co.uk` is one, `co.uk` is none."""
_ADDRESS = re.compile(r"[0-9.]+|.*:.*")
_WORDS = re.compile("[a-z0-9]+")
_HOSTS_LINE = re.compile(r"^(?:0\.0\.0\.0|127\.0\.0\.1|::1?)\s+")


class Url(Filter):
    """Blocklists on a page's address, after RefinedWeb (Penedo et al. 2023, arXiv 2306.01116, appendix G.1).

    Three kinds of word lists as in datatrove 0.10's URLFilter, but everything is compared in lower case. No list
    comes with Tamis: name files of your own, one entry a line (`#` starts a comment; a hosts file will do), or a
    column of a Parquet file as `lists/adult.parquet:domain`. A signal whose list is not named is null, as is every
    signal of a document without an address.
    """

    version: ClassVar[int] = 2

    domain_listed: Fact = Flag()
    """The host, or a domain above it, is in `domains`: `a.b.example.com` is listed if `example.com` is."""
    address_listed: Fact = Flag()
    """The whole address, without scheme, `www.` and a last slash, is in `addresses`."""
    banned_word_count: Count = Bounds(max=0)
    """Words of the address (runs of ASCII letters and digits) that are in `banned_words`."""
    suspect_word_count: Count = Bounds(max=1)
    """Different words of the address that are in `suspect_words`."""
    banned_part_count: Count = Bounds(max=0)
    """Entries of `banned_parts` that occur anywhere in the address, other characters than letters and digits left
    out."""
    host: Label = Allowed()
    """Host in lower case, without `www.`, user and port."""
    domain: Label = Allowed()
    """The host's last two labels, or three where the second last is one under which countries register domains
    (`example.co.uk`). A rule, not the Public Suffix List: sites on a shared domain (`github.io`) have one domain, and
    their own hosts."""

    domains: tuple[str, ...] = ()
    """Files of domains."""
    addresses: tuple[str, ...] = ()
    """Files of addresses."""
    banned_words: tuple[str, ...] = ()
    """Files of words of which one is too many."""
    suspect_words: tuple[str, ...] = ()
    """Files of words of which two are too many."""
    banned_parts: tuple[str, ...] = ()
    """Files of strings that may not occur, not even across words: choose long ones."""

    @field_validator("domains", "addresses", "banned_words", "suspect_words", "banned_parts", mode="before")
    @classmethod
    def _one_file_will_do(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    def setup(self) -> None:
        assert self._lists is not None

    def assets(self) -> Mapping[str, str]:
        files = (*self.domains, *self.addresses, *self.banned_words, *self.suspect_words, *self.banned_parts)
        return {file: file_hash(path_and_column(file)[0]) for file in files}

    @cached_property
    def _lists(self) -> dict[str, frozenset[str]]:
        """Entries by field, normalised as the address is."""
        normalise = {"domains": _host, "addresses": _bare}
        fields = {name: getattr(self, name) for name in (*normalise, "banned_words", "suspect_words", "banned_parts")}
        return {
            name: frozenset(normalise.get(name, str.lower)(entry) for file in files for entry in _entries(file))
            for name, files in fields.items()
        }

    def measure(self, batch: TextBatch) -> Signals:
        urls = batch.table["url"].to_pylist() if "url" in batch.table.column_names else [None] * batch.num_rows
        lists = self._lists
        found = [None if not url else self._judge(url.strip(), lists) for url in urls]
        signals: Signals = {}
        for i, (name, field) in enumerate(zip(self.signals(), lists, strict=False)):
            known = bool(getattr(self, field))
            values = [None if row is None or not known else row[i] for row in found]
            signals[name] = pa.array(values, self.signals()[name].type)
        hosts = [None if not url else _host(url.strip()) or None for url in urls]
        signals["host"] = pa.array(hosts, pa.string())
        signals["domain"] = pa.array([None if host is None else _domain(host) for host in hosts], pa.string())
        return signals

    @staticmethod
    def _judge(url: str, lists: dict[str, frozenset[str]]) -> tuple[bool, bool, int, int, int]:
        words = _WORDS.findall(url.lower())
        glued = "".join(words)
        return (
            bool(lists["domains"]) and any(domain in lists["domains"] for domain in _domains_above(_host(url))),
            _bare(url) in lists["addresses"],
            sum(word in lists["banned_words"] for word in words),
            len(lists["suspect_words"].intersection(words)),
            sum(part in glued for part in lists["banned_parts"]),
        )


def _host(url: str) -> str:
    """Host of an address or of a bare domain, in lower case, without `www.`, user, port and a last dot."""
    try:
        host = urlsplit(url if "://" in url else f"//{url}").hostname or ""
    except ValueError:  # a bracket that belongs to no IPv6 address
        return ""
    return host.rstrip(".").removeprefix("www.")


def _domain(host: str) -> str:
    labels = host.split(".")
    if len(labels) < 3 or _ADDRESS.fullmatch(host):
        return host
    registered = len(labels[-1]) == 2 and labels[-2] in SECOND_LEVEL
    return ".".join(labels[-3:] if registered else labels[-2:])


def _domains_above(host: str) -> Iterable[str]:
    labels = host.split(".")
    return (".".join(labels[i:]) for i in range(len(labels)))


def _bare(url: str) -> str:
    return url.lower().partition("://")[2 if "://" in url else 0].removeprefix("www.").rstrip("/")


@lru_cache(maxsize=32)
def _entries(file: str) -> tuple[str, ...]:
    """The entries of a list file; of a text file without comments and the addresses of a hosts file."""
    if path_and_column(file)[1] is not None:
        return tuple(read_list(file))
    bare = (_HOSTS_LINE.sub("", line.partition("#")[0]).strip() for line in read_list(file))
    return tuple(line for line in bare if line)
