"""`timbrel fit` as a user runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from support.command_line import failure_of, result_of, run
from timbrel.fitting.options import FitOptions
from timbrel.synthesizer import Synthesizer

RATE = 16_000


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    soundfile.write("silent.wav", np.zeros(2 * RATE), RATE)
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * RATE)
    soundfile.write("noise.wav", noise, RATE)
    bursts = noise * np.tile(np.exp(-np.arange(RATE // 4) / 1000), 12)
    soundfile.write("drums.wav", bursts, RATE)
    Path("text.wav").write_text("no sound")
    Path("taken.timbre").write_text("keep")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("silent.wav",), "silent.wav: is silent"),
        (("noise.wav",), "noise.wav: hardly any notes were heard"),
        (("drums.wav",), "drums.wav: "),
        (("text.wav",), "text.wav: cannot be read as audio"),
        (("missing.wav",), "missing.wav: cannot be read"),
        (("noise.wav", "-o", "taken.timbre"), "taken.timbre: exists"),
        (("noise.wav", "-o", "mine.json"), "ends with '.timbre'"),
        (("noise.wav", "--plot", "fit.gif"), "pictures end in"),
        (("noise.wav", "--score", "missing.mid"), "missing.mid"),
    ],
)
def test_what_cannot_be_fitted_is_named_and_nothing_written(
    arguments: tuple[str, ...], words: str
) -> None:
    before = sorted(Path().iterdir())
    assert words in failure_of("fit", *arguments)
    assert sorted(Path().iterdir()) == before
    assert Path("taken.timbre").read_text() == "keep"


def test_a_clip_becomes_a_timbre_that_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    run("tunes", "-o", "songs")
    song = min(Path("songs").glob("*.mid"), key=lambda path: path.stat().st_size)
    synthesizer = Synthesizer.load("mel2mel", vocoder="griffin-lim", threads=1)
    audio = synthesizer.render(
        song, timbre="harp:0.5, trumpet:0.5", duration_s=3.0, channels=1, dry=True
    )
    soundfile.write("clip.wav", audio, synthesizer.sample_rate)
    quick = FitOptions(steps=60, place_steps=10)
    monkeypatch.setattr("timbrel.fitting.fit.FitOptions", lambda: quick)
    found = result_of(
        "fit", "clip.wav", "--score", str(song), "-o", "mine.timbre", "--plot", "fit.png",
        "--model", "mel2mel",
    )  # fmt: skip
    assert found["error_db"] < 0.8 * found["nearest_error_db"]
    assert Path("fit.png").read_bytes().startswith(b"\x89PNG")
    played = ("render", str(song), "--vocoder", "griffin-lim", "--duration", "1")
    for timbre in ("mine.timbre:0.5, harp:0.5", "0s harp; 1s mine.timbre"):
        done = run(*played, "--model", "mel2mel", "--timbre", timbre, "-o", "out.wav", "--force")
        assert done.returncode == 0, done.stderr
    words = failure_of(*played, "--model", "mel2mel-abs", "--timbre", "mine.timbre", "-o", "no.wav")
    assert "were fitted to another model than mel2mel-abs" in words
    assert not Path("no.wav").exists()
