"""Which timbre each track gets."""

from __future__ import annotations

import pytest

from timbrel.bundles.bundle import Instrument
from timbrel.errors import InputError
from timbrel.score.score import Note, Track
from timbrel.timbre.assignment import ALL_OTHERS, heard_tracks, instrument_for, timbres_of

INSTRUMENTS = (
    Instrument("grand piano", 0, (1.0, 0.0)),
    Instrument("string ensemble", 48, (0.0, 2.0)),
    Instrument("trumpet", 56, (-3.0, -1.0)),
    Instrument("Standard Kit", 0, (7.0, 7.0), (36, 38)),
    Instrument("Jazz Kit", 32, (8.0, 8.0), (36, 38)),
)
TRACKS = (
    Track("Violin I", 40, 0, ()),
    Track("Violin  II", 40, 1, ()),
    Track("Piano", 1, 2, ()),
    Track("Drums", 33, 9, (), is_kit=True),
)


def names(wishes: object) -> list[str]:
    return [timbre.name for timbre in timbres_of(TRACKS, wishes, INSTRUMENTS)]


def test_each_track_gets_the_nearest_instrument_or_kit() -> None:
    assert names(None) == ["string ensemble", "string ensemble", "grand piano", "Jazz Kit"]
    assert [instrument_for(track, INSTRUMENTS).name for track in TRACKS] == names(None)
    assert timbres_of(TRACKS, None, INSTRUMENTS)[0].remarks == ()


def test_one_timbre_is_for_all_melodic_tracks() -> None:
    assert names("trumpet") == ["trumpet", "trumpet", "trumpet", "Jazz Kit"]
    assert names(56) == names("trumpet")


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ({2: "trumpet"}, ["string ensemble", "trumpet", "grand piano", "Jazz Kit"]),
        ({"violin ii": "trumpet"}, ["string ensemble", "trumpet", "grand piano", "Jazz Kit"]),
        (
            {ALL_OTHERS: "trumpet", "Piano": 48},
            ["trumpet", "trumpet", "string ensemble", "Jazz Kit"],
        ),
        (
            {3: "trumpet", "piano": "string ensemble"},
            ["string ensemble", "string ensemble", "trumpet", "Jazz Kit"],
        ),
        (
            {4: "standard kit"},
            ["string ensemble", "string ensemble", "grand piano", "Standard Kit"],
        ),
        ({}, ["string ensemble", "string ensemble", "grand piano", "Jazz Kit"]),
    ],
)
def test_timbres_are_given_by_number_and_by_name(wishes: object, expected: list[str]) -> None:
    assert names(wishes) == expected


@pytest.mark.parametrize(
    ("number", "kit", "remarks"),
    [
        (32, "Jazz Kit", ()),
        (36, "Jazz Kit", ("the model has no drum kit 36; Jazz Kit sounds nearest",)),
    ],
)
def test_a_number_given_to_drums_is_a_kits(number: int, kit: str, remarks: tuple) -> None:
    drums = timbres_of(TRACKS, {"Drums": number}, INSTRUMENTS)[3]
    assert drums.name == kit
    assert len(drums.remarks) == len(remarks)
    for found, expected in zip(drums.remarks, remarks, strict=True):
        assert found.startswith(expected)


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({5: "trumpet"}, "there is no track 5; the score has 4"),
        ({-1: "trumpet"}, "there is no track -1; the score has 4"),
        ({"Flute": "trumpet"}, "there is no track 'Flute'; the score has 1 'Violin I', 2 'Violin"),
        ({1: None, 2: 0.5}, "a timbre cannot be made of float"),
        ("jazz kit", "'Jazz Kit' is a drum kit, but track 1 'Violin I' plays no drums"),
        ({"Drums": "flute"}, "'flute' is no drum kit, and drums need one"),
        ({4: "0s jazz kit; 2s violin"}, "'violin' is no drum kit, and drums need one"),
    ],
)
def test_what_does_not_fit_the_tracks_is_refused(wishes: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        timbres_of(TRACKS, wishes, INSTRUMENTS)


PLAYED = tuple(
    Track(name, 0, 0, (Note(60, 90, 0.0, 1.0),)) for name in ("Violin", "violin ", "Bass", "Flute")
)


@pytest.mark.parametrize(
    ("mute", "solo", "heard"),
    [
        ((), (), {1, 2, 3, 4}),
        ((3,), (), {1, 2, 4}),
        ("VIOLIN", (), {3, 4}),
        (["violin", 3], (), {4}),
        ((), 2, {2}),
        ((), ("Bass", 1), {1, 3}),
        ("bass", ("Bass", 1), {1}),
    ],
)
def test_tracks_are_muted_and_played_alone(mute: object, solo: object, heard: set[int]) -> None:
    assert heard_tracks(PLAYED, mute, solo) == heard


@pytest.mark.parametrize(
    ("mute", "solo", "message"),
    [
        (0, (), "there is no track 0; the score has 4"),
        ("oboe", (), "there is no track 'oboe'; the score has 1 'Violin', 2"),
        ((), 5, "there is no track 5"),
        ((1, 2, 3, 4), (), "no track with notes would be heard"),
        (3, 3, "no track with notes would be heard"),
    ],
)
def test_what_would_be_silent_is_refused(mute: object, solo: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        heard_tracks(PLAYED, mute, solo)
