"""Drums and bends from a score to sound, with a small model that plays them."""

from __future__ import annotations

from pathlib import Path

import mido
import numpy as np
import pytest

from support.command_line import result_of
from support.small_studio import KITS, small_mel2mel, small_vocoder
from timbrel.abilities import Abilities
from timbrel.bundles.bundle import Bundle
from timbrel.constants import SMALL_MODEL
from timbrel.errors import InputError
from timbrel.score.midi import read_midi
from timbrel.score.score import Automation, Note, Score, Track
from timbrel.synthesizer import Synthesizer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return small_mel2mel(tmp_path_factory.mktemp("model") / "small")


@pytest.fixture(scope="module")
def vocoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_vocoder(tmp_path_factory.mktemp("vocoder") / "small")


@pytest.fixture(scope="module")
def synthesizer(model: Bundle, vocoder: Path) -> Synthesizer:
    return Synthesizer.load(model.path, vocoder=vocoder)


def melody(**curves: Automation) -> Track:
    return Track("melody", 73, 0, (Note(69, 100, 0.2, 1.2),), **curves)


def drums(program: int, *keys: int) -> Track:
    notes = tuple(Note(key, 100, 0.3 + 0.2 * i, 0.35 + 0.2 * i) for i, key in enumerate(keys))
    return Track("drums", program, 9, notes, is_kit=True)


def test_abilities_stand_in_the_bundle(model: Bundle, tiny_bundle: Bundle) -> None:
    abilities = Abilities.of(model)
    assert abilities.bends
    assert abilities.kits == {0: frozenset(KITS["standard kit"]), 32: frozenset(KITS["jazz kit"])}
    assert Abilities.of(tiny_bundle) == Abilities()
    assert (model.window.hop, model.window.context) == (8, 8)


def test_a_model_without_kits_counts_drums_and_bends() -> None:
    counts = {"drum_notes": 3, "pitch_bends": 5, "soft_pedal": 1}
    score = Score((melody(),), unplayable=counts, drum_tracks=(drums(0, 36, 38, 42),))
    played = Abilities().playable(score)
    assert played.unplayable == counts
    assert len(played.tracks) == 1
    assert played.unplayable_notes == 3


def test_a_model_with_kits_plays_drums_and_counts_keys_that_the_kit_lacks(model: Bundle) -> None:
    counts = {"drum_notes": 4, "pitch_bends": 5, "soft_pedal": 1}
    tracks = drums(0, 36, 99, 42), drums(33, 36)
    score = Score((melody(),), unplayable=counts, drum_tracks=tracks)
    played = Abilities.of(model).playable(score)
    assert [note.pitch for track in played.tracks[1:] for note in track.notes] == [36, 42, 36]
    assert [track.is_kit for track in played.tracks] == [False, True, True]
    assert played.unplayable == {"notes_of_lacking_keys": 1, "soft_pedal": 1}
    assert "notes of keys that the drum kit lacks (1)" in played.left_out
    assert Abilities.of(model).playable(played) == played


def test_programs_choose_the_kit(synthesizer: Synthesizer) -> None:
    names = [synthesizer.nearest_instrument(drums(p, 36)) for p in (0, 5, 32, 35, 48)]
    assert names == ["standard kit", "standard kit", "jazz kit", "jazz kit", "standard kit"]
    assert synthesizer.nearest_instrument(melody()) == "flute"


def test_a_timbre_for_all_leaves_the_kits_as_they_are(synthesizer: Synthesizer) -> None:
    score = synthesizer.playable(Score((melody(),), drum_tracks=(drums(32, 36),)))
    points = {i.name: i.embedding for i in synthesizer.model.instruments}
    piano, jazz = synthesizer.timbres(score, "piano")
    assert piano.points[0] == points["piano"]
    assert jazz.points[0] == points["jazz kit"]
    chosen = synthesizer.timbres(score, {2: "standard kit"})
    assert chosen[1].points[0] == points["standard kit"]
    with pytest.raises(InputError, match="standard kit"):
        synthesizer.timbres(score, {1: "standard kit"})


def test_drums_are_heard(synthesizer: Synthesizer) -> None:
    alone = synthesizer.render(Score((), drum_tracks=(drums(0, 36, 38),)), channels=1)
    begins = np.flatnonzero(np.abs(alone[:, 0]) > 1e-4)[0] / 48_000
    assert 0.2 < begins < 0.31
    both = Score((melody(),), drum_tracks=(drums(0, 36, 38),))
    assert synthesizer.stream(both).n_voices == 2
    with pytest.raises(InputError, match="no notes that can be played"):
        synthesizer.render(Score((), drum_tracks=(drums(0, 99),)))


