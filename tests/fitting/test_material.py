"""Clips: what is refused in words, and what a transposed clip is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from timbrel.bundles.bundle import Bundle
from timbrel.errors import InputError
from timbrel.fitting.material import Clip, read_clips
from timbrel.score.score import Note, Track

RATE = 16_000
NOTES = [Note(69, 100, 0.25, 1.0), Note(76, 60, 1.25, 2.0)]


def tones(seconds: float = 3.0, rate: int = RATE) -> np.ndarray:
    """Sines of the keys of `NOTES`."""
    times_s = np.arange(round(seconds * rate)) / rate
    audio = np.zeros(len(times_s))
    for note in NOTES:
        sounding = (times_s >= note.start_s) & (times_s < note.end_s)
        audio += 0.3 * sounding * np.sin(2 * np.pi * 440 * 2 ** ((note.pitch - 69) / 12) * times_s)
    return audio.astype(np.float32)


def saved(folder: Path, audio: np.ndarray, rate: int = RATE) -> Path:
    soundfile.write(folder / "clip.wav", audio, rate)
    return folder / "clip.wav"


@pytest.mark.parametrize(
    ("audio", "rate", "words"),
    [
        (np.zeros(3 * RATE), RATE, "is silent"),
        (tones()[4000:4800], RATE, "lasts 0.05 s; give 1 s or more"),
        (tones(rate=8000), 8000, "holds nothing above 4 kHz"),
        (np.clip(8 * tones(), -1, 1), RATE, "is clipped"),
        (np.zeros(3600 * 1000) + 0.1, 1000, "lasts 3600 s; cut out 120 s or less"),
    ],
)
def test_what_is_no_clip_is_refused_and_named(
    tmp_path: Path, tiny_bundle: Bundle, audio: np.ndarray, rate: int, words: str
) -> None:
    path = saved(tmp_path, audio, rate)
    with pytest.raises(InputError, match=words) as error:
        read_clips([path], [NOTES], tiny_bundle)
    assert str(path) in str(error.value)


def test_noise_has_no_notes(tmp_path: Path, tiny_bundle: Bundle) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 4 * RATE)
    with pytest.raises(InputError, match="hardly any notes were heard"):
        read_clips([saved(tmp_path, noise)], [], tiny_bundle)


def test_without_a_score_the_notes_are_heard(tmp_path: Path, tiny_bundle: Bundle) -> None:
    (clip,) = read_clips([saved(tmp_path, tones())], [], tiny_bundle)
    assert [note.pitch for note in clip.track.notes] == [69, 76]


def test_there_is_a_score_for_each_clip_or_none(tmp_path: Path, tiny_bundle: Bundle) -> None:
    path = saved(tmp_path, tones())
    with pytest.raises(InputError, match="1 scores were given for 2 clips"):
        read_clips([path, path], [NOTES], tiny_bundle)


def test_a_score_that_begins_too_late_is_refused(tmp_path: Path, tiny_bundle: Bundle) -> None:
    late = [note._replace(start_s=9.0, end_s=9.5) for note in NOTES]
    with pytest.raises(InputError, match="begins after its end"):
        read_clips([saved(tmp_path, tones())], [late], tiny_bundle)


def test_a_transposed_clip_is_higher_and_shorter_and_so_is_its_roll(tiny_bundle: Bundle) -> None:
    clip = Clip("clip", tones(), Track("", 0, 0, tuple(NOTES)))
    (plain,), (higher,) = (clip.passages(tiny_bundle, semitones) for semitones in (0, 12))
    assert len(plain.mel) == 375
    assert len(higher.mel) in (187, 188)
    # The strongest band in the middle of the first note is that of its key.
    assert plain.mel[80].argmax() == plain.mel[78].argmax()
    assert higher.mel[40].argmax() > plain.mel[80].argmax() + 5
    assert np.flatnonzero(plain.roll[80]).tolist() == [69 - 21]
    assert np.flatnonzero(higher.roll[40]).tolist() == [81 - 21]


def test_transpositions_stay_on_the_keys(tiny_bundle: Bundle) -> None:
    low = Clip("low", tones(), Track("", 0, 0, (Note(24, 100, 0.0, 1.0), Note(60, 90, 1.0, 2.0))))
    assert low.transpositions(tiny_bundle) == [0, -2, 2, 4]


def test_parts_of_each_clip_are_held_out(tiny_bundle: Bundle) -> None:
    clip = Clip("clip", tones(25.0), Track("", 0, 0, tuple(NOTES)))
    passages = clip.passages(tiny_bundle)
    assert [len(passage.mel) for passage in passages] == [1562, 1563]
    held_out = np.concatenate([passage.held_out for passage in passages])
    assert 0.18 < held_out.mean() < 0.22
    assert not held_out[:900].any()


def test_matching_the_level_leaves_the_floor(tiny_bundle: Bundle) -> None:
    (passage,) = Clip("clip", tones(), Track("", 0, 0, tuple(NOTES))).passages(tiny_bundle)
    floor = tiny_bundle.mel.log_floor
    softer = passage.target(-3.0, floor)
    assert softer.min() == np.float32(floor)
    np.testing.assert_allclose(softer.max(), passage.mel.max() - 3, atol=1e-5)
