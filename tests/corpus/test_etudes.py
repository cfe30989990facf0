"""Etudes cover what instruments and kits can be asked."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import mido
import numpy as np
import pytest

from timbrel.constants import HIGHEST_PITCH, LOWEST_PITCH
from timbrel.corpus.etudes import SECONDS, etude, natural_range
from timbrel.corpus.presets import Preset
from timbrel.score.midi import read_midi

FLUTE = Preset("Flute", 73, 0, tuple(range(128)))
KIT = Preset("Standard Kit", 0, 128, tuple(range(27, 88)))
MARCHING = Preset("Marching Kit", 56, 128, (48, 50, 52, 60, 76))
LONGEST_SECTION_S = 30


def messages(midi: mido.MidiFile) -> list[mido.Message]:
    return [message for message in midi.tracks[0] if not message.is_meta]


def bytes_of(midi: mido.MidiFile, folder: Path) -> bytes:
    midi.save(folder / "etude.mid")
    return (folder / "etude.mid").read_bytes()


@pytest.fixture(scope="module")
def flute_etudes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eight etudes for the flute."""
    folder = tmp_path_factory.mktemp("flute")
    for number in range(8):
        etude(FLUTE, number).save(folder / f"{number}.mid")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def flute_messages(flute_etudes: list[Path]) -> list[mido.Message]:
    return [m for path in flute_etudes for m in messages(mido.MidiFile(path))]


def test_an_etude_lasts_a_minute_or_two(flute_etudes: list[Path]) -> None:
    durations = [read_midi(path).duration_s for path in flute_etudes]
    assert min(durations) > SECONDS[0] - 3  # the last section may be followed by silence
    assert max(durations) < SECONDS[1] + LONGEST_SECTION_S


def test_etudes_can_be_bounded() -> None:
    for number in range(4):
        assert etude(FLUTE, number, longest_s=20).length < 20 + LONGEST_SECTION_S


def test_same_words_same_etude(tmp_path: Path) -> None:
    first = bytes_of(etude(FLUTE, 3, seed=5), tmp_path)
    assert bytes_of(etude(FLUTE, 3, seed=5), tmp_path) == first
    for other in (
        etude(FLUTE, 4, seed=5),
        etude(FLUTE, 3, seed=6),
        etude(FLUTE, 3, seed=5, split="valid"),
        etude(FLUTE._replace(program=74), 3, seed=5),
        etude(FLUTE._replace(bank=8), 3, seed=5),
    ):
        assert bytes_of(other, tmp_path) != first


def test_all_keys_and_velocities_are_played(flute_messages: list[mido.Message]) -> None:
    struck = [m for m in flute_messages if m.type == "note_on"]
    pitches = Counter(m.note for m in struck)
    assert set(pitches) == set(range(LOWEST_PITCH, HIGHEST_PITCH + 1))
    low, high = natural_range(FLUTE.program)
    inside = sum(count for pitch, count in pitches.items() if low <= pitch <= high)
    share_of_keys = (high - low + 1) / 88
    assert inside / sum(pitches.values()) > 1.3 * share_of_keys
    velocities = np.array([m.velocity for m in struck])
    assert velocities.min() <= 10
    assert velocities.max() == 127
    # No eighth of the scale is left out.
    counts = np.histogram(velocities, bins=8, range=(0, 128))[0]
    assert counts.min() > 0.03 * len(velocities)


def test_two_etudes_play_each_key_alone(flute_etudes: list[Path]) -> None:
    keys: set[int] = set()
    for path in flute_etudes[:2]:
        keys |= {note.pitch for note in read_midi(path).notes}
    assert keys == set(range(LOWEST_PITCH, HIGHEST_PITCH + 1))


def test_notes_are_short_and_long_alone_and_together(flute_etudes: list[Path]) -> None:
    scores = [read_midi(path) for path in flute_etudes]
    lengths = np.array([n.end_s - n.start_s for score in scores for n in score.notes])
    assert np.mean(lengths < 0.1) > 0.1
    assert np.sum(lengths > 1.5) > 20
    struck_at_once: Counter[int] = Counter()
    for score in scores:
        starts = Counter(round(note.start_s, 3) for note in score.notes)
        struck_at_once.update(starts.values())
    assert set(range(1, 8)) <= set(struck_at_once)
    assert max(struck_at_once) == 10
    silences = [
        later.start_s - max(n.end_s for n in score.notes[: i + 1])
        for score in scores
        for i, later in enumerate(score.notes[1:])
    ]
    assert sum(silence > 0.3 for silence in silences) > 2 * len(scores)
    assert max(silences) > 2


