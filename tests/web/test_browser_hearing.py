"""The page hears sounds that are dropped on it or come by microphone: their timbre, their notes."""

from __future__ import annotations

import io
import json
import re
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mido import Message, MidiFile, MidiTrack
from page_browser import captured, opened, state, until
from playwright.sync_api import BrowserContext, Page, expect

from support.page_visits import AXE, drop, melody, press, saved
from timbrel import Synthesizer, parse_timbre
from timbrel.bundles.bundle import load_bundle
from timbrel.constants import A4_HZ, A4_PITCH, DEFAULT_TRANSCRIBER, SMALL_MODEL
from timbrel.hearing.from_audio import TimbreEncoder
from timbrel.score.midi import parse_midi
from timbrel.transcription.transcriber import NoteStream, Transcriber

MODEL, INSTRUMENT = "mel2mel-studio", "Trumpet"
KEYS = (60, 64, 67)
SCALE = (60, 62, 64, 65, 67)
NOTE_S = 0.6


def wav(audio: np.ndarray, rate: int) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, audio, rate, "PCM_16", format="WAV")
    return file.getvalue()


@pytest.fixture(scope="module")
def trumpet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tones of it, in stereo."""
    track = MidiTrack()
    for key in KEYS:
        track.append(Message("note_on", note=key, velocity=90, time=20))
        track.append(Message("note_off", note=key, time=600))
    score = parse_midi(saved(MidiFile(tracks=[track])))
    audio = Synthesizer.load(MODEL).render(score, timbre=INSTRUMENT)
    path = tmp_path_factory.mktemp("sounds") / "take 1.wav"
    path.write_bytes(wav(audio, load_bundle(MODEL).sample_rate))
    return path


@pytest.fixture(scope="module")
def browser_flags(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A microphone before which a scale is played when it is opened, and its last note held."""
    track = MidiTrack()
    ticks = [*(round(960 * NOTE_S) for _ in SCALE[1:]), round(960 * 12 * NOTE_S)]
    track.append(Message("note_on", note=1, velocity=0, time=960))
    for key, length in zip(SCALE, ticks, strict=True):
        track.append(Message("note_on", note=key, velocity=90))
        track.append(Message("note_off", note=key, time=length))
    score = parse_midi(saved(MidiFile(tracks=[track])))
    audio = Synthesizer.load(SMALL_MODEL).render(score, timbre="synth lead")
    path = tmp_path_factory.mktemp("microphone") / "scale.wav"
    path.write_bytes(wav(audio, load_bundle(SMALL_MODEL).sample_rate))
    assert [note.pitch for note in Transcriber.load().transcribe(path).notes] == list(SCALE)
    return [
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={path}%noloop",
    ]


