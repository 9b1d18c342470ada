"""The inspector in a real browser: every page, by mouse and by keyboard, and what it says against a recount."""

import json
from functools import cache
from pathlib import Path

import pytest
import yaml

from pipeline.config import load_config
from pipeline.inspector.app import pages_of
from tests import naive
from tests.browser.conftest import serious
from tests.in_process import run_in_process
from tests.inspected import STAGES, inspected_run, texts

WORDS = "/stage?stage=gopher&signal=word_count"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("inspected")


@pytest.fixture(scope="session")
def run(folder):
    return inspected_run(folder)


@pytest.fixture(scope="session")
def served(run, folder, serve):
    return serve(run, inspected_run(folder, "strict", set={"stages.gopher.word_count.min": 120}))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_opens_and_can_be_used_by_everybody(open_page, served, scheme):
    page = open_page(color_scheme=scheme)
    paths = [f"/{name}" for name in pages_of(served.inspected)]
    for path in [*paths, f"{WORDS}&stages.gopher.word_count.min=180", "/whatif?stages.gopher.word_count.min=180"]:
        assert page.goto(served.address + path).status == 200
        assert page.locator("h1").count() == 1
        assert serious(page) == [], path


def test_every_page_fits_a_narrow_screen(open_page, served):
    page = open_page(viewport={"width": 400, "height": 800})
    for name in pages_of(served.inspected):
        page.goto(f"{served.address}/{name}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


def measured(run) -> dict[str, str]:
    """The documents that reached gopher."""
    rows = run.signals.to_table(columns=["id", "gopher.word_count"]).to_pylist()
    known = texts()
    return {row["id"]: known[row["id"]] for row in rows if row["gopher.word_count"] is not None}


def recount(run, least: int) -> int:
    """Documents with fewer words, counted in the raw texts by the plain twin of the kernels."""
    return sum(words_in(text) < least for text in measured(run).values())


@cache
def words_in(text: str) -> int:
    return sum(not naive.is_punctuation(span.text) for span in naive.words(text))


def number(page, place: str) -> int:
    return int(page.locator(place).inner_text().replace(",", ""))


def settled(page) -> None:
    page.wait_for_selector("body:not([aria-busy])")
    page.wait_for_selector("#then:text('about')", state="detached")


def drag(page, to: float) -> None:
    """Take the lower bound to a share of the plot's width."""
    handle = page.locator(".handle[data-end=min] .knob")
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    plot = page.locator(".ground").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(plot["x"] + plot["width"] * to, box["y"] + 40, steps=6)
    assert "about" in page.locator("#then").inner_text()
    page.mouse.up()
    page.wait_for_selector("#kept")
    settled(page)


def test_a_bound_is_dragged_and_the_counts_are_those_of_the_documents(chromium_page, served, run):
    page = chromium_page
    page.goto(served.address + WORDS)
    assert number(page, "#now") == recount(run, 50)
    seen = set()
    for place in (0.55, 0.75):
        drag(page, place)
        least = int(page.locator("#bound-min").input_value())
        assert f"stages.gopher.word_count.min={least}" in page.url
        assert number(page, "#then") == recount(run, least)
        assert number(page, "#now") == recount(run, 50)
        seen.add(least)
    assert len(seen) == 2
    page.reload()
    assert number(page, "#then") == recount(run, least), "the address says it all"


def test_the_copied_yaml_makes_the_run_that_was_promised(open_page, served, run, folder):
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(served.address + WORDS)
    drag(page, 0.7)
    least = int(page.locator("#bound-min").input_value())
    promised, newly = number(page, "#kept"), number(page, "#newly-dropped")
    page.get_by_role("button", name="Copy YAML").click()
    page.get_by_role("button", name="Copied").wait_for()
    copied = yaml.safe_load(page.evaluate("navigator.clipboard.readText()"))
    assert copied == {"set": {"stages.gopher.word_count.min": least}}
    config = copied | {"input": str(folder / "in.jsonl"), "output": str(folder / "promised"), "stages": STAGES}
    (folder / "promised.yaml").write_text(yaml.safe_dump(config))
    outcome = run_in_process(load_config(folder / "promised.yaml"))
    assert newly > 0
    assert outcome.documents.count_rows() == promised
    assert run.documents.count_rows() - newly == promised


def test_a_bound_is_moved_with_the_keys(chromium_page, served, run):
    page = chromium_page
    page.goto(served.address + WORDS)
    handle = page.locator(".handle[data-end=min]")
    handle.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "PageUp"):
        page.keyboard.press(key)
    page.wait_for_selector("#kept")
    settled(page)
    least = int(page.locator("#bound-min").input_value())
    assert least > 50
    assert number(page, "#then") == recount(run, least)
    assert page.evaluate("document.activeElement.dataset.end") == "min", "focus stays on the bound"
    assert page.locator(".handle[data-end=min]").get_attribute("aria-valuenow") == str(least)
    page.locator("#bound-min").fill("70")
    page.keyboard.press("Tab")
    page.wait_for_url("**min=70*")
    settled(page)
    assert number(page, "#then") == recount(run, 70)