def test_pedals_bends_and_vibrato_are_used(flute_messages: list[mido.Message]) -> None:
    controls = Counter(m.control for m in flute_messages if m.type == "control_change")
    assert controls[64] >= 16  # the pedal
    assert controls[1] > 50  # the modulation wheel
    ranges = {m.value for m in flute_messages if m.type == "control_change" and m.control == 6}
    assert ranges == {2, 12}
    wheel = np.array([m.pitch for m in flute_messages if m.type == "pitchwheel"])
    assert wheel.min() == -8192
    assert wheel.max() == 8191
    assert np.mean(np.abs(wheel) < 3000) > 0.3  # vibrato and small bends


def test_bends_stay_on_the_keyboard(flute_etudes: list[Path]) -> None:
    for path in flute_etudes:
        reach, bend, sounding = 2.0, 0.0, set()
        for message in messages(mido.MidiFile(path)):
            if message.type == "control_change" and message.control == 6:
                reach = message.value
            elif message.type == "pitchwheel":
                bend = message.pitch / 8192 * reach
            elif message.type == "note_on":
                sounding.add(message.note)
            elif message.type == "note_off":
                sounding.discard(message.note)
            for pitch in sounding:
                assert LOWEST_PITCH - 0.7 <= pitch + bend <= HIGHEST_PITCH + 7.7
        assert bend == 0  # nothing is left for whatever is played next
        assert reach == 2


def test_most_of_an_etude_is_tonal(flute_etudes: list[Path]) -> None:
    """Five seconds of it fit some major scale better than notes by chance do (7 of 12)."""
    fits = []
    for path in flute_etudes:
        score = read_midi(path)
        for start in np.arange(0, score.duration_s - 5, 5):
            notes = [n for n in score.notes if start <= n.start_s < start + 5]
            classes = np.bincount([n.pitch % 12 for n in notes], minlength=12)
            major = np.isin(np.arange(12), (0, 2, 4, 5, 7, 9, 11))
            if len(notes) >= 8:
                fits.append(max(classes[np.roll(major, k)].sum() / len(notes) for k in range(12)))
    assert np.mean(np.array(fits) > 0.9) > 0.5


def test_low_instruments_play_low() -> None:
    means = []
    for program in (43, 72):  # contrabass, piccolo
        preset = Preset("", program, 0, tuple(range(128)))
        played = [message for number in range(3) for message in messages(etude(preset, number))]
        means.append(np.mean([m.note for m in played if m.type == "note_on"]))
    assert means[0] < 58 < 75 < means[1]
    assert all(natural_range(program)[0] < natural_range(program)[1] for program in range(128))


@pytest.mark.parametrize("kit", [KIT, MARCHING])
def test_drum_etudes_strike_every_key_of_the_kit_and_no_other(kit: Preset) -> None:
    for number in range(3):
        struck = {m.note for m in messages(etude(kit, number)) if m.type == "note_on"}
        assert struck == set(kit.keys)
    assert {m.channel for m in messages(etude(kit, 0))} == {9}


def test_four_drum_etudes_strike_each_key_soft_to_loud() -> None:
    velocities: dict[int, list[int]] = {key: [] for key in KIT.keys}
    for number in range(4):
        for message in messages(etude(KIT, number)):
            if message.type == "note_on":
                velocities[message.note].append(message.velocity)
    for found in velocities.values():
        assert min(found) < 8 + 119 / 4 + 1
        assert max(found) > 127 - 119 / 4 - 1


def test_grooves_have_hats_backbeats_ghost_notes_and_flams() -> None:
    struck, onsets = Counter(), []
    for number in range(6):
        now = 0
        for message in messages(etude(KIT, number)):
            now += message.time
            if message.type == "note_on":
                struck[message.note] += 1
                if message.note in (37, 38, 39, 40):
                    onsets.append((number, now / 4000, message.velocity))
    assert min(struck[key] for key in (36, 38, 42)) > 3 * struck[60]  # bass drum, snare, hat
    assert struck[46] > struck[60]  # the open hat
    snares = np.array([velocity for _, _, velocity in onsets])
    assert np.mean(snares < 40) > 0.15  # ghost notes
    flams = [
        b[1] - a[1]
        for a, b in itertools.pairwise(onsets)
        if a[0] == b[0] and 0.01 < b[1] - a[1] < 0.04 and b[2] > a[2] + 15
    ]
    assert len(flams) > 3
