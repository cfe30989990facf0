"""Recordings: read in blocks at any rate, and what is odd about them is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from timbrel.errors import InputError
from timbrel.transcription.recording import audio_files, look_into

RATE = 16_000


def tone(rate: int = RATE, duration_s: float = 1.0, peak: float = 0.5) -> np.ndarray:
    times_s = np.arange(round(rate * duration_s)) / rate
    return (peak * np.sin(2 * np.pi * 440 * times_s)).astype(np.float32)


def heard(path: Path, rate: int = RATE) -> np.ndarray:
    return np.concatenate(list(look_into(path).blocks(rate)))


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
def test_every_format_at_every_rate_is_the_same_sound(
    tmp_path: Path, suffix: str, rate: int
) -> None:
    path = tmp_path / f"a{suffix}"
    sound = tone(rate, 2.0)
    soundfile.write(path, np.column_stack([sound, sound]), rate)
    found = look_into(path)
    assert found.duration_s == pytest.approx(2.0, abs=0.1)
    assert found.peak == pytest.approx(0.5, abs=0.15)  # MP3 rings where a sound begins
    assert any("8 kHz" in r or "4 kHz" in r for r in found.remarks) == (rate == 8000)
    mono = heard(path)
    assert len(mono) / RATE == pytest.approx(found.duration_s, abs=1e-3)
    middle = mono[8000:24_000] * np.hanning(16_000)
    assert np.abs(np.fft.rfft(middle)).argmax() == pytest.approx(440, abs=1)
    assert np.abs(mono[8000:24_000]).max() == pytest.approx(0.5, abs=0.15)


def test_what_is_longer_than_a_block_is_joined_without_a_seam(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(duration_s=25.0), RATE, subtype="FLOAT")
    np.testing.assert_array_equal(heard(tmp_path / "a.wav"), tone(duration_s=25.0))
    assert len(list(look_into(tmp_path / "a.wav").blocks(RATE))) == 4


def test_channels_that_cancel_are_heard_all_the_same(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.column_stack([tone(), -tone()]), RATE, subtype="FLOAT")
    found = look_into(tmp_path / "a.wav")
    assert found.cancels
    assert "cancel" in found.remarks[0]
    np.testing.assert_allclose(heard(tmp_path / "a.wav"), tone(), atol=1e-6)


def test_soft_sound_is_made_louder_and_silence_is_not(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(peak=0.004), RATE, subtype="FLOAT")
    assert np.abs(heard(tmp_path / "a.wav")).max() == pytest.approx(0.25, rel=1e-3)
    soundfile.write(tmp_path / "b.wav", np.zeros(RATE), RATE)
    assert look_into(tmp_path / "b.wav").is_silent
    assert not heard(tmp_path / "b.wav").any()


def test_samples_that_are_no_numbers_are_silence(tmp_path: Path) -> None:
    sound = tone()
    sound[100:110] = np.nan
    sound[200] = np.inf
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="FLOAT")
    assert look_into(tmp_path / "a.wav").remarks == (
        "11 samples are no numbers; they are taken for silence",
    )
    assert np.isfinite(heard(tmp_path / "a.wav")).all()


def test_a_file_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "whole.flac", tone(duration_s=20.0), RATE)
    data = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(data[: len(data) // 2])
    found = look_into(tmp_path / "cut.flac")
    assert 0 < found.duration_s < 19
    assert "is cut off" in found.remarks[0]
    assert "of 20.0 s" in found.remarks[0]


def test_a_damaged_mp3_is_read_without_its_decoders_complaints(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "whole.mp3", np.column_stack([tone(duration_s=10.0)] * 2), RATE)
    data = bytearray((tmp_path / "whole.mp3").read_bytes())
    half = len(data) // 2
    data[half : half + 300] = np.random.default_rng(0).bytes(300)
    (tmp_path / "cut.mp3").write_bytes(data[: len(data) * 3 // 4])
    found = look_into(tmp_path / "cut.mp3")
    assert 2 < found.duration_s < 9
    assert "is cut off" in found.remarks[0]
    assert sum(len(block) for block in found.blocks(RATE)) == found.n_samples
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.wav", b"", "is empty"),
        ("text.wav", b"Dear diary,\n" * 50, "cannot be read as audio"),
        ("film.mp4", b"\0\0\0\x20ftypisom" + bytes(500), "ffmpeg -i film.mp4 film.wav"),
    ],
)
def test_what_is_no_audio_is_refused(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name) as error:
        look_into(tmp_path / name)
    assert words in str(error.value)


def test_nothing_there_nothing_in_it_and_folders(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "none.wav", np.zeros(0), RATE)
    for name, words in (
        ("none.wav", "holds no sound"),
        ("missing.wav", "cannot be read"),
        ("", "no audio files"),
    ):
        with pytest.raises(InputError, match=words):
            look_into(tmp_path / name)
    (tmp_path / "b").mkdir()
    for name in ("b/x.FLAC", "a.mp3", "c.txt"):
        (tmp_path / name).touch()
    assert audio_files(tmp_path) == [tmp_path / n for n in ("a.mp3", "b/x.FLAC", "none.wav")]
