"""Transcribers as judges, on tones whose notes are known."""

from __future__ import annotations

import importlib.metadata
import sys

import numpy as np
import pytest

from timbrel.errors import InputError, MissingToolError
from timbrel.evaluation import judges
from timbrel.evaluation.judges import JUDGES, OWN, able_judges, judge_version, load_judge
from timbrel.measures.notes_heard import note_scores

RATE = 16_000
NOTES = np.array([(0.3, 0.9, 60), (1.0, 1.6, 67), (1.0, 1.6, 76), (1.8, 2.6, 55)])


def plucked(seconds: float = 3.0) -> np.ndarray:
    """The notes as tones with falling harmonics that fade, and are damped at their ends."""
    audio = np.zeros(round(seconds * RATE))
    for start_s, end_s, pitch in NOTES:
        time = np.arange(round((end_s - start_s) * RATE)) / RATE
        tone = np.zeros(len(time))
        frequency_hz = 440 * 2 ** ((pitch - 69) / 12)
        for harmonic in range(1, int(7500 / frequency_hz)):
            fade = np.exp(-time * (1 + 0.4 * harmonic))
            tone += np.sin(2 * np.pi * harmonic * frequency_hz * time) * fade / harmonic**1.3
        tone *= np.minimum(1, (time[-1] - time) / 0.02)
        start = round(start_s * RATE)
        audio[start : start + len(tone)] += 0.15 * tone
    return audio.astype(np.float32)


@pytest.mark.parametrize("name", list(JUDGES))
def test_notes_are_heard(name: str) -> None:
    judge = load_judge(name)
    found = judge.transcribe(plucked())
    assert found.shape[1] == 4
    assert (found[:, 3] > 0).all() == judge.has_velocities
    scores = note_scores(NOTES, found, 3.0, offsets=judge.has_offsets)
    assert scores.pitch > 0.6
    assert np.isnan(scores.offset) == (not judge.has_offsets)


@pytest.mark.parametrize("name", list(JUDGES))
def test_silence_has_no_notes(name: str) -> None:
    assert load_judge(name).transcribe(np.zeros(2 * RATE, np.float32)).shape == (0, 4)


def test_times_stay_true_over_many_windows() -> None:
    """basic-pitch cuts audio into windows of 2 s; a late note must not drift."""
    silence = np.zeros(round(20.5 * RATE), np.float32)
    found = load_judge("basic-pitch").transcribe(np.concatenate([silence, plucked()]))
    late = NOTES + np.array([20.5, 20.5, 0])
    assert note_scores(late, found, 24.0).pitch > 0.7


@pytest.mark.parametrize("name", list(JUDGES))
def test_versions_are_known(name: str) -> None:
    _, version = judge_version(name).split()
    assert version.isalnum() if name == OWN else version[0].isdecimal()


def test_the_own_judge_is_known_by_its_weights_and_code(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = set()
    for changed in ("", "bundle_hash", "source_key"):
        judges.judge_version.cache_clear()
        with monkeypatch.context() as patch:
            if changed:
                patch.setattr(judges, changed, lambda *_: "another")
            versions.add(judge_version(OWN))
    judges.judge_version.cache_clear()
    assert len(versions) == 3


def test_the_own_judge_is_never_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert able_judges(["madmom", OWN]) == (["madmom", OWN], [])
    with pytest.raises(InputError, match=r"timbrel never judges alone, .* basic-pitch, madmom"):
        able_judges([OWN])
    monkeypatch.setitem(sys.modules, "madmom.audio.signal", None)
    judges.load_judge.cache_clear()
    able, skipped = able_judges(["madmom", OWN])
    judges.load_judge.cache_clear()
    assert able == []
    assert [words.split(",")[0] for words in skipped] == [
        "the judge madmom is left out",
        "the judge timbrel is left out",
    ]


@pytest.mark.parametrize(
    ("name", "package"), [("basic-pitch", "basic_pitch"), ("madmom", "madmom.audio.signal")]
)
def test_missing_judge_is_named(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    judges.load_judge.cache_clear()
    with pytest.raises(MissingToolError, match=rf"the judge {name} is left out, .* pip install"):
        load_judge(name)
    judges.load_judge.cache_clear()


def test_madmom_leaves_metadata_as_it_was() -> None:
    load_judge("madmom")
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.distribution("madmom")
