"""The page in a real browser: what is heard, what is said, what keys alone can do."""

from __future__ import annotations

import base64
import io
import re
import shutil
import threading
import time
import wave
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
import torch
from mido import Message, MidiFile, MidiTrack
from page_browser import captured, chromium, opened, serving, state, until
from playwright.sync_api import Browser, BrowserContext, Page, expect

from timbrel import Synthesizer
from timbrel.bundles.bundle import load_bundle
from timbrel.evaluation.timbre_space import lifted
from timbrel.mel.generator import MelGenerator
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.score.midi import parse_midi
from timbrel.timbre.timbre import parse_timbre
from timbrel.vocoder.wavenet import WaveNet, WaveNetConfig
from timbrel.vocoder.wavenet_export import write_wavenet_bundle
from timbrel.vocoder.wavenet_stream import WaveNetVocoder
from timbrel.web.page import INDEX_FILE, STATIC, WAVENET_FOLDER, page_files, write_page

pytestmark = [
    pytest.mark.skipif(
        not (STATIC / INDEX_FILE).is_file(), reason="the page is not built; run: make page"
    ),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]
needs_wavenet = pytest.mark.skipif(
    not (STATIC / WAVENET_FOLDER).is_dir(), reason="the page was built without its WaveNet engine"
)

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
MOST_MEL_ERROR = 0.02
MOST_SAMPLED_MEL_ERROR = 0.05
LEAST_SAME_SAMPLES = 0.99  # a mel that differs in its last digits may tip a draw
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(page_files()) as server:
        yield server.url


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, url: str) -> Page:
    return opened(context, url)


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


def duo() -> bytes:
    """Two instruments at once, for seven seconds."""
    tracks = []
    for channel, (program, first) in enumerate([(0, 48), (56, 64)]):
        track = MidiTrack([Message("program_change", channel=channel, program=program)])
        for step in (0, 4, 7, 12, 7, 4, 0):
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
    page.evaluate("timbrel.transport.startCapture()")
    press(page, "Play")


def drop_and_play(page: Page, name: str, content: bytes) -> None:
    """Drop a file, which plays at once where the browser lets it."""
    page.evaluate("timbrel.transport.startCapture()")
    drop(page, name, content)
    until(page, "title", lambda title: title == name)
    if not state(page, "transport.playing"):
        press(page, "Play")


def read_wav(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels()) == (16000, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2) / 32768


def assert_sounds_as(
    heard: np.ndarray, wanted: np.ndarray, *, most_mel_error: float = MOST_MEL_ERROR
) -> None:
    n = min(len(heard), len(wanted))
    heard, wanted = heard[:n], wanted[:n]
    mels = [mel_spectrogram(np.ascontiguousarray(x.mean(axis=1))) for x in (heard, wanted)]
    assert np.abs(mels[0] - mels[1]).mean() <= most_mel_error
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


def test_a_dropped_file_sounds_as_python_renders_it_while_a_timbre_is_dragged(
    context: BrowserContext, url: str, tmp_path: Path
) -> None:
    """One of two tracks; and nothing is sent anywhere but to ask for the page's own files."""
    asked: list[tuple[str, str]] = []
    context.on("request", lambda request: asked.append((request.method, request.url)))
    page = opened(context, url)
    drop_and_play(page, "duo.mid", duo())
    page.get_by_role("radio").nth(2).check()
    until(page, "transport.seconds", lambda seconds: 0.5 < seconds < 4)
    page.get_by_role("button", name=re.compile("Record$")).click()
    drag(page, [(0.2 + 0.05 * i, 0.2 + 0.05 * i) for i in range(12)], 60)
    now = state(page, "transport.seconds")
    until(page, "transport.seconds", lambda seconds: seconds > now + 0.8)
    page.evaluate("timbrel.stop()")
    until(page, "path.timbre.times.length", lambda n: n > 1)
    heard = captured(page)
    with page.expect_download() as download:
        press(page, "Save the timbre")
    path = tmp_path / "duo.timbre"
    download.value.save_as(path)

    synthesizer = Synthesizer.load()
    timbre = parse_timbre(path, synthesizer.model.instruments)
    assert len(timbre.times_s) > 3
    # In the file, the path begins where it was recorded; what was before is its first point.
    wanted = synthesizer.render(parse_midi(duo()), timbre={2: timbre})
    assert len(heard) > 16000
    assert_sounds_as(heard, wanted)
    still = synthesizer.render(parse_midi(duo()))
    with pytest.raises(AssertionError):
        assert_sounds_as(heard, still)
    assert {method for method, _ in asked} == {"GET"}
    assert all(address.startswith((url, "blob:")) for _, address in asked)


