"""The map of all instruments in a real browser: turned, searched, coloured, clicked and mixed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_browser import captured, opened, state, until
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from support.page_visits import press
from timbrel.bundles.bundle import Bundle, load_bundle
from timbrel.timbre.timbre import parse_timbre

MODEL = "mel2mel-studio"
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
SHARE = re.compile(r"(\d+) % ([^;]+?)(?:, (?=\d)|;)")


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(MODEL)


@pytest.fixture
def studio(context: BrowserContext, url: str) -> Page:
    return with_studio(context, url)


@pytest.fixture
def phone(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(
        viewport={"width": 360, "height": 740},
        has_touch=True,
        is_mobile=True,
        reduced_motion="reduce",
        color_scheme="light",
    )
    yield context
    context.close()


def with_studio(context: BrowserContext, url: str) -> Page:
    page = opened(context, f"{url}#model={MODEL}")
    until(page, "models.model", lambda name: name == MODEL)
    pad(page).scroll_into_view_if_needed()
    return page


def pad(page: Page) -> Locator:
    return page.get_by_role("application")


def view(page: Page) -> tuple[float, float, float]:
    """How far the map is turned, tilted and zoomed."""
    turn, tilt, zoom = map(float, (pad(page).get_attribute("data-view") or "").split())
    return turn, tilt, zoom


def spots(page: Page) -> np.ndarray:
    """Where the dots are on the map, in pixels, and how far from the eye: (instruments, 3)."""
    turn, tilt, zoom = view(page)
    x, y, z = np.array(state(page, "models.space.data.places")).T
    across, toward = x * np.cos(turn) + z * np.sin(turn), z * np.cos(turn) - x * np.sin(turn)
    near, up = toward * np.cos(tilt) + y * np.sin(tilt), y * np.cos(tilt) - toward * np.sin(tilt)
    box = pad(page).bounding_box()
    assert box is not None
    depth = 3.4 - near
    scale = 0.47 * min(box["width"], box["height"]) * zoom * 3.4 / depth
    return np.stack(
        [box["width"] / 2 + scale * across, box["height"] / 2 - scale * up, depth], axis=1
    )


def free_dot(page: Page, bundle: Bundle, *, kits: bool = False) -> int:
    """The instrument whose dot is farthest from all others', and within the picture."""
    at = spots(page)[:, :2]
    apart = np.linalg.norm(at[:, None] - at, axis=-1) + 1e9 * np.eye(len(at))
    box = pad(page).bounding_box()
    assert box is not None
    within = ((at > 20) & (at < (box["width"] - 20, box["height"] - 70))).all(axis=1)
    fits = within & np.array([one.is_kit == kits for one in bundle.instruments])
    return int(np.where(fits, apart.min(axis=1), -1).argmax())


def click(page: Page, at: np.ndarray, *, tap: bool = False) -> None:
    position: Any = {"x": float(at[0]), "y": float(at[1])}
    (pad(page).tap if tap else pad(page).click)(position=position)


def heard_phrase(page: Page) -> None:
    """Wait until the phrase is over, and the piece is there again."""
    until(page, "title", lambda title: title == "A short phrase")
    until(page, "transport.playing", lambda playing: playing)
    until(page, "transport.playing", lambda playing: not playing)
    assert state(page, "title") == "Prelude"
    assert np.abs(captured(page)).max() > 0.003


def test_hands_and_keys_turn_and_zoom_it(studio: Page) -> None:
    front = view(studio)
    box = pad(studio).bounding_box()
    assert box is not None
    before = state(studio, "path.point")
    studio.mouse.move(box["x"] + 30, box["y"] + 30)
    studio.mouse.down()
    studio.mouse.move(box["x"] + 30 + box["width"] / 4, box["y"] + 30, steps=4)
    studio.mouse.up()
    turned = view(studio)
    # Across the picture is half a turn.
    assert turned == pytest.approx((front[0] + np.pi / 4, *front[1:]), abs=1e-3)
    studio.mouse.wheel(0, -200)
    until_view(studio, lambda now: now[2] > 1.2 * front[2])
    assert state(studio, "path.point") == before
    assert not state(studio, "transport.playing")
    studio.keyboard.press("ArrowLeft")
    studio.keyboard.press("ArrowUp")
    studio.keyboard.press("-")
    turn, tilt, zoom = view(studio)
    assert turn == pytest.approx(turned[0] - np.pi / 18, abs=1e-3)
    assert tilt == pytest.approx(turned[1] - np.pi / 18, abs=1e-3)
    assert front[2] < zoom
    press(studio, "Turn right")
    assert view(studio)[0] == pytest.approx(turn + np.pi / 9, abs=1e-3)
    press(studio, "See the map from the front")
    assert view(studio) == front


