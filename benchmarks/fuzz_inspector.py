"""Requests to the inspector, fuzzed: addresses of pages and downloads, forms, and the headers that the guard reads.

A request is bytes: `GET /stage?signal=x`, headers a line each, an empty line, a body. It goes straight into the ASGI
application, as a server hands it over: what may not stand in a request line is percent-encoded first.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import random
import re
import sys
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, unquote

from benchmarks.fuzz_mutations import NASTY, Seed
from benchmarks.fuzz_readers import ROOT, Target
from pipeline.inspector.security import cookie_of

HOST = "127.0.0.1:7707"
TOKEN = "a-token"
SECRET = "what-stands-in-a-file-outside-the-run"
MARKUP = "<b onfocus=hacked()>"
PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
PARAMETERS = (
    "stage", "signal", "language", "height", "weight", "kind", "rule", "offset", "address", "kept", "kept_run",
    "member", "token", "label", "back", "source", "x",
)  # fmt: skip
"""Every name that a page asks for, and others."""
NAMES = (
    "gopher", "repetition", "exact", "minhash", "language", "semantic", "embedding", "word_count", "label", "score",
    "gopher.word_count", "language.label", "exact.duplicate", "minhash.duplicate", "mean_word_length", "stop_words",
    "dropped", "kept", "flipping", "one", "documents", "bytes", "linear", "logarithmic", "en", "de", "agree",
    "wrong drop", "funnel", "reasons", "samples", "histogram", "rules", "largest", "members", "tasks", "clusters",
)  # fmt: skip
"""What is right somewhere."""
FIELDS = (
    "gopher.word_count.min", "gopher.word_count.max", "gopher.word_count", "gopher.stop_word_count.min",
    "gopher.by_language.de.word_count.min", "gopher.by_language", "gopher.action", "gopher.name", "language.label",
    "language.score.min", "language.model", "exact.duplicate", "minhash.duplicate", "minhash.preset",
    "minhash.within", "repetition.top_2_gram_ratio.max", "semantic.epsilon", "embedding.model", "gopher", "",
)  # fmt: skip
"""Where other bounds may be tried, and where not."""
NUMBERS = (
    "0", "1", "-1", "2", "77", "0.5", "1e3", "1e308", "-1e308", "1e400", "5e-324", "nan", "inf", "-inf", ".inf",
    ".nan", "9" * 30, "9" * 5000, str(2**63), str(2**64), "1_000", "0x1F", "0b", "0o", "0x", "1:30", "٣", "１２",
    "2001-99-99", "2001-01-01", "12e03", " 1 ", "+1", "1e", "--1",
)  # fmt: skip
VALUES = (
    *("", " ", "null", "~", "true", "False", "drop", "annotate", "[en, de]", "[]", "{}", "{min: 3}", "{max: -1}"),
    *("[" * 300, "{a: " * 200, "&a [*a]", "&a {b: *a}", "!!python/object:os.system x", "!!binary x", "!!int x", "*a"),
    *("!!timestamp x", "!!float x", "? a", "a: b: c", "%", "@", "`", "|", "'", '"', "- a", "<<: 1", "{<<: 1}"),
    *("' OR 1=1 --", "'; DROP VIEW signals; --", '"', "\\", "$1", "%s", "{0}", "{{7*7}}", "{% raw %}", "\0", "\x1f"),
    *("' UNION SELECT content FROM read_text('SECRET') --", "\r\nSet-Cookie: a=b", "//evil.example", "/\\evil.example"),
    *("../../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "SECRET", "..%2f..%2frun.json", "%00", "%", "%zz"),
    *(
        "\u202e",
        "é" * 40,
        "日本",
        "👩‍👧",
        "\ufeff",
        "\u2028",
        MARKUP,
        f'">{MARKUP}',
        "&lt;",
        "a" * 9000,
        "s3://a:b@c/d",
    ),
)
PATHS = (
    "/", "/overview", "/stage", "/whatif", "/samples", "/duplicates", "/semantic", "/compare", "/speed", "/config",
    "/static/inspector.js", "/samples/label", "/run.json", "/page", "/security", "/__init__", "/app", "/static/",
)  # fmt: skip
TABLES = (
    "funnel", "reasons", "languages", "sources", "rules", "histogram", "samples", "sizes", "largest", "members",
    "banding", "curve", "pairs", "clusters", "config", "documents", "drift", "stages", "tasks", "versions",
)  # fmt: skip
DOTS = ("..", "%2e%2e", "..%2f", "%5c..", ".", "//", "%00", "%ff", "SECRET", "\u202e", "a" * 300)
MAX_LABELS_BYTES = 20_000
_audited: list[str] | None = None
"""Files opened by what is being tried; None while nothing is."""


@cache
def _audit() -> None:
    """From now on this process notes which files it opens, while it is asked to."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if _audited is not None and event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], str):
            _audited.append(os.path.realpath(arguments[0]))

    sys.addaudithook(hook)


