"""µ-law companding."""

from __future__ import annotations

import numpy as np
import pytest

from timbrel.engine.mulaw import N_LEVELS, SILENCE, mu_law_decode, mu_law_encode

LEVELS = np.arange(N_LEVELS)


def test_every_level_comes_back() -> None:
    np.testing.assert_array_equal(mu_law_encode(mu_law_decode(LEVELS)), LEVELS)


def test_silence_is_level_128_and_decodes_below_minus_80_db() -> None:
    assert SILENCE == 128
    assert mu_law_encode(np.zeros(3)).tolist() == [128] * 3
    # There is no level for exactly zero among an even number of them: the two in the middle
    # stand for ±8.6e-5, −81 dB.
    np.testing.assert_allclose(mu_law_decode(np.array([127, 128])), [-8.6e-5, 8.6e-5], atol=1e-6)


def test_the_ends_are_full_scale() -> None:
    np.testing.assert_allclose(mu_law_decode(np.array([0, 255])), [-1, 1], atol=1e-6)


def test_what_lies_beyond_full_scale_is_clipped() -> None:
    audio = np.array([-np.inf, -5.0, -1.0, 1.0, 1.001, np.inf])
    assert mu_law_encode(audio).tolist() == [0, 0, 0, 255, 255, 255]


def test_louder_is_never_a_lower_level() -> None:
    assert (np.diff(mu_law_decode(LEVELS)) > 0).all()
    assert (np.diff(mu_law_encode(np.linspace(-1, 1, 100_001))) >= 0).all()


def test_levels_are_finer_where_it_is_quiet() -> None:
    steps = np.diff(mu_law_decode(LEVELS)[SILENCE:])
    assert (np.diff(steps) > 0).all()
    assert steps[-1] > 200 * steps[0]


def test_a_sample_is_off_by_half_a_step_at_most() -> None:
    audio = np.linspace(-1, 1, 20_001)
    error = np.abs(mu_law_decode(mu_law_encode(audio)) - audio)
    assert error.max() < 0.0216  # half of the last step, 0.043
    assert error[np.abs(audio) < 0.01].max() < 3.1e-4


@pytest.mark.parametrize("shape", [(), (0,), (3, 4)])
def test_shapes_and_types_are_kept(shape: tuple[int, ...]) -> None:
    levels = mu_law_encode(np.zeros(shape, np.float32))
    assert (levels.shape, levels.dtype) == (shape, np.int64)
    audio = mu_law_decode(levels)
    assert (audio.shape, audio.dtype) == (shape, np.float32)