def until_seen(page: Page, look: Callable[[], Any], fits: Callable[[Any], bool]) -> Any:
    """What is seen when it fits."""
    for _ in range(600):
        seen = look()
        if fits(seen):
            return seen
        page.wait_for_timeout(50)
    raise AssertionError(seen)


def until_view(page: Page, fits: Callable[[Any], bool]) -> Any:
    return until_seen(page, lambda: view(page), fits)


def test_a_click_plays_the_instrument_and_colours_say_how_it_sounds(
    studio: Page, bundle: Bundle
) -> None:
    studio.evaluate("timbrel.transport.startCapture()")
    at = spots(studio)
    number = free_dot(studio, bundle)
    chosen = bundle.instruments[number]
    studio.mouse.move(0, 0)
    pad(studio).hover(position={"x": float(at[number][0]), "y": float(at[number][1])})
    expect(studio.locator("#map-words")).to_contain_text(chosen.name)
    click(studio, at[number])
    assert state(studio, "path.point") == list(chosen.embedding)
    heard_phrase(studio)
    command = studio.locator("code").inner_text()
    assert chosen.name in command
    # The dots' middles have the colours of what is shown; a single one may be as bright as loud.
    colour = studio.locator("label:has-text('Colour') select")
    measured = state(studio, "models.space.data.centroid_hz")
    darkest, brightest = np.argmin(measured), np.argmax(measured)

    def colours() -> list[tuple[int, int, int]]:
        return [pixel(studio, at[i]) for i in (number, darkest, brightest)]

    of_families = colours()
    seen = [of_families]
    for name in ("spectral centroid", "mean energy"):
        colour.select_option(label=name)
        seen.append(until_seen(studio, colours, lambda found: found not in seen))
    colour.select_option(label="family")
    until_seen(studio, colours, lambda found: found == of_families)
    colour.select_option(label="spectral centroid")
    expect(studio.get_by_text(f"{min(measured)} Hz")).to_be_visible()
    expect(studio.get_by_text(f"{max(measured)} Hz")).to_be_visible()
    studio.mouse.move(0, 0)
    lightness = [sum(pixel(studio, at[i])) for i in (darkest, brightest)]
    assert lightness[0] < lightness[1]


def pixel(page: Page, at: np.ndarray) -> tuple[int, int, int]:
    found = page.evaluate(
        """([x, y]) => [...document.querySelector("[role=application] canvas").getContext("2d")
            .getImageData(x * devicePixelRatio, y * devicePixelRatio, 1, 1).data]""",
        [float(at[0]), float(at[1])],
    )
    return tuple(found[:3])


def test_between_dots_the_four_nearest_are_mixed(studio: Page, bundle: Bundle) -> None:
    at = spots(studio)
    # Of a grid, the point that is farthest from all dots, but amid them.
    middle = np.median(at[:, :2], axis=0)
    grid = middle + 12.0 * np.stack(np.meshgrid(*[np.arange(-8, 9)] * 2), axis=-1).reshape(-1, 2)
    apart = np.linalg.norm(grid[:, None] - at[:, :2], axis=-1).min(axis=1)
    click(studio, grid[apart.argmax()])
    point = state(studio, "path.point")
    place = studio.evaluate("timbrel.models.space.place(timbrel.path.point, timbrel.path.palette)")
    melodic = [i for i, one in enumerate(bundle.instruments) if not one.is_kit]
    places = np.array(state(studio, "models.space.data.places"))[melodic]
    distances = np.linalg.norm(places - place, axis=1)
    nearest = distances.argsort()[:4]
    wanted = 1 / distances[nearest] / (1 / distances[nearest]).sum()
    names = [bundle.instruments[melodic[i]].name for i in nearest]
    words = studio.locator("#map-words")
    expect(words).to_contain_text(re.compile(r"\d+ % .*;"))
    studio.mouse.move(0, 0)
    shares = {name: int(share) for share, name in SHARE.findall(words.inner_text())}
    assert sum(shares.values()) == 100
    assert list(shares) == names
    np.testing.assert_allclose([shares[name] / 100 for name in names], wanted, atol=0.01)
    # The command gives the same mix, and the mixer shows it.
    command = studio.locator("code").inner_text()
    spec = " + ".join(f"{share}% {name}" for name, share in shares.items())
    assert f'--timbre "{spec}"' in command
    np.testing.assert_allclose(parse_timbre(spec, bundle.instruments).points[0], point, atol=1e-6)
    for name, share in shares.items():
        expect(studio.get_by_label(f"Share of {name}", exact=True)).to_have_value(str(share))
    # The ring is dragged on, and keys move it; both are undone in a step each.
    _, before = studio.evaluate("timbrel.stop()"), point
    box = pad(studio).bounding_box()
    assert box is not None
    start = grid[apart.argmax()] + (box["x"], box["y"])
    studio.mouse.move(*start)
    studio.mouse.down()
    studio.mouse.move(start[0] + 40, start[1] + 10, steps=5)
    studio.mouse.up()
    dragged = state(studio, "path.point")
    assert dragged != before
    studio.keyboard.press("Shift+ArrowUp")
    assert state(studio, "path.point") != dragged
    press(studio, "Undo")
    assert state(studio, "path.point") == dragged
    press(studio, "Undo")
    assert state(studio, "path.point") == before


