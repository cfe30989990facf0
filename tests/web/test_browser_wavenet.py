"""WAV files that a WaveNet makes in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from page_browser import captured, opened, serving, state, until
from playwright.sync_api import Browser, Page, expect

from support.page_visits import assert_sounds_as, drop, play, press, read_wav, two_notes
from timbrel import Synthesizer
from timbrel.bundles.bundle import load_bundle
from timbrel.constants import SMALL_MODEL
from timbrel.mel.generator import MelGenerator
from timbrel.score.midi import parse_midi
from timbrel.vocoder.post_filter import DRAWN, PostFiltered
from timbrel.vocoder.wavenet import WaveNet, WaveNetConfig
from timbrel.vocoder.wavenet_export import write_wavenet_bundle
from timbrel.vocoder.wavenet_stream import WaveNetVocoder
from timbrel.web.page import STATIC, WAVENET_FOLDER, page_files

MOST_SAMPLED_MEL_ERROR = 0.05
LEAST_SAME_SAMPLES = 0.99  # a mel that differs in its last digits may tip a draw
needs_wavenet = pytest.mark.skipif(
    not (STATIC / WAVENET_FOLDER).is_dir(), reason="the page was built without its WaveNet engine"
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
    files = dict(page_files(vocoders=[wavenet, damaged], model=SMALL_MODEL))
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
    choice = page.get_by_label("Vocoder for the WAV")
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
    press(page, "Cancel")
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
    page.get_by_label("Vocoder for the WAV").select_option("small")
    # In the room's last second Python lets the voice sleep, whatever it would sound.
    page.get_by_role("checkbox", name="Room", exact=True).uncheck()
    expect(page.locator("code")).to_have_text(re.compile("^timbrel .* --vocoder small --dry$"))
    with page.expect_download() as download:
        press(page, "Save as WAV")
    download.value.save_as(tmp_path / "two.wav")
    assert state(page, "models.vocoder") == "parallel"
    found = read_wav(tmp_path / "two.wav")
    relaxed = any("wavenet-relaxed.wasm" in url for url in asked)
    precision = "int8" if relaxed else "int16"
    # Other instruction sets compute the gates by another formula.
    drawn = WaveNetVocoder(load_bundle(wavenet), precision=precision, isa="portable")
    vocoder = PostFiltered(drawn, DRAWN)
    synthesizer = Synthesizer(MelGenerator(load_bundle("mel2mel")), vocoder)
    wanted = synthesizer.render(parse_midi(two_notes()), dry=True)
    assert found.shape == wanted.shape
    assert 2 * 16000 < len(found) < 2.2 * 16000
    # After the end the page goes on with silence, where Python's last windows meet no more.
    last = vocoder.post_filter.passes * vocoder.mel.n_fft
    same = (np.abs(found - wanted).max(axis=1) <= 1 / 32768)[:-last]
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
    choice = page.get_by_label("Vocoder for the WAV")
    choice.select_option("damaged")
    press(page, "Save as WAV")
    expect(page.get_by_role("alert")).to_contain_text(
        "the model “damaged” is damaged: the SHA-256 of engine.safetensors", ignore_case=True
    )
    assert state(page, "export.progress") is None
    choice.select_option("parallel")
    with page.expect_download():
        press(page, "Save as WAV")
