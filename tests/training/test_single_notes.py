"""Batches of single notes, beside the renders that they come from; and a model that learns them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from support.small_data import ATTRIBUTION, LICENSE, small_recipe
from timbrel.bundles.bundle import load_bundle
from timbrel.constants import PERFORMANCE
from timbrel.corpus.preparation import MANIFEST_FILE, SETTINGS_FILE, prepare
from timbrel.corpus.selection import Amount
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.mel.export import write_mel2mel_bundle
from timbrel.mel.mel2mel import Mel2Mel, Mel2MelConfig
from timbrel.progress import silent
from timbrel.training.dataset import MelClips
from timbrel.training.single_notes import SingleNotes
from timbrel.training.tasks.mel2mel import Mel2MelBatch, Mel2MelTask

INSTRUMENTS = {"grand piano": 0, "xylophone": 13}
MODEL = {
    "roll": PERFORMANCE,
    "hidden_size": 4,
    "note_units": 24,
    "timbre_units": 12,
}


@pytest.fixture(scope="module")
def folder(soundfont: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "notes"
    prepare(
        None,
        path,
        soundfont=soundfont,
        instruments=INSTRUMENTS,
        amount=Amount(single_notes=1),
        license=LICENSE,
        attribution=ATTRIBUTION,
        jobs=1,
    )
    return path


@pytest.fixture(scope="module")
def clips(folder: Path) -> MelClips:
    return MelClips(folder, "train", MelConfig(), performance=True)


def task_on(folder: Path, **options: Any) -> Mel2MelTask:
    torch.manual_seed(0)
    given = {"crop_frames": 64, "single_notes": 64, "music": False, **options}
    recipe = small_recipe(options=given, model=MODEL)
    return Mel2MelTask(recipe, folder, rank=0, world=1, progress=silent)


def test_notes_have_the_frames_that_their_times_say(clips: MelClips) -> None:
    batch = SingleNotes(clips).batch(3, 40, 12, seed=(1,), together=4)
    assert batch.times_s.shape == (40, 12, 2)
    assert batch.mel.shape == (40, 12, 80)
    loudest = batch.mel.max(axis=-1)
    before = batch.times_s[..., 0] < -0.033  # half a window of a mel frame
    after = (batch.times_s[..., 0] > 0.02) & (batch.times_s[..., 1] < 0)
    assert before.any()
    assert loudest[before].max() < -9
    assert np.median(loudest[after]) > -4
    lengths = batch.times_s[..., 0] - batch.times_s[..., 1]
    np.testing.assert_allclose(lengths, lengths[:, :1].repeat(12, axis=1), atol=1e-4)
    assert set(batch.instrument.tolist()) == {0, 1}
    assert 0.1 < np.mean(batch.notes[:, 0] != batch.notes[:, 1]) < 0.7  # those that are bent


def test_so_many_notes_in_a_row_are_of_one_instrument(clips: MelClips) -> None:
    instrument = SingleNotes(clips).batch(0, 40, 2, seed=(1,), together=4).instrument.reshape(-1, 4)
    assert (instrument == instrument[:, :1]).all()
    assert len(set(instrument[:, 0].tolist())) == 2


def test_a_step_and_a_seed_give_one_batch(clips: MelClips) -> None:
    notes = SingleNotes(clips)
    first, again, other, next_one = (
        notes.batch(step, 8, 2, seed=(seed,), together=1).notes.tolist()
        for step, seed in ((0, 1), (0, 1), (0, 2), (1, 1))
    )
    assert first == again
    assert first not in (other, next_one)


def test_a_model_learns_notes_without_music(folder: Path) -> None:
    task = task_on(folder)
    batch = task.batch(0)
    assert batch.music is None
    model, losses = task.wrapped(), []
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in range(40):
        loss = task.loss(model, task.batch(step), step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:3])
    assert task.validate(task.model).measures["centred_correlation"] > 0.1


def test_music_and_notes_are_learnt_together(folder: Path) -> None:
    task = task_on(folder, music=True)
    task.loss(task.wrapped(), task.batch(0), 0).backward()
    assert task.model.notes is not None
    for parameter in (task.model.output.weight, task.model.notes.spectra.weight):
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"single_notes": 0}, "nothing to learn from"),
        ({"single_notes": 6}, "multiple of notes_together"),
    ],
)
def test_options_that_cannot_be(folder: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        task_on(folder, **options)


def test_data_without_single_notes_are_refused(small_data: Path) -> None:
    with pytest.raises(InputError, match="prepared with --single-notes"):
        task_on(small_data)


def test_single_notes_are_no_music_where_there_is_some(folder: Path, tmp_path: Path) -> None:
    found = [json.loads(line) for line in (folder / MANIFEST_FILE).read_text().splitlines()]
    for clip in found:
        if clip["split"] == "valid" and clip["instrument"] == "xylophone":
            clip.update(split="train", kind="etude", n_samples=160_000)
    (tmp_path / MANIFEST_FILE).write_text("\n".join(map(json.dumps, found)))
    for name in (SETTINGS_FILE, "audio", "midi"):
        (tmp_path / name).symlink_to(folder / name)
    clips = MelClips(tmp_path, "train", MelConfig(), performance=True, equal_instruments=True)
    shares = {
        (clip.instrument, clip.kind): share
        for clip, share in zip(clips.clips, clips.shares.tolist(), strict=True)
    }
    assert shares == {
        ("grand piano", "single notes"): 0.5,
        ("xylophone", "single notes"): 0.0,
        ("xylophone", "etude"): 0.5,
    }
    assert len(SingleNotes(clips)) > 150


def test_silent_notes_stay_below_the_floor_together_too(folder: Path) -> None:
    task = task_on(folder)
    batch = task.batch(0)
    assert batch.notes is not None
    floor = MelConfig().log_floor
    silent = replace(batch.notes, mel=np.full_like(batch.notes.mel, floor))
    found = torch.full(silent.mel.shape, floor - 1.0, requires_grad=True)
    task.loss(lambda *_: (None, None, found), Mel2MelBatch(None, silent), 0).backward()
    assert found.grad is not None
    assert found.grad.min() > 0  # all are drawn down


def test_a_network_of_single_notes_begins_beside_one_that_was_trained(
    folder: Path, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    old = Mel2Mel(Mel2MelConfig(2, roll=PERFORMANCE, hidden_size=4))
    write_mel2mel_bundle(
        old,
        tmp_path / "old",
        mel=MelConfig(),
        name="old",
        gain=0.5,
        instruments=INSTRUMENTS,
        license=LICENSE,
        attribution=ATTRIBUTION,
        training={},
    )
    task = task_on(folder)
    assert "single notes" in task.start(load_bundle(tmp_path / "old"))
    assert not task.model.output.weight.any()
    assert not task.model.output.bias.any()
    places = task.model.embedding.weight.detach().numpy()
    np.testing.assert_allclose(places, old.embedding.weight.detach().numpy(), atol=1e-3)
