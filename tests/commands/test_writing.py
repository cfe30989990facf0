"""Files of a stream: their loudness and formats, and that they appear when they are complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile

from timbrel.audio_stream import AudioStream, Block
from timbrel.commands.outputs import Target
from timbrel.commands.writing import FileOptions, render_file
from timbrel.errors import OutputError


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def tone(n_samples: int, *, hz: float = 1000.0) -> np.ndarray:
    return np.sin(2 * np.pi * hz / 16_000 * np.arange(n_samples)).astype(np.float32)


def stream(
    n: int,
    *,
    then: BaseException | None = None,
    kind: str = "pre-fader",
    loudness_lufs: float | None = None,
    level: float = 0.5,
) -> AudioStream:
    """A stream of n blocks of two tracks, of which the first is loud, and perhaps an error."""
    first = level * tone(1000 * n)
    second = -0.25 * level * tone(1000 * n, hz=700)

    def blocks() -> Iterator[Block]:
        for at in range(0, 1000 * n, 1000):
            tracks = np.stack([first, second])[:, at : at + 1000]
            parts = np.stack([tracks, 0.5 * tracks], axis=2)  # (tracks, samples, channels)
            mix = parts.sum(axis=0)
            yield Block(mix, 4 * tracks if kind == "pre-fader" else parts)
        if then is not None:
            raise then

    return AudioStream(
        length=1000 * n,
        sample_rate=16_000,
        channels=2,
        n_blocks=n,
        n_voices=2,
        notes_left_out=0,
        timbres=(),
        loudness_lufs=loudness_lufs,
        gain_db=0.0,
        _play=blocks,
    )


TARGET = Target(Path("new/mix.wav"), (Path("stems/1.wav"), Path("stems/2.wav")))


def sounds_of(target: Target) -> list[np.ndarray]:
    """What the files hold, the mix first."""
    return [soundfile.read(path, always_2d=True)[0] for path in target.paths]


def test_the_mix_and_the_stems_are_written() -> None:
    render_file(stream(4), TARGET, FileOptions(bit_depth="24"))
    found = sorted(str(path) for path in Path().rglob("*.*"))
    assert found == ["new/mix.wav", "stems/1.wav", "stems/2.wav"]
    mix, first, second = sounds_of(TARGET)
    assert (mix.shape, first.shape) == ((4000, 2), (4000, 1))
    np.testing.assert_allclose(first[:, 0], np.clip(2 * tone(4000), -1, 1), atol=1e-6)
    np.testing.assert_allclose(second[:, 0], -0.5 * tone(4000, hz=700), atol=1e-6)
    wanted = 0.5 * tone(4000) - 0.125 * tone(4000, hz=700)
    np.testing.assert_allclose(mix, np.stack([wanted, 0.5 * wanted], axis=1), atol=1e-6)


@pytest.mark.parametrize(("bit_depth", "subtype"), [("24", "PCM_24"), ("32f", "FLOAT")])
@pytest.mark.parametrize("loudness_lufs", [None, -16.0, -5.3])
def test_post_fader_stems_sum_to_the_mix(
    bit_depth: str, subtype: str, loudness_lufs: float | None
) -> None:
    made = stream(32, kind="post-fader", loudness_lufs=loudness_lufs)
    mastering = render_file(made, TARGET, FileOptions(bit_depth=bit_depth))
    mix, first, second = sounds_of(TARGET)
    assert soundfile.info(TARGET.stems[0]).subtype == subtype
    assert first.shape == mix.shape == (32_000, 2)
    np.testing.assert_allclose(first + second, mix, atol=1e-6)
    found = pyloudnorm.Meter(16_000, filter_class="DeMan").integrated_loudness(mix)
    assert found == pytest.approx(mastering.result.integrated_lufs, abs=0.05)
    if loudness_lufs is not None:
        assert found == pytest.approx(loudness_lufs, abs=0.15)
    assert np.abs(mix).max() < 10 ** (-1 / 20)


def test_floats_may_be_louder_than_full_scale_and_levels_are_clipped() -> None:
    for bit_depth, loudest in (("32f", 2.8), ("24", 1.0), ("16", 1.0)):
        render_file(stream(4, level=0.7), TARGET, FileOptions(bit_depth=bit_depth))
        assert np.abs(sounds_of(TARGET)[1]).max() == pytest.approx(loudest, abs=0.01)


def test_nothing_but_the_files_is_left_of_two_passes() -> None:
    render_file(stream(40, loudness_lufs=-16.0, level=0.01), Target(Path("mix.flac"), ()))
    assert [path.name for path in Path().iterdir()] == ["mix.flac"]
    audio, _ = soundfile.read("mix.flac")
    assert pyloudnorm.Meter(16_000).integrated_loudness(audio) == pytest.approx(-16, abs=0.2)


@pytest.mark.parametrize("error", [RuntimeError(), KeyboardInterrupt(), SystemExit()])
@pytest.mark.parametrize("loudness_lufs", [None, -16.0])
def test_an_error_on_the_way_leaves_no_files_and_the_old_ones(
    error: BaseException, loudness_lufs: float | None
) -> None:
    Path("mix.wav").write_bytes(b"old")
    target = Target(Path("mix.wav"), (Path("1.wav"), Path("2.wav")))
    with pytest.raises(type(error)):
        render_file(stream(2, then=error, loudness_lufs=loudness_lufs), target)
    assert [p.name for p in Path().iterdir()] == ["mix.wav"]
    assert Path("mix.wav").read_bytes() == b"old"


def test_a_folder_that_cannot_be_made_is_named() -> None:
    target = Target(Path("/proc/out/mix.wav"), ())
    with pytest.raises(OutputError, match="/proc/out: cannot be created"):
        render_file(stream(1), target)


def test_files_are_resampled_where_it_is_wanted() -> None:
    target = Target(Path("mix.wav"), (Path("1.wav"), Path("2.wav")))
    render_file(stream(4), target, FileOptions(sample_rate=44_100))
    for path, channels in ((target.mix, 2), (target.stems[1], 1)):
        info = soundfile.info(path)
        assert (info.samplerate, info.frames, info.channels) == (44_100, 11_025, channels)
