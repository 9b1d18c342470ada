"""The pictures in the README, of the quickstart run: `python -m benchmarks.screenshots runs/quickstart`.

Draws `docs/images/{terminal,report,inspector}.png` with Debian's Chromium: the funnel as `tamis run` prints it, the
funnel of the report, a bound that is being moved in the inspector.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import threading
from pathlib import Path
from typing import Any

import uvicorn
from PIL import Image
from playwright.sync_api import sync_playwright
from rich.console import Console

from pipeline.inspector.app import make_app
from pipeline.inspector.page import Inspected
from pipeline.inspector.serve import address_of, listen
from pipeline.mixture import achieved
from pipeline.report.write import write_report
from pipeline.runs import Run, open_run
from pipeline.terminal import print_outcome

IMAGES = Path(__file__).parents[1] / "docs" / "images"
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SIZE = {"width": 1240, "height": 800}
COLUMNS = 114
"""Of the terminal: its longest line is not cut."""
COLORS = 128
"""Of a picture; a palette makes it a third of the size."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="a finished run of configs/quickstart.yaml")
    run = open_run(parser.parse_args().run)
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport=SIZE)
        terminal(page, run, Path(folder))
        report(page, run, Path(folder))
        inspector(page, run)
        browser.close()


def terminal(page: Any, run: Run, folder: Path) -> None:
    """What `tamis run` ends with."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print("$ tamis run configs/quickstart.yaml", style="bold")
    print_outcome(run.stats, run.path, console, achieved(run), run.config.stages)
    drawn = folder / "terminal.svg"
    console.save_svg(str(drawn), title="tamis")
    page.goto(f"file://{drawn}")
    width, height = page.evaluate("document.documentElement.getAttribute('viewBox').split(' ').slice(2).map(Number)")
    page.set_viewport_size({"width": SIZE["width"], "height": round(SIZE["width"] * height / width)})
    save(page.screenshot(), "terminal")
    page.set_viewport_size(SIZE)


def report(page: Any, run: Run, folder: Path) -> None:
    """The funnel of the report, and the reasons below it."""
    path = folder / "report.html"
    write_report(run, str(path))
    page.goto(f"file://{path}#funnel")
    save(page.screenshot(), "report")


def inspector(page: Any, run: Run) -> None:
    """A lower bound in the hand, and what it would do."""
    with listen("127.0.0.1", 0) as listening:
        server = uvicorn.Server(uvicorn.Config(make_app(Inspected(run)), log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        address = address_of(listening, "127.0.0.1", None)
        page.goto(f"{address}stage?stage=gopher&signal=word_count&stages.gopher.word_count.min=100")
        page.locator("#signal-name").evaluate("title => window.scrollTo(0, title.offsetTop - 12)")
        save(page.screenshot(), "inspector")
        server.should_exit = True
        thread.join()


def save(picture: bytes, name: str) -> None:
    """Write a picture with few colours."""
    image = Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
    path = IMAGES / f"{name}.png"
    image.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
