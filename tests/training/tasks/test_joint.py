"""Joint training of a Mel2Mel and a vocoder, with small networks on small data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from support.small_data import small_recipe
from support.small_mel2mel import two_instruments_bundle
from timbrel.bundles.bundle import Bundle, load_bundle
from timbrel.bundles.weights import with_weights
from timbrel.errors import InputError, OutputError
from timbrel.mel.mel2mel import load_mel2mel
from timbrel.progress import silent
from timbrel.training.export import export_run
from timbrel.training.loop import train
from timbrel.training.recipe import Recipe
from timbrel.training.tasks.joint import Chain, JointBatch, JointTask
from timbrel.training.tasks.parallel import ParallelTask
from timbrel.vocoder.parallel import ParallelVocoder, ParallelVocoderConfig
from timbrel.vocoder.parallel_export import write_parallel_bundle

SIZES: dict[str, Any] = {"width": 16, "n_blocks": 2, "lookahead": 5}
ABOUT = {"gain": 0.5, "license": "CC0", "attribution": "Made by chance.", "training": {}}


@pytest.fixture(autouse=True)
def few_validations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timbrel.training.tasks.parallel._VALID_CROPS", 3)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A Mel2Mel of the small data's instruments, with random weights."""
    return load_bundle(two_instruments_bundle(tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="module")
def vocoder(tmp_path_factory: pytest.TempPathFactory, two: Bundle) -> Path:
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("vocoders") / "vocoder"
    network = ParallelVocoder(ParallelVocoderConfig(**SIZES), two.mel)
    write_parallel_bundle(network, folder, mel=two.mel, name="vocoder", **ABOUT)
    return folder


def recipe_of(bundle: Bundle, **changes: Any) -> Recipe:
    options = {"crop_frames": 48, "mel2mel": str(bundle.path)} | changes.pop("options", {})
    given: dict[str, Any] = {
        "task": "joint",
        "model": SIZES,
        "options": options,
        "batch_size": 6,
        "learning_rate": 0.001,
        "steps": 20,
        "warmup_steps": 1,
        "decay_steps": 0,
        "validate_every": 20,
        "checkpoint_every": 20,
        "ema_decay": 0.5,
        "mel": bundle.mel,
    }
    return small_recipe(**(given | changes))


def task_of(data: Path, recipe: Recipe) -> JointTask:
    torch.manual_seed(recipe.seed)
    return JointTask(recipe, data, rank=0, world=1, progress=silent)


def test_some_crops_are_played_by_the_mel2mel_as_it_plays_whole_scores(
    small_data: Path, two: Bundle
) -> None:
    task = task_of(small_data, recipe_of(two, options={"predicted_share": 0.5}))
    batch = task.batch(4)
    assert isinstance(batch, JointBatch)
    played = batch.played
    assert played is not None
    assert 0 < len(played.items) < 6
    with torch.no_grad():
        mel = task._mels(task.model, batch).numpy()
    others = np.setdiff1d(np.arange(6), played.items)
    np.testing.assert_array_equal(mel[others], batch.crops.mel[others])
    # Beside the network on the whole score from its beginning: the crop begins 64 frames in.
    network, floor = load_mel2mel(two), two.mel.log_floor
    for item in played.items:
        clip, start = int(batch.crops.clip[item]), int(batch.crops.start[item])
        roll = torch.from_numpy(task._train.roll(clip).window(0, start + 48 + two.window.context))
        label = int(task._train.labels[clip])
        with torch.no_grad():
            whole = network(roll[None], network.embedding.weight[None, label])[0].numpy()
        expected = np.maximum(whole[start : start + 48], floor)
        np.testing.assert_allclose(mel[item], expected, atol=0.01)


def test_what_is_heard_trains_both_networks_but_no_embedding(small_data: Path, two: Bundle) -> None:
    options = {"predicted_share": 1.0, "true_mel_weight": 0.0, "level_weight": 1.0}
    task = task_of(small_data, recipe_of(two, options=options))
    task.loss(task.model, task.batch(2), 2).backward()
    assert isinstance(task.model, Chain)
    vocoder, synthesizer = task.model.vocoder, task.model.synthesizer
    for gradient in (vocoder.head.weight.grad, synthesizer.output.weight.grad):
        assert gradient is not None
        assert torch.isfinite(gradient).all()
        assert gradient.abs().max() > 0
    assert synthesizer.embedding.weight.grad is None


def test_with_true_mels_alone_it_is_the_vocoders_training(
    small_data: Path, two: Bundle, vocoder: Path
) -> None:
    joint = recipe_of(two, options={"predicted_share": 0.0})
    task = task_of(small_data, joint)
    task.start(load_bundle(vocoder))
    batch = task.batch(3)
    assert isinstance(batch, JointBatch)
    assert batch.played is None
    options = {"crop_frames": 48}
    alone = recipe_of(two, task="parallel")
    alone.options.clear()
    alone.options.update(options)
    other = ParallelTask(alone, small_data, rank=0, world=1, progress=silent)
    other.start(load_bundle(vocoder))
    both, alone = (float(one.loss(one.model, one.batch(3), 3).detach()) for one in (task, other))
    assert both == pytest.approx(alone, rel=1e-6)


def test_a_run_is_exported_as_two_bundles(
    small_data: Path, tmp_path: Path, two: Bundle, vocoder: Path
) -> None:
    recipe = recipe_of(two, start_from=str(vocoder), options={"predicted_share": 1.0})
    train(recipe, small_data, tmp_path / "run", progress=silent)
    folders = export_run(tmp_path / "run", tmp_path / "mine")
    assert [folder.name for folder in folders] == ["mine", "mine-mel2mel"]
    began, made = load_mel2mel(two), load_mel2mel(load_bundle(folders[1], kind="mel2mel"))
    assert torch.equal(made.embedding.weight, began.embedding.weight)
    assert (made.output.weight - began.output.weight).abs().max() > 1e-4
    before, after = (
        with_weights(ParallelVocoder(ParallelVocoderConfig(**SIZES), two.mel), load_bundle(one))
        for one in (vocoder, folders[0])
    )
    assert (after.head.weight - before.head.weight).abs().max() > 1e-4
    with pytest.raises(OutputError, match="mine-mel2mel"):
        export_run(tmp_path / "run", tmp_path / "mine")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"options": {"predicted_by": "mel2mel"}}, "predicted_by has no meaning"),
        ({"options": {"adversarial_from": 3}}, "no discriminators"),
        ({"options": {"mel2mel": "mel2mel-studio"}}, "makes mels of"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    small_data: Path, two: Bundle, changes: dict, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        task_of(small_data, recipe_of(two, **changes))


def test_a_vocoder_of_other_rolls_is_refused(small_data: Path, two: Bundle) -> None:
    with pytest.raises(InputError, match="reads a piano roll"):
        task_of(small_data, recipe_of(two, model=SIZES | {"conditioning": "performance"}))
