"""The range of mels, widened in the graph of a vocoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.small_studio import ABOUT, MEL, small_vocoder
from timbrel.bundles.bundle import load_bundle
from timbrel.bundles.weights import with_weights
from timbrel.errors import InputError
from timbrel.score.performance_roll import PerformanceRoll
from timbrel.vocoder.contrast import KEY, Contrast
from timbrel.vocoder.parallel import ParallelVocoder as Network
from timbrel.vocoder.parallel import ParallelVocoderConfig
from timbrel.vocoder.parallel_export import write_parallel_bundle
from timbrel.vocoder.parallel_stream import ParallelVocoder

N_FRAMES = 120
CONTRAST = Contrast(1.25, tuple(np.linspace(0.5, -0.25, MEL.n_mels).tolist()), kits=0.25)
NOTES = np.array([[0.1, 0.6, 60, 90], [0.3, 0.8, 67, 60]])


def played(path: Path, mel: np.ndarray, *, is_kit: bool = False) -> np.ndarray:
    notes = NOTES - [0, 0, 24, 0] if is_kit else NOTES  # 36 is a bass drum
    roll = PerformanceRoll(notes, MEL.frame_rate, n_frames=N_FRAMES, is_kit=is_kit)
    return ParallelVocoder(load_bundle(path)).stream([roll]).process(mel[None], last=True)[0]


def test_a_vocoder_plays_a_mel_of_a_wider_range(tmp_path: Path) -> None:
    plain = load_bundle(small_vocoder(tmp_path / "plain"))
    network = with_weights(Network(ParallelVocoderConfig(**plain.model), plain.mel), plain)
    write_parallel_bundle(
        network, tmp_path / "wide", mel=MEL, name="wide", contrast=CONTRAST, **ABOUT
    )
    wide = load_bundle(tmp_path / "wide")
    assert Contrast.of_bundle(wide.config, MEL.n_mels, wide.path) == CONTRAST
    assert Contrast.of_bundle(plain.config, MEL.n_mels, plain.path) is None

    random = np.random.default_rng(1)
    mel = random.uniform(-9, 0, (N_FRAMES, MEL.n_mels)).astype(np.float32)
    mel[60:] = MEL.log_floor  # silence stays silence
    widened = np.maximum(CONTRAST.factor * mel + np.array(CONTRAST.offset), MEL.log_floor)
    expected = played(plain.path, widened.astype(np.float32))
    found = played(wide.path, mel)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(played(plain.path, mel) - found).max() > 1e-3
    # Kits are as they were, but louder.
    louder = np.maximum(mel + np.float32(CONTRAST.kits), MEL.log_floor)
    expected = played(plain.path, louder, is_kit=True)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(played(wide.path, mel, is_kit=True), expected, atol=1e-5)


@pytest.mark.parametrize(
    "value", [{}, {"factor": 1.1}, {"factor": 1.1, "offset": [0.0]}, {"colour": "red"}]
)
def test_what_is_no_contrast_of_the_bands_is_refused(value: dict) -> None:
    with pytest.raises(InputError, match="folder: its 'contrast' must hold a factor and 3 off"):
        Contrast.of_bundle({KEY: value}, 3, "folder")


def test_a_contrast_has_a_factor_above_0() -> None:
    with pytest.raises(InputError, match="must be above 0, not -1"):
        Contrast(-1.0, (0.0,))
