"""The pages in a real Chromium, which has to be installed: `apt-get install chromium`.

It is driven by Playwright, of the extra `browser`. Without either, these tests are skipped.
"""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

from stayfinite.report.html import IncidentReport, fragment, page_of, run_page
from stayfinite.report.html.samples import shown_samples
from tests.report.incidents import SQRT
from tests.report.test_html import EVIL, with_every_text
from tests.report.test_page_figures import FIGURES_OF_SQRT

playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
BATCH = {
    "x": np.linspace(0, 1, 2 * 6 * 24 * 24).reshape(2, 6, 24, 24, 1),
    "y": np.array([1, np.nan]),
}
REPORT = IncidentReport(SQRT, FIGURES_OF_SQRT, shown_samples((1,), BATCH))
HOSTILE = IncidentReport(with_every_text(SQRT, EVIL), FIGURES_OF_SQRT, REPORT.samples)
LONG_NAME = "square_metres_" * 8
TABLE = {LONG_NAME: np.array([[0.0], [1.0]]), "größe_<b>_" + "x" * 90: np.array([[2.0], [3.0]])}
PAGES = {
    "report": page_of(REPORT),
    "table": page_of(IncidentReport(SQRT, FIGURES_OF_SQRT, shown_samples((1,), TABLE))),
    "hostile": page_of(HOSTILE),
    "run": run_page("train.py", 0, 813, [REPORT, HOSTILE]),
    "healthy-run": run_page("train.py", 0, 813, ()),
    "cell": f'<!doctype html><html lang="en"><title>notebook</title><main>{fragment(SQRT)}</main>',
}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        yield started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a page of `PAGES` from a file; every message and request goes to `heard`."""

    def opened(name, viewport, scheme="light", heard=None):
        file = tmp_path / f"{name}.html"
        file.write_text(PAGES[name], encoding="utf-8")
        context = browser.new_context(
            viewport=viewport,
            color_scheme=scheme,
            permissions=["clipboard-read", "clipboard-write"],
        )
        tab = context.new_page()
        heard = [] if heard is None else heard
        tab.on("console", lambda message: heard.append(message.text))
        tab.on("pageerror", lambda error: heard.append(str(error)))
        tab.on("dialog", lambda dialog: heard.append(dialog.message))
        tab.on("request", lambda request: heard.append(request.url))
        tab.goto(file.as_uri())
        return tab

    return opened


@pytest.mark.parametrize("scheme", ("light", "dark"))
@pytest.mark.parametrize("viewport", (PHONE, DESKTOP), ids=("phone", "desktop"))
@pytest.mark.parametrize(
    "name",
    [
        "report",
        *(pytest.param(name, marks=pytest.mark.slow) for name in PAGES if name != "report"),
    ],
)
def test_silent_within_the_window_and_accessible(opened, name, viewport, scheme):
    heard = []
    tab = opened(name, viewport, scheme, heard)
    assert [each for each in heard if not each.startswith(("file:", "data:image/png"))] == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    found = axe.Axe().run(tab)
    assert found.violations_count == 0, found.generate_report()


def test_follows_the_colour_scheme(opened):
    colour = "getComputedStyle(document.querySelector('.sf')).backgroundColor"
    seen = [opened("report", PHONE, scheme).evaluate(colour) for scheme in ("light", "dark")]
    assert seen[0] != seen[1]


def test_copies_the_diff_by_keyboard(opened):
    tab = opened("report", DESKTOP)
    focused = "document.activeElement.textContent"
    for _ in range(10):
        tab.keyboard.press("Tab")
        if tab.evaluate(focused) == "Copy diff":
            break
    tab.keyboard.press("Enter")
    tab.wait_for_function(f"{focused} === 'Copied'")
    assert tab.evaluate("navigator.clipboard.readText()") == SQRT.fix.diff.rstrip("\n")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    tab.wait_for_function(f"{focused} === 'Copied'")
    added = [line[1:] for line in SQRT.fix.diff.splitlines() if line.startswith("+ ")]
    assert tab.evaluate("navigator.clipboard.readText()") == "\n".join(added)


def test_tables_that_are_wider_than_a_phone_scroll_by_keyboard(opened):
    tab = opened("report", PHONE)
    regions = tab.query_selector_all(".sf-scroll, .sf-code pre")
    assert regions
    assert all(region.get_attribute("tabindex") == "0" for region in regions)
