"""An S3 server for tests, on this machine, that fails now and then when it is told to."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any


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
            fault = self.rng.random() < self.rate and self.rng.choice(["503", "500", "cut"])
        if fault in ("503", "500"):
            self.faults[fault] += 1
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            reason = {"503": "503 Slow Down", "500": "500 Internal Server Error"}[fault]
            start_response(reason, [("Content-Length", "0"), ("Content-Type", "application/xml")])
            return [b""]
        body = self.application(environ, start_response)
        if fault == "cut" and method == "GET":
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