def test_a_bound_is_lifted_for_one_language(chromium_page, served, run):
    page = chromium_page
    page.goto(served.address + WORDS)
    page.locator("[name=language]").select_option("en")
    page.wait_for_selector('[name="stages.gopher.by_language.en.word_count.min"]')
    page.locator("#bound-min").fill("")
    page.keyboard.press("Tab")
    page.wait_for_selector("#kept")
    settled(page)
    assert number(page, "#then") == 0 < number(page, "#now")
    assert yaml.safe_load(page.locator("#patch").inner_text()) == {
        "set": {"stages.gopher.by_language.en.word_count.min": None}
    }


def test_a_wrong_number_says_so_in_place(chromium_page, served):
    page = chromium_page
    page.goto(served.address + WORDS)
    page.locator("#bound-min").fill("200000")
    page.keyboard.press("Tab")
    page.get_by_role("alert").wait_for()
    assert "above max" in page.get_by_role("alert").inner_text()
    page.watched.errors.clear()  # the browser logs the refused request


def test_documents_that_change_side(chromium_page, served, run):
    page = chromium_page
    page.goto(f"{served.address}{WORDS}&stages.gopher.word_count.min=180")
    page.get_by_role("link", name="See the documents that change side").click()
    rows = page.request.get(page.url.replace("/samples?", "/samples/samples.json?")).json()
    counts = dict(zip(*run.signals.to_table(columns=["id", "gopher.word_count"]).to_pydict().values(), strict=True))
    assert rows
    assert all(50 <= counts[row["id"]] < 180 for row in rows)
    distances = [180 - counts[row["id"]] for row in rows]
    assert distances == sorted(distances), "the nearest first"


def test_several_bounds_at_once(chromium_page, served):
    page = chromium_page
    page.goto(served.address + "/whatif")
    page.locator("summary", has_text="gopher").click()
    page.locator("summary", has_text="repetition").click()
    page.locator('[name="stages.gopher.word_count.min"]').fill("180")
    page.keyboard.press("Tab")
    page.wait_for_selector("#kept")
    page.locator('[name="stages.repetition.top_2gram_char_ratio.max"]').fill("0.02")
    page.keyboard.press("Tab")
    page.wait_for_url("**top_2gram*")
    settled(page)
    assert page.url.split("?")[1].count("&") == 1, "only what is changed is in the address"
    patch = yaml.safe_load(page.locator("#patch").inner_text())["set"]
    assert patch == {"stages.gopher.word_count.min": 180, "stages.repetition.top_2gram_char_ratio.max": 0.02}
    before, after = number(page, "#kept-before"), number(page, "#kept")
    assert before - number(page, "#newly-dropped") == after < before


def test_hostile_documents_are_text(open_page, served):
    page = open_page()
    for path in (
        "/samples?rule=gopher.word_count",
        "/samples?kind=kept&rule=gopher.word_count",
        f"/samples?kind=one&address={address_of(served, 'hostile-kept')}",
        f"/samples?kind=one&address={address_of(served, '<script>id</script>')}",
    ):
        page.goto(served.address + path)
        assert page.evaluate("window.hacked") is None
        assert page.locator("main script, main img").count() == 0
    shown = page.locator("article pre").inner_text()
    for piece in ("<script>window.hacked = true</script>", "⟦U+202E⟧reversed", "⟦U+0000⟧", "{{ 7 * 7 }}", "⟦U+E000⟧"):
        assert piece in shown
    assert "<script>id</script>⟦U+202E⟧" in page.locator("article h2").inner_text()
    assert "\u202e" not in page.content()


def address_of(served, id_: str) -> int:
    rows = served.inspected.run.signals.to_table(columns=["id", "address"]).to_pylist()
    return next(row["address"] for row in rows if row["id"].startswith(id_))


def test_samples_are_read_and_judged_with_the_keys(chromium_page, served, run):
    page = chromium_page
    page.goto(served.address + "/samples?rule=gopher.word_count")
    first, second = (page.locator("article.sample").nth(n).get_attribute("id") for n in (0, 1))
    focused = "document.activeElement.id"
    for key, place in (("j", first), ("j", second), ("k", first)):
        page.keyboard.press(key)
        assert page.evaluate(focused) == place
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.value") == "wrong drop":
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("text=a precision of 0.0 %")
    assert page.url.endswith(f"#{first}")
    said = [json.loads(line) for line in Path(run.path, "labels.jsonl").read_text().splitlines()]
    assert [(one["rule"], one["label"]) for one in said] == [("gopher.word_count", "wrong drop")]


def test_duplicates_side_by_side(chromium_page, served):
    page = chromium_page
    page.goto(served.address + "/duplicates?stage=minhash")
    page.locator("#largest tbody a").first.click()
    assert "And one more sentence" in " ".join(page.locator(".pair mark").all_inner_texts())


def test_tables_sort_and_everything_works_without_a_mouse(chromium_page, served):
    page = chromium_page
    page.goto(served.address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    names = list(pages_of(served.inspected).values())
    for name in names:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == name
    page.locator("#reasons thead button", has_text="alone").focus()
    page.keyboard.press("Enter")
    values = [
        float(cell)
        for cell in page.locator("#reasons tbody td:nth-child(3)").evaluate_all(
            "cells => cells.map(c => c.dataset.value)"
        )
    ]
    assert values == sorted(values, reverse=True)


def test_pages_work_without_scripts(open_page, served, run):
    page = open_page(java_script_enabled=False)
    page.goto(served.address + WORDS)
    page.locator("#bound-min").fill("180")
    page.get_by_role("button", name="Show").click()
    assert number(page, "#then") == recount(run, 180)
