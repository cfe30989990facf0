"""Files of a stream: their loudness and formats, and that they appear when they are complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from timbrel.audio_stream import AudioStream, Block
from timbrel.commands.outputs import Target
from timbrel.commands.writing import FileOptions, render_file
from timbrel.errors import OutputError


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def stream(n: int, *, then: BaseException | None = None) -> AudioStream:
    """A stream of two tracks, of which the first is too loud, and perhaps an error."""

    def blocks() -> Iterator[Block]:
        for _ in range(n):
            tracks = np.stack([np.full(1000, 1.7), np.full(1000, -0.25)]).astype(np.float32)
            yield Block(np.full((1000, 2), 0.5, np.float32), tracks)
        if then is not None:
            raise then

    return AudioStream(
        length=1000 * n,
        sample_rate=16_000,
        channels=2,
        n_blocks=n,
        n_voices=2,
        notes_left_out=0,
        _play=blocks,
    )


def test_the_mix_and_the_stems_are_written() -> None:
    target = Target(Path("new/mix.wav"), (Path("stems/1.wav"), Path("stems/2.wav")))
    render_file(stream(4), target)
    found = sorted(str(path) for path in Path().rglob("*.*"))
    assert found == ["new/mix.wav", "stems/1.wav", "stems/2.wav"]
    for path, channels, level in ((target.mix, 2, 0.5), (target.stems[0], 1, 1.0)):
        audio, rate = soundfile.read(path, always_2d=True)
        assert (audio.shape, rate) == ((4000, channels), 16_000)
        np.testing.assert_allclose(audio, level, atol=1 / 32768)
    np.testing.assert_allclose(soundfile.read(target.stems[1])[0], -0.25, atol=1 / 32768)


@pytest.mark.parametrize("error", [RuntimeError(), KeyboardInterrupt(), SystemExit()])
def test_an_error_on_the_way_leaves_no_files_and_the_old_ones(error: BaseException) -> None:
    Path("mix.wav").write_bytes(b"old")
    target = Target(Path("mix.wav"), (Path("1.wav"), Path("2.wav")))
    with pytest.raises(type(error)):
        render_file(stream(2, then=error), target)
    assert [p.name for p in Path().iterdir()] == ["mix.wav"]
    assert Path("mix.wav").read_bytes() == b"old"


def test_a_folder_that_cannot_be_made_is_named() -> None:
    target = Target(Path("/proc/out/mix.wav"), ())
    with pytest.raises(OutputError, match="/proc/out: cannot be created"):
        render_file(stream(1), target)


def test_files_are_resampled_where_it_is_wanted() -> None:
    target = Target(Path("mix.wav"), (Path("1.wav"), Path("2.wav")))
    render_file(stream(4), target, file_rate=44_100)
    for path, channels in ((target.mix, 2), (target.stems[1], 1)):
        info = soundfile.info(path)
        assert (info.samplerate, info.frames, info.channels) == (44_100, 11_025, channels)
