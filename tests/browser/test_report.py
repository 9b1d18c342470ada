"""The report in a real browser: nothing is asked of a network, what is hostile is text, switches and tables work."""

import os

import pytest

from pipeline.report.write import write_report
from tests.browser.conftest import serious
from tests.inspected import inspected_run

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 400, "height": 800}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    path = folder / "report.html"
    write_report(inspected_run(folder), os.fspath(path))
    return path.as_uri()


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_it_shows_everywhere(open_page, report, viewport, color_scheme):
    page = open_page(viewport=viewport, color_scheme=color_scheme)
    page.goto(report)
    assert "documents kept" in page.text_content("h1")
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.watched.requests == [report]
    assert serious(page) == []


def test_hostile_text_shows_as_text(chromium_page, report):
    chromium_page.goto(report)
    texts = chromium_page.locator("#samples pre, #samples .id").all_text_contents()
    assert any("<script>window.hacked = true</script>" in text for text in texts)
    assert any("⟦U+202E⟧" in text and "⟦U+0000⟧" in text for text in texts)
    assert chromium_page.evaluate("window.hacked") is None


def test_a_page_may_run_no_other_script(chromium, report):
    page = chromium.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(report)
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.hacked = 1'}))")
    page.evaluate("fetch('http://127.0.0.1:1/').catch(() => 0)")
    assert page.evaluate("window.hacked") is None
    assert any("Content Security Policy" in text for text in said)
    page.close()


def test_switches_show_other_counts(chromium_page, report):
    chromium_page.goto(report)
    left = chromium_page.locator("#funnel tbody tr").nth(0).locator("td").nth(1)
    assert "B" not in left.inner_text()
    chromium_page.locator("#funnel").get_by_text("Text", exact=True).click()
    assert left.inner_text().endswith("B")
    bar = chromium_page.locator("#signals .bar").first
    before = bar.evaluate("bar => getComputedStyle(bar).transform")
    chromium_page.get_by_text("Log heights").click()
    chromium_page.wait_for_function(
        "([bar, before]) => getComputedStyle(bar).transform !== before || bar.style.getPropertyValue('--a') === '1'",
        arg=[bar.element_handle(), before],
    )
    chromium_page.get_by_text("Dark", exact=True).click()
    assert chromium_page.evaluate("getComputedStyle(document.body).colorScheme") == "dark"


def test_tables_sort_by_keyboard(chromium_page, report):
    chromium_page.goto(report)
    head = chromium_page.locator("#reasons thead").get_by_role("button", name="Only")
    numbers = chromium_page.locator("#reasons tbody td:nth-of-type(4)")

    def shown():
        return [float(cell.get_attribute("data-documents")) for cell in numbers.all()]

    head.focus()
    chromium_page.keyboard.press("Enter")
    assert shown() == sorted(shown(), reverse=True)
    chromium_page.keyboard.press("Enter")
    assert shown() == sorted(shown())
    assert chromium_page.locator("#reasons th[aria-sort]").get_attribute("aria-sort") == "ascending"


def test_on_paper_samples_are_unfolded(chromium_page, report):
    chromium_page.goto(report)
    folded = "document.querySelectorAll('details.sample:not([open])').length"
    assert chromium_page.evaluate(folded) > 0
    chromium_page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert chromium_page.evaluate(folded) == 0
    chromium_page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert chromium_page.evaluate(folded) > 0