def test_what_a_microphone_hears_is_drawn_played_and_saved(
    context: BrowserContext, url: str, tmp_path: Path
) -> None:
    page = opened(context, url)
    press(page, "Play by microphone…")
    panel = page.get_by_role("region", name="Play by microphone")
    expect(panel.get_by_text("Wear headphones")).to_be_visible()
    context.grant_permissions([])
    panel.get_by_role("button", name="Start listening").click()
    expect(panel.get_by_role("alert")).to_contain_text("The microphone was not allowed.")

    context.grant_permissions(["microphone"])
    page.evaluate("timbrel.transport.startCapture()")
    panel.get_by_role("button", name="Start listening").click()
    until(page, "live.count", lambda count: count >= len(SCALE))
    # The last note is held; its key lies on the keyboard that is shown.
    until(page, "live.held", lambda held: held == [SCALE[-1]])
    struck_at = state(page, "transport.seconds")
    expect(panel.get_by_text("G4", exact=True)).to_be_visible()
    held = page.locator(f'.key.held[data-pitch="{SCALE[-1]}"]')
    expect(held).to_have_count(1)
    notes = state(page, "live.notes")
    # A busy machine may lose a moment of the sound, and a note is then begun twice.
    pitches = [note["pitch"] for note in notes]
    assert [key for key, _ in groupby(pitches)] == list(SCALE)

    # How late a note is follows from the model, and is said.
    known_ms = 1000 * NoteStream(load_bundle(DEFAULT_TRANSCRIBER)).latency_s
    latency = state(page, "live.latency")
    assert latency["recognisingMs"] > known_ms
    assert latency["playingMs"] > 0
    parts = ("microphoneMs", "recognisingMs", "playingMs")
    assert latency["totalMs"] == sum(latency[part] for part in parts)
    expect(panel.get_by_text(re.compile(r"A note sounds \d+ ms after yours"))).to_be_visible()

    # It sounds, and Stop lets all keys go.
    until(page, "transport.seconds", lambda seconds: seconds > struck_at + 1)
    panel.get_by_role("button", name="Stop and keep the notes").click()
    until(page, "title", lambda title: title == "Microphone take.mid")
    expect(page.locator(".key.held")).to_have_count(0)
    assert not state(page, "transport.playing")
    heard = captured(page)
    assert np.sqrt(np.square(heard).mean()) > 1e-3
    rate = load_bundle(SMALL_MODEL).sample_rate
    last = heard[-rate // 2 :].mean(axis=1)
    spectrum = np.abs(np.fft.rfft(last * np.hanning(len(last))))
    partial = np.argmax(spectrum) * rate / len(last) / (A4_HZ * 2 ** ((SCALE[-1] - A4_PITCH) / 12))
    assert min(abs(partial - n) for n in (1, 2, 3)) < 0.03

    panel = page.get_by_role("region", name="Microphone take")
    with page.expect_download() as download:
        panel.get_by_role("button", name="Save MIDI").click()
    assert download.value.suggested_filename == "Microphone take.mid"
    download.value.save_as(tmp_path / "take.mid")
    (track,) = parse_midi((tmp_path / "take.mid").read_bytes()).tracks
    assert [note.pitch for note in track.notes] == pitches
    # That plays nothing. (What was in the audio device's hands when it stopped is read by now.)
    read = state(page, "transport.read")
    page.wait_for_timeout(500)
    assert state(page, "transport.read") == read

    # The microphone is recorded as well.
    press(page, "Record a sound…")
    panel = page.get_by_role("region", name="Record a sound")
    panel.get_by_role("button", name="Start recording").click()
    expect(panel.get_by_role("timer")).to_be_visible()
    panel.get_by_role("button", name="Stop and use it").click()
    until(page, "hearing.name", lambda name: name == "recording")
    assert state(page, "hearing.sound.seconds") > 0


def test_a_dropped_sound_is_named_its_notes_play_in_its_timbre_and_both_are_saved(
    context: BrowserContext, url: str, trumpet: Path, tmp_path: Path
) -> None:
    encoder = TimbreEncoder.load()
    wanted = encoder.found([encoder.hear(trumpet)])
    notes = Transcriber.load().transcribe(trumpet).notes
    assert [note.pitch for note in notes] == list(KEYS)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = opened(context, url)
    drop(page, trumpet.name, trumpet.read_bytes())
    panel = page.get_by_role("region", name=trumpet.name)
    expect(panel.get_by_role("button", name="Hear both")).to_be_visible()
    # What hears is loaded when something is to be heard.
    assert not [one for one in asked if "/encoder/" in one or "/transcriber/" in one]
    panel.get_by_role("button", name="Hear both").click()
    expect(panel.get_by_role("listitem").first).to_contain_text(INSTRUMENT)
    share = round(100 * wanted.instruments[0].probability)
    found = int(panel.get_by_role("listitem").first.inner_text().split()[-2])
    assert abs(found - share) <= 2
    expect(panel.get_by_text(f"{len(KEYS)} notes, tuned")).to_be_visible()
    expect(panel.get_by_text(re.compile("% sure .(fairly|quite) sure"))).to_be_visible()
    np.testing.assert_allclose(state(page, "hearing.timbre.found.point"), wanted.point, atol=0.02)
    page.evaluate(AXE.read_text())
    serious = [v for v in page.evaluate("axe.run()")["violations"] if v["impact"] == "serious"]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in serious] == []

    # Its notes are the piece, which plays in its timbre once the model of that is chosen.
    assert state(page, "title") == "take 1.mid"
    expect(
        panel.get_by_text(f"It is a timbre of the model {MODEL}; {SMALL_MODEL} is")
    ).to_be_visible()
    press(page, f"Switch to {MODEL} and use it")
    until(page, "models.model", lambda name: name == MODEL)
    point = state(page, "hearing.timbre.found.point")
    until(page, "piece.voices[0].timbre.points[0]", lambda played: played == point)
    assert len(state(page, "hearing.cloud")) > 100
    expect(panel.get_by_text("The cloud on the map")).to_be_visible()
    page.evaluate("timbrel.transport.waits = false")
    page.evaluate("timbrel.transport.startCapture()")
    press(page, "Play")
    until(page, "transport.seconds", lambda seconds: seconds > 0.5)
    page.evaluate("timbrel.stop()")
    assert np.abs(captured(page)).max() > 0.003

    for button, name in (("Save MIDI", "take 1.mid"), ("Save its timbre", "take 1.timbre")):
        with page.expect_download() as download:
            panel.get_by_role("button", name=button, exact=True).click()
        assert download.value.suggested_filename == name
        download.value.save_as(tmp_path / name)
    (track,) = parse_midi((tmp_path / "take 1.mid").read_bytes()).tracks
    assert [note.pitch for note in track.notes] == list(KEYS)
    for one, other in zip(track.notes, notes, strict=True):
        assert one.start_s == pytest.approx(other.start_s, abs=0.01)
        assert one.end_s == pytest.approx(other.end_s, abs=0.03)
        assert one.velocity == pytest.approx(other.velocity, abs=2)
    timbre = parse_timbre(tmp_path / "take 1.timbre", load_bundle(MODEL).instruments)
    assert timbre.points == (tuple(point),)
    assert len(json.loads((tmp_path / "take 1.timbre").read_text())["path"]) == 1


