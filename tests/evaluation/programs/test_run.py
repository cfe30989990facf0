"""All programs and kits of a small model beside FluidSynth."""

from __future__ import annotations

import json
from pathlib import Path

import mido
import numpy as np
import pytest

from support.small_studio import small_mel2mel, small_vocoder
from timbrel.errors import InputError
from timbrel.evaluation.originals import Excerpt
from timbrel.evaluation.programs.melodic import VELOCITIES, ProgramMeasures
from timbrel.evaluation.programs.run import (
    ProgramResults,
    evaluate_programs,
    high_octave,
    mean,
    pooled,
)
from timbrel.evaluation.programs.tables import as_dict, markdown


@pytest.fixture(scope="module")
def results(soundfont: Path, tmp_path_factory: pytest.TempPathFactory) -> ProgramResults:
    folder = tmp_path_factory.mktemp("programs")
    track = mido.MidiTrack()
    for pitch in (60, 64, 67):
        track.append(mido.Message("note_on", note=pitch, velocity=90))
        track.append(mido.Message("note_off", note=pitch, time=480))
    mido.MidiFile(tracks=[track]).save(folder / "song.mid")
    return evaluate_programs(
        folder,
        soundfont,
        [Excerpt("song.mid", 0.0, 2.0)],
        model=str(small_mel2mel(folder / "mel2mel").path),
        vocoder=str(small_vocoder(folder / "vocoder")),
        per_program=2,
        jobs=1,
    )


def test_each_instrument_is_measured(results: ProgramResults) -> None:
    assert [(one.program, one.name) for one in results.programs] == [(0, "piano"), (73, "flute")]
    assert [(kit.program, kit.name) for kit in results.kits] == [
        (0, "standard kit"),
        (32, "jazz kit"),
    ]
    assert [kit.keys for kit in results.kits] == [4, 2]
    assert [bend.program for bend in results.bends] == [73]
    for one in results.programs:
        assert abs(one.correlation) < 0.7  # nothing has been learnt
        assert len(one.velocity_errors_db) == len(VELOCITIES)
        assert np.isfinite([one.level_db, one.high_level_db, one.variance_ratio]).all()
    # The original is what the score says, as the pitch tracker hears it.
    assert results.bends[0].median_original < 15


def test_instruments_can_be_named(results: ProgramResults, soundfont: Path) -> None:
    folder = Path(results.model).parent
    given = {
        "model": results.model,
        "vocoder": str(folder / "vocoder"),
        "per_program": 2,
        "jobs": 1,
    }
    excerpts = [Excerpt("song.mid", 0.0, 2.0)]
    some = evaluate_programs(folder, soundfont, excerpts, instruments=["flute"], **given)
    assert [one.name for one in some.programs] == ["flute"]
    assert some.kits == []
    assert np.isnan(some.summary()["kit_own_keys"])
    assert some.programs[0].correlation == results.programs[1].correlation
    with pytest.raises(InputError, match="no instrument 'trumpet'; known: piano, flute"):
        evaluate_programs(folder, soundfont, excerpts, instruments=["trumpet"], **given)


def test_results_as_tables_and_json(results: ProgramResults) -> None:
    text = markdown(results)
    assert "| Piano | 1 |" in text
    assert "| Pipe | 1 |" in text
    assert "| 32 | jazz kit |" in text
    content = json.loads(json.dumps(as_dict(results), allow_nan=False))
    assert content["programs"][1]["name"] == "flute"
    assert content["summary"]["correlation_pooled"] == round(pooled(results.programs), 4)


def test_sums_over_programs() -> None:
    """Those that are no instruments do not count; pooled is not the mean of the programs' own."""
    random = np.random.default_rng(1)

    def program(number: int, likeness: float, level_db: float) -> ProgramMeasures:
        original = random.normal(size=(84, 50))
        made = likeness * original + (1 - likeness) * random.normal(size=(84, 50))
        parts = (np.ones_like(original), original, made, original**2, made**2, original * made)
        sums = np.stack([part.sum(axis=1) for part in parts])
        return ProgramMeasures(
            name=str(number),
            program=number,
            cqt_sums=sums,
            high_sums=sums[:, :12],
            high_level_db=-1.0,
            level_db=level_db,
            variance_ratio=1.0,
            velocity_errors_db=(1.0, -1.0, 2.0, 0.0),
            heard_original=0.8,
            heard_made=0.6,
        )

    good, bad = program(3, 1.0, 2.0), program(9, 0.0, -4.0)
    effects = program(125, 0.0, 30.0)
    summary = ProgramResults("model", [good, bad, effects], [], []).summary()
    assert summary["correlation_mean"] == pytest.approx(0.5, abs=0.05)
    assert summary["correlation_below_0.6"] == ["9"]
    assert summary["level_error_db"] == pytest.approx(3.0)
    assert summary["velocity_error_db"] == pytest.approx(1.0)
    assert summary["heard_share"] == pytest.approx(0.75)
    assert pooled([good]) == pytest.approx(1.0)
    assert high_octave([good]) == pytest.approx(1.0)
    assert np.isnan(high_octave([]))
    assert np.isnan(mean([float("nan")]))
