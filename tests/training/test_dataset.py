"""Batches: which crops of which clips a step sees."""

from __future__ import annotations

import copy
import dataclasses
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from conftest import FRAME_RATE
from support.small_data import TWO_INSTRUMENTS, small_recipe
from timbrel.corpus.preparation import read_clip
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.progress import silent
from timbrel.score.midi import read_midi
from timbrel.score.piano_roll import PianoRoll
from timbrel.training import dataset
from timbrel.training.dataset import MelBatch, MelClips, lane_batch
from timbrel.training.tasks.mel2mel import Mel2MelTask

CROP, PER_VISIT, CONTEXT = 64, 4, 16


@pytest.fixture(scope="module")
def clips(small_data: Path) -> MelClips:
    return MelClips(small_data, "train", MelConfig())


def batch_at(clips: MelClips, step: int, lanes: range = range(4), **changes: int) -> MelBatch:
    given = {"crop_frames": CROP, "crops_per_visit": PER_VISIT, "context": CONTEXT, "seed": 1}
    return lane_batch(clips, step, lanes, **(given | changes))


def assert_equal(a: MelBatch, b: MelBatch) -> None:
    for field in dataclasses.fields(MelBatch):
        np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name), field.name)


def place_of(clips: MelClips, label: int, mel: np.ndarray) -> tuple[int, int]:
    """The clip of an instrument, and the frame, at which a mel begins."""
    for index in np.flatnonzero(clips.labels == label):
        whole = clips.mel(index, 0, int(clips.n_frames[index]))
        for start in np.flatnonzero((whole == mel[0]).all(axis=1)):
            if np.array_equal(whole[start : start + len(mel)], mel):
                return int(index), int(start)
    raise AssertionError("the mel is not one of the clips'")


def test_clips_are_the_mels_of_the_audio(clips: MelClips, small_data: Path) -> None:
    assert clips.instruments == list(TWO_INSTRUMENTS)
    assert [clip.split for clip in clips.clips] == ["train"] * 4
    for index, clip in enumerate(clips.clips):
        expected = mel_spectrogram(read_clip(small_data, clip))
        found = clips.mel(index, 0, len(expected) + 100)
        assert found.dtype == np.float32
        assert found.shape == (clips.n_frames[index], 80)
        # They are kept in half precision: 2⁻¹¹ of ln 1e-5.
        np.testing.assert_allclose(found, expected, rtol=0, atol=0.006)
        assert clips.instruments[clips.labels[index]] == clip.instrument


