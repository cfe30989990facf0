"""Losses on audio: what they are of tones whose difference is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from timbrel.geometry import MelConfig
from timbrel.vocoder.losses import MelLoss, SemitoneLoss


def tone(hz: float, *, rate: int, level: float = 0.1, seconds: float = 1.0) -> Tensor:
    time = torch.arange(round(seconds * rate)) / rate
    return (level * torch.sin(2 * np.pi * hz * time))[None]


@pytest.mark.parametrize("rate", [16_000, 48_000])
class TestSemitoneLoss:
    def test_of_a_level_is_its_logarithm(self, rate: int) -> None:
        noise = torch.randn(1, rate, generator=torch.Generator().manual_seed(1))
        loss = SemitoneLoss(rate)
        assert float(loss(noise, noise)) == 0
        assert float(loss(noise / 2, noise)) == pytest.approx(np.log(2), rel=1e-3)

    def test_bass_counts_as_much_as_treble(self, rate: int) -> None:
        loss = SemitoneLoss(rate)
        low, high = (
            float(loss(tone(hz * 2 ** (1 / 12), rate=rate), tone(hz, rate=rate)))
            for hz in (65.4, 4186.0)
        )
        assert low > 0.2
        assert 0.3 < low / high < 3

    def test_audio_that_is_short_has_no_bass(self, rate: int) -> None:
        given = {"rate": rate, "seconds": 0.2}
        assert torch.isfinite(SemitoneLoss(rate)(tone(440, **given), tone(466, **given)))

    def test_silence_has_a_gradient_of_zero(self, rate: int) -> None:
        silent = torch.zeros(1, rate, requires_grad=True)
        SemitoneLoss(rate)(silent, torch.zeros(1, rate)).backward()
        assert silent.grad is not None
        assert not silent.grad.any()


class TestMelLoss:
    def test_a_level_counts_as_its_logarithm_and_once_more_if_wanted(self) -> None:
        noise = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(1))
        for weight in (0.0, 0.5, 1.0):
            loss = MelLoss(MelConfig(), level_weight=weight)
            assert float(loss(noise, noise)) == 0
            expected = (1 + weight) * np.log(2)
            assert float(loss(noise / 2, noise)) == pytest.approx(expected, rel=1e-3)

    def test_what_is_steadier_than_the_original_is_softer_unless_levels_count(self) -> None:
        """Of loud and soft bursts, the distance is least at the median, the level at the mean."""
        generator = torch.Generator().manual_seed(1)
        bursts = torch.randn(1, 16_000, generator=generator)
        levels = torch.tensor([0.01, 0.01, 1.0]).repeat_interleave(1600).repeat(4)[:16_000]
        original = bursts * levels
        steady = torch.randn(1, 16_000, generator=generator)
        gains = np.geomspace(0.01, 1, 9)

        def best(weight: float) -> float:
            loss = MelLoss(MelConfig(), level_weight=weight)
            return float(
                gains[np.argmin([float(loss(float(g) * steady, original)) for g in gains])]
            )

        assert best(0.0) < 0.05
        assert best(4.0) > 0.3
