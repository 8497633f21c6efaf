"""The page of API keys: the first one closes the service, what is made is shown once, and what a key lacks is said."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from app import bearer
from tests.app.live_service import LiveService
from tests.browser.conftest import READY, accessible, picture, watched

REFUSED = re.compile(r"status of (403|409|422)")
"""Chromium reports refusals as errors too; the page shows them."""


@pytest.fixture
def tab(chromium: Browser, service: LiveService) -> Iterator[Page]:
    """A tab that may use the clipboard, and in which only refusals may be complained of."""
    context = chromium.new_context(
        base_url=service.url,
        viewport={"width": 1280, "height": 900},
        color_scheme="light",
        permissions=["clipboard-read", "clipboard-write"],
    )
    wrong = watched(context)
    yield context.new_page()
    context.close()
    assert [text for text in wrong if not REFUSED.search(text)] == []


def make(tab: Page, name: str, *scopes: str, expires: str = "") -> str:
    """Make a key with the form, and give what is shown of it."""
    tab.get_by_label("Name").fill(name)
    for scope in scopes:
        tab.get_by_role("checkbox", name=scope).check()
    tab.get_by_label("Expires").select_option(expires)
    tab.get_by_role("button", name="Make the key").click()
    key = tab.get_by_label(f"The key of {name}").input_value()
    assert bearer.is_key(key)
    return key


def revoke(tab: Page, name: str) -> None:
    tab.get_by_role("button", name=f"Revoke {name}").click()
    tab.get_by_role("dialog").get_by_role("button", name="Revoke", exact=True).click()


def test_keys_are_made_shown_once_and_revoked(tab: Page) -> None:
    tab.goto("/ui/keys")
    tab.wait_for_selector(READY)
    expect(tab.get_by_text("This service asks for no key")).to_be_visible()
    accessible(tab)
    boss = make(tab, "boss")
    tab.get_by_role("button", name="Copy").click()
    expect(tab.get_by_text("Copied.")).to_be_visible()
    assert tab.evaluate("navigator.clipboard.readText()") == boss
    tab.reload()
    tab.wait_for_selector(READY)
    expect(tab.get_by_text("Key: boss")).to_be_visible()
    assert boss not in tab.content()
    tab.get_by_label("Name").fill("Shop")
    tab.get_by_role("checkbox", name="predict").check()
    tab.get_by_role("button", name="Make the key").click()
    expect(tab.get_by_role("alert")).to_contain_text("name")
    shop = make(tab, "shop-backend", expires="90")
    make(tab, "nightly-training", "write")
    rows = tab.locator("table.keys tbody tr")
    expect(rows).to_have_count(3)
    accessible(tab)
    tab.get_by_role("button", name="I have it").click()
    picture(tab, "keys")
    revoke(tab, "nightly-training")
    expect(rows).to_have_count(2)
    tab.get_by_label("Show revoked keys too").check()
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("revoked")
    revoke(tab, "boss")
    expect(tab.get_by_role("dialog")).to_contain_text("last key that can administer")
    tab.get_by_role("dialog").get_by_role("button", name="Back").click()
    tab.set_viewport_size({"width": 390, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    signs_in_with_less(tab, shop)


def signs_in_with_less(tab: Page, key: str) -> None:
    """Sign in with a key that may only ask versions: it is told what it may not do, there and on the page of keys."""
    tab.goto("/ui/sign-in?next=/ui/keys")
    tab.get_by_label("API key").fill(key)
    tab.get_by_role("button", name="Sign in").click()
    expect(tab.get_by_role("heading", name="Signed in as shop-backend")).to_be_visible()
    expect(tab.get_by_text("upload, train, cancel or promote")).to_be_visible()
    accessible(tab)
    tab.get_by_role("link", name="Go on").click()
    tab.wait_for_selector(READY)
    expect(tab.get_by_text("The key shop-backend may predict.")).to_be_visible()
