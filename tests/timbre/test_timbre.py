"""Timbres: the grammar, ways through the space, files, and errors that help."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from timbrel.bundles.bundle import Instrument, load_bundle
from timbrel.constants import DEFAULT_MODEL
from timbrel.errors import InputError
from timbrel.timbre.lookup import nearest_names
from timbrel.timbre.timbre import Timbre, as_timbre, parse_timbre, save_timbre

INSTRUMENTS = (
    Instrument("grand piano", 0, (1.0, 0.0)),
    Instrument("harp", 46, (0.0, 2.0)),
    Instrument("trumpet", 56, (-3.0, -1.0)),
    Instrument("church organ", 19, (0.5, 0.25)),
)


def point(spec: str) -> tuple[float, ...]:
    """The one point of a timbre that stays."""
    timbre = parse_timbre(spec, INSTRUMENTS)
    assert timbre.times_s == (0.0,)
    return timbre.points[0]


@pytest.mark.parametrize(
    "spec", ["church organ", "Church Organ", "  CHURCH   organ\t", "church organ:9"]
)
def test_a_name_is_its_instrument_however_it_is_typed(spec: str) -> None:
    assert point(spec) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("grand piano:1, harp:1", (0.5, 1.0)),
        ("grand piano, harp", (0.5, 1.0)),
        ("grand piano:3,harp:1", (0.75, 0.5)),
        ("grand piano:0.3, harp:0.1", (0.75, 0.5)),
        ("Grand  Piano : 3e0 , HARP:1", (0.75, 0.5)),
        ("harp, grand piano, harp, harp", (0.25, 1.5)),
        ("grand piano, harp, trumpet", (-2 / 3, 1 / 3)),
        ("harp, trumpet:0", (0.0, 2.0)),
        ("harp:2, grand piano:-1", (-1.0, 4.0)),
    ],
)
def test_weights_of_a_mix_are_divided_by_their_sum(spec: str, expected: tuple[float, ...]) -> None:
    np.testing.assert_allclose(point(spec), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "spec",
    [
        "grand piano:75%, harp:25%",
        "75% grand piano + 25% harp",
        "grand piano 75% + harp 25%",
        "75 % piano+25 % orchestral harp",
        "0:3 + 46",
        "grand piano:+3, harp:1e+0",
    ],
)
def test_shares_may_be_percents_and_parts_joined_by_plus(spec: str) -> None:
    np.testing.assert_allclose(point(spec), (0.75, 0.5), rtol=1e-12)
    assert parse_timbre(spec, INSTRUMENTS).name == "grand piano:0.75, harp:0.25"


@pytest.mark.parametrize(
    ("spec", "name", "lacking"),
    [
        ("piano", "grand piano", None),
        ("0", "grand piano", None),
        ("Acoustic Grand Piano", "grand piano", None),
        ("organ", "church organ", None),
        ("19", "church organ", None),
        ("bright acoustic piano", "grand piano", "Bright Acoustic Piano"),
        ("1", "grand piano", "Bright Acoustic Piano"),
        ("tremolo", "church organ", "Tremolo Strings"),
        ("Pad 8 (sweep)", "church organ", "Pad 8 (sweep)"),
        ("Lead 8 (bass + lead)", "trumpet", "Lead 8 (bass + lead)"),
        ("brass", "trumpet", "Brass Section"),
    ],
)
def test_general_midi_names_mean_the_instrument_that_sounds_nearest(
    spec: str, name: str, lacking: str | None
) -> None:
    timbre = parse_timbre(spec, INSTRUMENTS)
    assert timbre.name == name
    assert timbre == parse_timbre(name, INSTRUMENTS)
    remark = f"the model has no {lacking}; {name} sounds nearest to it and plays instead"
    assert timbre.remarks == ((remark,) if lacking else ())


def test_the_first_instrument_of_a_program_is_meant() -> None:
    twins = (*INSTRUMENTS, Instrument("harp (8-46)", 46, (5.0, 5.0)))
    assert parse_timbre("46", twins).points == ((0.0, 2.0),)
    assert parse_timbre("harp (8-46)", twins).points == ((5.0, 5.0),)


def test_kits_are_meant_by_their_names_and_their_numbers_among_kits() -> None:
    kits = (
        Instrument("Standard Kit", 0, (1.0, 1.0), (36,)),
        Instrument("Jazz Kit", 32, (2.0, 2.0), (36,)),
    )
    assert parse_timbre("32", kits).name == "Jazz Kit"
    assert parse_timbre("jazz kit", (*INSTRUMENTS, *kits)).points == ((2.0, 2.0),)
    assert parse_timbre("0", (*kits, *INSTRUMENTS)).name == "grand piano"


@pytest.mark.parametrize("spec", ["@9,9", "@0,-40", "harp:10, trumpet:-9", "0s harp; 9s @99,0"])
def test_a_point_far_outside_is_remarked_on(spec: str) -> None:
    remarks = parse_timbre(spec, INSTRUMENTS).remarks
    assert "lies far outside the model's instruments and may not sound well" in remarks[-1]


def test_a_negative_weight_is_remarked_on() -> None:
    (remark,) = parse_timbre("harp:2, grand piano:-1", INSTRUMENTS).remarks
    assert "a negative weight leads away from its instrument" in remark


@pytest.mark.parametrize(
    "spec", ["church organ", "@1,1", "@-4,-1", "harp, trumpet", "0s harp; 9s trumpet"]
)
def test_what_lies_among_the_instruments_needs_no_remark(spec: str) -> None:
    timbre = parse_timbre(spec, INSTRUMENTS)
    assert timbre.remarks == ()
    assert parse_timbre(timbre.name, INSTRUMENTS) == timbre


def test_a_timbre_keeps_its_name_when_it_is_moved_in_time() -> None:
    timbre = parse_timbre("1s violin; 3s trumpet", INSTRUMENTS).shifted(-1)
    assert timbre.times_s == (0.0, 2.0)
    assert timbre.name.startswith("1s ")
    assert timbre.remarks


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("harp", (0.0, 2.0)),
        (46, (0.0, 2.0)),
        (np.int64(56), (-3.0, -1.0)),
        ((0.5, 1), (0.5, 1.0)),
        ([0, -1], (0.0, -1.0)),
        (np.array([0.25, 2], np.float32), (0.25, 2.0)),
        (Timbre.constant((3, 4)), (3.0, 4.0)),
    ],
)
def test_programs_give_timbres_as_they_have_them(wish: object, expected: tuple[float, ...]) -> None:
    assert as_timbre(wish, INSTRUMENTS).points == (expected,)


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ((1.0, 2.0, 3.0), r"a timbre of shape \(3,\) was given; coordinates are 2 finite numbers"),
        (np.zeros((4, 2)), r"a timbre of shape \(4, 2\) was given"),
        ((0.0, float("nan")), "coordinates are 2 finite numbers"),
        (("harp", "trumpet"), "a timbre cannot be made of tuple; give a name, a General MIDI"),
        (None, "a timbre cannot be made of NoneType"),
        (0.5, "a timbre cannot be made of float"),
        ({"harp": 0.5}, "a timbre cannot be made of dict"),
        (128, "there is no General MIDI program 128"),
        (-1, "there is no instrument '-1'"),
        (Timbre.constant((1, 2, 3)), "a timbre of another model was given"),
    ],
)
def test_what_is_no_timbre_is_refused(wish: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_timbre(wish, INSTRUMENTS)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [("@0.3,-1.2", (0.3, -1.2)), (" @ 1e2 , -.5 ", (100.0, -0.5)), ("@+1,0", (1.0, 0.0))],
)
def test_coordinates_are_taken_as_they_are(spec: str, expected: tuple[float, ...]) -> None:
    assert point(spec) == expected


def test_a_path_has_the_times_and_the_points_that_it_names() -> None:
    timbre = parse_timbre("0s harp; 8.5 s Trumpet:1, harp:1 ;1e1s @4,5", INSTRUMENTS)
    assert timbre.times_s == (0.0, 8.5, 10.0)
    assert timbre.points == ((0.0, 2.0), (-1.5, 0.5), (4.0, 5.0))


def test_a_path_may_begin_at_any_time_and_have_one_point() -> None:
    assert parse_timbre("-2s harp; 3s trumpet", INSTRUMENTS).times_s == (-2.0, 3.0)
    assert parse_timbre("5s harp", INSTRUMENTS) == Timbre((5.0,), ((0.0, 2.0),))


def test_a_path_moves_in_straight_lines_and_holds_its_ends() -> None:
    timbre = Timbre((1.0, 3.0, 7.0), ((0.0, 2.0), (1.0, 0.0), (1.0, -4.0)))
    times = np.array([-5.0, 1.0, 1.5, 2.0, 3.0, 4.0, 7.0, 100.0])
    expected = [(0, 2), (0, 2), (0.25, 1.5), (0.5, 1), (1, 0), (1, -1), (1, -4), (1, -4)]
    at = timbre.at(times)
    assert at.dtype == np.float32
    np.testing.assert_allclose(at, expected, atol=1e-7)


def test_a_timbre_that_stays_is_the_same_at_all_times() -> None:
    np.testing.assert_array_equal(Timbre.constant([1, 2]).at(np.arange(-2.0, 3.0)), [[1, 2]] * 5)


def test_a_delayed_path_is_the_same_path_later() -> None:
    timbre = parse_timbre("1s harp; 3s trumpet", INSTRUMENTS)
    times = np.linspace(-1, 6, 29)
    np.testing.assert_allclose(timbre.shifted(0.75).at(times + 0.75), timbre.at(times), atol=1e-6)
    np.testing.assert_allclose(timbre.shifted(-2).at(np.array([0.0])), [[-1.5, 0.5]], atol=1e-6)


def test_a_file_gives_back_exactly_what_was_saved(tmp_path: Path) -> None:
    timbre = Timbre((-0.1, 1 / 3, 7.0), ((0.1, 1e-17), (-1 / 3, 1e5), (2.0, -0.0)))
    save_timbre(tmp_path / "my.timbre", timbre)
    assert parse_timbre(tmp_path / "my.timbre", INSTRUMENTS) == timbre
    assert parse_timbre(f"  {tmp_path}/my.timbre ", INSTRUMENTS) == timbre
    assert [p.name for p in tmp_path.iterdir()] == ["my.timbre"]


def test_a_file_may_name_instruments_and_mixes(tmp_path: Path) -> None:
    path = tmp_path / "my.TIMBRE"
    breakpoints = [
        {"time_s": 0, "timbre": " Harp "},
        {"time_s": 2.5, "timbre": "grand piano:3, harp"},
        {"time_s": 3, "timbre": "@0.3,-1.2"},
    ]
    path.write_text(json.dumps({"timbrel_timbre": 1, "path": breakpoints}))
    assert parse_timbre(path, INSTRUMENTS) == Timbre(
        (0.0, 2.5, 3.0), ((0.0, 2.0), (0.75, 0.5), (0.3, -1.2))
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("trumpit", "trumpet"),
        ("Trumpets", "trumpet"),
        ("trombohne", "trombone"),
        ("bassoonist", "bassoon"),
        ("hrap", "harp"),
    ],
)
def test_an_unknown_name_suggests_what_was_meant(name: str, meant: str) -> None:
    assert nearest_names(name, INSTRUMENTS)[0] == meant
    with pytest.raises(InputError, match=f"no instrument '{name.lower()}'; did you mean {meant}"):
        parse_timbre(f"harp:2, {name}:1", INSTRUMENTS)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("hapr", ["orchestral harp"]),
        ("pinao", ["acoustic grand piano", "bright acoustic piano", "electric grand piano"]),
        ("orgn", ["drawbar organ", "percussive organ", "rock organ"]),
        ("chruch organ", ["church organ"]),
    ],
)
def test_one_word_may_have_meant_a_word_of_a_name(name: str, meant: list[str]) -> None:
    assert nearest_names(name, load_bundle(DEFAULT_MODEL).instruments)[: len(meant)] == meant


def test_a_name_like_no_other_points_to_the_list() -> None:
    with pytest.raises(InputError, match="no instrument 'zzz'; see 'timbrel timbres'"):
        parse_timbre("zzz", INSTRUMENTS)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("harp:much", "'much' is not a number"),
        ("harp:", "'' is not a number"),
        ("harp:1:2", "'1:2' is not a number"),
        ("harp:nan", "'nan' is not finite"),
        ("harp:inf, trumpet", "'inf' is not finite"),
        ("50% harp, trumpet", "give each instrument of the mix its share in percent"),
        ("128", "there is no General MIDI program 128; they are 0 to 127"),
        ("harp:0", "must add up to more than 0"),
        ("harp:1, trumpet:-1", "must add up to more than 0"),
        ("harp:1e308, trumpet:1e308", "must add up to more than 0"),
        ("harp, ", "no instrument ''"),
        ("harp,, trumpet", "no instrument ''"),
        ("@nan,0", "'nan' is not finite"),
        ("@0,-inf", "'-inf' is not finite"),
        ("@0,1e999", "'1e999' is not finite"),
        ("@0,x", "'x' is not a number"),
        ("@", "'' is not a number"),
        ("@0", "has 1 coordinates; the model has 2"),
        ("@0,1,2", "has 3 coordinates; the model has 2"),
        ("0s harp; 0s trumpet", "must rise"),
        ("3s harp; 2s trumpet", "must rise"),
        ("harp; 8s trumpet", "each part of a path starts with its time"),
        ("0s harp; trumpet", "each part of a path starts with its time"),
        ("0s harp;", "each part of a path starts with its time"),
        ("0s harp; 1e999s trumpet", "'1e999' is not finite"),
        ("0s harp; --1s trumpet", "'--1' is not a number"),
        ("0s harp; 1s trumpit", "did you mean trumpet"),
        ("0s ; 1s harp", "is empty"),
        ("", "is empty"),
        ("   ", "is empty"),
    ],
)
def test_what_does_not_parse_is_refused(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_timbre(spec, INSTRUMENTS)


GOOD = {"time_s": 0.0, "timbre": "harp"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe\x00", "is text in UTF-16; save it as UTF-8"),
        (b"[" * 100_000, "is not JSON"),
        ([], "is not a timbre file of format 1"),
        ({"path": [GOOD]}, "is not a timbre file of format 1"),
        ({"timbrel_timbre": 3, "path": [GOOD]}, r"format 1 or 2 \('timbrel_timbre' is 3\)"),
        ({"timbrel_timbre": 2, "path": [GOOD]}, "lacks the key 'fitted_to'"),
        ({"timbrel_timbre": 2, "fitted_to": "m", "path": [GOOD]}, "lacks the key 'film'"),
        ({"timbrel_timbre": 2, "fitted_to": "m", "path": [{**GOOD, "film": []}]}, "finite numbers"),
        ({"timbrel_timbre": 2, "fitted_to": "m", "path": [{**GOOD, "film": [True]}]}, "finite"),
        ({"timbrel_timbre": 1, "path": [{**GOOD, "film": [1]}]}, "unknown key 'film'"),
        ({"timbrel_timbre": 1, "path": [{**GOOD, "timbre": "my.timbre"}]}, "cannot name another"),
        ({"timbrel_timbre": 1}, "lacks the key 'path'"),
        ({"timbrel_timbre": 1, "path": [GOOD], "model": "x"}, "unknown key 'model'"),
        ({"timbrel_timbre": 1, "path": "harp"}, "'path' must be of type list"),
        ({"timbrel_timbre": 1, "path": []}, "has no breakpoints"),
        ({"timbrel_timbre": 1, "path": ["harp"]}, "holds 'harp'"),
        ({"timbrel_timbre": 1, "path": [{"time_s": 0}]}, "lacks the key 'timbre'"),
        ({"timbrel_timbre": 1, "path": [{**GOOD, "volume": 1}]}, "unknown key 'volume'"),
        ({"timbrel_timbre": 1, "path": [{**GOOD, "time_s": "0"}]}, "'time_s' must be of type"),
        ({"timbrel_timbre": 1, "path": [{**GOOD, "timbre": 7}]}, "'timbre' must be of type str"),
        ({"timbrel_timbre": 1, "path": [{**GOOD, "time_s": float("nan")}]}, "is not finite"),
        ({"timbrel_timbre": 1, "path": [{**GOOD, "timbre": "trumpit"}]}, "did you mean trumpet"),
        ({"timbrel_timbre": 1, "path": [{**GOOD, "timbre": "@1"}]}, "the model has 2"),
        ({"timbrel_timbre": 1, "path": [{**GOOD, "timbre": ""}]}, "is empty"),
        ({"timbrel_timbre": 1, "path": [GOOD, GOOD]}, "must rise"),
    ],
)
def test_a_file_that_is_not_understood_is_refused_and_named(
    tmp_path: Path, content: object, message: str
) -> None:
    path = tmp_path / "my.timbre"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(InputError, match=message) as error:
        parse_timbre(path, INSTRUMENTS)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_files_of_editors_are_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "my.timbre"
    path.write_text(json.dumps({"timbrel_timbre": 1, "path": [GOOD]}), encoding=encoding)
    assert parse_timbre(path, INSTRUMENTS) == parse_timbre(GOOD["timbre"], INSTRUMENTS)


@pytest.mark.parametrize("name", ["missing.timbre", "folder.timbre"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.timbre").mkdir()
    with pytest.raises(InputError, match=f"{name}: cannot be read"):
        parse_timbre(tmp_path / name, INSTRUMENTS)


OWN = Timbre.constant((1.0, 3.0), film=(0.5, -2.0, 4.0), fitted_to="one model")


def saved(folder: Path, name: str = "own.timbre", timbre: Timbre = OWN) -> Path:
    save_timbre(folder / name, timbre)
    return folder / name


def test_film_vectors_survive_a_file_to_six_digits(tmp_path: Path) -> None:
    own = Timbre(
        (0.0, 2.0), ((1.0, 3.0), (0.1, 0.2)), ((1 / 3, -2e-5), (1234.5678, 0.0)), "one model"
    )
    found = parse_timbre(saved(tmp_path, timbre=own), INSTRUMENTS)
    assert (found.times_s, found.points, found.fitted_to) == (own.times_s, own.points, "one model")
    assert found.film == ((0.333333, -2e-5), (1234.57, 0.0))
    assert found.name == "own.timbre"


def test_a_file_without_film_vectors_is_of_the_first_format(tmp_path: Path) -> None:
    path = saved(tmp_path, timbre=Timbre.constant((1.0, 3.0)))
    assert json.loads(path.read_text()) == {
        "timbrel_timbre": 1,
        "path": [{"time_s": 0.0, "timbre": "@1.0,3.0"}],
    }


@pytest.mark.parametrize(
    ("spec", "place", "film"),
    [
        ("{own}", (1.0, 3.0), (0.5, -2.0, 4.0)),
        ("{own}:3, harp:1", (0.75, 2.75), (0.375, -1.5, 3.0)),
        ("25% {own} + 75% harp", (0.25, 2.25), (0.125, -0.5, 1.0)),
        ("harp:0.5, {own}", (2 / 3, 8 / 3), (1 / 3, -4 / 3, 8 / 3)),
        ("{own}, {own}", (1.0, 3.0), (0.5, -2.0, 4.0)),
    ],
)
def test_a_file_is_mixed_like_an_instrument(
    tmp_path: Path, spec: str, place: tuple[float, ...], film: tuple[float, ...]
) -> None:
    found = parse_timbre(spec.format(own=saved(tmp_path)), INSTRUMENTS)
    np.testing.assert_allclose(found.points, [place])
    np.testing.assert_allclose(found.film, [film])
    assert found.fitted_to == "one model"


def test_a_path_leads_from_an_instrument_to_a_file_and_on(tmp_path: Path) -> None:
    spec = f"1s harp; 3s {saved(tmp_path)}; 4s grand piano:0.5, {tmp_path}/own.timbre:0.5"
    found = parse_timbre(spec, INSTRUMENTS)
    times = np.array([0.0, 2.0, 3.0, 9.0])
    np.testing.assert_allclose(found.at(times), [(0, 2), (0.5, 2.5), (1, 3), (1, 1.5)])
    np.testing.assert_allclose(
        found.film_at(times), [(0, 0, 0), (0.25, -1, 2), (0.5, -2, 4), (0.25, -1, 2)]
    )
    assert parse_timbre(saved(tmp_path, "way.timbre", found), INSTRUMENTS) == found


def test_a_timbre_without_film_vectors_has_none_at_any_time() -> None:
    assert Timbre.constant((1.0, 3.0)).film_at(np.zeros(5)).shape == (5, 0)


def test_timbres_of_different_models_are_not_mixed(tmp_path: Path) -> None:
    other = Timbre.constant((0.0, 0.0), film=(1.0, 1.0, 1.0), fitted_to="another")
    paths = saved(tmp_path), saved(tmp_path, "other.timbre", other)
    for spec in ("{}, {}", "0s {}; 1s {}"):
        with pytest.raises(InputError, match="fitted to different models"):
            parse_timbre(spec.format(*paths), INSTRUMENTS)


def test_a_path_is_no_part_of_a_mix(tmp_path: Path) -> None:
    way = saved(tmp_path, timbre=parse_timbre("0s harp; 1s trumpet", INSTRUMENTS))
    with pytest.raises(InputError, match="is a path over time"):
        parse_timbre(f"{way}, harp", INSTRUMENTS)


def test_a_file_that_is_missing_from_a_mix_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.timbre: cannot be read"):
        parse_timbre(f"harp, {tmp_path}/missing.timbre:0.5", INSTRUMENTS)
