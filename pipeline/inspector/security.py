"""Who may ask the inspector anything.

It shows crawled text and has no users, so three things are checked before any page is made:

- `Host`: a page elsewhere whose name is made to resolve to this machine (DNS rebinding) carries its own name there.
- a token, when the app listens beyond this machine: in the address once, then in a cookie that scripts cannot read.
- `Origin` of a POST: a page elsewhere may send a form here, and cannot forge where it came from.

Every answer forbids its page to load, run or frame anything that is not this app's.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with less, a browser calls the origin of a form null
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Inline scripts never run, so text that slips through as markup does nothing."""

Respond = Callable[["Request"], Awaitable["Response"]]


class Guard:
    """Lets a request through, or says why not; `token` is None where none is asked for."""

    def __init__(self, host: str, token: str | None) -> None:
        self.names = allowed_names(host)
        self.open = token is None
        self.token = token or ""

    async def __call__(self, request: Request, respond: Respond) -> Response:
        """The answer to a request, with the headers that all answers carry."""
        from starlette.responses import PlainTextResponse

        problem = self.problem(request)
        if problem:
            answer: Response = PlainTextResponse(f"{problem}\n", status_code=403)
        elif not self.open and "token" in request.query_params:
            answer = self._welcome(request)
        else:
            answer = await respond(request)
        answer.headers.update(HEADERS)
        return answer

    def problem(self, request: Request) -> str | None:
        """Why a request is refused; None if it is not."""
        if not self.knows(request.headers.get("host", "")):
            return "This address is not one of the inspector's. Open the one that `tamis inspect` printed."
        if not self.open and not self._has_token(request):
            return "The inspector wants its token. Open the address that `tamis inspect` printed, with ?token=…"
        if request.method not in {"GET", "HEAD"} and not same_origin(request):
            return "A form of another page was sent here."
        return None

    def knows(self, host: str) -> bool:
        """Whether a `Host` header names this app; when it listens everywhere, any IP address of a machine does."""
        try:
            parts = urlsplit(f"//{host}")
            name, _ = parts.hostname or "", parts.port
        except ValueError:  # also of a port that is none
            return False
        return name in self.names or ("*" in self.names and _is_ip(name))

    def _has_token(self, request: Request) -> bool:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        given = [
            request.query_params.get("token", ""),
            request.cookies.get(cookie_of(request.headers.get("host", "")), ""),
            bearer if scheme.lower() == "bearer" else "",
        ]
        return any(secrets.compare_digest(one.encode(), self.token.encode()) for one in given)

    def _welcome(self, request: Request) -> Response:
        """Moves the token out of the address, where it would be seen and passed on, into a cookie."""
        from starlette.responses import RedirectResponse

        there = request.url.remove_query_params("token")
        path = "/" + there.path.lstrip("/")  # `//elsewhere` would be another machine
        answer = RedirectResponse(f"{path}?{there.query}" if there.query else path, status_code=303)
        name = cookie_of(request.headers.get("host", ""))
        answer.set_cookie(name, self.token, httponly=True, samesite="strict")
        return answer


def cookie_of(host: str) -> str:
    """The name of the cookie with the token. Browsers keep cookies by machine, whatever the port; with the port in
    their names, several inspectors there, or behind tunnels, leave each other's alone."""
    return f"tamis_token_{urlsplit(f'//{host}').port or 80}"


def allowed_names(host: str) -> frozenset[str]:
    """Names under which an app that listens on `host` may be asked; `*` stands for any IP address."""
    if host in LOOPBACK:
        return LOOPBACK
    if host in {"0.0.0.0", "::", ""}:
        return LOOPBACK | {"*", socket.gethostname().lower(), socket.getfqdn().lower()}
    return frozenset({host.lower()})


def same_origin(request: Request) -> bool:
    """Whether a form was sent by one of this app's own pages."""
    origin = urlsplit(request.headers.get("origin", ""))
    return bool(origin.netloc) and origin.netloc == request.headers.get("host")


def new_token() -> str:
    """128 bits that nobody can guess."""
    return secrets.token_urlsafe(16)


def _is_ip(name: str) -> bool:
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return False
