"""The mix: volume, pan, and a limiter that is heard only where it has to be."""

from __future__ import annotations

import numpy as np
import pytest

from timbrel.mixer import CEILING, Mixer
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


def in_one(mixer: Mixer, audio: np.ndarray, *, last: bool = True) -> np.ndarray:
    """A block in which all voices sound."""
    return mixer.process(dict(enumerate(audio)), audio.shape[1], last=last)


def mixed_in_blocks(tracks: list[Track], audio: np.ndarray, cuts: list[int]) -> np.ndarray:
    mixer = Mixer(tracks, RATE, 2)
    blocks = np.split(audio, sorted(cuts), axis=1)
    out = [in_one(mixer, block, last=i == len(blocks) - 1) for i, block in enumerate(blocks)]
    return np.concatenate(out)


def test_one_track_in_the_centre_passes_unaltered() -> None:
    audio = noise(1, 5000, level=CEILING)
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
    among = Mixer(tracks * 128, RATE, 2).process({77: audio[0]}, 5000, last=True)
    np.testing.assert_array_equal(among, alone)


def test_of_a_block_without_voices_comes_silence() -> None:
    mixer = Mixer([track()], RATE, 2)
    sounding = mixer.process({0: np.full(1000, 0.5, np.float32)}, 1000)
    rest = mixer.process({}, 500, last=True)
    assert (sounding == 0.5).all()
    assert (rest[:80] == 0.5).all()
    assert not rest[80:].any()


@pytest.mark.parametrize("gain_db", [-20.0, 6.0, 40.0])
def test_the_gain_is_that_of_the_whole_mix_before_the_limiter(gain_db: float) -> None:
    audio, factor = noise(2, 5000, level=0.2), 10 ** (gain_db / 20)
    loud = in_one(Mixer([track(), track()], RATE, 2, gain_db=gain_db), audio)
    np.testing.assert_allclose(loud, mixed([track(gain=factor)] * 2, audio), atol=1e-6)
    if gain_db <= 6:
        np.testing.assert_allclose(loud[:, 0], factor * audio.sum(axis=0), atol=1e-6)
    assert np.abs(loud).max() <= CEILING + 1e-6


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
@pytest.mark.parametrize("level", [0.3, 3.0])
def test_blocks_do_not_change_the_result(seed: int, level: float) -> None:
    random = np.random.default_rng(seed)
    times = (0.0, *np.sort(random.uniform(0, 0.9, 6)))
    gains = [Automation(times, tuple(random.uniform(0, 1.5, 7))) for _ in range(2)]
    tracks = [track(gain=gains[0], pan=0.3), track(gain=gains[1]), track(gain=0.7, pan=-1.0)]
    audio = noise(3, RATE, level=level, seed=seed)
    audio[:, 5000:9000] *= 0.05  # so that the limiter lets go, too
    whole = mixed(tracks, audio)
    cuts = random.integers(0, RATE + 1, 12).tolist()
    some_small = [*cuts, *range(100, 160), 200, 200, 200, RATE, RATE]
    for blocks in (cuts, some_small, list(range(0, RATE, 128))):
        np.testing.assert_allclose(mixed_in_blocks(tracks, audio, blocks), whole, atol=1e-6)


@pytest.mark.parametrize("level", [1.0, 2.0, 30.0])
@pytest.mark.parametrize("n_samples", [1, 50, 80, 81, 5000])
def test_nothing_is_louder_than_one_db_below_full_scale(level: float, n_samples: int) -> None:
    for seed in range(20):
        audio = noise(2, n_samples, level=level, seed=seed)
        out = mixed([track(), track(pan=-1.0)], audio)
        assert np.abs(out).max() <= CEILING + 1e-6


def test_single_peaks_are_held_wherever_they_are() -> None:
    for position in range(0, 400, 7):
        audio = np.zeros((1, 400), np.float32)
        audio[0, position] = 5.0
        out = mixed([track()], audio)
        assert np.abs(out).max() == pytest.approx(CEILING, rel=1e-5)
        assert np.abs(out[:, 0]).argmax() == position


def test_the_ceiling_is_minus_one_db() -> None:
    assert 20 * np.log10(CEILING) == pytest.approx(-1.0)


def test_the_limiter_lets_go_after_a_peak() -> None:
    audio = np.full((1, 3 * RATE), 0.5, np.float32)
    audio[0, RATE // 2] = 2.0
    out = mixed([track()], audio)[:, 0] / 0.5
    np.testing.assert_allclose(out[: RATE // 2 - 81], 1.0, atol=1e-7)
    assert out[RATE // 2 + 1] < 0.5
    after = out[RATE // 2 + 100 :]
    assert (np.diff(after) >= -1e-7).all()
    assert after[round(0.2 * RATE)] == pytest.approx(1 - (1 - CEILING / 2) / np.e, abs=0.02)
    assert after[-1] > 0.9999


@pytest.mark.parametrize("blocks", [[], [0], [10, 20, 30], [4000]])
def test_as_many_samples_come_out_as_went_in(blocks: list[int]) -> None:
    for level in (0.1, 5.0):
        out = mixed_in_blocks([track()], noise(1, 4000, level=level), blocks)
        assert out.shape == (4000, 2)


def test_until_the_last_block_the_newest_five_milliseconds_are_kept_back() -> None:
    mixer = Mixer([track()], RATE, 2)
    assert len(in_one(mixer, noise(1, 60, level=0.1), last=False)) == 0
    assert len(in_one(mixer, noise(1, 1000, level=0.1), last=False)) == 1060 - 80
    assert len(mixer.process({}, 0, last=True)) == 80


def test_silence_stays_silence() -> None:
    out = mixed([track()], np.zeros((1, 1000), np.float32))
    assert not out.any()
