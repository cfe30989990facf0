"""The shipped WaveNet in the engine, on sound of ten instruments that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import EXAMPLES
from support.small_wavenet import KERNELS, MOST_NLL, nll_of
from timbrel.bundles.bundle import load_bundle
from timbrel.corpus.soundfont import render_score
from timbrel.engine.mulaw import mu_law_encode
from timbrel.engine.wavenet import Engine
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.score.midi import read_midi
from timbrel.vocoder.mel_scale import normalised
from timbrel.vocoder.wavenet_export import load_wavenet
from timbrel.vocoder.wavenet_stream import engine_parts

N_FRAMES = 80  # 10,240 samples of each instrument


@dataclass
class Heard:
    levels: np.ndarray  # (instruments, samples)
    mel: np.ndarray  # (instruments, frames + 3, n_mels)
    logits: np.ndarray  # (instruments, samples, 256), of the reference
    nll: float


@pytest.fixture(scope="module")
def heard(soundfont: Path) -> Heard:
    bundle = load_bundle("wavenet")
    score = read_midi(EXAMPLES / "prelude.mid").merged().excerpt(10.0, 2.0)
    levels, mels = [], []
    for instrument in load_bundle("mel2mel").instruments:
        audio = render_score(
            score,
            instrument.program,
            soundfont,
            sample_rate=bundle.mel.sample_rate,
            gain=bundle.gain,
        )
        mel = normalised(mel_spectrogram(audio, bundle.mel), bundle.mel)
        mels.append(mel[49 : 50 + N_FRAMES + 2])
        hop = bundle.mel.hop_length
        levels.append(mu_law_encode(audio[50 * hop : (50 + N_FRAMES) * hop]))
    given, expected = np.stack(levels).astype(np.int64), np.stack(mels).astype(np.float32)
    with torch.no_grad():
        model = load_wavenet(bundle)
        logits = model(torch.from_numpy(given), torch.from_numpy(expected)).numpy()
    return Heard(given, expected, logits, nll_of(logits, given))


def test_it_has_learnt(heard: Heard) -> None:
    assert heard.levels.size >= 100_000
    assert heard.nll < 3.0  # nats; log(256) = 5.5 without knowledge


@pytest.mark.parametrize(("isa", "precision"), KERNELS)
def test_the_engine_loses_little(heard: Heard, isa: str, precision: str) -> None:
    config, arrays = engine_parts(load_bundle("wavenet"))
    engine = Engine(config, arrays, precision=precision, isa=isa)
    session = engine.session(range(len(heard.levels)))
    session.feed(heard.mel)
    found = session.force(heard.levels)
    assert nll_of(found, heard.levels) - heard.nll == pytest.approx(0, abs=MOST_NLL[precision])
    if precision == "float32":
        np.testing.assert_allclose(found, heard.logits, atol=1e-3, rtol=0)
