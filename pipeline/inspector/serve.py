"""`tamis inspect`: the app on a port of this machine, until Ctrl-C."""

from __future__ import annotations

import socket
import sys
import threading

from pipeline.inspector.app import make_app
from pipeline.inspector.page import Inspected
from pipeline.inspector.security import LOOPBACK, new_token
from pipeline.runs import open_run
from stages.errors import RunError


def inspect(run: str, other: str | None, host: str, port: int, browser: bool) -> None:
    """Serve until interrupted; the address goes to standard output.

    Raises RunError when there is no such run, or the port cannot be had.
    """
    import uvicorn

    inspected = Inspected(open_run(run), None if other is None else open_run(other))
    token = None if host in LOOPBACK else new_token()
    with listen(host, port) as listening:
        address = address_of(listening, host, token)
        print(address, flush=True)
        print("Ctrl-C ends it.", file=sys.stderr, flush=True)
        if browser:
            _open(address)
        threading.Thread(target=inspected.prepare, daemon=True).start()
        app = make_app(inspected, host, token)
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
        try:
            uvicorn.Server(config).run(sockets=[listening])
        except KeyboardInterrupt:
            return


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections, before anything answers them; port 0 stands for any that is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen()
    except (OSError, OverflowError) as error:
        made.close()
        raise RunError(f"cannot listen on {host} port {port}: {error}. Any free one: --port 0") from error
    return made


def address_of(listening: socket.socket, host: str, token: str | None) -> str:
    """What to open in a browser."""
    name = socket.gethostname() if host in {"0.0.0.0", "::"} else f"[{host}]" if ":" in host else host
    address = f"http://{name}:{listening.getsockname()[1]}/"
    return address if token is None else f"{address}?token={token}"


def _open(address: str) -> None:
    import webbrowser

    threading.Timer(0.5, webbrowser.open, [address]).start()
