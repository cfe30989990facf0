"""The listening test: its web application, and the page in a real browser."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect
from starlette.testclient import TestClient

from support.listening_data import MEANS
from timbrel.errors import InputError
from timbrel.evaluation.listening.analysis import analyse
from timbrel.evaluation.listening.clips import equally_loud, sound_path
from timbrel.evaluation.listening.server import make_app
from timbrel.evaluation.listening.store import RATINGS, Store

CHROMIUM_FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
N_LISTENERS, N_ITEMS = 10, 4
N_TRIALS = N_ITEMS * len(MEANS)
LIMIT_S = 300  # the machine may be busy


def test_listener_is_led_through_the_trials(report: Path) -> None:
    client = TestClient(make_app(report, n_items=2))
    assert client.get("/").headers["content-type"].startswith("text/html")
    assert client.get("/api/scale").json() == list(RATINGS)
    state = client.post("/api/listeners").json()
    token = state["listener"]
    assert state == {"listener": token, "trials": 6, "ratings": {}}
    store = Store(report / "listening.sqlite")
    for position in range(6):
        path = f"/api/listeners/{token}/trials/{position}"
        trial = store.trial(token, position)
        sound = client.get(f"{path}/sound")
        assert sound.headers["content-type"] == "audio/flac"
        assert sound.content == equally_loud(sound_path(report, trial))
        state = client.put(f"{path}/rating", json={"rating": 2.5}).json()
    assert state["ratings"] == {str(position): 2.5 for position in range(6)}
    assert client.get(f"/api/listeners/{token}").json() == state


def test_nothing_tells_the_condition(report: Path) -> None:
    client = TestClient(make_app(report))
    state = client.post("/api/listeners")
    sound = client.get(f"/api/listeners/{state.json()['listener']}/trials/0/sound")
    for text in (state.text, client.get("/").text, str(sound.headers)):
        for word in (*MEANS, "piece-", "sounds/"):
            assert word not in text


def test_what_is_wrong_is_refused(report: Path) -> None:
    client = TestClient(make_app(report, n_items=1))
    token = client.post("/api/listeners").json()["listener"]
    rating = f"/api/listeners/{token}/trials/0/rating"
    for content in ({"rating": 3.3}, {"rating": "high"}, {}, [1], {"rating": None}):
        response = client.put(rating, json=content)
        assert response.status_code == 400
        assert "rating" in response.json()["error"]
    assert client.put(rating, content=b"{").status_code == 400
    assert client.put(rating.replace("/0/", "/3/"), json={"rating": 3}).status_code == 400
    assert client.get("/api/listeners/nobody").status_code == 404
    assert client.get(f"/api/listeners/{token}/trials/3/sound").status_code == 404
    assert client.get("/../listening.sqlite").status_code == 404
    assert Store(report / "listening.sqlite").ratings() == []
    with pytest.raises(InputError, match="0 items"):
        make_app(report, n_items=0)
    for file in (report / "sounds").iterdir():
        file.unlink()
    assert client.get(rating.replace("rating", "sound")).json() == {"error": "the clip is gone"}


@pytest.fixture
def url(report: Path) -> Iterator[str]:
    """`timbrel listen`, running."""
    server, address = started(report)
    with server:
        yield address
        server.terminate()


def started(report: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A server that answers, and its address; a port that another took meanwhile is given up."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [sys.executable, "-m", "timbrel", "listen", "--report", str(report)]
        command += ["--port", str(port), "--items", str(N_ITEMS)]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        address = f"http://127.0.0.1:{port}/"
        while server.poll() is None and time.monotonic() < deadline:
            try:
                urllib.request.urlopen(address, timeout=LIMIT_S).close()
                return server, address
            except OSError:
                time.sleep(0.1)
        server.kill()
        server.wait()
    raise TimeoutError(f"the listening test did not answer within {LIMIT_S} s")


class Simulated:
    """A listener who knows what to think: the condition's mean, and some noise.

    What the condition is, the page does not tell; the test looks it up in the file of ratings.
    """

    def __init__(self, number: int, store: Store, page: Page) -> None:
        self._random = np.random.default_rng(number)
        self._store, self._page = store, page
        self.given: dict[int, float] = {}

    async def rate(self, *, keys: bool, twice: bool) -> None:
        """Hear a clip, and say what is to be said."""
        page = self._page
        where = await page.locator("#where").text_content()
        position = int(where.split()[1]) - 1
        first = page.locator("#scale input").first
        await expect(first).to_be_disabled(timeout=1000 * LIMIT_S)
        await page.locator("#play").click()
        await expect(first).to_be_enabled(timeout=1000 * LIMIT_S)
        token = await page.evaluate("listener")
        mean = MEANS[self._store.trial(token, position).condition]
        rating = float(np.clip(round(2 * self._random.normal(mean, 0.4)) / 2, 1, 5))
        self.given[position] = rating
        if keys:
            if twice:  # without an opinion, a second Enter would press what has the focus: Play
                await page.locator("#where").click()
            await page.keyboard.press(str(int(rating)))
            if rating % 1:
                await page.keyboard.press("+")
            await page.keyboard.press("Enter")
            if twice:
                await page.keyboard.press("Enter")
        else:
            await page.locator(f"input[value='{rating:g}']").check()
            await page.locator("#next").click(click_count=2 if twice else 1)
        if len(self.given) < N_TRIALS:
            await expect(page.locator("#where")).not_to_have_text(where, timeout=1000 * LIMIT_S)
        else:
            await expect(page.locator("#thanks")).to_be_visible(timeout=1000 * LIMIT_S)


async def listen(browser: Browser, url: str, store: Store, number: int) -> dict[int, float]:
    """One listener's whole test; the fourth one closes the page midway and comes back."""
    context: BrowserContext = await browser.new_context()
    page = await opened(context, url)
    listener = Simulated(number, store, page)
    for trial in range(N_TRIALS):
        if number == 3 and trial == N_TRIALS // 2:
            await page.locator("#play").click()
            await page.close()
            page = await opened(context, url)
            listener._page = page
        expected = f"Clip {trial + 1} of {N_TRIALS}"
        await expect(page.locator("#where")).to_have_text(expected, timeout=1000 * LIMIT_S)
        await listener.rate(keys=number % 2 == 0, twice=trial % 4 == 0)
    await context.close()
    return listener.given


