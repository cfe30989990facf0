"""Chance changes of mels: each does what it stands for, and none of them where none is wanted."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.mel.spectrogram import band_edges_hz
from timbrel.training.mel_augmentation import NATS_PER_DB, MelAugmentation, augmented

CONFIG = MelConfig()
NOTHING = replace(
    MelAugmentation(),
    **{field.name: 0.0 for field in fields(MelAugmentation) if field.name.endswith("_share")},
    level_db=(0.0, 0.0),
)
FRAMES = 40


def mels(n_batch: int = 3) -> np.ndarray:
    shape = (n_batch, NOTHING.source_frames(FRAMES), CONFIG.n_mels)
    return np.random.default_rng(0).uniform(-4, 1, shape).astype(np.float32)


def changed(**how: object) -> np.ndarray:
    random = np.random.default_rng(5)
    return augmented(mels(), FRAMES, CONFIG, replace(NOTHING, **how), random)


def test_nothing_changes_nothing() -> None:
    np.testing.assert_allclose(changed(), mels()[:, :FRAMES], atol=1e-4)


def test_a_level_moves_all_bands() -> None:
    found = changed(level_db=(-10.0, -10.0))
    np.testing.assert_allclose(found, mels()[:, :FRAMES] - 10 * NATS_PER_DB, atol=1e-3)


def test_a_low_pass_leaves_what_is_below_it() -> None:
    found = changed(low_pass_share=1.0, low_pass_hz=(3000.0, 3000.0))
    centres = band_edges_hz(CONFIG)[1:-1]
    np.testing.assert_allclose(
        found[:, :, centres < 3000], mels()[:, :FRAMES, centres < 3000], atol=1e-3
    )
    assert (found - mels()[:, :FRAMES])[:, :, -1].max() < -10 * NATS_PER_DB


def test_noise_fills_what_is_silent() -> None:
    silent = mels()
    silent[:, :, 40:] = CONFIG.log_floor
    how = replace(NOTHING, noise_share=1.0, noise_db=(-20.0, -20.0))
    found = augmented(silent, FRAMES, CONFIG, how, np.random.default_rng(1))
    assert found[:, :, 40:].min() > CONFIG.log_floor + 1


def test_a_room_rings_on() -> None:
    struck = np.full((1, NOTHING.source_frames(FRAMES), CONFIG.n_mels), CONFIG.log_floor)
    struck[:, :5] = 0.0
    how = replace(NOTHING, room_share=1.0, room_s=(0.5, 0.5), room_db=(0.0, 0.0))
    found = augmented(struck.astype(np.float32), FRAMES, CONFIG, how, np.random.default_rng(1))
    tail = found[0, 6:, 0]
    assert (np.diff(tail) < 0).all()
    # 60 dB in half a second, of which a frame lasts 8 ms.
    assert np.diff(tail).mean() == pytest.approx(-60 * NATS_PER_DB * 0.008 / 0.5, rel=0.02)


def test_speed_and_tuning_move_times_and_bands() -> None:
    ramp = np.broadcast_to(np.arange(CONFIG.n_mels) * 0.1 - 8, mels(1).shape).astype(np.float32)
    how = replace(NOTHING, warp_share=1.0, shift_bands=1.5)
    found = augmented(ramp, FRAMES, CONFIG, how, np.random.default_rng(3))
    shift = (found - ramp[:, :FRAMES])[0, 0, 10:-10]
    assert np.ptp(shift) < 1e-3
    assert 0 < abs(shift[0]) < 0.151


def test_a_share_is_from_0_to_1() -> None:
    with pytest.raises(InputError, match="'noise_share' must be from 0 to 1, not 2"):
        MelAugmentation(noise_share=2)
