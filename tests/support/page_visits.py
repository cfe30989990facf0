"""What visitors of the page do in its tests: open songs, press, drag and listen."""

from __future__ import annotations

import base64
import io
import wave
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import mido
import numpy as np
from mido import Message, MidiFile, MidiTrack
from page_browser import state, until
from playwright.sync_api import Page

from timbrel.constants import SMALL_MODEL
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.web.page import Files, page_files

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
MOST_MEL_ERROR = 0.02
MOST_LEVEL_DB = 0.5
DROP = """([name, content]) => {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name));
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
}"""


class SilentHandler(SimpleHTTPRequestHandler):
    """Serves a folder as it is, and says nothing of it."""

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def files_with_clock(pace: float, files: Files | None = None) -> Files:
    """The page's files, whose engine has a clock of another pace: a fast one makes it slow.

    By default, those of the page with the small model.
    """
    files = dict(page_files(model=SMALL_MODEL) if files is None else files)
    name = next(name for name in files if name.startswith("assets/worker-"))
    clock = f"""{{
        const now = performance.now.bind(performance);
        performance.now = () => {pace} * now();
    }}"""
    worker = files[name]()
    files[name] = lambda: clock.encode() + worker
    return files


def two_notes() -> bytes:
    """Two instruments, a tenth of a second: with what rings on, two seconds."""
    tracks = []
    for channel, program in enumerate((0, 46)):
        track = MidiTrack([Message("program_change", channel=channel, program=program)])
        note = {"channel": channel, "note": 60 + channel}
        track.append(Message("note_on", velocity=100, **note))
        track.append(Message("note_off", time=96, **note))
        tracks.append(track)
    return saved(MidiFile(tracks=tracks))


def melody() -> bytes:
    """Four seconds and a half of one instrument, with the pedal."""
    track = MidiTrack([Message("program_change", program=46)])
    track.append(Message("control_change", control=64, value=127, time=10))
    for pitch in (48, 55, 60, 64, 67, 72, 64, 60):
        track.append(Message("note_on", note=pitch, velocity=90, time=20))
        track.append(Message("note_off", note=pitch, time=460))
    track.append(Message("control_change", control=64, value=0, time=100))
    return saved(MidiFile(tracks=[track]))


def duo(times: int = 1) -> bytes:
    """Two instruments at once, for seven seconds and so many times.

    What is clicked while it plays may reach the page seconds later on a busy machine, so a test
    that clicks has it play for longer than it will listen.
    """
    tracks = []
    for channel, (program, first) in enumerate([(0, 48), (56, 64)]):
        track = MidiTrack([Message("program_change", channel=channel, program=program)])
        for step in times * (0, 4, 7, 12, 7, 4, 0):
            note = {"channel": channel, "note": first + step}
            track.append(Message("note_on", velocity=90, time=20, **note))
            track.append(Message("note_off", time=940, **note))
        tracks.append(track)
    return saved(MidiFile(tracks=tracks))


def saved(midi: mido.MidiFile) -> bytes:
    file = io.BytesIO()
    midi.save(file=file)
    return file.getvalue()


def drop(page: Page, name: str, content: bytes) -> None:
    page.evaluate(DROP, [name, base64.b64encode(content).decode()])


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def play(page: Page) -> None:
    """Play once there is a reserve: this test is about the sound, not about the computer."""
    until(page, "transport.ahead", lambda ahead: ahead > 0.3)
    page.evaluate("timbrel.transport.waits = false")
    page.evaluate("timbrel.transport.startCapture()")
    press(page, "Play")


def drop_and_play(page: Page, name: str, content: bytes) -> None:
    """Drop a file, which plays at once where the browser lets it, however busy the machine is."""
    page.evaluate("timbrel.transport.startCapture()")
    drop(page, name, content)
    until(page, "title", lambda title: title == name)
    page.evaluate("timbrel.transport.waits = false")
    if not state(page, "transport.playing"):
        press(page, "Play")


def read_wav(path: Path, *, rate: int = 16_000) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels()) == (rate, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2) / 32768


def assert_sounds_as(
    heard: np.ndarray, wanted: np.ndarray, *, most_mel_error: float = MOST_MEL_ERROR
) -> None:
    n = min(len(heard), len(wanted))
    heard, wanted = heard[:n], wanted[:n]
    mels = [mel_spectrogram(np.ascontiguousarray(x.mean(axis=1))) for x in (heard, wanted)]
    mel_error = float(np.abs(mels[0] - mels[1]).mean())
    assert mel_error <= most_mel_error, f"the log-mels differ by {mel_error:.4f}"
    levels = [np.sqrt(np.square(x).mean()) for x in (heard, wanted)]
    assert abs(20 * np.log10(levels[0] / levels[1])) <= MOST_LEVEL_DB


def drag(page: Page, shares: list[tuple[float, float]], step_ms: int) -> None:
    """Press on the map, move through places of it, from its upper left corner on, and let go."""
    timbre_map = page.get_by_role("application")
    timbre_map.scroll_into_view_if_needed()
    box = timbre_map.bounding_box()
    assert box is not None
    for i, (across, down) in enumerate(shares):
        page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
        if i == 0:
            page.mouse.down()
        page.wait_for_timeout(step_ms)
    page.mouse.up()
