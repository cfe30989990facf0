"""The whole way at 48 kHz: data, training, bundles, sound; by the shipped recipes, made small."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import EXAMPLES
from support.small_data import TWO_INSTRUMENTS
from timbrel.bundles.bundle import load_bundle
from timbrel.corpus.preparation import prepare
from timbrel.errors import InputError
from timbrel.synthesizer import Synthesizer
from timbrel.training.export import export_run
from timbrel.training.loop import train
from timbrel.training.recipe import Recipe, read_recipe
from timbrel.vocoder.catalog import load_vocoder

RECIPES = Path(__file__).parents[3] / "recipes"
RATE = 48_000


def made_small(recipe: Recipe, **options: object) -> Recipe:
    sizes = {"mel2mel": {"hidden_size": 8}, "parallel": {"width": 8, "n_blocks": 1, "lookahead": 3}}
    return dataclasses.replace(
        recipe,
        model=recipe.model | sizes[recipe.task],
        options=recipe.options | options,
        steps=3,
        warmup_steps=1,
        decay_steps=1,
        batch_size=2,
        precision="float32",
    )


@pytest.mark.usefixtures("one_thread")
def test_from_data_to_sound_at_48_khz(
    small_midis: Path, soundfont: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("timbrel.training.tasks.parallel._VALID_CROPS", 2)
    data = tmp_path / "data"
    settings = prepare(
        small_midis,
        data,
        soundfont=soundfont,
        instruments=TWO_INSTRUMENTS,
        splits=small_midis / "splits.csv",
        sample_rate=RATE,
        jobs=1,
    )
    assert settings.sample_rate == RATE
    small_options = {
        "mel2mel": {"crop_frames": 64, "crops_per_visit": 1},
        "parallel": {"crop_frames": 32, "adversarial_from": 2},
    }
    for task, options in small_options.items():
        recipe = made_small(read_recipe(RECIPES / f"{task}-48k.yaml"), **options)
        train(recipe, data, tmp_path / f"{task}-run", say=lambda _: None, device="cpu")
        export_run(tmp_path / f"{task}-run", tmp_path / task)
    bundle = load_bundle(tmp_path / "parallel", kind="parallel")
    assert (bundle.mel.sample_rate, bundle.mel.hop_length) == (RATE, 384)
    assert bundle.gain == load_bundle(tmp_path / "mel2mel").gain == settings.gain

    synthesizer = Synthesizer.load(tmp_path / "mel2mel", vocoder=tmp_path / "parallel")
    assert synthesizer.sample_rate == RATE
    audio = synthesizer.render(EXAMPLES / "prelude.mid", duration_s=2.0, timbre="trumpet")
    assert audio.shape == (2 * RATE, 2)
    assert np.isfinite(audio).all()
    assert np.abs(audio).max() > 0
    soundfile.write(tmp_path / "out.wav", audio, RATE)

    default = load_bundle("mel2mel").mel
    with pytest.raises(InputError, match=r"expects mels of 48000 Hz.* makes 16000 Hz"):
        load_vocoder(tmp_path / "parallel", default)
