"""Render the README's sounds and its picture with the shipped model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from timbrel.constants import N_PITCHES
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.score import PianoRoll, read_midi
from timbrel.sound import write_audio
from timbrel.synthesizer import Synthesizer

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "src/timbrel/examples"
MORPH = "0s grand piano; 20s church organ:0.6, harp:0.4; 40s vibraphone"


def main() -> None:
    """Write docs/audio/*.ogg and docs/images/morph.png."""
    synthesizer = Synthesizer.load()
    for name, example, timbre in (
        ("prelude", "prelude.mid", None),
        ("duet", "duet.mid", None),
        ("prelude-morph", "prelude.mid", MORPH),
    ):
        audio = synthesizer.render(EXAMPLES / example, timbre=timbre)
        target = ROOT / "docs/audio" / f"{name}.ogg"
        target.parent.mkdir(parents=True, exist_ok=True)
        write_audio(target, audio, synthesizer.sample_rate)

    geometry = synthesizer.model.mel
    roll = PianoRoll(read_midi(EXAMPLES / "prelude.mid").notes, geometry.frame_rate).whole()
    mel = mel_spectrogram(np.ascontiguousarray(audio[:, 0]), geometry)
    figure = Figure(figsize=(11, 5), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True, height_ratios=(1, 1.4))
    span = (0, len(roll) / geometry.frame_rate)
    upper.imshow(
        roll[:, :N_PITCHES].T,
        aspect="auto",
        origin="lower",
        cmap="Purples",
        extent=(*span, 21, 109),
    )
    upper.set(ylabel="MIDI pitch", title=f'timbrel render prelude.mid --timbre "{MORPH}"')
    lower.imshow(
        mel.T,
        aspect="auto",
        origin="lower",
        cmap="magma",
        vmin=-4.5,
        vmax=4.5,
        extent=(0, len(mel) / geometry.frame_rate, 0, geometry.n_mels),
    )
    lower.set(xlabel="time (s)", ylabel="mel band")
    target = ROOT / "docs/images/morph.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=90)


if __name__ == "__main__":
    main()
