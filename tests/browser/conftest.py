"""A real browser for tests: Debian's Chromium, driven by playwright. Whatever a test opens, nothing may be asked of
another machine and the console may hold no error."""

import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

CHROMIUM = os.environ.get("TAMIS_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@dataclass
class Watched:
    """What a page asked for and complained of."""

    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def abroad(self) -> list[str]:
        """Requests that left this machine."""
        return [url for url in self.requests if not at_home(url)]


def at_home(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in {"file", "data", "blob", "about"} or (
        parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost"}
    )


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    if not os.access(CHROMIUM, os.X_OK):
        pytest.skip("no Chromium here: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium) -> Iterator[Any]:
    """Opens pages, each in a fresh profile: `open_page(color_scheme="dark")`. When the test ends, no page may have
    asked anything of another machine or have logged an error."""
    opened: list[tuple[Any, Watched]] = []

    def make(**options: Any) -> Any:
        context = chromium.new_context(
            **{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", **options}
        )
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.watched = watched = Watched()
        page.on("request", lambda request: watched.requests.append(request.url))
        page.on("console", lambda said: watched.errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: watched.errors.append(str(error)))
        opened.append((context, watched))
        return page

    yield make
    for context, watched in opened:
        context.close()
        assert watched.abroad == []
        assert watched.errors == []


@pytest.fixture
def chromium_page(open_page) -> Any:
    """One page of a real browser, watched as `open_page` says."""
    return open_page()


def serious(page: Any) -> list[str]:
    """What axe finds wrong with a page for people who do not see it or use no mouse: serious or worse."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="no axe: pip install axe-playwright-python"
    )
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{violation['id']}: {violation['help']}: {violation['nodes'][0]['html'][:200]}"
        for violation in found
        if violation["impact"] in {"serious", "critical"}
    ]


@dataclass(frozen=True)
class Served:
    """An inspector at work in a thread of this process."""

    address: str
    inspected: Any


@pytest.fixture(scope="session")
def serve() -> Iterator[Any]:
    """Serves runs, until the tests end: `serve(run, other)`."""
    import uvicorn

    from pipeline.inspector.app import make_app
    from pipeline.inspector.page import Inspected
    from pipeline.inspector.serve import address_of, listen

    servers = []

    def start(run: Any, other: Any = None) -> Served:
        inspected = Inspected(run, other)
        listening = listen("127.0.0.1", 0)
        server = uvicorn.Server(uvicorn.Config(make_app(inspected), log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        servers.append((server, thread, listening))
        return Served(address_of(listening, "127.0.0.1", None).rstrip("/"), inspected)

    yield start
    for server, thread, listening in servers:
        server.should_exit = True
        thread.join(10)
        listening.close()