def test_instruments_are_found_by_name_and_mixes_are_read(studio: Page, bundle: Bundle) -> None:
    by_name = {one.name: one for one in bundle.instruments}
    search = studio.get_by_role("combobox", name="Find an instrument")
    search.fill("str")
    options = studio.get_by_role("listbox", name="Instruments").get_by_role("option")
    expect(options).to_have_count(sum(" Str" in f" {name}" for name in by_name))
    search.press("ArrowDown")
    place = studio.evaluate(
        "timbrel.models.space.placeOf(timbrel.models.instruments.find("
        "({ name }) => name === 'Tremolo Strings'))"
    )
    facing = (np.arctan2(-place[0], place[2]), np.arctan2(place[1], np.hypot(place[0], place[2])))
    until_view(studio, lambda now: now[:2] == pytest.approx(facing, abs=1e-3))
    studio.evaluate("timbrel.transport.startCapture()")
    search.press("Enter")
    assert state(studio, "path.point") == list(by_name["Tremolo Strings"].embedding)
    expect(studio.locator('[aria-live="polite"]')).to_have_text(re.compile("^Tremolo Strings; "))
    heard_phrase(studio)
    search.fill("60% flute + 40% 68")
    search.press("Enter")
    assert state(studio, "path.point") == pytest.approx(
        parse_timbre("60% flute + 40% oboe", bundle.instruments).points[0]
    )
    assert '"60% Flute + 40% Oboe"' in studio.locator("code").inner_text()
    search.fill("xylophon and flewt")
    search.press("Enter")
    expect(studio.get_by_role("alert")).to_contain_text("there is no instrument")
    search.press("Escape")
    search.press("Escape")
    expect(search).to_have_value("")


def test_a_kit_is_heard_but_plays_no_melody(studio: Page, bundle: Bundle) -> None:
    before = state(studio, "path.point")
    number = free_dot(studio, bundle, kits=True)
    kit = bundle.instruments[number]
    studio.evaluate("timbrel.transport.startCapture()")
    click(studio, spots(studio)[number])
    expect(studio.locator('[aria-live="polite"]')).to_have_text(
        f"{kit.name}: drums, which play tracks of drums only"
    )
    assert state(studio, "programme.score.tracks[0].isKit")
    assert state(studio, "programme.timbres[0].points[0]") == list(kit.embedding)
    heard_phrase(studio)
    assert state(studio, "path.point") == before


def test_a_path_is_drawn_on_it(studio: Page) -> None:
    press(studio, "✎ Draw")
    box = pad(studio).bounding_box()
    assert box is not None
    front = view(studio)
    for i in range(6):
        studio.mouse.move(
            box["x"] + (0.3 + 0.06 * i) * box["width"], box["y"] + 0.5 * box["height"]
        )
        if i == 0:
            studio.mouse.down()
        studio.wait_for_timeout(150)
    studio.mouse.up()
    times = state(studio, "path.timbre.times")
    assert len(times) > 2
    assert 0.5 < times[-1] - times[0] < 60
    assert view(studio) == front
    assert studio.locator("code").inner_text().count("% ") >= len(times)


def test_a_finger_taps_without_scrolling_sideways_or_motion(
    phone: BrowserContext, url: str, bundle: Bundle
) -> None:
    page = with_studio(phone, url)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    number = free_dot(page, bundle)
    click(page, spots(page)[number], tap=True)
    assert state(page, "path.point") == list(bundle.instruments[number].embedding)
    page.evaluate("timbrel.stop()")
    search = page.get_by_role("combobox", name="Find an instrument")
    search.fill("glock")
    before = view(page)
    search.press("ArrowDown")
    after = until_view(page, lambda found: found != before)
    page.wait_for_timeout(200)
    assert view(page) == after  # there at once
    serious_violations(page)


def test_axe_finds_no_serious_violation_in_the_dark(studio: Page) -> None:
    studio.get_by_role("combobox", name="Find an instrument").fill("kit")
    serious_violations(studio)


def serious_violations(page: Page) -> None:
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run()")
    serious = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in serious] == []
    assert len(found["passes"]) > 20
