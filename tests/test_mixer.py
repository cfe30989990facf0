"""The mix: volume, pan, and what is sent to the room."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from timbrel.mixer import Mixer
from timbrel.room import DECAY_S, Room
from timbrel.score.score import Automation, Track

RATE = 16_000


def track(
    *,
    gain: Automation | float = 1.0,
    pan: Automation | float | None = 0.0,
    reverb: Automation | float = 0.0,
    chorus: Automation | float = 0.0,
) -> Track:
    """A track with a volume, a pan and sends that stay, or curves of them."""
    gain, pan, reverb, chorus = (
        Automation((0.0,), (curve,)) if isinstance(curve, float) else curve
        for curve in (gain, pan, reverb, chorus)
    )
    return Track("track", 0, 0, (), gain=gain, pan=pan, reverb=reverb, chorus=chorus)


def noise(n_tracks: int, n_samples: int, *, level: float, seed: int = 0) -> np.ndarray:
    """Uniform noise, (tracks, samples)."""
    random = np.random.default_rng(seed)
    return random.uniform(-level, level, (n_tracks, n_samples)).astype(np.float32)


def mixed(tracks: list[Track], audio: np.ndarray, *, channels: int = 2) -> np.ndarray:
    """The whole mix, made in one block."""
    return in_one(Mixer(tracks, RATE, channels), audio)


def in_one(mixer: Mixer, audio: np.ndarray) -> np.ndarray:
    """A block in which all voices sound."""
    return mixer.process(dict(enumerate(audio)), audio.shape[1])


def mixed_in_blocks(tracks: list[Track], audio: np.ndarray, cuts: list[int]) -> np.ndarray:
    mixer = Mixer(tracks, RATE, 2)
    return np.concatenate([in_one(mixer, block) for block in np.split(audio, sorted(cuts), axis=1)])


def test_one_track_in_the_centre_passes_unaltered() -> None:
    audio = noise(1, 5000, level=0.9)
    for centred in (track(), track(pan=None)):
        np.testing.assert_allclose(mixed([centred], audio), audio.T.repeat(2, axis=1), atol=1e-6)
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
    among = Mixer(tracks * 128, RATE, 2).process({77: audio[0]}, 5000)
    np.testing.assert_array_equal(among, alone)


def test_a_block_without_voices_takes_its_time() -> None:
    gain = Automation((0.0, 0.5), (1.0, 0.5))
    mixer = Mixer([track(gain=gain)], RATE, 2)
    assert not mixer.process({}, RATE).any()
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


def level_db(sound: np.ndarray) -> float:
    return 10 * np.log10(np.square(sound, dtype=np.float64).mean())


@pytest.mark.parametrize("channels", [1, 2])
def test_the_room_adds_what_it_makes_of_the_sends(channels: int) -> None:
    audio = noise(2, RATE, level=0.3)
    tracks = [track(gain=0.8, pan=-1.0, reverb=0.5), track(pan=0.3, chorus=0.7, reverb=1.0)]
    dry = [
        mixed([t], one[None], channels=channels)
        for t, one in zip(dried(tracks), audio, strict=True)
    ]
    wet = Room(RATE, channels).process(0.5 * dry[0] + dry[1], 0.7 * dry[1])
    assert level_db(wet) > -30
    out = mixed(tracks, audio, channels=channels)
    np.testing.assert_allclose(out, dry[0] + dry[1] + wet, atol=1e-6)


def dried(tracks: list[Track]) -> list[Track]:
    off = Automation((0.0,), (0.0,))
    return [replace(t, reverb=off, chorus=off) for t in tracks]


def test_the_rooms_of_single_voices_add_up_to_that_of_all() -> None:
    audio = noise(3, RATE, level=0.3)
    curve = Automation((0.0, 0.3, 0.6), (1.0, 0.0, 0.4))
    tracks = [track(reverb=curve, pan=-0.7), track(chorus=curve), track(pan=0.5)]
    apart = sum(mixed([t], one[None]) for t, one in zip(tracks, audio, strict=True))
    np.testing.assert_allclose(mixed(tracks, audio), apart, atol=1e-5)


def test_sends_follow_their_curves() -> None:
    send = Automation((0.0, 0.5), (0.0, 1.0))
    audio = noise(1, RATE, level=0.3)
    wet = mixed([track(reverb=send)], audio) - mixed([track()], audio)
    assert not wet[: RATE // 2].any()
    assert level_db(wet[-RATE // 4 :]) > -30


def test_the_room_rings_on_when_its_voices_are_silent() -> None:
    mixer = Mixer([track(reverb=1.0)], RATE, 2)
    mixer.process({0: noise(1, RATE, level=0.5)[0]}, RATE)
    ringing = [level_db(mixer.process({}, RATE // 4)) for _ in range(4)]
    np.testing.assert_allclose(np.diff(ringing), -60 / DECAY_S / 4, atol=3)
    for _ in range(3):
        rest = mixer.process({}, RATE)
    assert not rest.any()


def test_blocks_do_not_change_the_sound_of_the_room() -> None:
    random = np.random.default_rng(0)
    sends = [Automation((0.0, 0.3, 0.7), tuple(random.uniform(0, 1, 3))) for _ in range(2)]
    tracks = [track(reverb=sends[0], pan=0.3), track(chorus=sends[1]), track(reverb=1.0)]
    audio = noise(3, RATE, level=0.3)
    whole = mixed(tracks, audio)
    for cuts in (random.integers(0, RATE + 1, 12).tolist(), list(range(0, RATE, 128)), [0, 0, 1]):
        np.testing.assert_allclose(mixed_in_blocks(tracks, audio, cuts), whole, atol=1e-6)


def test_a_mix_that_begins_later_moves_its_chorus_alike() -> None:
    tracks = [track(chorus=1.0)]
    audio = noise(1, 2 * RATE, level=0.5)
    whole = mixed(tracks, audio)
    later = in_one(Mixer(tracks, RATE, 2, position=12_345), audio[:, 12_345:])
    longest = round(0.02 * RATE)  # delay
    np.testing.assert_allclose(later[longest:], whole[12_345 + longest :], atol=1e-5)
