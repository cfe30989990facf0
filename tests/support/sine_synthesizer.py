"""A Mel2Mel whose weights are set by hand: it plays the sine of each key, and knows one timbre."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from timbrel.bundles.bundle import Bundle, load_bundle
from timbrel.constants import LOWEST_PITCH, N_PITCHES, SAMPLE_RATE
from timbrel.geometry import MelConfig
from timbrel.mel.export import write_mel2mel_bundle
from timbrel.mel.mel2mel import Mel2Mel, Mel2MelConfig
from timbrel.mel.spectrogram import mel_spectrogram

MEL = MelConfig(floor=1.0)  # so high that a sine is seen in its own bands alone
LEVEL = 0.3  # of a sine
_OPEN = 20.0  # of a gate


def sine(pitch: float, seconds: float) -> np.ndarray:
    """A key's sound, (samples,)."""
    hz = 440 * 2 ** ((pitch - 69) / 12)
    audio = LEVEL * np.sin(2 * np.pi * hz * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)
    fade = np.minimum(np.arange(len(audio)) / 160, 1)  # 10 ms, against clicks
    return (audio * fade * fade[::-1]).astype(np.float32)


def sine_synthesizer() -> Mel2Mel:
    """What plays them: log-mels add up, so that of several keys it is right as far as they differ.

    The forward LSTM has its gates open and forgets all, so it gives what it reads; the backward one
    is not listened to.
    """
    size = N_PITCHES
    model = Mel2Mel(Mel2MelConfig(1, timbre_size=1, hidden_size=size))
    patterns = [mel_spectrogram(sine(LOWEST_PITCH + key, 0.5), MEL)[25] for key in range(size)]
    heard = float(np.tanh(np.tanh(1.0)))  # of a roll's 1, behind the LSTM
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for film, width in ((model.film1, size), (model.film2, 2 * size)):
            film.dense.bias[:width] = 1.0
        model.input.weight[:, :size] = torch.eye(size)
        lstm = dict(model.forward_lstm.named_parameters())
        lstm["weight_ih_l0"][2 * size : 3 * size] = torch.eye(size)
        for gate, value in ((0, _OPEN), (1, -_OPEN), (3, _OPEN)):
            lstm["bias_ih_l0"][gate * size : (gate + 1) * size] = value
        away = (np.array(patterns) - MEL.log_floor).T / heard  # (n_mels, keys)
        model.output.weight[:, :size] = torch.from_numpy(away.astype(np.float32))
        model.output.bias.fill_(MEL.log_floor)
    return model


def sine_bundle(folder: Path) -> Bundle:
    """Write it as a bundle of the instrument "sine"."""
    write_mel2mel_bundle(
        sine_synthesizer(),
        folder,
        name=folder.name,
        mel=MEL,
        instruments={"sine": 80},
        gain=0.5,
        license="CC0",
        attribution="Set by hand.",
        training={},
    )
    return load_bundle(folder, kind="mel2mel")
