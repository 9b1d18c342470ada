"""An S3 server for tests, on this machine, that fails now and then when it is told to."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

CREDENTIALS = {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "DEFAULT_REGION": "us-east-1"}
"""The server takes any."""


class Unreliable:
    """A WSGI application in front of another one: answers 503 or cuts a body short, for a share of the requests."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application = application
        self.rate = 0.0
        self.rng = random.Random(5)
        self.lock = threading.Lock()
        self.requests: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        with self.lock:
            self.requests[method] += 1
            kinds = ["503", "500", "cut"] if method == "GET" else ["503", "500"]
            fault = self.rng.random() < self.rate and self.rng.choice(kinds)
        if fault in ("503", "500"):
            self.faults[fault] += 1
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            reason = {"503": "503 Slow Down", "500": "500 Internal Server Error"}[fault]
            start_response(reason, [("Content-Length", "0"), ("Content-Type", "application/xml")])
            return [b""]
        body = self.application(environ, start_response)
        if fault == "cut":
            content = b"".join(body)
            if len(content) > 1:
                self.faults[fault] += 1
                return [content[: len(content) // 2]]  # the header still promises all of it
            return [content]
        return body


@contextmanager
def s3_server() -> Iterator[tuple[str, Unreliable]]:
    """The address of a server, and what makes it fail. Needs moto[server]."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.0"

        def log(self, *arguments: object) -> None: ...

    unreliable = Unreliable(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, unreliable, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", unreliable
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def s3_bucket(name: str = "crawl") -> Iterator[tuple[Any, Unreliable]]:
    """A filesystem with an empty bucket on such a server, and what makes it fail. It is the S3 of this process, and of
    those that it starts, until the end. Needs s3fs, too."""
    from pipeline.io.files import filesystem_of

    with s3_server() as (address, unreliable):
        settings = {f"AWS_{key}": value for key, value in CREDENTIALS.items()} | {"AWS_ENDPOINT_URL": address}
        with mock.patch.dict(os.environ, settings):
            fs, _ = filesystem_of(f"s3://{name}")
            fs.mkdir(name)
            try:
                yield fs, unreliable
            finally:
                type(fs).clear_instance_cache()  # another server has another address
