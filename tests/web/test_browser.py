"""The page in a real browser: what is said, what is chosen, what keys alone can do."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest
from mido import Message, MidiFile, MidiTrack
from page_browser import LOAD_LIMIT_S, captured, opened, serving, state, until
from playwright.sync_api import Browser, BrowserContext, Page, expect

from support.page_visits import AXE, drop, files_with_clock, melody, play, press, saved
from timbrel.constants import SMALL_MODEL
from timbrel.web.page import page_files


def test_other_sounds_and_models_and_links(page: Page) -> None:
    play(page)
    press(page, "B · griffin-lim")
    until(page, "models.vocoder", lambda name: name == "griffin-lim")
    until(page, "transport.ahead", lambda ahead: ahead > 0.2)
    page.get_by_label("Model").select_option("mel2mel-10d")
    until(page, "models.model", lambda name: name == "mel2mel-10d")
    expect(page.get_by_label("Dimension 10")).to_be_visible()
    assert len(state(page, "path.point")) == 10
    places = np.array(state(page, "models.space.data.places"))
    assert places.shape == (10, 3)
    page.get_by_label("Instrument 2 of the mix").select_option("harp")
    page.get_by_label("Share of harp").fill("100")
    assert "harp" in state(page, "path.words")
    # Unless a WaveNet is chosen, the WAV is what is heard.
    choice = page.get_by_label("Vocoder for the WAV")
    expect(choice).to_have_value("griffin-lim")
    offered = choice.get_by_role("option", name="wavenet", exact=True)
    expect(offered).to_have_count(1)
    command = page.locator("code").inner_text()
    assert command.startswith("timbrel render prelude.mid --timbre ")
    assert command.endswith("--model mel2mel-10d --vocoder griffin-lim")
    point = state(page, "path.point")
    link = page.evaluate("timbrel.export.link()")
    page.evaluate("timbrel.stop()")
    assert np.abs(captured(page)).max() > 0.003
    page.goto("about:blank")
    page.goto(link)
    until(page, "piece.voices.length", lambda n: n == 1)
    assert state(page, "models.model") == "mel2mel-10d"
    assert state(page, "models.vocoder") == "griffin-lim"
    assert state(page, "path.point") == pytest.approx(point, abs=1e-4)


@pytest.mark.parametrize(("pace", "light"), [(50, True), (0.02, False)])
def test_the_pictures_cost_less_where_the_computer_is_slow(
    context: BrowserContext, pace: float, light: bool
) -> None:
    """A clock that runs fast makes a computer that is slow."""
    with serving(files_with_clock(pace)) as server:
        page = opened(context, server.url)
        until(page, "transport.ahead", lambda ahead: ahead > 0.5)
        until(page, "quality.light", lambda found: found is light)
        words = page.get_by_text("graphics reduced")
        expect(words).to_have_count(int(light))
        assert state(page, "quality.frameMs") == (120 if light else 30)


def test_bad_input_has_words_and_the_rest_goes_on(page: Page) -> None:
    alert = page.get_by_role("alert")
    drop(page, "notes.txt", b"Dear diary")
    expect(alert).to_contain_text("notes.txt is not a MIDI file")
    drop(page, "huge.mid", b"MThd" + bytes(5 * 2**20))
    expect(alert).to_contain_text("huge.mid is larger than 4 MiB")
    drop(page, "cut.mid", melody()[:60])
    expect(page.get_by_text("track 1 is cut off")).to_be_visible()
    drums = MidiTrack([Message("note_on", channel=9, note=40), Message("note_off", note=40)])
    drop(page, "drums.mid", saved(MidiFile(tracks=[drums])))
    expect(alert).to_contain_text("drums.mid has no notes that can be played")
    expect(alert).to_contain_text("notes of drums (1)")
    drop(page, "odd.timbre", b"{}")
    expect(alert).to_contain_text("odd.timbre is not a timbre file")
    page.evaluate("timbrel.choose({ model: 'no-such', vocoder: 'parallel' })")
    expect(alert).to_contain_text("there is no model “no-such”")
    assert state(page, "title") == "cut.mid"
    play(page)
    until(page, "transport.seconds", lambda seconds: seconds > 0.3)
    page.evaluate("timbrel.stop()")
    assert np.abs(captured(page)).max() > 0.003


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        ("WebAssembly.validate = () => false", "does not support WebAssembly SIMD"),
        ("delete window.AudioWorkletNode", "does not support AudioWorklet"),
    ],
)
def test_old_browsers_are_told(context: BrowserContext, url: str, lacking: str, words: str) -> None:
    context.add_init_script(lacking)
    page = opened(context, url)
    expect(page.get_by_role("alert")).to_contain_text(words)
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_disabled()


def test_a_browser_that_holds_the_sound_back_is_named(context: BrowserContext, url: str) -> None:
    context.add_init_script(
        """Object.defineProperty(AudioContext.prototype, "state", { get: () => "suspended" });"""
    )
    page = opened(context, url)
    press(page, "Play")
    expect(page.get_by_role("alert")).to_contain_text("The browser is blocking sound")


def test_a_damaged_model_is_refused(context: BrowserContext) -> None:
    files = dict(page_files(model=SMALL_MODEL))
    name = next(name for name in files if name.startswith("models/parallel/vocoder"))
    files[name] = files["models/mel2mel/past.onnx.gz"]
    with serving(files) as server:
        page = opened(context, server.url)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(
        "the SHA-256 of vocoder.onnx is not the expected one", ignore_case=True
    )


def test_axe_finds_no_serious_violation(page: Page) -> None:
    page.evaluate(AXE.read_text())
    page.evaluate("timbrel.path.addBreakpoint()")
    found = page.evaluate("axe.run()")
    serious = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in serious] == []
    assert len(found["passes"]) > 20


def test_the_whole_page_is_used_by_keyboard(page: Page) -> None:
    reached = set()
    for _ in range(120):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                """(document.activeElement.ariaLabel
                    || document.activeElement.innerText || "").trim()"""
            )
        )
        if page.evaluate("document.activeElement === document.body"):
            break
    names = page.evaluate(
        """[...document.querySelectorAll("button:not(:disabled), select, summary")].map(
            (one) => (one.ariaLabel || one.innerText || "").trim())"""
    )
    assert set(names) <= reached

    play_button = page.get_by_role("button", name="Play", exact=True)
    play_button.focus()
    page.keyboard.press("Enter")
    until(page, "transport.seconds", lambda seconds: seconds > 0.1)
    timbre_map = page.get_by_role("application")
    timbre_map.focus()
    x, y = state(page, "path.point")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    moved = state(page, "path.point")
    assert moved[0] > x
    assert moved[1] > y + 0.05
    status = page.locator('[aria-live="polite"]')
    expect(status).to_have_text(re.compile(r"^\d+ % [a-z ]+(, \d+ % [a-z ]+)*; [a-z]+$"))
    page.get_by_role("button", name="harp", exact=True).press("Enter")
    expect(status).to_have_text(re.compile("^harp; "))
    page.get_by_label("Mute track 1").press("Enter")
    assert state(page, "piece.voices[0].muted")
    page.get_by_label("Mute track 1").press("Enter")
    page.get_by_role("button", name="Add point").press("Enter")
    until(page, "path.timbre.times.length", lambda n: n == 2)
    before = state(page, "path.timbre.times[1]")
    handle = page.get_by_label(re.compile("^Point 2 at"))
    handle.press("ArrowRight")
    assert state(page, "path.timbre.times[1]") == pytest.approx(before + 0.128, abs=1e-6)
    handle.press("Delete")
    until(page, "path.timbre.times.length", lambda n: n == 1)
    page.locator("main").click(position={"x": 2, "y": 2})
    page.keyboard.press("Space")
    until(page, "transport.playing", lambda playing: not playing)
    page.get_by_role("application").focus()
    page.keyboard.press("Enter")  # a phrase, which gives the piece back when it is over
    until(page, "transport.playing", lambda playing: playing)
    assert state(page, "title") == "A short phrase"
    page.keyboard.press("Space")
    page.evaluate("timbrel.stop()")
    assert state(page, "title") == "Prelude"


def test_a_phone_shows_it_without_scrolling_sideways(browser: Browser, url: str) -> None:
    """And no name on the map lies over another one or over a dot."""
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True
    )
    page = opened(context, url)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    # All at once: what is said above the map moves it.
    corners = np.array(
        page.evaluate(
            """[...document.querySelectorAll("[role=application] button")]
                .map((one) => one.getBoundingClientRect())
                .map(({ left, top, right, bottom }) => [left, top, right, bottom])"""
        )
    )
    assert len(corners) == 10
    low = np.maximum(corners[:, None, :2], corners[None, :, :2])
    high = np.minimum(corners[:, None, 2:], corners[None, :, 2:])
    overlapping = (high > low).all(axis=-1) & ~np.eye(len(corners), dtype=bool)
    assert not overlapping.any()
    context.close()


def test_samples_are_listened_through_blind(context: BrowserContext, report: Path) -> None:
    """One player; another condition of a track goes on from where the first one was."""
    context.add_init_script(
        """const { play } = HTMLAudioElement.prototype;
        HTMLAudioElement.prototype.play = function () {
            window.player = this;
            window.begunAt = this.currentTime;
            this.loop = true; // the sounds of the test are short
            return play.call(this);
        };"""
    )
    with serving(page_files(report, model=SMALL_MODEL)) as server:
        page = opened(context, server.url)
        table = page.get_by_role("region", name="Table of samples")
        expect(table.get_by_role("columnheader")).to_have_count(1 + len(listed(report)))
        press(page, "Blind")
        headers = table.get_by_role("columnheader").all_inner_texts()
        assert headers == ["Track", *"ABCDEFGH"[: len(headers) - 1]]
        # Nothing in a blind table names a condition.
        for condition in listed(report):
            assert condition not in table.inner_html()
        row = table.get_by_role("row").nth(1)
        row.get_by_role("button", name="condition A").click()
        heard(page)
        first = page.evaluate("player.src")
        row.get_by_role("button", name="condition B").click()
        assert page.evaluate("begunAt") > 0
        assert page.evaluate("player.src") != first
        heard(page)
        stop = row.get_by_role("button", name="Stop")
        expect(stop).to_have_accessible_name(re.compile("condition B$"))
        expect(table.get_by_role("button", name="Stop")).to_have_count(1)
        stop.click()
        assert page.evaluate("player.paused")
        press(page, "Reveal")
        assert sorted(table.get_by_role("columnheader").all_inner_texts()[1:]) == sorted(
            listed(report)
        )


def heard(page: Page) -> None:
    """Wait until the table's player has gone on."""
    deadline = time.monotonic() + LOAD_LIMIT_S
    while page.evaluate("player.currentTime - begunAt") == 0:
        assert time.monotonic() < deadline, page.evaluate("String(player.error?.message)")
        page.wait_for_timeout(20)


def listed(report: Path) -> list[str]:
    from timbrel.evaluation.listening.clips import read_clips

    return list(dict.fromkeys(clip.condition for clip in read_clips(report)))
