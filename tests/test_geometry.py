"""The geometry of mels: frames that fall on samples, whole ones a second."""

from __future__ import annotations

import math

import pytest

from timbrel.errors import InputError
from timbrel.geometry import MelConfig


@pytest.mark.parametrize(
    ("sample_rate", "hop_length", "frame_rate"),
    [(16_000, 128, 125), (48_000, 384, 125), (44_100, 441, 100), (22_050, 225, 98)],
)
def test_the_frame_rate_is_how_often_the_hop_is_in_a_second(
    sample_rate: int, hop_length: int, frame_rate: int
) -> None:
    mel = MelConfig(sample_rate=sample_rate, hop_length=hop_length)
    assert mel.frame_rate == frame_rate
    assert isinstance(mel.frame_rate, int)


@pytest.mark.parametrize(
    ("sample_rate", "hop_length", "better"),
    [(44_100, 128, "126 or 140"), (16_000, 256, "250 or 320"), (16_000, 20_000, "16000")],
)
def test_a_hop_that_does_not_divide_the_rate_is_refused_with_those_that_do(
    sample_rate: int, hop_length: int, better: str
) -> None:
    words = f"hop of {hop_length} samples does not divide .* {sample_rate} Hz .* a hop of {better}$"
    with pytest.raises(InputError, match=words):
        MelConfig(sample_rate=sample_rate, hop_length=hop_length)


@pytest.mark.parametrize("name", ["sample_rate", "hop_length", "n_fft", "n_mels"])
def test_sizes_are_positive(name: str) -> None:
    with pytest.raises(InputError, match=f"'{name}' is 0; it must be at least 1"):
        MelConfig(**{name: 0})


def test_a_sine_of_full_scale_is_a_quarter_of_the_window() -> None:
    assert MelConfig().log_amplitude(1.0) == pytest.approx(math.log(256))
    assert MelConfig().log_amplitude(0.1) == pytest.approx(math.log(25.6))