def test_from_a_plain_static_host_the_sound_is_the_same(browser: Browser, tmp_path: Path) -> None:
    """Without headers: not isolated, nothing decompressed on the way; at a rate not the model's."""
    write_page(tmp_path / "site")
    handler = partial(SilentHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        context = browser.new_context()
        page = opened(context, f"http://127.0.0.1:{server.server_address[1]}/site/")
        assert page.evaluate("crossOriginIsolated") is False
        drop_and_play(page, "melody.mid", melody())
        until(page, "transport.seconds", lambda seconds: 1 < seconds < 4)
        page.evaluate("timbrel.stop()")
        heard = captured(page)
        context.close()
        server.shutdown()
    assert_sounds_as(heard, Synthesizer.load().render(parse_midi(melody())))


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
        press(page, "Save the timbre")
    download.value.save_as(tmp_path / "melody.timbre")
    with page.expect_download(timeout=120_000) as download:
        press(page, "Save as WAV")
    path = tmp_path / "melody.wav"
    download.value.save_as(path)
    found = read_wav(path)
    synthesizer = Synthesizer.load()
    timbre = parse_timbre(tmp_path / "melody.timbre", synthesizer.model.instruments)
    assert len(timbre.times_s) == n_points - 1
    wanted = synthesizer.render(parse_midi(melody()), timbre=timbre)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 1e-3


def test_other_sounds_and_models_and_links(page: Page) -> None:
    play(page)
    press(page, "B · griffin-lim")
    until(page, "models.vocoder", lambda name: name == "griffin-lim")
    until(page, "transport.ahead", lambda ahead: ahead > 0.2)
    page.get_by_label("Model").select_option("mel2mel-10d")
    until(page, "models.model", lambda name: name == "mel2mel-10d")
    expect(page.get_by_label("Dimension 10")).to_be_visible()
    assert len(state(page, "path.point")) == 10
    expect(page.get_by_text(re.compile(r"A projection: \d+ % of how"))).to_be_visible()
    assert_map_is_pythons(page)
    page.get_by_label("Instrument 2 of the mix").select_option("harp")
    page.get_by_label("Share of harp").fill("100")
    assert "harp" in state(page, "path.words")
    # Unless a WaveNet is chosen, the WAV is what is heard.
    choice = page.get_by_label("Vocoder of the WAV")
    expect(choice).to_have_value("griffin-lim")
    expect(choice.get_by_role("option").last).to_have_text("wavenet (experimental)")
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


def assert_map_is_pythons(page: Page) -> None:
    """A place on a projected map stands for the point that `lifted` gives it."""
    bundle = load_bundle("mel2mel-10d")
    points = np.array([instrument.embedding for instrument in bundle.instruments])
    projection = state(page, "models.map.data.projection")
    centre, basis = np.array(projection["centre"]), np.array(projection["basis"])
    places = (points[:2] - centre) @ basis.T
    places = np.concatenate([places, places.mean(axis=0, keepdims=True)])
    found = page.evaluate(
        "(places) => places.map((one) => timbrel.models.map.point(one))", places.tolist()
    )
    np.testing.assert_allclose(found, lifted(places, points, centre, basis), atol=1e-6)
    np.testing.assert_allclose(found[:2], points[:2], atol=1e-4)


def test_the_keyboard_of_a_piano_is_heard(page: Page) -> None:
    page.evaluate("timbrel.transport.startCapture()")
    key = page.get_by_role("button", name="C4", exact=True)
    key.focus()
    page.keyboard.down("Enter")
    until(page, "transport.playing", lambda playing: playing)
    until(page, "transport.seconds", lambda seconds: seconds > 0.6)
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
    page.evaluate("midiInput.onmidimessage({ data: new Uint8Array([0x92, 69, 100]) })")
    until(page, "transport.playing", lambda playing: playing)
    until(page, "transport.seconds", lambda seconds: seconds > 1.0)
    page.evaluate("midiInput.onmidimessage({ data: new Uint8Array([0x82, 69, 0]) })")
    page.evaluate("timbrel.stop()")
    heard = captured(page).mean(axis=1)
    assert np.sqrt(np.square(heard).mean()) > 1e-3
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    loudest_hz = np.argmax(spectrum) * 16000 / len(heard)
    # A4 or one of its first partials.
    assert min(abs(loudest_hz / 440 - n) for n in (1, 2, 3)) < 0.02


@pytest.mark.parametrize(("pace", "light"), [(50, True), (0.02, False)])
def test_the_pictures_cost_less_where_the_computer_is_slow(
    context: BrowserContext, pace: float, light: bool
) -> None:
    """A clock that runs fast makes a computer that is slow."""
    files = dict(page_files())
    name = next(name for name in files if name.startswith("assets/worker-"))
    clock = f"""{{
        const now = performance.now.bind(performance);
        performance.now = () => {pace} * now();
    }}"""
    worker = files[name]()
    files[name] = lambda: clock.encode() + worker
    with serving(files) as server:
        page = opened(context, server.url)
        until(page, "transport.ahead", lambda ahead: ahead > 0.5)
        until(page, "quality.light", lambda found: found is light)
        words = page.get_by_text("the pictures move less")
        expect(words).to_have_count(int(light))
        assert state(page, "quality.frameMs") == (120 if light else 30)


def test_bad_input_has_words_and_the_rest_goes_on(page: Page) -> None:
    alert = page.get_by_role("alert")
    drop(page, "notes.txt", b"Dear diary")
    expect(alert).to_contain_text("notes.txt is not a MIDI file")
    drop(page, "huge.mid", b"MThd" + bytes(5 * 2**20))
    expect(alert).to_contain_text("huge.mid is larger than 4 MiB")
    drop(page, "cut.mid", melody()[:60])
    expect(alert).to_contain_text("cut.mid is cut off")
    drums = MidiTrack([Message("note_on", channel=9, note=40), Message("note_off", note=40)])
    drop(page, "drums.mid", saved(MidiFile(tracks=[drums])))
    expect(alert).to_contain_text("drums.mid has no notes that can be played")
    expect(alert).to_contain_text("notes of drums (1)")
    drop(page, "odd.timbre", b"{}")
    expect(alert).to_contain_text("odd.timbre is not a timbre file")
    page.evaluate("timbrel.choose('mel2mel', 'no-such')")
    expect(alert).to_contain_text("there is no model “no-such”")
    assert state(page, "title") == "Prelude"
    play(page)
    until(page, "transport.seconds", lambda seconds: seconds > 0.3)
    page.evaluate("timbrel.stop()")
    assert np.abs(captured(page)).max() > 0.003


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        ("WebAssembly.validate = () => false", "does not know WebAssembly SIMD"),
        ("delete window.AudioWorkletNode", "does not know AudioWorklet"),
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
    expect(page.get_by_role("alert")).to_contain_text("The browser holds the sound back")


def test_a_damaged_model_is_refused(context: BrowserContext) -> None:
    files = dict(page_files())
    name = next(name for name in files if name.startswith("models/parallel/vocoder"))
    files[name] = files["models/mel2mel/past.onnx.gz"]
    with serving(files) as server:
        page = opened(context, server.url)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(
        "the SHA-256 of vocoder.onnx is not the expected one", ignore_case=True
    )


@pytest.fixture(scope="module")
def wavenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a small WaveNet with random weights."""
    return write_wavenet(tmp_path_factory.mktemp("bundles") / "small")


def write_wavenet(path: Path) -> Path:
    torch.manual_seed(3)
    write_wavenet_bundle(
        WaveNet(WaveNetConfig(n_layers=4, n_cycle=4, residual_size=16, skip_size=32)).eval(),
        path,
        name=path.name,
        mel=load_bundle("mel2mel").mel,
        gain=1.0,
        license="CC0",
        attribution="Made by chance.",
        training={},
    )
    return path


@pytest.fixture(scope="module")
def wavenet_page(browser: Browser, wavenet: Path) -> Iterator[tuple[Page, list[str]]]:
    """A page with that WaveNet and one that arrives damaged, and what it asked its host for."""
    damaged = write_wavenet(wavenet.parent / "damaged")
    files = dict(page_files(vocoders=[wavenet, damaged]))
    name = next(name for name in files if name.startswith("vocoders/2/"))
    files[name] = files["models/mel2mel/past.onnx.gz"]
    asked: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.on("request", lambda request: asked.append(request.url))
    with serving(files) as server:
        yield opened(context, server.url), asked
    context.close()


def open_two_notes(page: Page) -> None:
    drop(page, "two.mid", two_notes())
    until(page, "title", lambda title: title == "two.mid")
    page.evaluate("timbrel.stop()")


@needs_wavenet
def test_a_wavenets_wav_is_cancelled_and_the_page_goes_on(
    wavenet_page: tuple[Page, list[str]],
) -> None:
    page, asked = wavenet_page
    choice = page.get_by_label("Vocoder of the WAV")
    # What is heard is what makes the WAV until another vocoder is chosen.
    expect(choice).to_have_value("parallel")
    choice.select_option("small")
    assert not any("/wavenet/" in url or "/vocoders/" in url for url in asked)
    page.evaluate("timbrel.openTune('Prelude')")
    until(page, "piece.voices.length", lambda n: n == 1)
    press(page, "Save as WAV")
    until(page, "export.progress", lambda progress: progress is not None and progress > 0)
    expect(page.get_by_text(re.compile(r"^about \d+ (s|min) left$"))).to_be_visible()
    expect(choice).to_be_disabled()
    press(page, "Cancel the WAV")
    assert state(page, "export.progress") is None
    play(page)
    until(page, "transport.seconds", lambda seconds: seconds > 0.3)
    page.evaluate("timbrel.stop()")
    assert np.abs(captured(page)).max() > 0.003
    assert state(page, "export.progress") is None


@needs_wavenet
def test_a_wavenet_makes_the_wav_that_python_makes(
    wavenet_page: tuple[Page, list[str]], wavenet: Path, tmp_path: Path
) -> None:
    """The same samples for the same seed and precision; others for another seed."""
    page, asked = wavenet_page
    open_two_notes(page)
    page.get_by_label("Vocoder of the WAV").select_option("small")
    expect(page.locator("code")).to_have_text(re.compile("^timbrel .* --vocoder small$"))
    with page.expect_download(timeout=120_000) as download:
        press(page, "Save as WAV")
    download.value.save_as(tmp_path / "two.wav")
    assert state(page, "models.vocoder") == "parallel"
    found = read_wav(tmp_path / "two.wav")
    relaxed = any("wavenet-relaxed.wasm" in url for url in asked)
    vocoder = WaveNetVocoder(load_bundle(wavenet), precision="int8" if relaxed else "int16")
    synthesizer = Synthesizer(MelGenerator(load_bundle("mel2mel")), vocoder)
    wanted = synthesizer.render(parse_midi(two_notes()))
    assert found.shape == wanted.shape
    assert 2 * 16000 < len(found) < 2.2 * 16000
    same = np.abs(found - wanted).max(axis=1) <= 1 / 32768
    assert same.mean() >= LEAST_SAME_SAMPLES
    assert_sounds_as(found, wanted, most_mel_error=MOST_SAMPLED_MEL_ERROR)
    other = synthesizer.render(parse_midi(two_notes()), seed=1)
    with pytest.raises(AssertionError):
        assert_sounds_as(found, other, most_mel_error=MOST_SAMPLED_MEL_ERROR)


@needs_wavenet
def test_a_damaged_wavenet_has_words_and_the_rest_goes_on(
    wavenet_page: tuple[Page, list[str]],
) -> None:
    page, _ = wavenet_page
    open_two_notes(page)
    choice = page.get_by_label("Vocoder of the WAV")
    choice.select_option("damaged")
    press(page, "Save as WAV")
    expect(page.get_by_role("alert")).to_contain_text(
        "the model “damaged” is damaged: the SHA-256 of engine.safetensors", ignore_case=True
    )
    assert state(page, "export.progress") is None
    choice.select_option("parallel")
    with page.expect_download(timeout=120_000):
        press(page, "Save as WAV")


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
    page.get_by_role("button", name="Add point here").press("Enter")
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
    boxes = [
        one.bounding_box() for one in page.get_by_role("application").get_by_role("button").all()
    ]
    corners = np.array([(b["x"], b["y"], b["x"] + b["width"], b["y"] + b["height"]) for b in boxes])
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
    with serving(page_files(report)) as server:
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
    deadline = time.monotonic() + 20
    while page.evaluate("player.currentTime - begunAt") == 0:
        assert time.monotonic() < deadline, page.evaluate("String(player.error?.message)")
        page.wait_for_timeout(20)


def listed(report: Path) -> list[str]:
    from timbrel.evaluation.listening.clips import read_clips

    return list(dict.fromkeys(clip.condition for clip in read_clips(report)))
