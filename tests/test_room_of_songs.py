"""The room in which songs are rendered: places, stems, excerpts, the tail, and dry sound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from support.plain_vocoder import PlainVocoder
from timbrel.bundles.bundle import Bundle
from timbrel.mel.generator import MelGenerator
from timbrel.room import DECAY_S
from timbrel.score.placement import SEATS
from timbrel.score.score import Automation, Note, Score, Track
from timbrel.synthesizer import RELEASE_S, Synthesizer

RATE = 16_000
CENTRE = Automation((0.0,), (0.0,))
SENDS = {"reverb": Automation((0.0, 2.0), (1.0, 0.3)), "chorus": Automation((0.0, 1.0), (0.2, 0.9))}


@pytest.fixture(scope="module")
def synthesizer(tiny_bundle: Bundle) -> Synthesizer:
    """Plays mels as they are, quickly."""
    return Synthesizer(MelGenerator(tiny_bundle), PlainVocoder(tiny_bundle.mel))


def track(program: int, *, seed: int = 0, seconds: float = 3.0, **curves: Automation) -> Track:
    """A tune of quarter seconds."""
    random = np.random.default_rng(seed)
    starts = np.arange(0, seconds, 0.25).tolist()
    notes = (Note(int(random.integers(40, 80)), 90, start, start + 0.25) for start in starts)
    return Track(f"track {seed}", program, seed % 16, tuple(notes), **curves)


TRIO = Score((track(0, seed=1, **SENDS), track(56, seed=2), track(46, seed=3, **SENDS)))


def heard(synthesizer: Synthesizer, score: Score, **options: object) -> np.ndarray:
    """The mix before gain and limiter, (samples, channels)."""
    return np.concatenate(
        [block.mix for block in synthesizer.stream(score, **options).unmastered()]
    )


def stems(synthesizer: Synthesizer, score: Score, **options: object) -> np.ndarray:
    """Tracks before gain and limiter, (tracks, samples, channels)."""
    stream = synthesizer.stream(score, stems=True, **options)
    return np.concatenate([block.tracks for block in stream.unmastered()], axis=1)


def level_db(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.square(sound, dtype=np.float64).mean() + 1e-20))


def test_a_song_without_pans_differs_on_the_two_sides(synthesizer: Synthesizer) -> None:
    wet = heard(synthesizer, TRIO)
    assert level_db(wet[:, 0] - wet[:, 1]) > level_db(wet) - 20
    piano, trumpet, harp = stems(synthesizer, TRIO)
    for stem, seat in zip((piano, trumpet, harp), SEATS, strict=False):
        left, right = (level_db(side) for side in stem.T)
        assert np.sign(right - left) == np.sign(seat)
        assert abs(right - left) > 1
    dry = heard(synthesizer, TRIO, dry=True)
    np.testing.assert_array_equal(dry[:, 0], dry[:, 1])


def test_a_song_that_sets_a_pan_is_not_placed(synthesizer: Synthesizer) -> None:
    panned = replace(TRIO.tracks[0], pan=CENTRE, reverb=CENTRE, chorus=CENTRE)
    others = (replace(one, reverb=CENTRE, chorus=CENTRE) for one in TRIO.tracks[1:])
    score = Score((panned, *others))
    wet = heard(synthesizer, score)
    np.testing.assert_array_equal(wet[:, 0], wet[:, 1])


def test_dry_is_the_sum_of_what_is_computed(synthesizer: Synthesizer) -> None:
    dry = heard(synthesizer, TRIO, dry=True)
    # As a score whose tracks all say that they have neither room nor place.
    plain = tuple(replace(one, pan=CENTRE, reverb=CENTRE, chorus=CENTRE) for one in TRIO.tracks)
    said = heard(synthesizer, Score(plain))
    np.testing.assert_array_equal(said[: len(dry)], dry)
    computed = stems(synthesizer, TRIO, stems_kind="pre-fader", dry=True)
    np.testing.assert_allclose(dry[:, 0], computed.sum(axis=0), atol=1e-6)
    assert np.abs(heard(synthesizer, TRIO)[: len(dry)] - dry).max() > 0.01
    # Stems as computed do not stand in the room.
    wet = stems(synthesizer, TRIO, stems_kind="pre-fader")
    np.testing.assert_array_equal(wet[:, : computed.shape[1]], computed)


def test_tracks_that_differ_in_what_they_send_share_a_voice_when_dry(
    synthesizer: Synthesizer,
) -> None:
    score = Score((track(0, seed=1, **SENDS), track(0, seed=2)))
    assert synthesizer.stream(score).n_voices == 2
    assert synthesizer.stream(score, dry=True).n_voices == 1


@pytest.mark.parametrize("channels", [1, 2])
def test_stems_add_up_to_the_mix(synthesizer: Synthesizer, channels: int) -> None:
    wet = heard(synthesizer, TRIO, channels=channels)
    apart = stems(synthesizer, TRIO, channels=channels)
    assert apart.shape == (3, *wet.shape)
    np.testing.assert_allclose(apart.sum(axis=0), wet, atol=1e-4)
    stream = synthesizer.stream(TRIO, stems=True, channels=channels).unmastered()
    np.testing.assert_array_equal(np.concatenate([block.mix for block in stream]), wet)
    blocks = list(synthesizer.stream(TRIO, stems=True, channels=channels, gain_db=20.0))
    for block in blocks:  # as loud as the limiter lets them be
        np.testing.assert_allclose(block.tracks.sum(axis=0), block.mix, atol=1e-4)
    assert max(np.abs(block.mix).max() for block in blocks) > 0.8


def test_muted_tracks_leave_the_others_in_their_places(synthesizer: Synthesizer) -> None:
    whole = stems(synthesizer, TRIO)
    for number in (1, 2, 3):
        alone = heard(synthesizer, TRIO, solo=number)
        np.testing.assert_allclose(alone, whole[number - 1], atol=1e-6)
    two = heard(synthesizer, TRIO, mute=1)
    np.testing.assert_allclose(two, whole[1] + whole[2], atol=1e-4)


@pytest.mark.parametrize("start_s", [0.008, 0.504, 4.96, 7.0, 9.496])
@pytest.mark.parametrize("channels", [1, 2])
def test_an_excerpt_sounds_in_the_room_as_it_does_in_the_whole(
    synthesizer: Synthesizer, start_s: float, channels: int
) -> None:
    score = Score((track(0, seed=1, seconds=10.0, **SENDS), track(56, seed=2, seconds=8.0)))
    whole = heard(synthesizer, score, channels=channels)
    part = heard(synthesizer, score, channels=channels, start_s=start_s, duration_s=1.6)
    first = round(start_s * RATE)
    assert len(part) == pytest.approx(1.6 * RATE, abs=64)
    np.testing.assert_allclose(part, whole[first : first + len(part)], atol=2e-5)


def test_the_room_rings_to_the_end(synthesizer: Synthesizer) -> None:
    # Silent where dry sound ends: what follows is the room's.
    end_s = 3.0 + RELEASE_S
    gain, send = Automation((0.0, end_s), (1.0, 0.0)), Automation((0.0,), (1.0,))
    score = Score((track(0, seed=1, gain=gain, reverb=send),))
    wet, dry = heard(synthesizer, score), heard(synthesizer, score, dry=True)
    assert len(dry) == end_s * RATE
    assert len(wet) == (end_s + DECAY_S) * RATE
    ring = wet[len(dry) - RATE // 10 : len(dry)] - dry[-RATE // 10 :]
    assert level_db(wet[-RATE // 10 :]) == pytest.approx(level_db(ring) - 60, abs=6)
    for options in ({}, {"dry": True}):
        assert len(heard(synthesizer, TRIO, duration_s=2.0, **options)) == 2 * RATE
