"""What is done to sound: only what was asked for, always the same for one seed."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from timbrel.errors import InputError
from timbrel.training.augmentation import (
    Augmentation,
    balance,
    filtered,
    gain,
    noise,
    recorded,
    speech,
)

RATE = 16_000
NOTHING = replace(
    Augmentation(level_db=(0.0, 0.0)),
    **{field.name: 0.0 for field in fields(Augmentation) if field.name.endswith("_share")},
)
AUDIO = (0.1 * np.random.default_rng(0).standard_normal(2 * RATE)).astype(np.float32)


def random() -> np.random.Generator:
    return np.random.default_rng(7)


def level_db(audio: np.ndarray, low_hz: float, high_hz: float) -> float:
    hz = np.fft.rfftfreq(len(audio), 1 / RATE)
    power = np.abs(np.fft.rfft(audio)) ** 2
    return float(10 * np.log10(power[(hz >= low_hz) & (hz < high_hz)].mean()))


def test_where_nothing_is_asked_for_nothing_happens() -> None:
    np.testing.assert_array_equal(recorded(AUDIO, RATE, NOTHING, random()), AUDIO)


def test_one_seed_gives_one_sound_and_another_another() -> None:
    how = Augmentation(noise_share=1, reverb_share=1, equalizer_share=1, band_limit_share=1)
    first, second = (recorded(AUDIO, RATE, how, random()) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, recorded(AUDIO, RATE, how, np.random.default_rng(8)))
    assert first.dtype == np.float32


def test_a_band_limit_takes_what_lies_beyond() -> None:
    how = replace(NOTHING, band_limit_share=1.0, highest_hz=(3000.0, 3000.0), lowest_hz=(200, 200))
    narrow = filtered(AUDIO, RATE, how, random())
    assert level_db(narrow, 6500, 8000) < level_db(AUDIO, 6500, 8000) - 25
    assert level_db(narrow, 20, 60) < level_db(AUDIO, 20, 60) - 25
    assert level_db(narrow, 500, 1500) == pytest.approx(level_db(AUDIO, 500, 1500), abs=1)


def test_an_equalizer_stays_within_its_limits() -> None:
    how = replace(NOTHING, equalizer_share=1.0, equalizer_db=6.0)
    for seed in range(5):
        made = filtered(AUDIO, RATE, how, np.random.default_rng(seed))
        for low in (50, 400, 3000):
            change = level_db(made, low, 1.5 * low) - level_db(AUDIO, low, 1.5 * low)
            assert abs(change) < 6.5


def test_a_room_rings_on_and_delays_nothing() -> None:
    how = replace(NOTHING, reverb_share=1.0, reverb_s=(0.5, 0.5), reverb_db=(-6.0, -6.0))
    click = np.zeros(RATE, np.float32)
    click[1000] = 1.0
    made = filtered(click, RATE, how, random())
    assert np.abs(made).argmax() == 1000
    assert np.abs(made[:999]).max() < 1e-5
    tail = made[1001:]
    assert 10 * np.log10((tail**2).sum()) == pytest.approx(-6, abs=0.5)
    late, early = ((tail[a : a + 1600] ** 2).sum() for a in (4000, 400))
    assert 10 * np.log10(late / early) == pytest.approx(-60 * 3600 / RATE / 0.5, abs=6)


def test_noise_is_as_soft_as_asked_for() -> None:
    how = replace(NOTHING, noise_share=1.0, noise_db=(-40.0, -40.0))
    change = recorded(AUDIO, RATE, how, random()) - AUDIO
    assert np.abs(change).max() == pytest.approx(0.01 * np.abs(AUDIO).max(), rel=0.6)
    for seed in range(10):
        assert np.isfinite(noise(5000, RATE, np.random.default_rng(seed))).all()


def test_the_level_never_passes_full_scale() -> None:
    how = replace(NOTHING, level_db=(40.0, 40.0))
    assert np.abs(recorded(AUDIO, RATE, how, random())).max() == pytest.approx(1.0)
    how = replace(NOTHING, level_db=(-20.0, -20.0))
    np.testing.assert_allclose(recorded(AUDIO, RATE, how, random()), AUDIO * gain(-20), rtol=1e-5)


def test_a_part_is_made_as_loud_as_the_others() -> None:
    assert balance(AUDIO, 0.5 * AUDIO) == pytest.approx(2.0, rel=1e-4)
    assert balance(AUDIO, np.zeros_like(AUDIO)) == 1.0
    assert balance(np.zeros_like(AUDIO), AUDIO) == 1.0


def test_impossible_shares_are_refused() -> None:
    with pytest.raises(InputError, match="noise_share"):
        Augmentation(noise_share=1.5)


def test_what_seems_to_speak_has_no_steady_pitch_and_lies_where_voices_do() -> None:
    sound = speech(4 * RATE, RATE, random())
    assert np.abs(sound).max() == pytest.approx(0.3, rel=1e-4)
    assert level_db(sound, 200, 1000) > level_db(sound, 5000, 8000) + 6
    np.testing.assert_array_equal(sound, speech(4 * RATE, RATE, random()))
    # The strongest frequency of each tenth of a second moves on.
    frames = sound[: 40 * 1600].reshape(40, 1600)
    loud = frames[np.abs(frames).max(axis=1) > 0.05] * np.hanning(1600)
    peaks = np.abs(np.fft.rfft(loud, 16_384)[:, :1200]).argmax(axis=1)
    assert len(loud) > 15
    assert np.median(np.abs(np.diff(12 * np.log2(peaks)))) > 0.5
