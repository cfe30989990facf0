"""What is heard in a real browser: it is what Python renders."""

from __future__ import annotations

import re
import threading
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from page_browser import captured, opened, state, until
from playwright.sync_api import Browser, BrowserContext, Page, expect

from support.page_visits import (
    SilentHandler,
    assert_sounds_as,
    drag,
    drop,
    drop_and_play,
    duo,
    melody,
    press,
    read_wav,
)
from timbrel import Synthesizer
from timbrel.constants import SMALL_MODEL
from timbrel.mastering import measured_loudness
from timbrel.score.midi import parse_midi
from timbrel.timbre.timbre import parse_timbre
from timbrel.web.page import write_page


def test_a_dropped_file_sounds_as_python_renders_it_while_a_timbre_is_dragged(
    context: BrowserContext, url: str, tmp_path: Path
) -> None:
    """One of two tracks; and nothing is sent anywhere but to ask for the page's own files."""
    asked: list[tuple[str, str]] = []
    context.on("request", lambda request: asked.append((request.method, request.url)))
    page = opened(context, url)
    song = duo(times=12)
    drop_and_play(page, "duo.mid", song)
    page.get_by_label("Timbre of", exact=True).select_option("1")
    until(page, "transport.seconds", lambda seconds: seconds > 0.5)
    page.get_by_role("button", name=re.compile("Record$")).click()
    drag(page, [(0.2 + 0.05 * i, 0.2 + 0.05 * i) for i in range(12)], 60)
    now = state(page, "transport.seconds")
    until(page, "transport.seconds", lambda seconds: seconds > now + 0.8)
    page.evaluate("timbrel.stop()")
    until(page, "path.timbre.times.length", lambda n: n > 1)
    heard = captured(page)
    with page.expect_download() as download:
        press(page, "Save timbre")
    path = tmp_path / "duo.timbre"
    download.value.save_as(path)

    synthesizer = Synthesizer.load(SMALL_MODEL)
    timbre = parse_timbre(path, synthesizer.model.instruments)
    assert len(timbre.times_s) > 3
    # In the file, the path begins where it was recorded; what was before is its first point.
    gain = state(page, "transport.gainDb")
    options = {"gain_db": gain, "duration_s": len(heard) / 16000 + 1}
    wanted = synthesizer.render(parse_midi(song), timbre={2: timbre}, **options)
    assert len(heard) > 16000
    assert_sounds_as(heard, wanted)
    still = synthesizer.render(parse_midi(song), **options)
    with pytest.raises(AssertionError):
        assert_sounds_as(heard, still)
    assert {method for method, _ in asked} == {"GET"}
    assert all(address.startswith((url, "blob:")) for _, address in asked)


