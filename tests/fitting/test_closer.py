"""Timbres that are found by listening twice: the encoder, then the model beside the clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import EXAMPLES
from timbrel import InputError, Synthesizer, TimbreEncoder, timbre_from_audio
from timbrel.bundles.bundle import Bundle, load_bundle
from timbrel.fitting.closer import CloserListener, model_of
from timbrel.hearing.from_audio import FoundTimbre
from timbrel.hearing.sizes import neighbour_distance
from timbrel.score.midi import read_midi
from timbrel.timbre.timbre import Timbre
from timbrel.training.augmentation import speech

RATE = 48_000


@pytest.fixture(scope="module")
def model() -> Bundle:
    return load_bundle("mel2mel-studio")


@pytest.fixture(scope="module")
def mix(model: Bundle) -> tuple[float, ...]:
    """A timbre between a guitar, a flute and a trumpet."""
    points = {one.program: np.array(one.embedding) for one in model.instruments if not one.is_kit}
    return tuple((0.4 * points[24] + 0.3 * points[73] + 0.3 * points[56]).tolist())


@pytest.fixture(scope="module")
def audio(mix: tuple[float, ...]) -> np.ndarray:
    """Six seconds of an example in this timbre."""
    score = read_midi(EXAMPLES / "duet.mid").excerpt(4, 6)
    synthesizer = Synthesizer.load(threads=1)
    played = synthesizer.render(
        score, timbre=Timbre.constant(mix), channels=1, dry=True, normalize=False, duration_s=6
    )
    return played[:, 0].astype(np.float32)


@pytest.fixture(scope="module")
def first(audio: np.ndarray) -> FoundTimbre:
    listener = TimbreEncoder.load()
    return listener.found([listener.hear_audio(audio)])


def test_the_place_of_a_mix_is_found_closely(
    model: Bundle, mix: tuple[float, ...], audio: np.ndarray, first: FoundTimbre
) -> None:
    found = CloserListener(model).listen_to_audio(first, [audio])
    before, after = (np.linalg.norm(np.array(one.point) - mix) for one in (first, found))
    assert after < 0.5 * before
    assert after < 0.35 * neighbour_distance(model.instruments)
    assert found.error_db is not None
    assert first.error_db is None
    assert found.error_db < 0.8 * found.first_error_db
    assert found.instruments == first.instruments
    assert found.sureness <= first.sureness
    np.linalg.cholesky(found.covariance)


def test_what_has_no_notes_stays_where_the_encoder_heard_it(
    model: Bundle, first: FoundTimbre
) -> None:
    listener = CloserListener(model)
    assert listener.listen_to_audio(first, [np.zeros(RATE, np.float32)]) is first
    kit = next(one for one in first.instruments if one.instrument.is_kit)
    drums = FoundTimbre(**{**vars(first), "instruments": (kit, *first.instruments)})
    assert listener.listen_to_audio(drums, [np.ones(RATE, np.float32)]) is drums


def test_files_are_listened_to_closely_by_the_model_of_the_encoder(
    tmp_path: Path, mix: tuple[float, ...], audio: np.ndarray, first: FoundTimbre
) -> None:
    soundfile.write(tmp_path / "a.wav", np.concatenate([np.zeros(RATE), audio]), RATE)
    found = timbre_from_audio([tmp_path / "a.wav"])
    assert np.linalg.norm(np.array(found.point) - mix) < 0.6 * np.linalg.norm(
        np.array(first.point) - mix
    )
    soundfile.write(tmp_path / "b.wav", speech(3 * RATE, RATE, np.random.default_rng(7)), RATE)
    with pytest.raises(InputError, match=r"b.wav: sounds like no instrument \(\d+%\)"):
        timbre_from_audio([tmp_path / "b.wav"])
    with pytest.raises(InputError, match="none was given"):
        timbre_from_audio([])


def test_the_model_of_an_encoder(model: Bundle) -> None:
    assert model_of(load_bundle("encoder")).path == model.path
