"""Training the transcriber: steps are functions of their numbers, runs resume, notes are learnt."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from support.small_data import small_recipe
from support.small_transcriber import SMALL_SIZES
from timbrel.bundles.bundle import load_bundle
from timbrel.errors import InputError
from timbrel.progress import silent
from timbrel.training.export import export_run
from timbrel.training.loop import train
from timbrel.training.note_clips import PART
from timbrel.training.recipe import Recipe, read_recipe
from timbrel.training.tasks.transcriber import TranscriberTask, new_transcriber
from timbrel.transcription.decoding import Thresholds
from timbrel.transcription.export import write_transcriber_bundle
from timbrel.transcription.sizes import BEND, FRAME, OFFSET, ONSET, VELOCITY, TranscriberConfig
from timbrel.transcription.stream import ProbabilityStream

RECIPE = Path(__file__).parents[3] / "recipes" / "transcriber.yaml"
PLAIN = {
    f"{name}_share": 0.0
    for name in (
        *("second", "third", "drums", "noise", "reverb", "equalizer"),
        *("band_limit", "detune", "empty", "speech"),
    )
}


def recipe_of(**changes: Any) -> Recipe:
    given: dict[str, Any] = {
        "task": "transcriber",
        "model": SMALL_SIZES,
        "options": {"crop_s": 1.0, "lead_s": 0.1, "valid_s": 1.0},
        "batch_size": 2,
        "learning_rate": 0.003,
        "steps": 8,
        "warmup_steps": 2,
        "decay_steps": 0,
        "validate_every": 8,
        "checkpoint_every": 4,
    }
    return small_recipe(**(given | changes))


def task_of(small_data: Path, recipe: Recipe, *, rank: int = 0, world: int = 1) -> TranscriberTask:
    torch.manual_seed(recipe.seed)
    return TranscriberTask(recipe, small_data, rank=rank, world=world, progress=silent)


def test_a_network_that_grows_begins_with_what_the_smaller_one_says(
    small_data: Path, tmp_path: Path
) -> None:
    smaller = {**SMALL_SIZES, "context_size": 0, "reader_size": 0, "dilations": (1,), "ahead": (3,)}
    torch.manual_seed(4)
    known = new_transcriber(TranscriberConfig(**smaller))
    with torch.no_grad():
        known.blocks[0].contract.weight.normal_(std=0.3)
    path = tmp_path / "smaller"
    write_transcriber_bundle(
        known,
        path,
        thresholds=Thresholds().as_dict(),
        name="small",
        sample_rate=known.config.sample_rate,
        license="MIT",
        attribution="Not trained.",
        training={},
    )

    task = task_of(small_data, recipe_of(model={**SMALL_SIZES, "ahead": (3, 0)}))
    assert task.start(load_bundle(path)) == ""
    spectra = 4 * torch.rand(2, 2, 30, known.config.n_bands)
    with torch.no_grad():
        expected, found = known(spectra)[0], task.model(spectra)[0]
    told = [ONSET, FRAME, OFFSET, BEND]  # velocities are read anew
    torch.testing.assert_close(found[..., told], expected[..., told], atol=1e-5, rtol=1e-5)

    other = task_of(small_data, recipe_of(model={**SMALL_SIZES, "hidden_size": 6}))
    with pytest.raises(InputError, match="hidden_size is 8, that of the recipe is 6"):
        other.start(load_bundle(path))


def test_other_makers_instruments_and_favoured_families_are_drawn(
    small_data: Path, tmp_path: Path
) -> None:
    more = tmp_path / "more"
    shutil.copytree(small_data, more)
    options = {"crop_s": 1.0, "more_data": [str(more)], "more_share": 1.0}
    task = task_of(small_data, recipe_of(options=options))
    random = np.random.default_rng(1)
    assert {task._source(random) is task._train for _ in range(20)} == {False}
    task = task_of(small_data, recipe_of(options={**options, "more_share": 0.0}))
    assert {task._source(random) is task._train for _ in range(20)} == {True}
    with pytest.raises(InputError, match="'more_share' must be from 0 to 1"):
        task_of(small_data, recipe_of(options={**options, "more_share": 2}))
    with pytest.raises(InputError, match="'Kazoo' is no family; there are Piano"):
        task_of(small_data, recipe_of(options={"families": {"Kazoo": 2.0}}))
    with pytest.raises(InputError, match="above 0"):
        task_of(small_data, recipe_of(options={"families": {"Organ": 0}}))


def test_a_batch_is_a_function_of_the_step(small_data: Path) -> None:
    task = task_of(small_data, recipe_of())
    first, second = task.batch(5), task.batch(5)
    np.testing.assert_array_equal(first.audio, second.audio)
    np.testing.assert_array_equal(first.labels, second.labels)
    assert not np.array_equal(first.audio, task.batch(6).audio)
    assert np.abs(first.audio).max() <= 1
    # Processes share the crops of a batch.
    parts = [task_of(small_data, recipe_of(), rank=rank, world=2).batch(5) for rank in range(2)]
    np.testing.assert_array_equal(np.concatenate([p.audio for p in parts]), first.audio)


def test_instruments_are_mixed_and_their_notes_are_labelled(small_data: Path) -> None:
    options = {"crop_s": 1.0, "lead_s": 0.1}
    one, two = (
        task_of(
            small_data,
            recipe_of(options={**options, "augmentation": {**PLAIN, "second_share": share}}),
        )
        for share in (0.0, 1.0)
    )
    n_more = 0
    for step in range(10):
        alone, both = one.batch(step).labels, two.batch(step).labels
        # The first instrument's part is the same, and stays in the labels.
        assert (both[..., FRAME] >= alone[..., FRAME]).all()
        n_more += (both[..., FRAME] > alone[..., FRAME]).any()
    assert n_more > 5


def test_a_perfect_answer_loses_least(small_data: Path) -> None:
    task = task_of(small_data, recipe_of())
    labels = torch.from_numpy(task.batch(1).labels)
    probability = labels[..., :3].clamp(1e-4, 1 - 1e-4)
    perfect = torch.cat([torch.logit(probability), labels[..., 3:5]], dim=-1)
    best = float(task._loss(perfect, labels))
    for head, change in ((ONSET, 2.0), (FRAME, 2.0), (2, 2.0), (VELOCITY, 0.3), (4, 20.0)):
        wrong = perfect.clone()
        wrong[..., head] += change
        assert float(task._loss(wrong, labels)) > best + 1e-4, head


def test_velocities_are_compared_within_each_part_of_a_clip(small_data: Path) -> None:
    task = task_of(small_data, recipe_of())
    labels = torch.from_numpy(task.batch(1).labels)
    perfect = torch.cat([torch.logit(labels[..., :3].clamp(1e-4, 1 - 1e-4)), labels[..., 3:5]], -1)
    best = float(task._loss(perfect, labels))
    high = torch.arange(labels.shape[2]) >= labels.shape[2] // 2
    louder, uneven = perfect.clone(), perfect.clone()
    louder[..., VELOCITY] += 0.1
    uneven[..., VELOCITY] += torch.where(high, 0.1, -0.1)
    all_louder, some_louder = (float(task._loss(one, labels)) - best for one in (louder, uneven))
    n_struck = float(labels[..., ONSET].sum()) / (labels.shape[0] * labels.shape[1])
    weight = task._options.velocity_weight
    assert all_louder == pytest.approx(0.1 * 0.1 * weight * n_struck, rel=0.01)
    assert some_louder > 3 * all_louder
    # Where the high keys are another part, there is nothing uneven within the parts.
    labels[..., PART] = high.float()
    assert float(task._loss(uneven, labels)) - best == pytest.approx(all_louder, rel=0.01)


def test_the_velocities_alone_can_be_trained(small_data: Path) -> None:
    options = {"crop_s": 1.0, "lead_s": 0.1, "only_velocities": True}
    task = task_of(small_data, recipe_of(options=options))
    task.loss(task.model, task.batch(1), 1).backward()
    moved = {name for name, p in task.model.named_parameters() if p.grad is not None}
    assert moved
    assert all(name.startswith("reader.") for name in moved)
    with pytest.raises(InputError, match="needs a model with a 'reader_size'"):
        task_of(small_data, recipe_of(options=options, model={**SMALL_SIZES, "reader_size": 0}))


def test_frames_that_are_not_known_yet_do_not_count(small_data: Path) -> None:
    """The first frames of a crop lack their past, the last ones what the network hears ahead."""
    task = task_of(small_data, recipe_of())
    batch = task.batch(2)
    lead, last = 6, task._n_frames - task.config.frames_ahead
    with torch.no_grad():
        before = task.loss(task.model, batch, 2)
        for place, counts in ((lead - 1, False), (lead, True), (last - 1, True), (last, False)):
            labels = batch.labels.copy()
            labels[:, place, :, FRAME] = 1 - labels[:, place, :, FRAME]
            after = task.loss(task.model, dataclasses.replace(batch, labels=labels), 2)
            assert (float(after) != float(before)) == counts


@pytest.mark.usefixtures("one_thread")
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(
    small_data: Path, tmp_path: Path
) -> None:
    recipe = recipe_of()
    train(recipe, small_data, tmp_path / "whole", say=lambda _: None)
    train(recipe, small_data, tmp_path / "parts", steps=4, say=lambda _: None)
    train(recipe, small_data, tmp_path / "parts", resume=True, say=lambda _: None)
    first, second = (
        torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)
        for name in ("whole", "parts")
    )
    for key, value in first["model"].items():
        torch.testing.assert_close(second["model"][key], value, rtol=0, atol=0)


@pytest.mark.usefixtures("one_thread")
def test_the_loss_falls_and_the_bundle_hears_what_was_learnt(
    small_data: Path, tmp_path: Path
) -> None:
    recipe = recipe_of(
        steps=60,
        warmup_steps=5,
        learning_rate=0.01,
        validate_every=60,
        checkpoint_every=60,
        options={"crop_s": 1.0, "lead_s": 0.1, "valid_s": 2.0, "augmentation": PLAIN},
    )
    run = tmp_path / "run"
    said: list[str] = []
    task = task_of(small_data, recipe)
    with torch.no_grad():
        before = np.mean([float(task.loss(task.model, task.batch(i), i)) for i in range(6)])
    train(recipe, small_data, run, say=said.append)
    assert any("onset_pitch_f1" in line for line in said)
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert losses[-1] < 0.85 * before
    (measures,) = [row for row in rows if "onset_pitch_f1" in row]
    assert {"onset_f1", "onset_pitch_offset_f1", "frame_f1"} <= set(measures)
    assert {"onset_pitch_f1/trumpet", "threshold/onset"} <= set(measures)
    export_run(run, tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle", kind="transcriber")
    thresholds = {key: measures[f"threshold/{key}"] for key in ("onset", "frame", "offset")}
    assert bundle.config["thresholds"] == thresholds
    assert bundle.sample_rate == 16_000
    assert "onset pitch f1" in (bundle.path / "README.md").read_text()
    heard = ProbabilityStream(bundle)
    values = np.concatenate([heard.push(np.zeros(8000, np.float32)), heard.finish()])
    assert values[..., ONSET].max() < 0.5


def test_the_recipe_that_comes_with_timbrel_is_one() -> None:
    recipe = read_recipe(RECIPE)
    assert recipe.task == "transcriber"
    assert recipe.batch_size == 24


def test_a_wrong_option_is_named(small_data: Path) -> None:
    with pytest.raises(InputError, match="lead_s"):
        task_of(small_data, recipe_of(options={"crop_s": 1.0, "lead_s": 1.0}))
    with pytest.raises(InputError, match=r"augmentation.*rain"):
        task_of(small_data, recipe_of(options={"augmentation": {"rain": 1}}))
