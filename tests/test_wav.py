"""WAV files: the bytes that libsndfile writes, beyond 4 GiB, and where one cannot seek."""

from __future__ import annotations

import io
import os
import threading
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from timbrel import wav
from timbrel.wav import WavWriter

RATE = 44_100


def noise(n: int, channels: int) -> np.ndarray:
    """Sound that is too loud in places, and levels at the edges of rounding."""
    edges = np.concatenate([np.arange(-32770, 32770) / 32768, np.arange(-70000, 70000) / 65536])
    audio = np.random.default_rng(0).uniform(-1.3, 1.3, n)
    audio[: min(n, len(edges))] = edges[:n]
    return audio.astype(np.float32).reshape(-1, channels)


def written(audio: np.ndarray, n_samples: int | None, *, cut: int = 1000) -> bytes:
    file = io.BytesIO()
    writer = WavWriter(file, RATE, audio.shape[1], n_samples=n_samples)
    for start in range(0, len(audio), cut):
        writer.write(audio[start : start + cut])
    writer.finish()
    return file.getvalue()


class Pipe(io.BytesIO):
    """Takes bytes in their order only."""

    def seekable(self) -> bool:
        return False

    def seek(self, offset: int, whence: int = 0) -> int:
        raise io.UnsupportedOperation(f"a pipe cannot go to {offset} from {whence}")

    def tell(self) -> int:
        raise io.UnsupportedOperation("a pipe")


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("said", ["the length", "too much"])
def test_the_bytes_are_those_of_libsndfile(tmp_path: Path, channels: int, said: str) -> None:
    audio = noise(300_000, channels)
    soundfile.write(tmp_path / "a.wav", audio, RATE, subtype="PCM_16")
    n_samples = len(audio) + (said == "too much")
    assert written(audio, n_samples) == (tmp_path / "a.wav").read_bytes()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("subtype", "n"), [("PCM_24", 4001), ("PCM_24", 4000), ("FLOAT", 4001)])
@pytest.mark.parametrize("said", [True, False])
def test_other_sample_formats_are_read(channels: int, subtype: str, n: int, said: bool) -> None:
    audio = noise(n * channels, channels)
    file = io.BytesIO()
    writer = WavWriter(file, RATE, channels, n_samples=n if said else None, subtype=subtype)
    writer.write(audio[:700])
    writer.write(audio[700:])
    writer.finish()
    assert len(file.getvalue()) % 2 == 0
    assert int.from_bytes(file.getvalue()[4:8], "little") == len(file.getvalue()) - 8
    with soundfile.SoundFile(io.BytesIO(file.getvalue())) as opened:
        assert (opened.subtype, opened.frames, opened.samplerate) == (subtype, n, RATE)
        found = opened.read(dtype="float64", always_2d=True)
    wanted = audio if subtype == "FLOAT" else audio.clip(-1, 1)
    np.testing.assert_allclose(found, wanted, atol=0 if subtype == "FLOAT" else 2**-23)


@pytest.mark.parametrize("subtype", ["PCM_24", "FLOAT"])
def test_other_sample_formats_become_rf64_too(
    subtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wav, "MAX_RIFF_BYTES", 150_000)
    audio = noise(100_000, 2)
    file = io.BytesIO()
    writer = WavWriter(file, RATE, 2, n_samples=len(audio), subtype=subtype)
    writer.write(audio)
    writer.finish()
    assert file.getvalue()[:4] == b"RF64"
    found, _ = soundfile.read(io.BytesIO(file.getvalue()), always_2d=True)
    assert found.shape == audio.shape


@pytest.mark.parametrize("n", [0, 2, 20_000])
def test_a_length_that_is_not_said_is_found_in_the_end(n: int) -> None:
    audio = noise(n, 2)
    data = written(audio, None)
    found, rate = soundfile.read(io.BytesIO(data), dtype="int16", always_2d=True)
    assert (found.shape, rate) == (audio.shape, RATE)
    assert (data[:4], data[12:16], len(data)) == (b"RIFF", b"JUNK", 80 + 2 * n)
    with wave.open(io.BytesIO(data)) as plain:
        assert plain.getnframes() == n // 2


def test_a_pipe_is_told_the_length_beforehand() -> None:
    audio = noise(20_000, 2)
    for n_samples in (len(audio), None):
        pipe = Pipe()
        writer = WavWriter(pipe, RATE, 2, n_samples=n_samples)
        writer.write(audio)
        writer.finish()
        found, _ = soundfile.read(io.BytesIO(pipe.getvalue()), dtype="int16")
        assert found.shape == audio.shape
        header = pipe.getvalue()[:44]
        assert (header[:4], header[36:40]) == (b"RIFF", b"data")
        size = int.from_bytes(header[40:44], "little")
        assert size == (0xFFFFFFFF if n_samples is None else 40_000)


@pytest.mark.parametrize(
    ("said", "n_samples", "name"),
    [
        (True, 50_000, b"RF64"),
        (True, 37_492, b"RF64"),
        (True, 37_491, b"RIFF"),
        (False, 50_000, b"RF64"),
        (False, 37_483, b"RF64"),  # room for the sizes of RF64 was kept
        (False, 37_482, b"RIFF"),
    ],
)
def test_what_is_too_long_becomes_rf64(
    said: bool, n_samples: int, name: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wav, "MAX_RIFF_BYTES", 150_000)
    audio = noise(2 * n_samples, 2)
    data = written(audio, n_samples if said else None)
    assert data[:4] == name
    found, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    assert found.shape == audio.shape
    np.testing.assert_allclose(found, audio.clip(-1, 1), atol=1 / 32768)


@pytest.mark.parametrize(
    ("n_samples", "container"),
    [(1_073_741_814, "WAV"), (1_073_741_815, "RF64"), (1_077_936_128, "RF64"), (2**33, "RF64")],
)
def test_four_gib_are_the_end_of_wav(tmp_path: Path, n_samples: int, container: str) -> None:
    path = tmp_path / "long.wav"
    with path.open("wb") as file:
        WavWriter(file, 192_000, 2, n_samples=n_samples)
        header = file.tell()
        file.truncate(header + 4 * n_samples)  # which takes no place on the disk
    info = soundfile.info(path)
    assert (info.format, info.frames, info.samplerate) == (container, n_samples, 192_000)


def test_a_stream_begins_where_the_file_stands() -> None:
    file = io.BytesIO(b"before")
    file.seek(6)
    writer = WavWriter(file, RATE, 1)
    writer.write(noise(100, 1))
    writer.finish()
    assert file.getvalue()[:10] == b"beforeRIFF"


def test_a_pipe_is_read_while_it_is_written(tmp_path: Path) -> None:
    from timbrel.sound import AudioWriter

    path = tmp_path / "pipe.wav"
    os.mkfifo(path)
    audio = noise(40_000, 2)
    heard: list[bytes] = []
    begun = threading.Event()

    def listen() -> None:
        with path.open("rb") as pipe:
            heard.append(pipe.read(44 + 4 * 1000))
            begun.set()
            heard.append(pipe.read())

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    with AudioWriter(path, RATE, 2, n_samples=len(audio)) as writer:
        writer.write(audio[:1000])
        assert begun.wait(60)  # what was written has come out at the other end
        writer.write(audio[1000:])
    listener.join(60)
    assert b"".join(heard) == written(audio, len(audio))
