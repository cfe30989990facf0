"""Opens the page in a headless Chromium: for its tests, its benchmark and its pictures."""

from __future__ import annotations

import base64
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from timbrel.web.page import Files
from timbrel.web.server import PageServer, make_server

CHROMIUM_FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--autoplay-policy=user-gesture-required",  # as browsers with windows have it
    # An administrator's browser may run the audio thread with priority over all others. Where there
    # is one core it then waits without end for threads that it keeps from running.
    "--disable-features=AudioWorkletThreadRealtimePriority",
]
LOAD_LIMIT_S = 120
_TAKE = """async () => {
    const text = (side) => {
        const bytes = new Uint8Array(side.buffer);
        let text = "";
        for (let i = 0; i < bytes.length; i += 1 << 15) {
            text += String.fromCharCode(...bytes.subarray(i, i + (1 << 15)));
        }
        return btoa(text);
    };
    const { left, right } = await timbrel.transport.endCapture();
    return [text(left), text(right)];
}"""


@contextmanager
def serving(files: Files) -> Iterator[PageServer]:
    """A server in a thread."""
    with make_server(files, port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """The system's browser, with a fresh profile and more flags."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=[*CHROMIUM_FLAGS, *flags]
        )
        yield browser
        browser.close()


def state(page: Page, name: str) -> Any:
    """A value of the page's session."""
    return page.evaluate(f"window.timbrel?.{name} ?? null")


def until(page: Page, name: str, fits: Any, *, limit_s: float = LOAD_LIMIT_S) -> Any:
    """Wait until a value of the session fits; the page's policy forbids Playwright's own way."""
    deadline = time.monotonic() + limit_s
    while not fits(value := state(page, name)):
        if time.monotonic() > deadline:
            message = state(page, "message")
            raise TimeoutError(f"{name} is still {value!r} after {limit_s} s ({message})")
        time.sleep(0.01)
    return value


def opened(context: BrowserContext, url: str) -> Page:
    """The page, ready to play or failed; an error that it does not catch fails the caller."""
    page = context.new_page()
    page.set_default_timeout(1000 * LOAD_LIMIT_S)

    def fail(error: object) -> None:
        raise AssertionError(f"the page failed: {error}")

    page.on("pageerror", fail)
    page.goto(url)
    until(page, "phase", lambda phase: phase in ("ready", "failed"))
    return page


def captured(page: Page) -> np.ndarray:
    """What the worklet played since `timbrel.transport.startCapture()`, (samples, 2)."""
    sides = [np.frombuffer(base64.b64decode(text), np.float32) for text in page.evaluate(_TAKE)]
    return np.stack(sides, axis=1)
