"""Where notes are in a spectrum, and sound that is read part by part."""

from __future__ import annotations

import numpy as np
import pytest

from timbrel.mel.spectrogram import stft
from timbrel.transcription.note_masks import Grid, claim, segments

GRID = Grid(16_000, 1024, 128)


@pytest.mark.parametrize("n_samples", [0, 127, 1000, 16_000, 50_003])
@pytest.mark.parametrize(("length", "reach"), [(40, 0), (40, 13), (500, 100)])
def test_segments_are_the_whole_transform(n_samples: int, length: int, reach: int) -> None:
    audio = np.random.default_rng(0).standard_normal(n_samples).astype(np.float32)
    whole = np.abs(stft(audio, n_fft=GRID.n_fft, hop_length=GRID.hop_length))
    for blocks in ([audio], np.array_split(audio, 7)):
        n_frames = 0
        for first, part in segments(blocks, GRID, length, reach):
            assert first == n_frames
            own = part[: min(length, len(whole) - first)]
            # Beyond the end there is silence: the last windows of the whole end there, too.
            np.testing.assert_allclose(own, whole[first : first + len(own)], atol=1e-3)
            assert len(part) == len(own) + reach
            n_frames += len(own)
        assert n_frames == len(whole)


def test_a_note_claims_its_harmonics() -> None:
    of_a4 = claim(69, 127, GRID)
    places = np.round(440 * np.arange(1, 18) / GRID.bin_hz).astype(int)
    np.testing.assert_allclose(of_a4[places], 1 / np.arange(1, 18), rtol=1e-6)
    assert of_a4[places[0] + 5] == 0
    np.testing.assert_allclose(claim(69, 64, GRID), of_a4 * 64 / 127, rtol=1e-6)
