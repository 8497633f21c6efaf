"""A real Chromium that reports every error and every request that leaves the machine, and a service for it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from app.settings import Settings
from tests.app.live_service import LiveService, live_service

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "images"
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
READY = "#main[data-ready=yes]"
NOTE_WHEN_READY = """
new MutationObserver((_, watcher) => {
  const main = document.getElementById("main");
  if (!main || main.dataset.ready !== "yes") return;
  watcher.disconnect();
  requestAnimationFrame(() => { window.readyAfter = performance.now(); });
}).observe(document, { subtree: true, childList: true, attributes: true });
"""
"""Keeps the milliseconds from the start of the navigation to the first frame in which the page can be used."""


@pytest.fixture
def service(data_dir: Path, sqlite_url: str) -> Iterator[LiveService]:
    """The API on a port of its own, and its store, so that a test can play the worker."""
    settings = Settings(_env_file=None, data_dir=data_dir, database_url=sqlite_url, log_level="ERROR")
    with live_service(settings) as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for all tests."""
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A tab; afterwards no error may be in its console, and nothing may have been asked of another host."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    context.add_init_script(NOTE_WHEN_READY)
    wrong = watched(context)
    yield context.new_page()
    context.close()
    assert wrong == []


def watched(context: BrowserContext) -> list[str]:
    wrong: list[str] = []
    context.on("console", lambda said: wrong.append(said.text) if said.type in {"error", "warning"} else None)
    context.on("weberror", lambda error: wrong.append(str(error.error)))
    context.on("request", lambda request: None if _is_ours(request.url) else wrong.append(request.url))
    return wrong


def _is_ours(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "data:", "blob:http://127.0.0.1:"))


@pytest.fixture
def visit(page: Page, service: LiveService) -> Callable[[str], Page]:
    """Open a page of the dashboard and wait until it can be used."""

    def go(path: str) -> Page:
        page.goto(service.url + path)
        page.wait_for_selector(READY)
        return page

    return go


def accessible(page: Page) -> None:
    """Fail where axe-core finds something serious, in light and in dark colours."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(150)
        found = Axe().run(page).response["violations"]
        grave = [item for item in found if item["impact"] in {"serious", "critical"}]
        told = [f"{scheme}: {item['help']}: {node['target']}" for item in grave for node in item["nodes"]]
        assert told == []
    page.emulate_media(color_scheme="light")


def picture(page: Page, name: str) -> None:
    """Save what is seen for the documentation, light and dark."""
    PICTURES.mkdir(exist_ok=True)
    page.evaluate("scrollTo(0, 0)")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(400)
        page.screenshot(path=PICTURES / f"{name}-{scheme}.png")
    page.emulate_media(color_scheme="light")
