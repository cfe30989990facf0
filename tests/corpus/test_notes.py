"""Notes from SoundFonts: their sound, their division, and going on after a kill."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from timbrel.corpus import notes as preparation
from timbrel.corpus.note_programs import FAMILY_AND_SOURCE
from timbrel.corpus.note_qualities import measured_qualities
from timbrel.corpus.notes import font_programs, list_instruments, prepare_notes, render_notes
from timbrel.errors import InputError
from timbrel.notes.dataset import read_split
from timbrel.notes.faults import check_folder
from timbrel.notes.note import FAMILIES, QUALITIES, SOURCES

CHURCH_ORGAN, TRUMPET, MARIMBA = 19, 56, 12


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> dict[int, tuple[str, str]]:
    """Three programs instead of a hundred, of which none validates by chance."""
    some = {p: FAMILY_AND_SOURCE[p] for p in (CHURCH_ORGAN, TRUMPET, 54)}
    monkeypatch.setattr(preparation, "FAMILY_AND_SOURCE", some)
    return some


def test_every_family_and_known_source_has_a_program() -> None:
    assert {family for family, _ in FAMILY_AND_SOURCE.values()} == set(FAMILIES)
    assert {source for _, source in FAMILY_AND_SOURCE.values()} == set(SOURCES)
    assert FAMILY_AND_SOURCE[TRUMPET] == ("brass", "acoustic")
    assert 120 not in FAMILY_AND_SOURCE  # guitar fret noise


def test_programs_of_a_soundfont(soundfont: Path) -> None:
    assert font_programs(soundfont) == set(range(128))


def test_what_is_no_soundfont_has_no_programs(tmp_path: Path) -> None:
    path = tmp_path / "a.sf2"
    path.write_bytes(b"RIFF\0\0\0\0sfbk" + b"LIST\4\0\0\0INFO")
    with pytest.raises(InputError, match=r"a\.sf2: its list of presets is damaged"):
        font_programs(path)


def test_a_note_is_held_for_three_seconds_and_cut_before_the_next(soundfont: Path) -> None:
    loud, soft = render_notes(soundfont, CHURCH_ORGAN, [(60, 100), (72, 100)])
    assert len(loud) == len(soft) == 64_000

    def level(audio: np.ndarray, start_s: float) -> float:
        part = audio[int(start_s * 16_000) : int((start_s + 0.1) * 16_000)]
        return float(np.sqrt(np.square(part).mean()))

    assert level(loud, 0.0) > 0.1 * level(loud, 2.8)
    assert level(loud, 3.6) < 0.1 * level(loud, 2.8)
    # The onset is where it should be, and the second note holds nothing of the first.
    assert np.argmax(np.abs(soft) > 0.01 * np.abs(soft).max()) < 160
    alone = render_notes(soundfont, CHURCH_ORGAN, [(72, 100)])[0]
    assert np.corrcoef(np.abs(np.fft.rfft(soft)), np.abs(np.fft.rfft(alone)))[0, 1] > 0.99


def test_pitch_and_velocity_are_played(soundfont: Path) -> None:
    low, high, loud = render_notes(soundfont, TRUMPET, [(57, 60), (69, 60), (69, 120)])

    def peak_hz(audio: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(audio[8_000:40_000] * np.hanning(32_000)))
        strong = np.flatnonzero(power > 0.2 * power.max())
        return float(strong[0]) / 2  # the fundamental, in Hz

    assert peak_hz(low) == pytest.approx(220, abs=3)
    assert peak_hz(high) == pytest.approx(440, abs=6)
    assert np.abs(loud).max() > 1.5 * np.abs(high).max()


def test_qualities_are_measured_as_defined() -> None:
    time_s = np.arange(64_000) / 16_000
    low, high = (np.sin(2 * np.pi * hz * time_s).astype(np.float32) for hz in (110, 4_000))
    fading = (low * 10 ** (-2 * time_s)).astype(np.float32)
    released = np.where(time_s < 3, high, high * 10 ** (-4 * (time_s - 3))).astype(np.float32)

    def named(audio: np.ndarray) -> set[str]:
        return {q for q, is_set in zip(QUALITIES, measured_qualities(audio), strict=True) if is_set}

    assert named(low) == {"dark", "long_release"}
    assert named(high) == {"bright", "long_release"}
    assert named(fading) == {"dark", "fast_decay"}
    assert named(released) == {"bright"}


def test_instruments_are_numbered_and_divided_by_program(soundfont: Path) -> None:
    found = list_instruments([soundfont], [])
    assert [i.number for i in found] == list(range(len(FAMILY_AND_SOURCE)))
    assert len({i.name.instrument for i in found}) == len(found)
    valid = [i.program for i in found if i.split == "valid"]
    assert 5 <= len(valid) <= 20
    assert {i.program for i in list_instruments([soundfont], []) if i.split == "valid"} == set(
        valid
    )


@pytest.mark.usefixtures("few")
def test_a_data_set_is_rendered_and_gone_on_with(
    soundfont: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"soundfonts": [soundfont], "pitches": (60, 72), "velocities": (50, 127), "jobs": 1}
    notes = prepare_notes(tmp_path / "data", **given)
    assert {split: len(listed) for split, listed in notes.items()} == {
        "train": 8,
        "valid": 4,  # program 54 validates, by its number
        "test": 0,
    }
    assert check_folder(tmp_path / "data") == []
    split = read_split(tmp_path / "data", "train")
    peaks: dict[int, float] = {}
    for i, note in enumerate(split.notes):
        peak = float(np.abs(split.audio(i)).max())
        peaks[note.instrument] = max(peaks.get(note.instrument, 0.0), peak)
    assert list(peaks.values()) == pytest.approx([10 ** (-3 / 20)] * 2, abs=1e-3)

    # As if it had been killed while the trumpet was played.
    lists = {p: p.read_bytes() for p in (tmp_path / "data").glob("nsynth-*/examples.json")}
    (tmp_path / "data" / "parts" / "brass_acoustic_000.json").unlink()
    rendered = []
    play = preparation.render_notes
    monkeypatch.setattr(preparation, "render_notes", lambda *a: rendered.append(a[1]) or play(*a))
    prepare_notes(tmp_path / "data", **given)
    assert rendered == [TRUMPET]
    for path, content in lists.items():
        assert path.read_bytes() == content

    with pytest.raises(InputError, match="holds data with another pitches"):
        prepare_notes(tmp_path / "data", **(given | {"pitches": (61,)}))


@pytest.mark.usefixtures("few")
def test_silent_notes_are_left_out(
    soundfont: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def play(font: Path, program: int, sounds: list[tuple[int, int]]) -> list[np.ndarray]:  # noqa: ARG001
        tone = np.sin(np.arange(64_000) / 5).astype(np.float32)
        return [tone * (pitch != 61) for pitch, _ in sounds]

    monkeypatch.setattr(preparation, "render_notes", play)
    notes = prepare_notes(
        tmp_path / "data", soundfonts=[soundfont], pitches=(60, 61), velocities=(100,), jobs=1
    )
    assert [note.pitch for listed in notes.values() for note in listed] == [60] * 3
    assert len(list((tmp_path / "data").glob("nsynth-*/audio/*.wav"))) == 3


@pytest.mark.usefixtures("few")
def test_a_held_out_font_makes_the_test_split(
    soundfont: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.sf3"
    other.symlink_to(soundfont)
    with pytest.raises(InputError, match="shares its samples with MuseScore_General_Lite"):
        prepare_notes(tmp_path / "data", soundfonts=[soundfont], held_out=[other])
    assert not (tmp_path / "data").exists()
    monkeypatch.setattr(preparation, "_family", lambda font: font.name)
    found = list_instruments([soundfont], [other])
    assert sorted(i.split for i in found) == ["test"] * 3 + ["train"] * 2 + ["valid"]


def test_settings_are_written_down(soundfont: Path, tmp_path: Path, few: dict) -> None:
    prepare_notes(
        tmp_path / "data", soundfonts=[soundfont], pitches=(60,), velocities=(100,), jobs=1
    )
    settings = json.loads((tmp_path / "data" / "data.json").read_text())
    assert settings["pitches"] == [60]
    assert list(settings["soundfonts"]) == [soundfont.name]
    assert settings["qualities_measured"] == ["bright", "dark", "fast_decay", "long_release"]
    assert len(list((tmp_path / "data" / "parts").iterdir())) == len(few)
