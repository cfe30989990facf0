"""Audio files: what is written comes back, and an interrupted writer leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from support.small_disk import error_on_a_small_disk
from timbrel.errors import InputError, OutputError
from timbrel.sound import AudioWriter, audio_format, read_audio, write_audio


def tone(sample_rate: int, *, hz: float = 440.0, seconds: float = 1.0) -> np.ndarray:
    """A sine of amplitude 0.5 that fades in and out."""
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    fade = np.minimum(1, np.minimum(times, times[-1] - times) / 0.05)
    return (0.5 * fade * np.sin(2 * np.pi * hz * times)).astype(np.float32)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".WAV"])
def test_lossless_formats_keep_all_sixteen_bits(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"tone{suffix}"
    written = tone(16_000)
    write_audio(path, written, 16_000)
    read, rate = read_audio(path)
    assert rate == 16_000
    assert read.shape == written.shape
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, written, atol=1 / 32768)
    assert soundfile.info(path).subtype == "PCM_16"


def test_ogg_comes_back_close_and_as_long(tmp_path: Path) -> None:
    written = tone(16_000)
    write_audio(tmp_path / "tone.ogg", written, 16_000)
    read, rate = read_audio(tmp_path / "tone.ogg")
    assert (len(read), rate) == (16_000, 16_000)
    error = np.sqrt(np.mean((read - written) ** 2) / np.mean(written**2))
    assert error < 0.05  # 0.013 measured


@pytest.mark.parametrize(
    ("name", "bit_depth", "subtype", "step"),
    [
        ("a.wav", "24", "PCM_24", 2**-23),
        ("a.flac", "24", "PCM_24", 2**-22),  # libsndfile scales by one level less
        ("a.wav", "32f", "FLOAT", 0.0),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_finer_formats_keep_more(
    tmp_path: Path, name: str, bit_depth: str, subtype: str, step: float, channels: int
) -> None:
    written = np.stack([tone(16_000), 0.3 * tone(16_000, hz=660)], axis=1)[:15_999, :channels]
    path = tmp_path / name
    with AudioWriter(path, 16_000, channels, bit_depth=bit_depth, dither=True) as writer:
        writer.write(written)
    read, _ = soundfile.read(path, dtype="float32", always_2d=True)
    np.testing.assert_allclose(read, written, atol=step, rtol=0)
    assert soundfile.info(path).subtype == subtype


def test_dither_keeps_what_is_softer_than_a_level_and_leaves_silence(tmp_path: Path) -> None:
    faint = 0.4 / 32768 * np.sin(2 * np.pi * 500 * np.arange(64_000) / 16_000)
    found = {}
    for dither in (False, True):
        with AudioWriter(tmp_path / f"{dither}.flac", 16_000, 1, dither=dither) as writer:
            writer.write(np.concatenate([faint, np.zeros(16_000)]).astype(np.float32))
        samples = soundfile.read(tmp_path / f"{dither}.flac", dtype="int16")[0]
        assert not samples[64_000:].any()
        found[dither] = samples[:64_000].astype(float)
    assert not found[False].any()
    wave = faint * 32768
    share = found[True] @ wave / (wave @ wave)
    assert share == pytest.approx(1.0, abs=0.05)
    # Triangular noise of a level: a variance of 1/6, and 1/12 of rounding.
    assert np.var(found[True] - wave) == pytest.approx(0.25, abs=0.01)
    assert abs(np.mean(found[True])) < 0.01


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_dither_does_not_depend_on_blocks(tmp_path: Path, suffix: str) -> None:
    audio = np.stack([tone(16_000), tone(16_000, hz=660)], axis=1)
    for name, size in (("whole", 16_000), ("blocks", 1234)):
        with AudioWriter(tmp_path / (name + suffix), 16_000, 2, dither=True) as writer:
            for start in range(0, len(audio), size):
                writer.write(audio[start : start + size])
    first, second = (soundfile.read(tmp_path / (n + suffix))[0] for n in ("whole", "blocks"))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - audio).max() <= 1.6 / 32768


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_blocks_make_the_same_file_as_a_whole(tmp_path: Path, suffix: str) -> None:
    audio = np.stack([tone(16_000), tone(16_000, hz=660)], axis=1)
    whole, blocks = tmp_path / f"whole{suffix}", tmp_path / f"blocks{suffix}"
    write_audio(whole, audio, 16_000)
    with AudioWriter(blocks, 16_000, 2) as writer:
        for start in range(0, len(audio), 1234):
            writer.write(audio[start : start + 1234])
    np.testing.assert_array_equal(soundfile.read(whole)[0], soundfile.read(blocks)[0])


def test_long_ogg_files_can_be_written_in_one_piece(tmp_path: Path) -> None:
    # libsndfile crashes when it is given five minutes of Vorbis at once; so it is not.
    code = (
        "import numpy as np; from timbrel.sound import read_audio, write_audio\n"
        "write_audio('long.ogg', np.zeros(300 * 16_000, np.float32), 16_000)\n"
        "assert len(read_audio('long.ogg')[0]) == 300 * 16_000\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0


def test_what_is_too_loud_is_clipped_and_does_not_wrap(tmp_path: Path) -> None:
    write_audio(tmp_path / "loud.wav", np.array([1.5, -1.5, 0.0], np.float32), 16_000)
    read, _ = read_audio(tmp_path / "loud.wav")
    np.testing.assert_allclose(read, [1, -1, 0], atol=1 / 32768)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are Unicode")
@pytest.mark.parametrize("name", [b"caf\xe9.wav", "café.ogg".encode(), b"x" * 250 + b".flac"])
def test_any_name_that_the_system_takes_will_do(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    write_audio(path, tone(16_000), 16_000)
    assert [os.fsencode(p.name) for p in tmp_path.iterdir()] == [name]
    assert len(read_audio(path)[0]) == 16_000


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = tone(16_000), tone(16_000, hz=660)
    write_audio(tmp_path / "stereo.wav", np.stack([left, right], axis=1), 16_000)
    read, _ = read_audio(tmp_path / "stereo.wav")
    assert read.shape == (16_000,)
    np.testing.assert_allclose(read, (left + right) / 2, atol=1 / 32768)


@pytest.mark.parametrize("file_rate", [8_000, 22_050, 44_100, 48_000])
def test_resampling_keeps_pitch_length_and_level(tmp_path: Path, file_rate: int) -> None:
    write_audio(tmp_path / "tone.wav", tone(file_rate), file_rate)
    read, rate = read_audio(tmp_path / "tone.wav", sample_rate=16_000)
    assert (len(read), rate) == (16_000, 16_000)
    np.testing.assert_allclose(read, tone(16_000), atol=2e-3)  # 7e-4 measured


def test_the_own_rate_is_left_alone(tmp_path: Path) -> None:
    write_audio(tmp_path / "tone.wav", tone(44_100), 44_100)
    read, rate = read_audio(tmp_path / "tone.wav")
    assert (len(read), rate) == (44_100, 44_100)


def test_a_file_without_samples_is_empty_audio(tmp_path: Path) -> None:
    write_audio(tmp_path / "empty.wav", np.zeros(0, np.float32), 44_100)
    read, rate = read_audio(tmp_path / "empty.wav", sample_rate=16_000)
    assert (len(read), rate) == (0, 16_000)


@pytest.mark.parametrize("content", [None, b"", b"no audio at all", b"RIFF\x00\x00\x00\x00WAVE"])
def test_what_is_no_audio_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.wav: cannot be read as audio"):
        read_audio(path)


@pytest.mark.parametrize("name", ["song.mp3", "song", "song.wav.txt"])
def test_unknown_extensions_are_refused_with_those_that_are_known(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(OutputError, match=rf"{name}: .*\.wav, \.flac, \.ogg"):
        audio_format(tmp_path / name)
    with pytest.raises(OutputError):
        write_audio(tmp_path / name, tone(16_000), 16_000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_a_full_disk_is_an_error_that_names_the_file(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, 60_000).astype(np.float32)
    error = error_on_a_small_disk(lambda: write_audio(tmp_path / f"song{suffix}", noise, 16_000))
    assert isinstance(error, OutputError)
    assert f"song{suffix}: cannot be written (" in str(error)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_no_files_is_an_error() -> None:
    with pytest.raises(OutputError, match=r"/proc/song\.wav: cannot be written"):
        write_audio("/proc/song.wav", tone(16_000), 16_000)


@pytest.mark.parametrize("channels", [1, 2])
def test_blocks_are_resampled_to_the_rate_of_the_file(channels: int, tmp_path: Path) -> None:
    time_s = np.arange(16_000) / 16_000
    tone = 0.5 * np.sin(2 * np.pi * 440 * time_s)
    blocks = np.repeat(tone[:, None], channels, axis=1) if channels == 2 else tone
    path = tmp_path / "tone.wav"
    with AudioWriter(path, 16_000, channels, file_rate=44_100) as writer:
        for start in range(0, 16_000, 700):
            writer.write(blocks[start : start + 700])
    written, rate = soundfile.read(path, always_2d=True)
    assert (rate, written.shape) == (44_100, (44_100, channels))
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100)
    middle = slice(2000, -2000)
    np.testing.assert_allclose(written[middle, -1], expected[middle], atol=2e-3)
