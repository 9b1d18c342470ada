"""The pages of calibrate, profile and compare in a real browser: nothing is asked of a network, hostile text is text,
charts have words, switches work."""

import pytest

from pipeline.analysis.calibrate import calibrate_table
from pipeline.analysis.compare import compare
from pipeline.analysis.profile import profile
from pipeline.config import load_config
from pipeline.io.input import Input
from pipeline.report import calibrate as calibrate_page
from pipeline.report import compare as compare_page
from pipeline.report import profile as profile_page
from pipeline.report.page import save
from tests.browser.conftest import serious
from tests.inspected import inspected_run
from tests.pipeline.analysis.test_calibrate import signals

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 400, "height": 800}
LENGTHS = {"en": 3.6, "<script>window.hacked = true</script>\u202e": 1.5, "de": 3.6}
KINDS = ["calibrate", "profile", "compare"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Addresses of files, by command."""
    folder = tmp_path_factory.mktemp("pages")
    run = inspected_run(folder)
    other = inspected_run(
        folder,
        "<img src=x onerror='window.hacked = true'>",
        stages=["language", {"gopher": {"word_count": {"min": 2}}}],
    )
    config = load_config({"input": "x", "output": "y", "stages": ["language", "gopher"]})
    table = signals(dict.fromkeys(LENGTHS, 400), LENGTHS)
    matched = calibrate_table(table, config, "en", signals=["gopher.mean_word_length"])
    found = {
        "calibrate": calibrate_page.render(matched, other.path),
        "profile": profile_page.render(profile(Input(path=run.config.input.path))),
        "compare": compare_page.render(compare(run, other), run, other),
    }
    for kind, page in found.items():
        save(page, str(folder / f"{kind}.html"), "--html")
    return {kind: (folder / f"{kind}.html").as_uri() for kind in found}


@pytest.mark.parametrize(("color_scheme", "viewport"), [("light", NARROW), ("dark", WIDE)], ids=["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_they_show_everywhere(open_page, pages, kind, viewport, color_scheme):
    page = open_page(viewport=viewport, color_scheme=color_scheme)
    page.goto(pages[kind])
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.watched.requests == [pages[kind]]
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert serious(page) == []


@pytest.mark.parametrize(
    ("kind", "shown"), [("calibrate", "#distributions"), ("profile", "#examples"), ("compare", "#documents")]
)
def test_hostile_text_shows_as_text(chromium_page, pages, kind, shown):
    chromium_page.goto(pages[kind])
    text = chromium_page.locator(shown).inner_text()
    assert "<script>" in text
    assert "⟦U+202E⟧" in text
    assert chromium_page.locator("main img, main script").count() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_every_chart_is_drawn_and_has_words(chromium_page, pages, kind):
    chromium_page.goto(pages[kind])
    plots = chromium_page.locator(".card.wide > .ridges .plot:visible")
    assert plots.count() >= 2
    for plot in plots.all()[:20]:
        assert "documents, half at most" in plot.get_attribute("aria-label")
        assert plot.bounding_box()["width"] > 100
        assert sum(path.bounding_box()["width"] for path in plot.locator("path.on-linear").all()) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_heights_can_be_logarithmic(chromium_page, pages, kind):
    chromium_page.goto(pages[kind])
    linear, logarithmic = (chromium_page.locator(f"path.on-{side}").first for side in ("linear", "log"))
    assert linear.is_visible()
    assert not logarithmic.is_visible()
    chromium_page.get_by_text("Log heights").click()
    assert logarithmic.is_visible()
    assert not linear.is_visible()
