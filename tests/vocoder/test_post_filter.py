"""The post-filter: sound comes near its mel, block by block as at once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from conftest import FRAME_RATE
from timbrel.bundles.bundle import CONFIG_FILE, SHIPPED, write_sums
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.score.piano_roll import PianoRoll
from timbrel.vocoder.catalog import load_vocoder
from timbrel.vocoder.post_filter import (
    DRAWN,
    KEY,
    MOST_GAIN_DB,
    PostFilter,
    PostFiltered,
)
from timbrel.vocoder.vocoder import VocoderStream
from timbrel.vocoder.wavenet_stream import WaveNetVocoder

MEL = MelConfig()
N_FRAMES = 150
LAG = 2  # frames by which the vocoder's sound comes late, as a WaveNet's


class Recorded:
    """A vocoder that gives what it was told to, a little late."""

    mel, roll = MEL, None

    def __init__(self, audio: np.ndarray) -> None:
        self.audio = audio

    def stream(
        self,
        rolls: Sequence[PianoRoll],
        *,
        seed: int = 0,  # noqa: ARG002
        numbers: Sequence[int] | None = None,  # noqa: ARG002
    ) -> VocoderStream:
        assert len(rolls) == len(self.audio)
        return _RecordedStream(self.audio)


class _RecordedStream:
    def __init__(self, audio: np.ndarray) -> None:
        self._audio, self._taken, self._given = audio, 0, 0

    def restart(self, frame: int) -> None:  # noqa: ARG002
        self._taken = self._given = 0

    def process(self, mel: np.ndarray, *, last: bool = False) -> np.ndarray:
        self._taken += mel.shape[1]
        begin, self._given = self._given, max(self._taken - (0 if last else LAG), self._given)
        return self._audio[:, begin * MEL.hop_length : self._given * MEL.hop_length]


def tones() -> np.ndarray:
    """Two tracks, each a tone of some partials that fades: (2, samples)."""
    seconds = np.arange(N_FRAMES * MEL.hop_length) / MEL.sample_rate
    partials = [
        [np.sin(2 * np.pi * hz * k * seconds) / k for k in range(1, 6)] for hz in (220, 330)
    ]
    return (0.1 * np.sum(partials, axis=1) * np.exp(-2 * seconds)).astype(np.float32)


def mels_of(audio: np.ndarray) -> np.ndarray:
    return np.stack([mel_spectrogram(track) for track in audio])


ORIGINAL = tones()
TARGET = mels_of(ORIGINAL)
NOISY = ORIGINAL + np.random.default_rng(3).normal(0, 0.003, ORIGINAL.shape).astype(np.float32)
ROLLS = [PianoRoll([], FRAME_RATE)] * 2


def filtered(
    audio: np.ndarray, mel: np.ndarray, *, passes: int = 3, cuts: Sequence[int] = ()
) -> np.ndarray:
    stream = PostFiltered(Recorded(audio), PostFilter(passes)).stream(ROLLS)
    blocks = np.split(mel, cuts, axis=1)
    made = [stream.process(b, last=i == len(blocks) - 1) for i, b in enumerate(blocks)]
    return np.concatenate(made, axis=1)


def mel_error(audio: np.ndarray) -> float:
    return float(np.abs(mels_of(audio) - TARGET).mean())


def test_each_pass_comes_nearer_to_the_mel() -> None:
    errors = [mel_error(NOISY), *(mel_error(filtered(NOISY, TARGET, passes=n)) for n in (1, 2, 3))]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 6
    assert errors[1] < 0.5
    assert errors[3] < 0.25


def test_noise_goes_and_the_tone_stays() -> None:
    """What was added lay 20 dB below the tone, and lies 10 dB further below it then."""
    inner = slice(MEL.n_fft, -MEL.n_fft)
    error = [float(np.std((x - ORIGINAL)[:, inner])) for x in (NOISY, filtered(NOISY, TARGET))]
    assert error[1] < error[0] / 3


def test_sound_that_is_right_stays_as_it_is() -> None:
    np.testing.assert_allclose(filtered(ORIGINAL, TARGET), ORIGINAL, atol=1e-5)


@pytest.mark.parametrize("n_frames", [0, 1, 3, 7, 8, 9, 100, N_FRAMES])
def test_there_is_a_hop_of_sound_for_each_frame(n_frames: int) -> None:
    sound = filtered(NOISY, TARGET[:, :n_frames])
    assert sound.shape == (2, n_frames * MEL.hop_length)
    assert sound.dtype == np.float32


@pytest.mark.parametrize("cuts", [[1], [149], [150], list(range(150)), [0, 64, 64, 65], [7, 80]])
def test_blocks_do_not_change_the_sound(cuts: list[int]) -> None:
    np.testing.assert_allclose(
        filtered(NOISY, TARGET, cuts=cuts), filtered(NOISY, TARGET), atol=1e-6
    )


def test_a_restart_forgets_what_was_before() -> None:
    stream = PostFiltered(Recorded(NOISY), PostFilter(2)).stream(ROLLS)
    stream.process(TARGET[:, :50])
    stream.restart(0)
    sound = stream.process(TARGET, last=True)
    np.testing.assert_array_equal(sound, filtered(NOISY, TARGET, passes=2))


def test_what_is_missing_is_not_made_of_noise_alone() -> None:
    quiet = NOISY * np.float32(1e-3)
    gain_db = 20 * np.log10(filtered(quiet, TARGET, passes=1).std() / quiet.std())
    assert gain_db == pytest.approx(MOST_GAIN_DB, abs=0.5)
    assert not filtered(np.zeros_like(NOISY), TARGET).any()


def test_a_silent_mel_is_silent() -> None:
    silence = np.full_like(TARGET, MEL.log_floor)
    sound = filtered(np.full_like(NOISY, 1e-3), silence)
    assert 20 * np.log10(np.abs(sound).max()) < -95


@pytest.mark.parametrize("passes", [0, 9, 2.5, True, "3"])
def test_a_number_of_passes_that_is_not_possible_is_refused(passes: object) -> None:
    with pytest.raises(InputError, match="1 to 8 passes"):
        PostFilter(passes)  # type: ignore[arg-type]


def copied(tmp_path: Path, post_filter: object) -> Path:
    folder = tmp_path / "wavenet"
    shutil.copytree(SHIPPED / "wavenet", folder)
    path = folder / CONFIG_FILE
    config = json.loads(path.read_text(encoding="utf-8"))
    config[KEY] = post_filter
    if post_filter is None:
        del config[KEY]
    path.write_text(json.dumps(config), encoding="utf-8")
    write_sums(folder)
    return folder


def test_a_bundle_says_how(tmp_path: Path) -> None:
    shipped = load_vocoder("wavenet", MEL)
    assert isinstance(shipped, PostFiltered)
    assert shipped.post_filter == DRAWN
    assert isinstance(load_vocoder(copied(tmp_path, None), MEL), WaveNetVocoder)


@pytest.mark.parametrize("wrong", [{}, {"passes": 0}, {"pass": 1}, {"passes": 1, "other": 2}])
def test_a_bundle_that_says_it_wrongly_is_refused(tmp_path: Path, wrong: dict) -> None:
    folder = copied(tmp_path, wrong)
    with pytest.raises(InputError, match=f"{CONFIG_FILE}: its 'post_filter' must hold a number"):
        load_vocoder(folder, MEL)