def test_what_cannot_be_heard_is_told_and_nothing_is_lost(page: Page) -> None:
    drop(page, "melody.mid", melody())
    until(page, "title", lambda title: title == "melody.mid")
    for name, content, words in (
        ("letter.wav", b"Dear diary", "letter.wav cannot be read as a sound"),
        ("nothing.mp3", b"", "nothing.mp3 is empty"),
    ):
        drop(page, name, content)
        expect(page.get_by_role("alert")).to_contain_text(words)
        assert state(page, "hearing.sound") is None

    rate = 16_000
    silence = wav(np.zeros(rate, np.float32), rate)
    drop(page, "silence.wav", silence)
    panel = page.get_by_role("region", name="silence.wav")
    panel.get_by_role("button", name="Hear both").click()
    expect(panel.get_by_text("Is silent, so there is no timbre to hear.")).to_be_visible()
    expect(panel.get_by_text("Is silent, so there are no notes.")).to_be_visible()
    expect(panel.get_by_role("button", name="Save")).to_have_count(0)

    time_s = np.arange(rate // 20) / rate
    click = wav(0.3 * np.sin(2 * np.pi * 440 * time_s), rate)
    drop(page, "click.wav", click)
    panel = page.get_by_role("region", name="click.wav")
    panel.get_by_role("button", name="Hear both").click()
    expect(panel.get_by_text("Is very short; half a second or more")).to_be_visible()
    until(page, "hearing.notes?.progress === null", bool)

    # A file that cannot be read takes nothing away.
    drop(page, "letter.flac", b"Dear diary")
    expect(page.get_by_role("alert")).to_contain_text("letter.flac cannot be read as a sound")
    expect(panel).to_be_visible()
    if not state(page, "hearing.notes.found"):
        assert state(page, "title") == "melody.mid"
    panel.get_by_role("button", name="Close").click()
    expect(panel).to_have_count(0)
    assert state(page, "phase") == "ready"