def test_from_a_plain_static_host_the_sound_is_the_same(browser: Browser, tmp_path: Path) -> None:
    """Without headers: not isolated, nothing decompressed on the way; at a rate not the model's."""
    write_page(tmp_path / "site", model=SMALL_MODEL)
    handler = partial(SilentHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        context = browser.new_context()
        page = opened(context, f"http://127.0.0.1:{server.server_address[1]}/site/")
        assert page.evaluate("crossOriginIsolated") is False
        drop_and_play(page, "melody.mid", melody())
        until(page, "transport.seconds", lambda seconds: seconds > 1)
        page.evaluate("timbrel.stop()")
        heard = captured(page)
        gain = state(page, "transport.gainDb")
        context.close()
        server.shutdown()
    assert_sounds_as(
        heard, Synthesizer.load(SMALL_MODEL).render(parse_midi(melody()), gain_db=gain)
    )


def test_a_path_is_drawn_and_edited_and_the_wav_with_it_is_pythons(
    page: Page, tmp_path: Path
) -> None:
    drop(page, "melody.mid", melody())
    until(page, "title", lambda title: title == "melody.mid")
    page.evaluate("timbrel.stop()")
    page.evaluate("timbrel.seek(0.5)")
    page.get_by_role("button", name=re.compile("Draw$")).click()
    drag(page, [(0.3, 0.2), (0.4, 0.2), (0.5, 0.3), (0.5, 0.6), (0.7, 0.7), (0.8, 0.5)], 200)
    assert not state(page, "path.drawing")
    times = np.array(state(page, "path.timbre.times"))
    assert 4 <= len(times) <= 60
    assert times[0] == pytest.approx(0.504, abs=1e-6)  # half a second, on the grid of frames
    assert 0.8 < times[-1] - times[0] < 3  # the hand's time
    n_points = len(times)

    # A point is taken with the keyboard, moved in time and on the map, and another is deleted.
    page.get_by_label(re.compile("^Point 2 at")).press("Enter")
    x, y = state(page, "path.timbre.points[1]")
    page.get_by_role("application").press("Shift+ArrowRight")
    moved = state(page, "path.timbre.points[1]")
    assert moved[0] > x + 0.05
    assert moved[1] == pytest.approx(y)
    assert state(page, "path.timbre.times.length") == n_points
    page.get_by_label(re.compile("^Point 3 at")).press("Delete")
    until(page, "path.timbre.times.length", lambda n: n == n_points - 1)
    page.get_by_label(re.compile("^Point 2 at")).press("Escape")

    with page.expect_download() as download:
        press(page, "Save timbre")
    download.value.save_as(tmp_path / "melody.timbre")
    with page.expect_download() as download:
        press(page, "Save as WAV")
    path = tmp_path / "melody.wav"
    download.value.save_as(path)
    found = read_wav(path)
    synthesizer = Synthesizer.load(SMALL_MODEL)
    timbre = parse_timbre(tmp_path / "melody.timbre", synthesizer.model.instruments)
    assert len(timbre.times_s) == n_points - 1
    wanted = synthesizer.render(parse_midi(melody()), timbre=timbre)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 1e-3


def test_what_is_played_has_the_gain_that_python_expects_and_the_wav_its_loudness(
    page: Page, tmp_path: Path
) -> None:
    drop_and_play(page, "melody.mid", melody())
    until(page, "transport.seconds", lambda seconds: seconds > 1)
    page.evaluate("timbrel.stop()")
    expected = Synthesizer.load(SMALL_MODEL).stream(parse_midi(melody()))
    assert state(page, "transport.gainDb") == pytest.approx(expected.gain_db, abs=0.01)
    assert np.abs(captured(page)).max() < 10 ** (-1 / 20)
    with page.expect_download() as download:
        press(page, "Save as WAV")
    download.value.save_as(tmp_path / "melody.wav")
    found = measured_loudness([read_wav(tmp_path / "melody.wav")], 16_000, 2)
    assert found.integrated_lufs == pytest.approx(-16.0, abs=0.2)
    assert found.true_peak_dbtp <= -1


def test_the_volume_is_set_by_keys_and_remembered(page: Page) -> None:
    drop(page, "melody.mid", melody())
    until(page, "title", lambda title: title == "melody.mid")
    volume = page.get_by_role("slider", name="Volume", exact=True)
    expect(volume).to_have_value("100")
    volume.focus()
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    expect(volume).to_have_value("50")
    expect(volume).to_have_attribute("aria-valuetext", "50 %")
    # Half way is a quarter, as one hears it; the gain glides there.
    until(page, "transport.speaker.volume.gain.value", lambda gain: abs(gain - 0.25) < 0.01)
    page.reload()
    until(page, "phase", lambda phase: phase == "ready")
    expect(volume).to_have_value("50")
    until(page, "transport.speaker.volume.gain.value", lambda gain: abs(gain - 0.25) < 0.01)
    volume.focus()
    page.keyboard.press("Home")
    until(page, "transport.speaker.volume.gain.value", lambda gain: gain < 0.01)


def test_the_room_is_switched_by_a_key_heard_exported_and_remembered(
    page: Page, tmp_path: Path
) -> None:
    drop(page, "duo.mid", duo())
    until(page, "title", lambda title: title == "duo.mid")
    synthesizer = Synthesizer.load(SMALL_MODEL)
    room = page.get_by_role("checkbox", name="Room", exact=True)
    for is_dry in (False, True):
        expect(room).to_be_checked(checked=not is_dry)
        with page.expect_download() as download:
            press(page, "Save as WAV")
        path = tmp_path / "duo.wav"
        download.value.save_as(path)
        found, wanted = read_wav(path), synthesizer.render(parse_midi(duo()), dry=is_dry)
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() < 1e-3
        sides = found[:, 0] - found[:, 1]
        assert (np.abs(sides).max() > 0.01) != is_dry
        assert state(page, "export.command").endswith(" --dry") == is_dry
        if not is_dry:
            room.focus()
            page.keyboard.press("Space")
    page.reload()
    until(page, "phase", lambda phase: phase == "ready")
    expect(room).not_to_be_checked()


def test_the_room_is_switched_while_it_plays(page: Page) -> None:
    drop_and_play(page, "duo.mid", duo(times=12))
    until(page, "transport.seconds", lambda seconds: seconds > 0.5)
    page.get_by_role("checkbox", name="Room", exact=True).uncheck()
    until(page, "transport.changeMs", lambda ms: ms is not None)
    now = state(page, "transport.seconds")
    until(page, "transport.seconds", lambda seconds: seconds > now + 1.2)
    page.evaluate("timbrel.stop()")
    heard = captured(page)
    sides = np.abs(heard[:, 0] - heard[:, 1])
    assert sides[: len(heard) // 4].max() > 0.01
    assert sides[-3200:].max() < 1e-6


def test_the_keyboard_of_a_piano_is_heard(page: Page) -> None:
    page.evaluate("timbrel.transport.startCapture()")
    key = page.get_by_role("button", name="C4", exact=True)
    key.focus()
    page.keyboard.down("Enter")
    until(page, "transport.playing", lambda playing: playing)
    until(page, "transport.seconds", lambda seconds: seconds > 3)
    page.keyboard.up("Enter")
    page.evaluate("timbrel.stop()")
    heard = captured(page)
    assert np.sqrt(np.square(heard).mean()) > 1e-3
    # The piece that was open is there again.
    assert state(page, "title") == "Prelude"


def test_a_midi_keyboard_is_heard_in_tune(context: BrowserContext, url: str) -> None:
    context.add_init_script(
        """navigator.requestMIDIAccess = async () => {
            window.midiInput = { name: "Faked keys" };
            return { inputs: new Map([["1", midiInput]]) };
        };"""
    )
    page = opened(context, url)
    press(page, "MIDI keyboard")
    expect(page.get_by_text("Faked keys")).to_be_visible()
    page.evaluate("timbrel.transport.startCapture()")
    # A key beyond the piano and a pedal are no notes.
    for message in ([0x90, 5, 90], [0xB0, 64, 127]):
        page.evaluate("(data) => midiInput.onmidimessage({ data: new Uint8Array(data) })", message)
    assert not state(page, "transport.playing")
    # A key that is let go before the sound has been woken for it is heard, and does not sound on.
    page.evaluate(
        """for (const velocity of [100, 0]) {
            midiInput.onmidimessage({ data: new Uint8Array([0x90, 57, velocity]) });
        }"""
    )
    until(page, "transport.playing", lambda playing: playing)
    until(page, "transport.seconds", lambda seconds: seconds > 5)
    page.evaluate("timbrel.stop()")
    levels = np.sqrt(np.square(captured(page).mean(axis=1)[: 5 * 16000]).reshape(-1, 1600).mean(1))
    # Of some 0.02 at the note's beginning, a busy computer may lose the first moments.
    assert levels.max() > 1e-3
    assert levels[-5:].max() < 1e-2 * levels.max()
    # What is held sounds on, in tune.
    page.evaluate("timbrel.transport.startCapture()")
    page.evaluate("midiInput.onmidimessage({ data: new Uint8Array([0x92, 69, 100]) })")
    until(page, "transport.playing", lambda playing: playing)
    until(page, "transport.seconds", lambda seconds: 0 < seconds < 5)
    until(page, "transport.seconds", lambda seconds: seconds > 3)
    page.evaluate("midiInput.onmidimessage({ data: new Uint8Array([0x82, 69, 0]) })")
    page.evaluate("timbrel.stop()")
    heard = captured(page).mean(axis=1)
    assert np.sqrt(np.square(heard).mean()) > 1e-3
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    loudest_hz = np.argmax(spectrum) * 16000 / len(heard)
    # A4 or one of its first partials.
    assert min(abs(loudest_hz / 440 - n) for n in (1, 2, 3)) < 0.02