def test_mels_are_computed_once(small_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    MelClips(small_data, "train", MelConfig())

    def again(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(dataset, "_mel", again)
    MelClips(small_data, "train", MelConfig())


def test_another_geometry_has_mels_of_its_own(small_data: Path) -> None:
    clips = MelClips(small_data, "valid", MelConfig(n_mels=40, n_fft=512))
    assert clips.mel(0, 0, 10).shape == (10, 40)
    assert MelClips(small_data, "valid", MelConfig()).mel(0, 0, 10).shape == (10, 80)


def test_mean_mel_is_that_of_a_sample(clips: MelClips) -> None:
    expected = np.mean(
        [clips.mel(i, 0, 10_000)[::50].mean(axis=0) for i in range(len(clips.clips))], axis=0
    )
    np.testing.assert_allclose(clips.mean_mel(), expected, rtol=1e-5)
    assert -11.5 < clips.mean_mel().mean() < -3


def test_roll_is_that_of_the_score(clips: MelClips, small_data: Path) -> None:
    for index, clip in enumerate(clips.clips):
        whole = PianoRoll(read_midi(small_data / "midi" / clip.midi).notes, FRAME_RATE).whole()
        np.testing.assert_array_equal(clips.roll(index).window(0, len(whole)), whole)
        # The score ends before the sound does.
        assert len(whole) < clips.n_frames[index] == clip.n_samples // 128


def test_batch_is_a_function_of_the_step(clips: MelClips, small_data: Path) -> None:
    forwards = [batch_at(clips, step) for step in range(12)]
    anew = MelClips(small_data, "train", MelConfig())
    for step in reversed(range(12)):
        assert_equal(batch_at(anew, step), forwards[step])
    assert any((forwards[0].mel != b.mel).any() for b in forwards[1:])


def test_another_seed_gives_other_crops(clips: MelClips) -> None:
    assert (batch_at(clips, 5).mel != batch_at(clips, 5, seed=2).mel).any()


def test_shapes_and_types(clips: MelClips) -> None:
    batch = batch_at(clips, 3)
    assert {f.name: np.shape(getattr(batch, f.name)) for f in dataclasses.fields(batch)} == {
        "roll": (4, CROP + CONTEXT, 176),
        "mel": (4, CROP, 80),
        "instrument": (4,),
        "weight": (4, CROP),
        "fresh": (4,),
        "told": (0,),  # nobody asked
    }
    assert batch.roll.dtype == batch.mel.dtype == batch.weight.dtype == np.float32
    assert batch.instrument.dtype == np.int64
    assert batch.fresh.dtype == bool


def test_crops_of_a_visit_follow_one_another(clips: MelClips) -> None:
    starts = set()
    for visit in range(6):
        steps = [batch_at(clips, PER_VISIT * visit + crop, range(1)) for crop in range(PER_VISIT)]
        assert len({int(step.instrument[0]) for step in steps}) == 1
        mel = np.concatenate([step.mel[0] for step in steps])
        index, start = place_of(clips, int(steps[0].instrument[0]), mel)
        starts.add((index, start))
        assert start + PER_VISIT * CROP <= clips.n_frames[index]
        for crop, step in enumerate(steps):
            first = start + crop * CROP
            expected = clips.roll(index).window(first, first + CROP + CONTEXT)
            np.testing.assert_array_equal(step.roll[0], expected)
        assert [bool(step.fresh[0]) for step in steps] == [True, False, False, False]
    assert len(starts) > 3


def test_lanes_begin_their_visits_at_different_steps(clips: MelClips) -> None:
    assert batch_at(clips, 0).fresh.tolist() == [True] * 4  # nothing was before it
    for step in range(1, 9):
        fresh = batch_at(clips, step).fresh.tolist()
        assert fresh == [(step + lane) % PER_VISIT == 0 for lane in range(4)]


def test_what_sounds_before_a_visit_is_not_held_against_the_network(clips: MelClips) -> None:
    n_at_start = n_inside = 0
    for step in range(24):
        batch = batch_at(clips, step, range(2))
        for lane in range(2):
            _, start = place_of(clips, int(batch.instrument[lane]), batch.mel[lane])
            warm_up = batch.fresh[lane] and start > 0
            expected = np.ones(CROP)
            expected[:32] = 0 if warm_up else 1
            np.testing.assert_array_equal(batch.weight[lane], expected)
            n_inside += bool(warm_up)
            n_at_start += not warm_up
    assert n_inside > 3
    assert n_at_start > 3


def test_what_lies_beyond_the_end_does_not_count(clips: MelClips) -> None:
    """Visits longer than the clip begin with it and end in nothing."""
    crops = [batch_at(clips, step, range(1), crop_frames=512) for step in range(PER_VISIT)]
    index, start = place_of(clips, int(crops[0].instrument[0]), crops[0].mel[0])
    assert start == 0
    n_frames = int(clips.n_frames[index])
    assert 512 < n_frames < 1024
    for number, crop in enumerate(crops):
        n_counting = max(min(n_frames - 512 * number, 512), 0)
        np.testing.assert_array_equal(crop.weight[0], np.arange(512) < n_counting)
        expected = clips.mel(index, 512 * number, 512 * number + n_counting)
        np.testing.assert_array_equal(crop.mel[0, :n_counting], expected)
        assert np.all(crop.mel[0, n_counting:] == 0)
    assert not crops[3].roll.any()


def test_long_clips_are_visited_more_often(clips: MelClips) -> None:
    uneven = copy.copy(clips)
    uneven.n_frames = np.array([600, 100, 600, 100])  # as if the others were short
    uneven.shares = uneven.n_frames / uneven.n_frames.sum()
    n_visits = 300
    counts: Counter[int] = Counter()
    for visit in range(n_visits):
        steps = range(PER_VISIT * visit, PER_VISIT * (visit + 1))
        crops = [batch_at(uneven, step, range(1), crop_frames=20) for step in steps]
        mel = np.concatenate([crop.mel[0] for crop in crops])
        counts[place_of(clips, int(crops[0].instrument[0]), mel)[0]] += 1
    shares = np.array([600, 100, 600, 100]) / 1400
    found = np.array([counts[i] / n_visits for i in range(4)])
    np.testing.assert_allclose(
        found, shares, rtol=0, atol=3 * np.sqrt(0.25 / n_visits)
    )  # three standard deviations


def test_lanes_of_two_processes_make_the_batch_of_one(small_data: Path) -> None:
    tasks = [
        Mel2MelTask(small_recipe(), small_data, rank=rank, world=world, progress=silent)
        for rank, world in ((0, 1), (0, 2), (1, 2))
    ]
    for step in (0, 7, 30):
        whole, first, second = (task.batch(step)[0] for task in tasks)
        assert len(whole.mel) == 4
        for field in dataclasses.fields(MelBatch):
            parts = [getattr(part, field.name) for part in (first, second)]
            np.testing.assert_array_equal(getattr(whole, field.name), np.concatenate(parts))


def test_data_of_another_rate_is_refused(small_data: Path) -> None:
    with pytest.raises(InputError, match=r"data of 16000 Hz; the recipe's .* 48000 Hz, hop 384"):
        MelClips(small_data, "train", MelConfig(sample_rate=48_000, hop_length=384))


def test_data_without_a_split_is_refused(small_data: Path, tmp_path: Path) -> None:
    shutil.copy(small_data / "data.json", tmp_path)
    lines = (small_data / "manifest.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "manifest.jsonl").write_text("".join(x for x in lines if "valid" not in x))
    with pytest.raises(InputError, match="has no clips of the split 'valid'"):
        MelClips(tmp_path, "valid", MelConfig())
