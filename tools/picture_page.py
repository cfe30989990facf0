"""Take the pictures of the page for the documentation, while it plays: docs/images/page*.png."""

from __future__ import annotations

from pathlib import Path

from page_browser import chromium, opened, serving, until
from PIL import Image
from playwright.sync_api import Page

from timbrel.constants import DEFAULT_MODEL
from timbrel.web.page import page_files

IMAGES = Path(__file__).parents[1] / "docs" / "images"
VIEWS = {
    "page.png": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
    "page-phone.png": {
        "viewport": {"width": 390, "height": 844},
        "is_mobile": True,
        "color_scheme": "dark",
    },
}
SHOWN_AT_S = 7.0


def main() -> None:
    """Take both."""
    with serving(page_files()) as server, chromium() as browser:
        for name, view in VIEWS.items():
            context = browser.new_context(**view)
            page = opened(context, server.url)
            picture(page, IMAGES / name, full_page="phone" not in name)
            context.close()


def picture(page: Page, path: Path, *, full_page: bool) -> None:
    """The canon, its trumpet on its way from one instrument to another, in the default model."""
    until(page, "models.model", lambda name: name == DEFAULT_MODEL)
    page.get_by_role("button", name="Canon", exact=True).click()
    until(page, "transport.ahead", lambda ahead: ahead > 0.3)
    page.evaluate(
        """() => {
            const point = (program) => [
                ...timbrel.models.melodic.find((one) => one.program === program).embedding];
            timbrel.piece.select(0);
            timbrel.piece.setTimbre({
                times: [0, 6, 14, 24],
                points: [56, 19, 48, 56].map(point),
            });
        }"""
    )
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, "transport.seconds", lambda seconds: seconds > SHOWN_AT_S)
    page.evaluate("timbrel.preview.show([...timbrel.path.point])")
    page.wait_for_timeout(300)
    page.screenshot(path=path, full_page=full_page)
    # 256 colours are enough for a picture of a dark page.
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(256, Image.Quantize.FASTOCTREE)
    small.save(path, optimize=True)


if __name__ == "__main__":
    main()
