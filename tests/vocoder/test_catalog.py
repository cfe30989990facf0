"""Vocoders by name and by folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import EXAMPLES
from support.small_studio import small_mel2mel, small_vocoder
from timbrel.bundles.bundle import SHIPPED, Bundle, load_bundle
from timbrel.constants import DEFAULT_MODEL, SMALL_MODEL
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.measures.correlation import DB_PER_NEPER
from timbrel.mel.generator import MelGenerator
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.score.midi import read_midi
from timbrel.score.performance_roll import roll_of
from timbrel.synthesizer import Synthesizer
from timbrel.timbre.timbre import Timbre
from timbrel.vocoder import parallel
from timbrel.vocoder.catalog import (
    contrast_of,
    load_vocoder,
    model_for,
    vocoder_for,
    vocoder_names,
)
from timbrel.vocoder.griffin_lim import GriffinLim
from timbrel.vocoder.parallel_export import write_parallel_bundle
from timbrel.vocoder.parallel_stream import ParallelVocoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = parallel.ParallelVocoderConfig(width=8, n_blocks=1, lookahead=3)
    path = tmp_path_factory.mktemp("vocoders") / "own"
    write_parallel_bundle(
        parallel.ParallelVocoder(config),
        path,
        name="own",
        mel=MelConfig(),
        gain=0.5,
        license="MIT",
        attribution="",
        training={},
    )
    return path


def test_all_that_are_named_can_be_loaded() -> None:
    *names, last = vocoder_names()
    assert last == "griffin-lim"
    assert {"parallel", "wavenet"} <= set(names)
    for name in names:
        mel = load_bundle(name).mel
        assert load_vocoder(name, mel).mel == mel


def test_a_model_is_played_by_the_vocoder_that_was_made_for_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert vocoder_for(load_bundle("mel2mel")) == "parallel"
    studio = small_mel2mel(tmp_path / "studio")
    with pytest.raises(InputError, match="studio: none of the vocoders that came with Timbrel"):
        vocoder_for(studio)
    monkeypatch.setattr("timbrel.bundles.bundle.SHIPPED", tmp_path)
    small_vocoder(tmp_path / "a-parallel", "excitation")
    small_vocoder(tmp_path / "parallel-studio")
    shutil.copytree(folder, tmp_path / "own")
    assert vocoder_for(studio) == "parallel-studio"
    assert vocoder_for(small_mel2mel(tmp_path / "plain", "piano")) == "a-parallel"


def test_the_default_is_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Synthesizer.load().model.name == DEFAULT_MODEL
    small_mel2mel(tmp_path / DEFAULT_MODEL)
    small_vocoder(tmp_path / "studio-vocoder")
    monkeypatch.setattr("timbrel.bundles.bundle.SHIPPED", tmp_path)
    assert Synthesizer.load().sample_rate == 48_000


@pytest.mark.parametrize("vocoder", ["parallel", "wavenet"])
def test_a_vocoder_brings_the_model_that_it_was_made_for(vocoder: str) -> None:
    assert Synthesizer.load(vocoder=vocoder).model.name == SMALL_MODEL
    assert model_for(SHIPPED / vocoder) == SMALL_MODEL
    with pytest.raises(InputError, match=f"{vocoder}: this vocoder expects mels of"):
        Synthesizer.load(DEFAULT_MODEL, vocoder=vocoder)


@pytest.mark.parametrize("vocoder", [None, "griffin-lim", "parallel-studio", "transcriber", "x"])
def test_any_other_vocoder_leaves_the_default_model(vocoder: str | None) -> None:
    assert model_for(vocoder) == DEFAULT_MODEL


def test_griffin_lim_takes_any_mel() -> None:
    mel = MelConfig(n_mels=40)
    vocoder = load_vocoder("griffin-lim", mel)
    assert isinstance(vocoder, GriffinLim)
    assert vocoder.mel == mel


def test_a_folder_is_a_vocoder_as_well(folder: Path) -> None:
    assert isinstance(load_vocoder(folder, MelConfig()), ParallelVocoder)
    assert isinstance(load_vocoder(str(folder), MelConfig()), ParallelVocoder)


def test_both_geometries_are_named_where_they_differ(folder: Path) -> None:
    with pytest.raises(InputError, match=r"mels of 16000 Hz.*80.*; the model makes .*40"):
        load_vocoder(folder, MelConfig(n_mels=40))


def test_what_is_no_vocoder_is_refused(tiny_bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no vocoder 'organ'; known: .*griffin-lim"):
        load_vocoder("organ", MelConfig())
    with pytest.raises(InputError, match="a model of kind 'mel2mel', not a vocoder"):
        load_vocoder(tiny_bundle.path, MelConfig())
    with pytest.raises(InputError, match="no SHA256SUMS"):
        load_vocoder(tmp_path, MelConfig())


def test_a_models_contrast_is_that_of_the_vocoder_that_plays_it(tmp_path: Path) -> None:
    contrast = contrast_of(load_bundle(DEFAULT_MODEL))
    assert contrast is not None
    assert 1.05 < contrast.factor < 1.25
    assert len(contrast.offset) == load_bundle(DEFAULT_MODEL).mel.n_mels
    assert contrast_of(load_bundle(SMALL_MODEL)) is None
    # No vocoder that came with Timbrel plays these mels.
    assert contrast_of(small_mel2mel(tmp_path / "small")) is None


def test_what_is_heard_of_a_mel_is_the_mel_with_its_contrast() -> None:
    """Otherwise recordings would be compared with what nobody hears."""
    synthesizer = Synthesizer.load(threads=1)
    bundle, contrast = synthesizer.model, contrast_of(synthesizer.model)
    assert contrast is not None
    score, rate = read_midi(EXAMPLES / "duet.mid").merged(), bundle.mel.frame_rate
    piano = bundle.instruments[0]
    sound = synthesizer.render(
        score, timbre=piano.name, duration_s=5.0, channels=1, normalize=False, dry=True
    )
    heard = mel_spectrogram(sound[:, 0], bundle.mel)
    roll = roll_of(bundle.roll, score.tracks[0], score.tracks[0].notes, rate)
    timbre = Timbre.constant(piano.embedding)
    blocks = MelGenerator(bundle).stream([roll], [timbre], len(heard))
    mel = np.concatenate(list(blocks), axis=1)[0]

    def error_db(made: np.ndarray) -> float:
        return float(np.abs(heard - made).mean() * DB_PER_NEPER)

    wide = contrast.widened(mel, bundle.mel.log_floor)
    assert error_db(wide) < 0.85 * error_db(mel)
    assert error_db(wide) < 3.0
