"""Griffin-Lim: as much sound as asked for, the same for any blocks, and the right one."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import FRAME_RATE
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.score.piano_roll import PianoRoll
from timbrel.vocoder.griffin_lim import GriffinLim

MEL = MelConfig()
NO_ROLL = PianoRoll([], FRAME_RATE)
VOCODER = GriffinLim()


def harmonic_tone(hz: float, *, seconds: float = 1.0) -> np.ndarray:
    """A tone of four partials."""
    times = np.arange(round(seconds * MEL.sample_rate)) / MEL.sample_rate
    levels = (0.3, 0.15, 0.1, 0.05)
    partials = [level * np.sin(2 * np.pi * hz * k * times + k) for k, level in enumerate(levels, 1)]
    return np.sum(partials, axis=0).astype(np.float32)


def vocoded(mels: np.ndarray, *, seed: int = 0, cuts: list[int] | None = None) -> np.ndarray:
    """Sound of mels (tracks, frames, n_mels), given in one block or cut into several."""
    stream = VOCODER.stream([NO_ROLL] * len(mels), seed=seed)
    blocks = np.split(mels, cuts or [], axis=1)
    audio = [stream.process(b, last=i == len(blocks) - 1) for i, b in enumerate(blocks)]
    return np.concatenate(audio, axis=1)


@pytest.fixture(scope="module")
def mels() -> np.ndarray:
    """Mels of two tones, (2, 125, n_mels)."""
    return np.stack([mel_spectrogram(harmonic_tone(hz)) for hz in (220, 330)])


@pytest.mark.parametrize("n_frames", [0, 1, 15, 16, 17, 32, 47, 48, 49, 64, 125])
def test_there_is_a_hop_of_sound_for_each_frame(mels: np.ndarray, n_frames: int) -> None:
    audio = vocoded(mels[:, :n_frames])
    assert audio.shape == (2, n_frames * MEL.hop_length)
    assert audio.dtype == np.float32
    assert np.isfinite(audio).all()


@pytest.mark.parametrize(
    "cuts",
    [[1], [124], [125], list(range(125)), list(range(7, 125, 7)), [48, 48, 48, 96], [0, 31, 33]],
)
def test_blocks_do_not_change_the_sound(mels: np.ndarray, cuts: list[int]) -> None:
    np.testing.assert_allclose(vocoded(mels, cuts=cuts), vocoded(mels), atol=1e-5)


def test_an_empty_last_block_ends_the_sound(mels: np.ndarray) -> None:
    stream = VOCODER.stream([NO_ROLL] * 2)
    audio = [stream.process(mels), stream.process(mels[:, :0], last=True)]
    np.testing.assert_allclose(np.concatenate(audio, axis=1), vocoded(mels), atol=1e-5)


def test_the_same_seed_gives_the_same_sound_and_another_one_another(mels: np.ndarray) -> None:
    np.testing.assert_array_equal(vocoded(mels, seed=3), vocoded(mels, seed=3))
    assert np.abs(vocoded(mels, seed=3) - vocoded(mels, seed=4)).max() > 0.1


def test_a_track_keeps_its_phases_whatever_its_place(mels: np.ndarray) -> None:
    both = vocoded(mels, seed=3)
    second = VOCODER.stream([NO_ROLL], seed=3, numbers=[1]).process(mels[1:], last=True)
    np.testing.assert_allclose(second, both[1:], atol=1e-5)
    other = VOCODER.stream([NO_ROLL], seed=3, numbers=[2]).process(mels[1:], last=True)
    assert np.abs(other - second).max() > 0.1


def test_a_restart_forgets_what_was_before(mels: np.ndarray) -> None:
    stream = VOCODER.stream([NO_ROLL] * 2, seed=3)
    stream.process(mels[:, 60:])
    stream.restart(0)
    np.testing.assert_array_equal(stream.process(mels, last=True), vocoded(mels, seed=3))
    stream.restart(320)
    assert np.abs(stream.process(mels, last=True) - vocoded(mels, seed=3)).max() > 0.1


def test_silence_stays_below_minus_70_db() -> None:
    audio = vocoded(np.full((1, 100, MEL.n_mels), MEL.log_floor, np.float32))
    assert np.abs(audio).max() < 10 ** (-70 / 20)


def test_a_rest_between_two_tones_is_silent() -> None:
    tone = harmonic_tone(440, seconds=0.4)
    rest = np.zeros_like(tone)
    audio = vocoded(mel_spectrogram(np.concatenate([tone, rest, tone]))[None])[0]
    inside = audio[len(tone) + MEL.n_fft : 2 * len(tone) - MEL.n_fft]
    assert np.abs(inside).max() < 10 ** (-60 / 20)
    assert np.abs(audio[: len(tone)]).max() > 0.2
    assert np.abs(audio[2 * len(tone) :]).max() > 0.2


@pytest.mark.parametrize("hz", [110.0, 440.0, 880.0])
def test_a_tone_comes_back_at_its_pitch_and_with_its_mel(hz: float) -> None:
    audio = harmonic_tone(hz)
    mel = mel_spectrogram(audio)
    back = vocoded(mel[None])[0]

    inner = slice(2000, -2000)
    spectrum = np.abs(np.fft.rfft(back[inner] * np.hanning(len(back) - 4000), 2**16))
    peak_hz = spectrum.argmax() * MEL.sample_rate / 2**16
    # The mel does not say more of the pitch than in which filter it lies, 40 Hz wide and more.
    assert abs(peak_hz - hz) < 10  # 5 measured

    settled = slice(8, -8)
    error = np.abs(mel_spectrogram(back)[settled] - mel[settled])
    loud = mel[settled] > mel.max() - 6  # down to −52 dB
    assert error[loud].mean() < 0.7  # 0.52 measured: 4.5 dB
    # A tone's energy is spread over the bins of its filters; what they sum to is kept.
    level_db = 10 * np.log10(np.square(back).mean() / np.square(audio).mean())
    assert -2.5 < level_db < 1  # −1.4 measured


def test_tracks_do_not_hear_each_other(mels: np.ndarray) -> None:
    together = vocoded(mels)
    np.testing.assert_array_equal(vocoded(mels[:1])[0], together[0])
    other = np.stack([mels[0] - 3, mels[1], mels[0]])
    np.testing.assert_array_equal(vocoded(other)[1], together[1])


def test_tracks_that_play_the_same_have_phases_of_their_own(mels: np.ndarray) -> None:
    first, second = vocoded(mels[[0, 0]])
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.5  # 0.11 measured; else they add up as one


def test_the_spread_magnitudes_have_the_mel_that_they_came_from(mels: np.ndarray) -> None:
    magnitudes = VOCODER.magnitudes(mels)
    assert (magnitudes >= 0).all()
    back = np.log(np.maximum(magnitudes @ VOCODER._filters.T, MEL.floor))
    loud = mels > mels.max() - 6
    assert np.abs(back - mels)[loud].mean() < 0.6  # 0.43 measured


@pytest.mark.parametrize("shape", [(1, 10, 80), (3, 10, 80), (2, 10, 64), (10, 80), (2, 80)])
def test_a_mel_of_another_shape_is_refused_with_the_geometry(shape: tuple[int, ...]) -> None:
    stream = VOCODER.stream([NO_ROLL] * 2)
    with pytest.raises(InputError) as error:
        stream.process(np.zeros(shape, np.float32))
    assert str(shape) in str(error.value)
    assert "16000 Hz, hop 128, window 1024, 80 mels from 0 to 8000 Hz" in str(error.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_mel_that_is_not_finite_is_refused(mels: np.ndarray, value: float) -> None:
    broken = mels.copy()
    broken[1, 60, 7] = value
    with pytest.raises(InputError, match="not finite"):
        VOCODER.stream([NO_ROLL] * 2).process(broken)


def test_another_geometry_sounds_at_its_own_rate() -> None:
    mel = MelConfig(sample_rate=48_000, hop_length=384, n_fft=3072, f_max_hz=24_000)
    vocoder = GriffinLim(mel)
    times = np.arange(24_000) / 48_000
    tone = (0.3 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    audio = vocoder.stream([NO_ROLL]).process(mel_spectrogram(tone, mel)[None], last=True)[0]
    assert len(audio) == 62 * 384
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 2**17))
    assert abs(spectrum.argmax() * 48_000 / 2**17 - 440) < 30  # filters are 100 Hz wide
