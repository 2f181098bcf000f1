"""A headless Chromium for the tests of pages, and a watch over what a page does in it."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


def missing() -> str | None:
    """Why no browser can be started, and what to do about it; None if one can."""
    if importlib.util.find_spec("playwright") is None:
        return "Playwright is not installed: pip install -e '.[test-all]'"
    if CHROMIUM is None:
        return "no Chromium on the path: apt install chromium"
    return None


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser, closed at the end."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


class Watch:
    """Pages of one browser; their errors and their requests are recorded."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser
        self.contexts: list[Any] = []
        self.complaints: list[str] = []
        self.requests: list[str] = []

    def open(self, path: Path, width: int = 1280, height: int = 900, **options: Any) -> Any:
        """The file in a new window, its charts drawn."""
        size = {"width": width, "height": height}
        context = self.browser.new_context(viewport=size, reduced_motion="reduce", **options)
        context.set_default_timeout(10_000)
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._asked(request.url, path))
        page.goto(path.as_uri())
        page.locator("figure.chart:not(:has(.plot))").first.wait_for(state="detached")
        return page

    def _asked(self, url: str, path: Path) -> None:
        if not url.startswith(("data:", "blob:")) and url.partition("#")[0] != path.as_uri():
            self.requests.append(url)

    def close(self) -> None:
        for context in self.contexts:
            context.close()


def serious_faults(page: Any) -> list[str]:
    """What axe-core finds wrong for users of a keyboard or a screen reader, or with low vision."""
    from axe_playwright_python.sync_playwright import Axe

    return [
        f"{fault['id']} ({fault['impact']}): {node['html'][:200]}"
        for fault in Axe().run(page).response["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


def sticks_out(page: Any) -> int:
    """By how many pixels a page is wider than its window."""
    root = "document.documentElement"
    return page.evaluate(f"{root}.scrollWidth - {root}.clientWidth")
