"""Fits: known timbres are found again, own ones are approached, and wrong scores are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from timbrel.bundles.bundle import Bundle, load_bundle, weights_id
from timbrel.errors import InputError
from timbrel.fitting.fit import FittedTimbre, fit_clips, heard_places, nearest_known
from timbrel.fitting.material import Clip, Passage
from timbrel.fitting.network import FrozenMel2Mel
from timbrel.fitting.options import FitOptions
from timbrel.fitting.plot import plot_fit
from timbrel.fitting.search import error_db, level_gain
from timbrel.hearing.from_audio import TimbreEncoder
from timbrel.mel.generator import MelGenerator
from timbrel.score.piano_roll import PianoRoll
from timbrel.score.score import Note, Track
from timbrel.timbre.timbre import Timbre, parse_timbre, save_timbre

QUICK = FitOptions(steps=60, place_steps=10, last_steps=30)


def notes(seed: int) -> tuple[Note, ...]:
    random = np.random.default_rng(seed)
    starts = 0.2 + np.cumsum(random.uniform(0.2, 0.8, 10))
    return tuple(
        Note(int(random.integers(48, 84)), int(random.integers(30, 120)), s, s + 0.4)
        for s in starts.tolist()
    )


class Heard(Clip):
    """A clip of what a model itself makes: its mel is known without a vocoder."""

    def passages(self, bundle: Bundle, semitones: int = 0) -> list[Passage]:
        moved = [note._replace(pitch=note.pitch + semitones) for note in self.track.notes]
        roll = PianoRoll(moved, bundle.mel.frame_rate)
        timbre = parse_timbre(self.name, bundle.instruments)
        if self.audio.size:
            timbre = replace(
                timbre, film=(tuple(self.audio.tolist()),), fitted_to=weights_id(bundle)
            )
        blocks = MelGenerator(bundle).stream([roll], [timbre], 750)
        mel = np.concatenate([block[0] for block in blocks]) + np.float32(1.5)
        held_out = np.arange(750) // 75 == 3
        track = replace(self.track, notes=tuple(moved))
        return [Passage(roll.window(0, 750), mel, held_out, track)]


def heard(name: str, seed: int, film: np.ndarray | None = None) -> Heard:
    own = np.zeros(0, np.float32) if film is None else film
    return Heard(name, own, Track("", 0, 0, notes(seed)))


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle("mel2mel")


@pytest.fixture(scope="module")
def own_film() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.08, 6 * 256).astype(np.float32)


@pytest.fixture(scope="module")
def fitted(bundle: Bundle, own_film: np.ndarray) -> FittedTimbre:
    return fit_clips([heard("vibraphone", 0, own_film)], bundle, options=QUICK)


def test_the_network_plays_as_the_bundle_does(bundle: Bundle) -> None:
    (passage,) = heard("harp", 1).passages(bundle)
    harp = next(one for one in bundle.instruments if one.name == "harp")
    made = FrozenMel2Mel(bundle).mels(passage.roll, np.array([harp.embedding], np.float32))[0]
    # Windowed inference fades from window to window, this does not; before the first note it is
    # silent.
    first = int(np.flatnonzero(passage.roll.any(axis=1))[0])
    assert np.abs(made - (passage.mel - 1.5))[first:].mean() < 0.02


@pytest.mark.parametrize("name", ["church organ", "harp", "trumpet"])
def test_the_nearest_known_instrument_is_found_at_its_level(bundle: Bundle, name: str) -> None:
    (passage,) = heard(name, 2).passages(bundle)
    best, nearest, *_ = nearest_known(FrozenMel2Mel(bundle), passage, bundle)
    assert nearest == name
    assert best.gain == pytest.approx(-1.5, abs=0.01)
    assert best.error_db < 0.3


def test_a_guess_that_is_nearer_is_begun_with(bundle: Bundle) -> None:
    (passage,) = heard("harp:0.5, trumpet:0.5", 3).passages(bundle)
    point = parse_timbre("harp:0.5, trumpet:0.5", bundle.instruments).points[0]
    network = FrozenMel2Mel(bundle)
    assert nearest_known(network, passage, bundle, [point])[1] == "a guess"
    assert nearest_known(network, passage, bundle)[1] != "a guess"


def test_the_encoder_guesses_where_a_model_has_one(bundle: Bundle) -> None:
    time = np.arange(48_000) / 48_000
    waves = np.sin(2 * np.pi * np.outer(np.arange(1, 12) * 262, time)) / np.arange(1, 12)[:, None]
    tone = (0.1 * waves.sum(axis=0)).astype(np.float32)
    clip = Clip("tone", tone, Track("", 0, 0, notes(1)))
    assert heard_places([clip], bundle) == []  # it has no encoder
    found = TimbreEncoder.load()
    expected = found.found([found.hear_audio(tone)]).point
    assert heard_places([clip], load_bundle("mel2mel-studio")) == [expected]


def test_a_timbre_beyond_the_space_is_approached(fitted: FittedTimbre) -> None:
    assert fitted.error_db < 0.6 * fitted.nearest_error_db
    best = min(fitted.checks, key=lambda check: check.held_out_db)
    assert fitted.held_out_db == best.held_out_db
    assert best.held_out_db < 0.7 * fitted.checks[0].held_out_db


def test_at_the_end_what_was_held_out_counts_too(
    bundle: Bundle, own_film: np.ndarray, fitted: FittedTimbre
) -> None:
    clip, network = heard("vibraphone", 0, own_film), FrozenMel2Mel(bundle)
    before = fit_clips([clip], bundle, options=replace(QUICK, last_steps=0))
    assert before.checks == fitted.checks  # until then all is the same
    (passage,) = clip.passages(bundle)
    true = passage.target(fitted.gain_db * np.log(10) / 20, bundle.mel.log_floor)
    points = [[*one.timbre.points[0], *one.timbre.film[0]] for one in (before, fitted)]
    held_out = passage.held_out
    first, last = (
        np.abs(true - made)[held_out].mean()
        for made in network.mels(passage.roll, np.array(points, np.float32))
    )
    assert last < 0.9 * first


def test_vectors_that_do_not_help_what_is_held_out_do_not_learn_it(bundle: Bundle) -> None:
    """Of a known instrument nothing is left to learn, so the fit stays with its place."""
    few = FitOptions(steps=12, place_steps=10, check_every=4, film_rate=10.0, last_steps=5)
    found = fit_clips([heard("harp", 4)], bundle, options=few)
    assert min(found.checks, key=lambda check: check.held_out_db).step <= 10
    assert not np.any(found.timbre.film)


def test_other_notes_are_nearer_too(
    bundle: Bundle, own_film: np.ndarray, fitted: FittedTimbre
) -> None:
    (passage,) = heard("vibraphone", 9, own_film).passages(bundle)
    true = passage.target(fitted.gain_db * np.log(10) / 20, bundle.mel.log_floor)
    known = next(one for one in bundle.instruments if one.name == fitted.nearest)
    network = FrozenMel2Mel(bundle)
    own = np.array([*fitted.timbre.points[0], *fitted.timbre.film[0]], np.float32)
    place = np.pad(np.array(known.embedding, np.float32), (0, network.film_size))
    before, after = (
        error_db(true, made, bundle.mel.log_floor)
        for made in network.mels(passage.roll, np.stack([place, own]))
    )
    assert after < 0.75 * before


def test_a_fitted_timbre_is_saved_and_played(
    bundle: Bundle, fitted: FittedTimbre, tmp_path: Path
) -> None:
    save_timbre(tmp_path / "own.timbre", fitted.timbre)
    assert (tmp_path / "own.timbre").stat().st_size < 40_000
    found = parse_timbre(tmp_path / "own.timbre", bundle.instruments)
    roll = PianoRoll(notes(0), bundle.mel.frame_rate)
    mels = [
        np.concatenate([b[0] for b in MelGenerator(bundle).stream([roll], [timbre], 300)])
        for timbre in (fitted.timbre, found, Timbre.constant(found.points[0]))
    ]
    np.testing.assert_allclose(mels[1], mels[0], atol=1e-4)
    assert np.abs(mels[2] - mels[0]).mean() > 0.05


def test_a_score_that_belongs_to_another_clip_is_refused(bundle: Bundle) -> None:
    class Wrong(Heard):
        def passages(self, bundle: Bundle, semitones: int = 0) -> list[Passage]:
            (passage,) = super().passages(bundle, semitones)
            (other,) = heard("harp", 77).passages(bundle)
            return [replace(passage, roll=other.roll)]

    wrong = Wrong("harp", np.zeros(0, np.float32), Track("", 0, 0, notes(5)))
    with pytest.raises(
        InputError, match=r"does not follow the notes.*is it the score of this clip"
    ):
        fit_clips([wrong], bundle, options=QUICK)


def test_the_level_is_matched_above_the_floor() -> None:
    made = np.linspace(-11.0, 0.0, 500).reshape(50, 10)
    assert level_gain(made - 2.0, made, -11.5) == pytest.approx(2.0, abs=0.05)


def test_a_fit_is_drawn(bundle: Bundle, fitted: FittedTimbre, tmp_path: Path) -> None:
    plot_fit(fitted, bundle.mel, tmp_path / "fit.png", title="clip")
    assert (tmp_path / "fit.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="pictures end in"):
        plot_fit(fitted, bundle.mel, tmp_path / "fit.gif", title="clip")


def test_the_same_clips_give_the_same_timbre(bundle: Bundle) -> None:
    clip, few = heard("harp", 4), FitOptions(steps=4, place_steps=2)
    torch.manual_seed(1)
    first = fit_clips([clip], bundle, options=few).timbre
    torch.manual_seed(2)
    assert fit_clips([clip], bundle, options=few).timbre == first
