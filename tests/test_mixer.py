"""The mix: volume and pan."""

from __future__ import annotations

import numpy as np
import pytest

from timbrel.mixer import Mixer
from timbrel.score.score import Automation, Track

RATE = 16_000


def track(
    *,
    gain: Automation | float = 1.0,
    pan: Automation | float = 0.0,
) -> Track:
    """A track with a volume and a pan that stay, or curves of them."""
    gain, pan = (
        Automation((0.0,), (curve,)) if isinstance(curve, float) else curve for curve in (gain, pan)
    )
    return Track("track", 0, 0, (), gain=gain, pan=pan)


def noise(n_tracks: int, n_samples: int, *, level: float, seed: int = 0) -> np.ndarray:
    """Uniform noise, (tracks, samples)."""
    random = np.random.default_rng(seed)
    return random.uniform(-level, level, (n_tracks, n_samples)).astype(np.float32)


def mixed(tracks: list[Track], audio: np.ndarray, *, channels: int = 2) -> np.ndarray:
    """The whole mix, made in one block."""
    return in_one(Mixer(tracks, RATE, channels), audio)


def in_one(mixer: Mixer, audio: np.ndarray) -> np.ndarray:
    """A block in which all voices sound."""
    placed = dict(mixer.process(dict(enumerate(audio)), audio.shape[1]))
    assert list(placed) == list(range(len(audio)))
    return sum(placed.values())


def mixed_in_blocks(tracks: list[Track], audio: np.ndarray, cuts: list[int]) -> np.ndarray:
    mixer = Mixer(tracks, RATE, 2)
    return np.concatenate([in_one(mixer, block) for block in np.split(audio, sorted(cuts), axis=1)])


def test_one_track_in_the_centre_passes_unaltered() -> None:
    audio = noise(1, 5000, level=0.9)
    np.testing.assert_allclose(mixed([track()], audio), audio.T.repeat(2, axis=1), atol=1e-6)
    np.testing.assert_allclose(mixed([track()], audio, channels=1), audio.T, atol=0)


@pytest.mark.parametrize(("pan", "silent"), [(-1.0, 1), (1.0, 0)])
def test_hard_left_and_right_sound_on_one_side_three_db_louder(pan: float, silent: int) -> None:
    audio = noise(1, 5000, level=0.5)
    out = mixed([track(pan=pan)], audio)
    assert np.abs(out[:, silent]).max() < 1e-6
    np.testing.assert_allclose(out[:, 1 - silent], np.sqrt(2) * audio[0], atol=1e-6)


@pytest.mark.parametrize("pan", np.linspace(-1, 1, 9).tolist())
def test_the_power_does_not_depend_on_the_pan(pan: float) -> None:
    audio = noise(1, 5000, level=0.5)
    power = np.square(mixed([track(pan=pan)], audio)).sum()
    assert power == pytest.approx(2 * np.square(audio).sum(), rel=1e-5)


def test_pan_moves_to_the_side_that_it_says() -> None:
    levels = [
        np.abs(mixed([track(pan=pan)], noise(1, 500, level=0.5))).mean(axis=0)
        for pan in (-0.5, 0.5)
    ]
    assert levels[0][0] > 2 * levels[0][1]
    assert levels[1][1] > 2 * levels[1][0]


@pytest.mark.parametrize("n_tracks", [1, 2, 4, 9])
def test_a_mix_is_the_sum_of_its_voices(n_tracks: int) -> None:
    audio = noise(n_tracks, 5000, level=0.8 / n_tracks)
    out = mixed([track() for _ in audio], audio)
    np.testing.assert_allclose(out[:, 0], audio.sum(axis=0), atol=1e-6)


def test_a_voice_is_as_loud_whatever_others_exist() -> None:
    audio = noise(1, 5000, level=0.2)
    tracks = [track(gain=0.7, pan=0.3)]
    alone = mixed(tracks, audio)
    ((index, among),) = Mixer(tracks * 128, RATE, 2).process({77: audio[0]}, 5000)
    assert index == 77
    np.testing.assert_array_equal(among, alone)


def test_a_block_without_voices_takes_its_time() -> None:
    gain = Automation((0.0, 0.5), (1.0, 0.5))
    mixer = Mixer([track(gain=gain)], RATE, 2)
    assert list(mixer.process({}, RATE)) == []
    np.testing.assert_allclose(in_one(mixer, np.ones((1, 100), np.float32)), 0.5, atol=1e-6)


def test_a_mono_mix_ignores_the_pan() -> None:
    audio = noise(2, 5000, level=0.3)
    out = mixed([track(pan=-1.0), track(pan=1.0, gain=0.5)], audio, channels=1)
    expected = audio[0] + 0.5 * audio[1]
    np.testing.assert_allclose(out[:, 0], expected, atol=1e-6)


def test_the_volume_follows_its_curve() -> None:
    gain = Automation((0.0, 0.25, 0.5), (1.0, 0.25, 0.5))
    audio = np.full((1, RATE), 0.5, np.float32)
    out = mixed([track(gain=gain)], audio)[:, 0] / 0.5
    settled = round(0.005 * RATE)  # after a change it moves in a line of 4 ms
    for start_s, stop_s, value in ((0, 0.25, 1.0), (0.25, 0.5, 0.25), (0.5, 1, 0.5)):
        span = out[round(start_s * RATE) + settled : round(stop_s * RATE) - settled]
        np.testing.assert_allclose(span, value, atol=1e-6)
    assert np.abs(np.diff(out)).max() <= 0.75 / (0.004 * RATE) + 1e-6  # no clicks


def test_the_pan_follows_its_curve() -> None:
    pan = Automation((0.0, 0.5), (-1.0, 1.0))
    out = mixed([track(pan=pan)], np.full((1, RATE), 0.5, np.float32))
    np.testing.assert_allclose(out[:7900], [[np.sqrt(0.5), 0.0]] * 7900, atol=1e-6)
    np.testing.assert_allclose(out[8100:], [[0.0, np.sqrt(0.5)]] * 7900, atol=1e-6)


def test_a_mix_that_begins_later_follows_the_same_curves() -> None:
    gain = Automation((0.0, 0.2, 0.3, 0.7), (1.0, 0.25, 0.9, 0.5))
    tracks = [track(gain=gain, pan=Automation((0.0, 0.3), (-0.5, 0.8)))]
    audio = noise(1, RATE, level=0.5)
    whole = mixed(tracks, audio)
    for position in (1, 3200, 4799, 4800, 12_345):
        later = in_one(Mixer(tracks, RATE, 2, position=position), audio[:, position:])
        np.testing.assert_allclose(later, whole[position:], atol=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_blocks_do_not_change_the_result(seed: int) -> None:
    random = np.random.default_rng(seed)
    times = (0.0, *np.sort(random.uniform(0, 0.9, 6)))
    gains = [Automation(times, tuple(random.uniform(0, 1.5, 7))) for _ in range(2)]
    tracks = [track(gain=gains[0], pan=0.3), track(gain=gains[1]), track(gain=0.7, pan=-1.0)]
    audio = noise(3, RATE, level=0.3, seed=seed)
    whole = mixed(tracks, audio)
    cuts = random.integers(0, RATE + 1, 12).tolist()
    some_small = [*cuts, *range(100, 160), 200, 200, 200, RATE, RATE]
    for blocks in (cuts, some_small, list(range(0, RATE, 128))):
        np.testing.assert_allclose(mixed_in_blocks(tracks, audio, blocks), whole, atol=1e-6)


def test_silence_stays_silence() -> None:
    out = mixed([track()], np.zeros((1, 1000), np.float32))
    assert not out.any()
