"""A song of ten tracks with drums and bends in a real browser, at 48 kHz."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from mido import Message, MetaMessage, MidiFile, MidiTrack
from page_browser import captured, opened, serving, state, until
from playwright.sync_api import BrowserContext, Page, expect

from support.page_visits import (
    assert_sounds_as,
    drop,
    files_with_clock,
    melody,
    press,
    read_wav,
    saved,
    two_notes,
)
from timbrel import Synthesizer
from timbrel.bundles.bundle import load_bundle, weights_id
from timbrel.constants import SMALL_MODEL
from timbrel.mel.film import FilmSizes
from timbrel.score.midi import parse_midi
from timbrel.timbre.timbre import Timbre, save_timbre
from timbrel.web.page import page_files

MODEL, VOCODER = "mel2mel-studio", "parallel-studio"
RATE = 48_000
PROGRAMS = (33, 4, 25, 48, 56, 65, 73, 81, 52)
DRUMS = 9
BEAT = (36, 42, 38, 42, 36, 46, 38, 49)
LACKED = 3  # a key that no kit has
SLOW, FAST = 50, 0.001  # clocks of such a pace make any computer too slow, or fast enough


def song() -> bytes:
    """Nine instruments, one of which bends and one sways, and a kit; two seconds and a half."""
    tracks = []
    for number, program in enumerate(PROGRAMS):
        track = MidiTrack([MetaMessage("track_name", name=f"Part {number + 1}")])
        track.append(Message("program_change", channel=number, program=program))
        track.append(Message("control_change", channel=number, control=10, value=20 + 10 * number))
        if number == 5:
            track.append(Message("control_change", channel=number, control=1, value=80))
        for step in range(3):
            note = {"channel": number, "note": 36 + 4 * number + 5 * step}
            track.append(Message("note_on", velocity=70 + 5 * step, time=30 * number % 90, **note))
            if number == 4:
                for bend in range(0, 8192, 1024):
                    track.append(Message("pitchwheel", channel=number, pitch=bend, time=40))
                track.append(Message("pitchwheel", channel=number, pitch=0))
            track.append(Message("note_off", time=400, **note))
        tracks.append(track)
    kit = MidiTrack([Message("program_change", channel=DRUMS, program=8)])
    for i, key in enumerate((*BEAT, LACKED)):
        kit.append(Message("note_on", channel=DRUMS, note=key, velocity=60 + 7 * i))
        kit.append(Message("note_off", channel=DRUMS, note=key, time=240))
    return saved(MidiFile(tracks=[*tracks, kit]))


@pytest.fixture(scope="module")
def synthesizer() -> Synthesizer:
    return Synthesizer.load(MODEL)


def choose_studio(page: Page) -> None:
    page.get_by_label("Model").select_option(MODEL)
    until(page, "models.model", lambda name: name == MODEL)
    assert state(page, "models.vocoder") == VOCODER


def test_a_song_is_computed_ahead_and_its_sound_and_wav_are_pythons(
    context: BrowserContext, synthesizer: Synthesizer, tmp_path: Path
) -> None:
    score = parse_midi(song())
    with serving(files_with_clock(SLOW)) as server:
        page = opened(context, server.url)
        drop(page, "song.mid", song())
        until(page, "title", lambda title: title == "song.mid")
        page.evaluate("timbrel.stop()")
        # The first model plays neither drums nor bends, and says so.
        expect(page.get_by_text("notes of drums (9)")).to_be_visible()
        assert len(state(page, "piece.voices")) == len(PROGRAMS)
        choose_studio(page)
        assert state(page, "transport.sampleRate") == RATE
        expect(page.get_by_text("notes of keys that the drum kit lacks (1)")).to_be_visible()
        expect(page.get_by_text("notes of drums")).to_have_count(0)
        expect(page.get_by_text("pitch bends")).to_have_count(0)
        played = synthesizer.playable(score).tracks
        for number, track in enumerate(played, 1):
            choice = page.get_by_label(f"Timbre of track {number}", exact=True)
            expect(choice).to_have_value(synthesizer.nearest_instrument(track))
        expect(choice).to_have_value("Room Kit")
        names = choice.get_by_role("option").all_inner_texts()
        assert names == [one.name for one in synthesizer.instruments if one.is_kit]

        expect(page.get_by_text(f"too slow to play {len(played)} tracks live")).to_be_visible()
        page.evaluate("timbrel.transport.startCapture()")
        press(page, "Play")
        bar = page.get_by_role("progressbar", name="Computing ahead")
        expect(bar).to_be_visible()
        expect(page.get_by_text(re.compile("Computing ahead, about .* left"))).to_be_visible()
        assert not state(page, "transport.playing")
        until(page, "transport.playing", lambda playing: playing)
        expect(bar).to_have_count(0)
        until(page, "transport.playing", lambda playing: not playing)
        heard = captured(page)
        assert state(page, "transport.underruns") == 0
        gain = state(page, "transport.gainDb")
        assert gain == pytest.approx(synthesizer.stream(score).gain_db, abs=0.01)
        wanted = synthesizer.render(score, gain_db=gain)
        assert len(heard) > 0.95 * len(wanted)
        assert_sounds_as(heard, wanted)

        with page.expect_download() as download:
            press(page, "Save as WAV")
        path = tmp_path / "song.wav"
        download.value.save_as(path)
    found, wanted = read_wav(path, rate=RATE), synthesizer.render(score)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 1e-3


def test_vectors_of_a_timbres_own_sound_as_python_renders_them(
    context: BrowserContext, synthesizer: Synthesizer, tmp_path: Path
) -> None:
    """Beside a track whose timbre has none."""
    size = FilmSizes.of(synthesizer.model.model).total
    film = np.random.default_rng(0).normal(0, 0.1, size).tolist()
    place = synthesizer.instruments[24].embedding
    own = Timbre.constant(place, film=film, fitted_to=weights_id(synthesizer.model))
    save_timbre(tmp_path / "own.timbre", own)
    with serving(page_files()) as server:
        page = opened(context, server.url)
        choose_studio(page)
        drop(page, "two.mid", two_notes())
        until(page, "title", lambda title: title == "two.mid")
        page.evaluate("timbrel.stop()")
        page.get_by_label("Timbre of", exact=True).select_option("1")
        drop(page, "own.timbre", (tmp_path / "own.timbre").read_bytes())
        until(page, "path.timbre.points[0].length", lambda n: n == len(place) + size)
        with page.expect_download() as download:
            press(page, "Save as WAV")
        path = tmp_path / "two.wav"
        download.value.save_as(path)
    score = parse_midi(two_notes())
    found, wanted = read_wav(path, rate=RATE), synthesizer.render(score, timbre={2: own})
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 1e-3
    assert np.abs(found - synthesizer.render(score)).max() > 0.05


def test_the_default_takes_over_from_the_first_model_while_that_plays(
    context: BrowserContext, synthesizer: Synthesizer
) -> None:
    """Nothing is heard twice or lost; and what is loaded first is small."""
    files = page_files()
    with serving(files_with_clock(FAST, files)) as server:
        asked: list[str] = []
        context.on("request", lambda request: asked.append(request.url))
        page = opened(context, server.url)
        before = [url for url in asked if "studio" not in url]
        sizes = {name: len(make()) for name, make in files.items() if name.startswith("models/")}
        first = [name for name in sizes if any(f"/{name}?" in url for url in before)]
        assert 5e6 < sum(sizes[name] for name in first) < 12e6
        drop(page, "melody.mid", melody())
        until(page, "title", lambda title: title == "melody.mid")
        if not state(page, "transport.playing"):
            press(page, "Play")
        until(page, "models.model", lambda name: name == MODEL)
        assert state(page, "models.vocoder") == VOCODER
        # At the end nothing of what was played before sounds on, however busy the machine is.
        until(page, "transport.seconds", lambda seconds: seconds > 3)
        until(page, "transport.playing", lambda playing: not playing)
        page.evaluate("timbrel.seek(0)")
        until(page, "transport.ahead", lambda ahead: ahead > 0.5)
        page.evaluate("timbrel.transport.startCapture()")
        press(page, "Play")
        until(page, "transport.seconds", lambda seconds: seconds > 1)
        page.evaluate("timbrel.stop()")
        gain = state(page, "transport.gainDb")
        assert_sounds_as(captured(page), synthesizer.render(parse_midi(melody()), gain_db=gain))
        command = page.locator("code").inner_text()
        assert "--model" not in command


def test_the_first_model_is_a_light_one() -> None:
    assert load_bundle(SMALL_MODEL).mel.sample_rate == 16_000
