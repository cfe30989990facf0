"""A browser, and the page in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from page_browser import LOAD_LIMIT_S, chromium, opened, serving
from playwright.sync_api import Browser, BrowserContext, Page, expect

from timbrel.constants import SMALL_MODEL
from timbrel.web.page import INDEX_FILE, STATIC, page_files


@pytest.fixture(scope="module")
def browser_flags() -> list[str]:
    """What the browser of a module's tests is started with; a module may have others."""
    return []


@pytest.fixture(scope="module")
def browser(browser_flags: list[str]) -> Iterator[Browser]:
    if not (STATIC / INDEX_FILE).is_file():
        pytest.skip("the page is not built; run: make page")
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed")
    expect.set_options(timeout=1000 * LOAD_LIMIT_S)  # the machine may be busy
    with chromium(*browser_flags) as browser:
        yield browser


@pytest.fixture(scope="module")
def url(browser: Browser) -> Iterator[str]:
    """A page that plays with the small model; `test_studio.py` has the default one."""
    assert browser.is_connected()
    with serving(page_files(model=SMALL_MODEL)) as server:
        yield server.url


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, url: str) -> Page:
    return opened(context, url)