@dataclass
class Answer:
    """What the application sent."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def request(content: bytes) -> tuple[dict[str, Any], bytes]:
    """An ASGI scope, and the body."""
    head, _, body = content.partition(b"\n\n")
    line, *lines = head.split(b"\n")
    method, _, target = line.partition(b" ")
    path, _, query = quote_from_bytes(target, safe=PRINTABLE).partition("#")[0].partition("?")
    headers = {"host": HOST, "origin": f"http://{HOST}"}
    for one in lines:
        name, colon, value = one.decode("latin-1").partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": "",
        "method": method.decode("latin-1") or "GET", "path": unquote(path), "raw_path": path.encode(),
        "query_string": query.encode(), "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 7707),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
    }, body  # fmt: skip


async def ask(app: Any, scope: dict[str, Any], body: bytes) -> Answer:
    """One request, answered."""
    answer, sent = Answer(), False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            await asyncio.sleep(3600)  # until the application has answered
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    await app(scope, receive, send)
    return answer


def inspector(folder: Path) -> Target:
    """Pages, downloads and labels of a run that is small and has something for every page; of some requests the
    inspector wants a token."""
    from tests.inspected import STAGES, inspected_run

    whole = folder.parent / "whole"
    whole.mkdir(exist_ok=True)
    stages = [*STAGES, "embedding", "semantic"]
    return target_of(inspected_run(whole, stages=stages), inspected_run(whole, "other", stages=STAGES), folder)


def target_of(run: Any, other: Any, folder: Path) -> Target:
    """The target, for two runs that are there."""
    from pipeline.inspector.app import make_app
    from pipeline.inspector.page import Inspected

    secret = folder / "outside" / "secret.txt"
    secret.parent.mkdir()
    secret.write_text(SECRET)
    inspected = Inspected(run, other)
    apps = {"open": make_app(inspected), "token": make_app(inspected, "0.0.0.0", TOKEN)}
    places = [run.path, other.path, str(ROOT), sys.prefix, sys.base_prefix, *filter(None, sys.path), "/usr/share"]
    allowed = tuple(f"{os.path.realpath(place)}" for place in places)
    loop = asyncio.new_event_loop()
    asking = ThreadPoolExecutor(1)  # a thread of its own: where tests ran in a browser, this one has a loop already
    labels = Path(run.path, "labels.jsonl")

    def judge(kind: str, content: bytes) -> bool:
        global _audited
        scope, body = request(content.replace(b"SECRET", str(secret).encode()))
        printed, _audited = io.StringIO(), []
        try:
            with contextlib.redirect_stderr(printed):
                asked = asking.submit(lambda: loop.run_until_complete(ask(apps[kind], scope, body)))
                answer = asked.result()
        finally:
            opened, _audited = _audited, None
        if answer.status >= 500 or printed.getvalue():
            raise AssertionError(f"{answer.status}: {told(printed.getvalue())}")
        check(scope, answer)
        outside = [path for path in opened if not path.startswith(allowed)]
        assert not outside, f"opened {outside}"
        assert os.listdir(secret.parent) == [secret.name]
        if labels.exists() and labels.stat().st_size > MAX_LABELS_BYTES:
            labels.unlink()
            inspected.forget()
        return answer.status < 400

    seeds = [Seed("open", line.encode()) for line in _addresses(inspected)]
    seeds += [Seed("token", seed.content + f"\ncookie: {cookie_of(HOST)}={TOKEN}".encode()) for seed in seeds[::2]]
    words = [value.encode() for value in (*VALUES, *NUMBERS[:12], *NAMES, "&", "=", "?", "/", "%", "..", ";", "+")]
    for seed in seeds:
        judge(seed.kind, seed.content)  # loads what is loaded late
    _audit()
    weakref.finalize(judge, loop.close)
    return Target(seeds, words, judge, make=made)


def told(printed: str) -> str:
    """The last place in our code of a traceback, and what went wrong, on a line."""
    places = re.findall(r"/(?:pipeline|stages)/(\S+)\.py\", line (\d+)", printed)
    error = next((line for line in reversed(printed.splitlines()) if line[:1].isalpha()), "nothing said")
    return f"{'-line-'.join(places[-1]) if places else '?'} {error}\n{printed}"


def check(scope: dict[str, Any], answer: Answer) -> None:
    """What holds of every answer."""
    assert SECRET.encode() not in answer.body
    assert b"root:x:" not in answer.body
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    media, body = answer.headers.get("content-type", ""), answer.body
    if "html" in media:
        assert MARKUP not in body.decode()
        found = re.search(rb".{0,60}[\x00-\x08\x0b\x0c\x0e-\x1f].{0,60}", body)
        assert not found, f"control characters: {found}"
    elif media == "application/json":
        json.loads(body, parse_constant=_no_constant)
    home = dict(scope["headers"])[b"host"].decode("latin-1")
    place = answer.headers.get("location", "/").removeprefix(f"http://{home}")
    assert re.match(r"/(?![/\\])", place), place
    assert not set(place) & set("\r\n\0"), place


def _no_constant(name: str) -> None:
    raise AssertionError(f"JSON has no {name}")


def _addresses(inspected: Any) -> list[str]:
    """Requests that are right."""
    from pipeline.inspector.app import PAGES
    from pipeline.inspector.downloads import FORMATS

    (address, rule), *_ = inspected.tables.rows(
        "SELECT address, dropped_by FROM signals WHERE dropped_by LIKE 'gopher%' ORDER BY address"
    )
    form = f"address={address}&rule={rule}&label=agree&back=kind%3Ddropped%26rule%3D{rule}"
    return [
        *(f"GET /{page}" for page in PAGES),
        "GET /stage?stage=gopher&signal=word_count&height=logarithmic&language=en&stages.gopher.word_count.min=77",
        "GET /whatif?weight=bytes&stages.gopher.word_count.min=77&stages.gopher.by_language.en.word_count.max=900",
        "GET /samples?kind=kept&rule=gopher.word_count&language=en&offset=20",
        "GET /samples?stages.gopher.word_count.min=20&kind=flipping",
        f"GET /samples?kind=one&address={address}",
        "GET /duplicates?stage=minhash&kept=5&member=6&kept_run=x",
        *(f"GET /{table}.{end}" for table in ("overview/funnel", "samples/samples") for end in FORMATS),
        "GET /whatif/funnel.json?stages.gopher.word_count.min=77",
        *(f"POST /samples/label\ncontent-type: application/x-www-form-urlencoded\n\n{form}" for _ in range(3)),
    ]


def made(rng: random.Random) -> bytes:
    """A request of the right form with values that are not."""
    path = rng.choice(PATHS) if rng.random() < 0.7 else "/".join(("", *rng.choices((*DOTS, *PATHS), k=3)))
    if rng.random() < 0.3:
        path += f"/{rng.choice(TABLES)}.{rng.choice(('csv', 'json', 'parquet', 'exe', 'json/', ''))}"
    pairs = [_pair(rng) for _ in range(min(6, int(rng.expovariate(0.5))))]
    query = "&".join(f"{key}={value}" for key, value in pairs)
    if rng.random() < 0.15:
        form = [(name, _value(rng)) for name in ("address", "rule", "label", "back") if rng.random() < 0.9]
        body = "&".join(f"{key}={value}" for key, value in form)
        return f"POST /samples/label{'?' * (not pairs)}{query}\n\n{body}".encode("utf-8", "replace")
    headers = "" if rng.random() < 0.95 else f"\n{_header(rng)}"
    method = "GET" if rng.random() < 0.97 else rng.choice(("HEAD", "POST", "PUT", "OPTIONS", "é", ""))
    return f"{method} {path}?{query}{headers}".encode("utf-8", "replace")


def _pair(rng: random.Random) -> tuple[str, str]:
    draw = rng.random()
    if draw < 0.4:
        return f"stages.{rng.choice(FIELDS)}", _value(rng)
    if draw < 0.45:
        return _encoded(rng, rng.choice(VALUES)), _value(rng)
    return rng.choice(PARAMETERS), _value(rng)


def _value(rng: random.Random) -> str:
    kinds: Sequence[Sequence[Any]] = (NUMBERS, VALUES, NAMES, NAMES, NASTY)
    return _encoded(rng, str(rng.choice(rng.choice(kinds))))


def _encoded(rng: random.Random, value: str) -> str:
    """As a browser writes it, mostly."""
    return quote_from_bytes(value.encode("utf-8", "replace")) if rng.random() < 0.8 else value


def _header(rng: random.Random) -> str:
    name = rng.choice(("host", "origin", "cookie", "authorization", "content-type", "content-length", "referer"))
    return f"{name}: {rng.choice((*VALUES, *NUMBERS, HOST, f'Bearer {TOKEN}', 'http://[', '[::1', 'a:99999999'))}"
