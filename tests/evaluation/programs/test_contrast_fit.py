"""Finding the contrast that sounds lack."""

from __future__ import annotations

import numpy as np
import pytest

from timbrel.evaluation.programs.contrast_fit import fitted
from timbrel.evaluation.programs.melodic import variance_ratio
from timbrel.vocoder.contrast import Contrast

N_MELS = 40


def test_sounds_vary_as_much_as_their_originals_and_are_as_loud() -> None:
    random = np.random.default_rng(1)
    # Notes that fade, of four instruments; treble is softer.
    times = np.arange(300) % 60 / 60
    originals = [
        -4 * times[:, None] * (1 + i / 4)
        - np.linspace(0, 5, N_MELS)
        + 0.3 * random.standard_normal((300, N_MELS))
        for i in range(4)
    ]
    words: list[str] = []

    def play(contrast: Contrast) -> list[np.ndarray]:
        """A pair of models that smooths, and plays too softly, the treble above all."""
        made = []
        for original in originals:
            mean = original.mean(axis=0)
            mel = mean + 0.8 * (original - mean) - 0.2
            wide = contrast.factor * mel + np.array(contrast.offset)
            made.append(wide - np.linspace(0, 0.4, N_MELS))
        return made

    found = fitted(originals, play, words.append)
    after = play(found)
    ratios = [variance_ratio(*pair) for pair in zip(originals, after, strict=True)]
    assert np.mean(ratios) == pytest.approx(1, abs=0.02)
    assert found.factor == pytest.approx(1 / 0.8, rel=0.03)
    for band in (0, 20, 39):
        power = [
            np.mean([np.exp(2 * mel[:, band]).mean() for mel in one]) for one in (originals, after)
        ]
        assert 10 * np.log10(power[1] / power[0]) == pytest.approx(0, abs=1)  # it was up to 6
    assert words[0].startswith("round 0: factor 1.000, variance 0.6")
    assert len(words) == 4
