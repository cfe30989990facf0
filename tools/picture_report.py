"""Put pictures of the report in out/report into docs/images: its page, and the paper's figure."""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
REPORT, IMAGES = ROOT / "out/report", ROOT / "docs/images"
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]


def main() -> None:
    """Open the page as a reader does, and take its picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS
        )
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.goto((REPORT / "report.html").as_uri())
        page.screenshot(path=IMAGES / "report.png")
        browser.close()
    for name in ("correlation-by-frequency.svg", "spectrograms.png", "timbre-space-mel2mel.png"):
        shutil.copy(REPORT / "pictures" / name, IMAGES / name)


if __name__ == "__main__":
    main()