async def opened(context: BrowserContext, url: str) -> Page:
    page = await context.new_page()
    page.set_default_timeout(1000 * LIMIT_S)

    def fail(error: object) -> None:
        raise AssertionError(f"the page failed: {error}")

    page.on("pageerror", fail)
    await page.goto(url)
    await expect(page.locator("#play")).to_be_enabled(timeout=1000 * LIMIT_S)
    return page


async def all_listen(url: str, store: Store) -> list[dict[int, float]]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS
        )
        given = await asyncio.gather(*(listen(browser, url, store, n) for n in range(N_LISTENERS)))
        await browser.close()
    return given


def test_ten_listeners_at_once_are_understood(report: Path, url: str) -> None:
    """In a browser, by mouse and by keyboard, some pressing twice, one closing the page midway."""
    store = Store(report / "listening.sqlite")
    given = asyncio.run(all_listen(url, store))
    ratings = store.ratings()
    by_listener = Counter(rating.listener for rating in ratings)
    assert list(by_listener.values()) == [N_TRIALS] * N_LISTENERS
    stored = sorted(sorted(store.progress(token)[1].items()) for token in by_listener)
    assert stored == sorted(sorted(one.items()) for one in given)

    found = analyse(ratings)
    assert list(found.conditions) == list(MEANS)
    for name, mean in MEANS.items():
        opinion = found.conditions[name]
        assert opinion.n == N_LISTENERS * N_ITEMS
        assert opinion.mean == pytest.approx(
            mean, abs=5 * opinion.sem
        )  # the clips are drawn by chance
    assert all(pair.p < 0.05 for pair in found.comparisons)
    assert found.consensus > 0.9