@pytest.mark.parametrize("start_s", [0.0, 0.7])
def test_bends_are_heard_from_their_time_on(synthesizer: Synthesizer, start_s: float) -> None:
    late = melody(bend=Automation((0.0, 1.0), (0.0, 2.0)))
    options = {"channels": 1, "start_s": start_s, "duration_s": 1.2 - start_s, "seed": 1}
    plain = synthesizer.render(Score((melody(),)), **options)
    found = synthesizer.render(Score((late,)), **options)
    apart = np.abs(found - plain)[:, 0]
    bent = round((1.0 - start_s) * 48_000)
    # What looks ahead may differ before: windows and the frames that Mel2Mel sees.
    assert apart[: bent - 48_000 * 16 // 125 - 3072].max(initial=0.0) < 1e-5
    assert apart[bent:].max() > 3e-4


def test_an_excerpt_is_a_part_of_the_whole(synthesizer: Synthesizer) -> None:
    track = melody(bend=Automation((0.0, 0.5, 0.8), (0.0, 0.7, -1.3)))
    score = Score((track,), drum_tracks=(drums(0, 36, 42, 38, 46),))
    whole = synthesizer.render(score, seed=2, normalize=False)
    part = synthesizer.render(score, seed=2, normalize=False, start_s=0.4, duration_s=0.7)
    # At its end, what would come next is not known.
    heard = slice(19_200, 19_200 + 28_800)
    np.testing.assert_allclose(part[:28_800], whole[heard], atol=1e-4)


def test_a_vocoder_of_other_rolls_is_refused(vocoder: Path, tmp_path: Path) -> None:
    piano = small_mel2mel(tmp_path / "piano", "piano")
    with pytest.raises(InputError, match="wants performance rolls; the model reads piano rolls"):
        Synthesizer.load(piano.path, vocoder=vocoder)
    assert Synthesizer.load(piano.path, vocoder="griffin-lim").model.roll == "piano"


def song(path: Path) -> Path:
    track = mido.MidiTrack()
    for message in (
        mido.Message("program_change", channel=0, program=73),
        mido.Message("pitchwheel", channel=0, pitch=4096),
        mido.Message("note_on", channel=0, note=69, velocity=100),
        mido.Message("note_on", channel=9, note=36, velocity=100),
        mido.Message("note_on", channel=9, note=99, velocity=100),
        mido.Message("note_off", channel=0, note=69, time=480),
        mido.Message("note_off", channel=9, note=36),
        mido.Message("note_off", channel=9, note=99),
    ):
        track.append(message)
    mido.MidiFile(tracks=[track]).save(path)
    return path


def test_commands_say_what_is_played(model: Bundle, vocoder: Path, tmp_path: Path) -> None:
    file, output = song(tmp_path / "song.mid"), tmp_path / "song.wav"
    options = ("--model", model.path)
    (row,) = result_of("render", file, "-o", output, "--vocoder", vocoder, *options)
    assert row["unplayable"] == {"notes_of_lacking_keys": 1}
    assert [(t["instrument"], t["drums"]) for t in row["tracks"]] == [
        ("flute", False),
        ("standard kit", True),
    ]
    assert row["sample_rate"] == 48_000
    (inspected,) = result_of("inspect", file, *options)
    assert [(t["program"], t["drums"]) for t in inspected["tracks"]] == [(73, False), (0, True)]
    assert inspected["notes"] == 3
    (plain,) = result_of("inspect", file, "--model", SMALL_MODEL)
    assert plain["unplayable"] == {"drum_notes": 2, "pitch_bends": 1}
    assert [t["drums"] for t in plain["tracks"]] == [False, True]
    assert plain["notes"] == 3


def test_midi_gives_bends_in_semitones_and_vibrato_by_depth(tmp_path: Path) -> None:
    track = read_midi(song(tmp_path / "song.mid")).tracks[0]
    assert track.bend.values[-1] == pytest.approx(1.0)
    assert not track.is_kit
    wheel = mido.MidiFile(tracks=[mido.MidiTrack()])
    wheel.tracks[0] += [
        mido.Message("control_change", control=1, value=64),
        mido.Message("note_on", note=60, velocity=90),
        mido.Message("note_off", note=60, time=480),
    ]
    wheel.save(tmp_path / "wheel.mid")
    assert read_midi(tmp_path / "wheel.mid").tracks[0].vibrato.values == (0.25,)
