"""What a user hears of the shipped encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soxr

from conftest import EXAMPLES
from timbrel import TimbreEncoder
from timbrel.bundles.bundle import load_bundle
from timbrel.corpus.soundfont import render_score
from timbrel.hearing.from_audio import encoder_for, speaks_of
from timbrel.hearing.sizes import neighbour_distance
from timbrel.score.midi import read_midi

RATE = 48_000
PROGRAMS = {0: "Acoustic Grand Piano", 19: "Church Organ", 56: "Trumpet", 46: "Orchestral Harp"}


@pytest.fixture(scope="module")
def listener() -> TimbreEncoder:
    return TimbreEncoder.load()


@pytest.fixture(scope="module")
def played(soundfont: Path) -> dict[int, np.ndarray]:
    """Six seconds of an example that no model was trained on, in some programs."""
    score = read_midi(EXAMPLES / "duet.mid").excerpt(4, 6)
    return {
        program: render_score(score, program, soundfont, sample_rate=RATE, tail_s=0)
        for program in PROGRAMS
    }


def test_it_is_small_and_speaks_of_the_studio_model(listener: TimbreEncoder) -> None:
    model = load_bundle("mel2mel-studio")
    assert speaks_of(listener.bundle, model)
    assert encoder_for(model).name == "encoder"
    size = sum(path.stat().st_size for path in listener.bundle.path.iterdir())
    assert size < 3e6
    assert listener.bundle.training["parameters"] <= 1_000_000


@pytest.mark.parametrize("program", PROGRAMS)
def test_instruments_are_known(
    listener: TimbreEncoder, played: dict[int, np.ndarray], program: int
) -> None:
    (found, *_) = listener.recognised(listener.hear_audio(played[program]))
    assert PROGRAMS[program] in [one.instrument.name for one in found.instruments[:3]]
    assert found.nothing < 0.2


def test_a_timbre_is_found_near_its_instrument_and_surer_from_more(
    listener: TimbreEncoder, played: dict[int, np.ndarray]
) -> None:
    bundle = listener.bundle
    organ = next(i for i in bundle.instruments if i.name == "Church Organ")
    heard = listener.hear_audio(played[19])
    found = listener.found([heard])
    error = np.linalg.norm(np.array(found.point) - organ.embedding)
    assert error < neighbour_distance(bundle.instruments)
    short = listener.found([listener.hear_audio(played[19][: RATE // 20])])
    assert short.sureness < found.sureness


def test_worse_sound_means_more_doubt(
    listener: TimbreEncoder, played: dict[int, np.ndarray]
) -> None:
    clean = played[56]
    narrow = soxr.resample(soxr.resample(clean, RATE, 8000), 8000, RATE)
    noise = np.random.default_rng(0).standard_normal(len(clean)).astype(np.float32)
    noisy = clean + 0.5 * np.abs(clean).max() * noise
    sure = {
        name: listener.found([listener.hear_audio(audio)]).sureness
        for name, audio in {"clean": clean, "narrow": narrow, "noisy": noisy}.items()
    }
    assert sure["clean"] > sure["narrow"]
    assert sure["clean"] > sure["noisy"]
