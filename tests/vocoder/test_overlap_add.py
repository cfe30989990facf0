"""Spectra become the sound that they were made of."""

from __future__ import annotations

import numpy as np
import pytest

from timbrel.errors import InputError
from timbrel.mel.spectrogram import stft
from timbrel.vocoder.overlap_add import OverlapAdd

N_FFT, HOP = 64, 16
AUDIO = np.random.default_rng(1).normal(size=(2, 40 * HOP)).astype(np.float32)
SPECTRA = np.stack([stft(track, n_fft=N_FFT, hop_length=HOP) for track in AUDIO])


@pytest.mark.parametrize("cuts", [[], [1], [3, 3, 20], list(range(40))])
def test_sound_comes_back_from_blocks_of_any_size(cuts: list[int]) -> None:
    overlap = OverlapAdd(2, n_fft=N_FFT, hop_length=HOP)
    blocks = np.split(SPECTRA, cuts, axis=1)
    parts = [overlap.add(b, last=i == len(blocks) - 1) for i, b in enumerate(blocks)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), AUDIO, atol=1e-5)


def test_what_is_given_is_what_no_later_window_touches() -> None:
    overlap = OverlapAdd(2, n_fft=N_FFT, hop_length=HOP)
    early = overlap.add(SPECTRA[:, :10])
    assert early.shape == (2, 10 * HOP - N_FFT // 2)
    np.testing.assert_allclose(early, AUDIO[:, : early.shape[1]], atol=1e-5)


def test_spectra_of_a_sound_are_consistent() -> None:
    overlap = OverlapAdd(2, n_fft=N_FFT, hop_length=HOP)
    found = overlap.consistent(SPECTRA)
    np.testing.assert_allclose(found[:, 3:-3], SPECTRA[:, 3:-3], atol=1e-4)
    other = overlap.consistent(np.abs(SPECTRA).astype(np.complex64))
    assert np.abs(other - np.abs(SPECTRA)).max() > 1


def test_a_window_of_no_whole_number_of_hops_is_refused() -> None:
    with pytest.raises(InputError, match="64 samples is no whole number of hops of 24"):
        OverlapAdd(1, n_fft=64, hop_length=24)
