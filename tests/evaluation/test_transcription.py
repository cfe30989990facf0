"""The evaluation of transcribers: who hears what, once, and the tables that say so."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from conftest import EXAMPLES
from support.small_transcriber import small_transcriber_bundle
from timbrel.corpus.soundfont import to_midi
from timbrel.errors import InputError
from timbrel.evaluation import transcription as evaluation
from timbrel.evaluation.originals import Excerpt
from timbrel.evaluation.transcription import (
    MEASURES,
    Verdict,
    evaluate_transcription,
    recorded_takes,
    rendered_takes,
    verdict_rows,
)
from timbrel.evaluation.transcription_tables import estimate, markdown
from timbrel.score.score import Note, Score, Track
from timbrel.sound import write_audio

RATE = 16_000
NOTES = [(60, 90, 0.3, 0.9), (67, 70, 1.0, 1.6), (76, 110, 1.0, 1.6), (55, 60, 1.8, 2.6)]


def write_recording(folder: Path, name: str, *, silent: bool = False) -> None:
    """Tones that fade, and the score of them beside."""
    audio = np.zeros(3 * RATE, np.float32)
    for pitch, velocity, start_s, end_s in NOTES:
        time = np.arange(round((end_s - start_s) * RATE)) / RATE
        hz = 440 * 2 ** ((pitch - 69) / 12)
        tone = sum(
            np.sin(2 * np.pi * k * hz * time) * np.exp(-time * (1 + 0.4 * k)) / k**1.3
            for k in range(1, int(7500 / hz))
        )
        tone = tone * np.minimum(1, (time[-1] - time) / 0.02) * velocity / 800
        first = round(start_s * RATE)
        audio[first : first + len(tone)] += 0 if silent else tone
    folder.mkdir(parents=True, exist_ok=True)
    write_audio(folder / f"{name}.wav", audio, RATE)
    score = Score((Track("", 0, 0, tuple(Note(*note) for note in NOTES)),))
    to_midi(score, 0, tail_s=0).save(folder / f"{name}.mid")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(small_transcriber_bundle(tmp_path_factory.mktemp("models") / "small").path)


def test_recordings_are_judged_once(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recording(tmp_path / "takes" / "harp", "one")
    write_recording(tmp_path / "takes" / "piano", "two")
    write_recording(tmp_path / "takes" / "piano", "silent", silent=True)
    takes = recorded_takes(tmp_path / "takes")
    assert [(take.track, take.instrument) for take in takes] == [
        ("harp/one.mid", "harp"),
        ("piano/silent.mid", "piano"),
        ("piano/two.mid", "piano"),
    ]

    def measured() -> list[Verdict]:
        found, skipped = evaluate_transcription(
            takes, models=[model], others=["madmom"], cache=tmp_path / "cache", jobs=1
        )
        assert skipped == []
        return found

    first = measured()
    assert [(v.transcriber, v.track) for v in first] == [
        (name, track) for track in ("harp/one.mid", "piano/two.mid") for name in ("small", "madmom")
    ]
    madmom = first[1]
    assert madmom.scores["pitch"] > 0.6
    assert math.isnan(madmom.scores["offset"])
    assert math.isnan(madmom.scores["velocity_error"])
    # Two of the notes sound together, for as long as each of the others or so.
    assert madmom.polyphony == pytest.approx((0.6 + 1.2 + 0.8) / 2.0, abs=0.01)
    of_small = [v for key, v in first[0].scores.items() if not key.endswith("error")]
    assert all(0 <= value <= 1 for value in of_small)
    # Nobody listens a second time.
    monkeypatch.setattr(evaluation, "_played", None)
    second = measured()
    assert [str(v.scores) for v in second] == [str(v.scores) for v in first]
    rows = verdict_rows(second)
    assert rows[1]["offset"] is None
    assert set(MEASURES) < set(rows[0])


def test_recordings_right_in_a_folder_are_of_its_name(tmp_path: Path) -> None:
    write_recording(tmp_path / "flute", "one")
    (take,) = recorded_takes(tmp_path / "flute")
    assert (take.track, take.instrument) == ("one.mid", "flute")
    (tmp_path / "flute" / "one.mid").unlink()
    with pytest.raises(InputError, match="no MIDI file"):
        recorded_takes(tmp_path / "flute")


def test_excerpts_are_played_and_heard(tmp_path: Path, soundfont: Path) -> None:
    excerpts = [Excerpt("prelude.mid", 4.0, 3.0)]
    takes = rendered_takes(EXAMPLES, soundfont, excerpts, {"grand piano": 0}, gain=0.4)
    (found,), _ = evaluate_transcription(
        takes, models=[], others=["basic-pitch"], cache=tmp_path / "cache", jobs=1
    )
    assert found.instrument == "grand piano"
    assert found.scores["pitch"] > 0.5
    assert found.scores["velocity_error"] < 25
    assert 0 < found.scores["frame"] <= 1
    assert found.polyphony > 1


def test_transcribers_that_cannot_be_are_refused(tmp_path: Path, model: str) -> None:
    write_recording(tmp_path / "flute", "one")
    takes, cache = recorded_takes(tmp_path / "flute"), tmp_path / "cache"
    with pytest.raises(InputError, match="no judge 'ear'"):
        evaluate_transcription(takes, models=[], others=["ear"], cache=cache)
    with pytest.raises(InputError, match="timbrel is a transcriber to measure"):
        evaluate_transcription(takes, models=[], others=["madmom", "timbrel"], cache=cache)
    with pytest.raises(InputError, match="no transcriber to measure"):
        evaluate_transcription(takes, models=[], others=[], cache=cache)
    with pytest.raises(InputError, match="same name"):
        evaluate_transcription(takes, models=[model, model], others=[], cache=cache)


def verdict(name: str, track: str, instrument: str, pitch: float, polyphony: float) -> Verdict:
    scores = dict.fromkeys(MEASURES, float("nan")) | {"pitch": pitch, "onset": pitch}
    return Verdict(name, track, instrument, polyphony, scores)


def test_means_and_intervals_are_over_takes_and_tracks() -> None:
    found = [
        verdict("a", track, instrument, value, 2.0)
        for track, instrument, value in (
            *(("x", "harp", 0.2), ("x", "organ", 0.4)),
            *(("y", "harp", 0.6), ("y", "organ", 0.8)),
        )
    ]
    whole = estimate(found, "pitch")
    assert whole.mean == pytest.approx(0.5)
    # The takes of a track stay together: no draw lies beyond the tracks' means.
    assert (whole.low, whole.high) == (pytest.approx(0.3), pytest.approx(0.7))
    assert math.isnan(estimate(found[:2], "pitch").low)
    assert math.isnan(estimate(found, "offset").mean)


def test_tables_are_by_instrument_and_by_polyphony() -> None:
    found = [
        verdict(name, track, instrument, value, polyphony)
        for name, more in (("a", 0.0), ("b", 0.1))
        for track, instrument, value, polyphony in (
            *(("x", "harp", 0.2, 1.0), ("x", "organ", 0.4, 1.0)),
            *(("y", "harp", 0.6, 6.0), ("y", "organ", 0.8, 6.0)),
        )
        for value in [value + more]
    ]
    text = markdown(found, ["the judge c is left out"])
    assert "2 tracks, 2 instruments." in text
    assert "The judge c is left out." in text
    assert "| a | 0.500 [0.300, 0.700] | 0.500 [0.300, 0.700] | – |" in text
    by_instrument = text[text.index("## By instrument: onset and pitch") :]
    assert "| instrument | a | b |" in by_instrument
    assert "| harp | 0.400 [0.200, 0.600] | 0.500 [0.300, 0.700] |" in by_instrument
    for measure in ("onset, pitch and end", "onset, pitch and velocity", "frames"):
        assert f"## By instrument: {measure}\n" in text
        assert f"## By polyphony: {measure}\n" in text
    by_polyphony = text[text.index("## By polyphony: onset and pitch") :]
    # Each class is of one track here, which has no interval.
    assert "| 0 to 1.5 keys | 0.300 | 0.400 |\n| over 5 keys | 0.700 | 0.800 |" in by_polyphony
