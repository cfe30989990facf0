"""The page in headless Chromium: bytes; time to Play, to sound, to a heard change; gaps."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "tools"))

from page_browser import captured, chromium, opened, serving, state, until
from playwright.sync_api import BrowserContext, Page

from timbrel.web.page import page_files

REPETITIONS = 5
PLAYED_S = 30.0
AUDIBLE = 1e-4
# A timbre far from the one before, so that the change is plain in the samples.
MOVE = (
    "timbrel.path.moveTo("
    "[...timbrel.models.instruments.find((one) => one.name === NAME).embedding])"
)


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    results = measured()
    text = json.dumps(results, indent=2) + "\n"
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(text)
    print(text, end="")


def measured() -> dict[str, Any]:
    """All figures, in one browser; each load has an empty cache."""
    load_ms, ready_ms, first_sound_ms, heard_ms = [], [], [], []
    with serving(page_files()) as server, chromium() as browser:
        for _ in range(REPETITIONS):
            context = browser.new_context()
            sizes = count_bytes(context)
            began = time.perf_counter()
            page = opened(context, server.url)
            load_ms.append(1000 * (time.perf_counter() - began))
            ready_ms.append(state(page, "loadMs"))
            n_bytes = sum(sizes)
            first_sound_ms.append(first_sound(page))
            heard_ms.append(change(page))
            context.close()
        context = browser.new_context()
        page = opened(context, server.url)
        gaps, factor = played(page)
        threads, isolated = state(page, "threads"), state(page, "isolated")
        version = browser.version
    return {
        "benchmark": "page",
        "chromium": version,
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
        "threads": threads,
        "isolated": isolated,
        "bytes_over_the_wire": n_bytes,
        # With and without opening the tab; the page shows the second one itself.
        "load_to_play_ms": summary(load_ms),
        "navigation_to_play_ms": summary(ready_ms),
        "play_to_first_sound_ms": summary(first_sound_ms),
        "move_to_change_ms": summary(heard_ms),
        "real_time_factor": round(factor, 3),
        "gaps": gaps,
        "played_s": PLAYED_S,
    }


def count_bytes(context: BrowserContext) -> list[int]:
    """Sizes of all responses, as they are asked for: as the server sends them."""
    sizes: list[int] = []
    context.on(
        "response", lambda response: sizes.append(int(response.headers.get("content-length", 0)))
    )
    return sizes


def first_sound(page: Page) -> float:
    """From a click on Play to the first sample that the worklet takes, in milliseconds."""
    until(page, "transport.ahead", lambda ahead: ahead > 0.2)
    page.evaluate(
        """() => {
            window.firstSound = new Promise((resolve) => {
                document.addEventListener("click", () => {
                    const began = performance.now();
                    const look = () => timbrel.transport.read > 0
                        ? resolve(performance.now() - began)
                        : setTimeout(look, 1);
                    look();
                }, { once: true, capture: true });
            });
        }"""
    )
    page.get_by_role("button", name="Play", exact=True).click()
    return page.evaluate("window.firstSound")


def change(page: Page) -> float:
    """From a move on the map to the first sample that sounds otherwise, in milliseconds.

    The same piece is played with and without the move; the sample where they part is the one.
    """
    page.evaluate("timbrel.stop()")
    sounds = []
    moved_at = 0.0
    for name in (None, "church organ"):
        page.evaluate(MOVE.replace("NAME", "'grand piano'"))
        page.evaluate("timbrel.seek(0)")
        page.wait_for_timeout(500)
        until(page, "transport.ahead", lambda ahead: ahead > 0.3)
        page.evaluate("timbrel.transport.startCapture()")
        page.evaluate("timbrel.play()")
        until(page, "transport.seconds", lambda seconds: seconds > 1.5)
        if name is not None:
            # Where the listener is now, from the last word of the engine and the time since.
            moved_at = page.evaluate(
                f"(() => {{ {MOVE.replace('NAME', repr(name))}; const {{ transport }} = timbrel;"
                " return transport.smoothSeconds() * transport.sampleRate; })()"
            )
        until(page, "transport.seconds", lambda seconds: seconds > 4.5)
        page.evaluate("timbrel.stop()")
        sounds.append(captured(page))
    n = min(map(len, sounds))
    differs = np.abs(sounds[0][:n] - sounds[1][:n]).max(axis=1) > AUDIBLE
    if not differs.any():
        raise SystemExit("the move was not heard within three seconds")
    return 1000 * (int(np.argmax(differs)) - moved_at) / state(page, "transport.sampleRate")


def played(page: Page) -> tuple[int, float]:
    """Gaps in half a minute of playing, and the real-time factor at its end."""
    until(page, "transport.ahead", lambda ahead: ahead > 0.2)
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, "transport.seconds", lambda seconds: seconds > PLAYED_S)
    return state(page, "transport.underruns"), state(page, "transport.realTimeFactor")


def summary(values: list[float]) -> dict[str, float]:
    """The median and the range."""
    return {
        "median": round(statistics.median(values), 1),
        "least": round(min(values), 1),
        "most": round(max(values), 1),
    }


if __name__ == "__main__":
    main()
