"""Training the encoder: batches are functions of their steps; a run becomes a bundle that hears."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from support.small_data import TWO_INSTRUMENTS, small_recipe
from support.small_encoder import SMALL_SIZES
from support.small_mel2mel import two_instruments_bundle
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.hearing.from_audio import TimbreEncoder
from timbrel.progress import silent
from timbrel.training.export import export_run
from timbrel.training.loop import train
from timbrel.training.recipe import Recipe, read_recipe
from timbrel.training.tasks.encoder import EncoderTask

STEPS = 150
RECIPES = Path(__file__).parents[3] / "recipes"


@pytest.fixture(scope="module")
def mel2mel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Mel2Mel of the two instruments of the small data, with random weights."""
    return two_instruments_bundle(tmp_path_factory.mktemp("models"))


def recipe_of(mel2mel: Path, options: dict[str, Any] | None = None, **changes: Any) -> Recipe:
    given: dict[str, Any] = {
        "task": "encoder",
        "model": SMALL_SIZES,
        "options": {"mel2mel": str(mel2mel), "longest_s": 1.0, **(options or {})},
        "batch_size": 8,
        "learning_rate": 0.005,
        "steps": 60,
        "validate_every": 60,
        "checkpoint_every": 30,
    }
    return small_recipe(**(given | changes))


def task_of(small_data: Path, recipe: Recipe) -> EncoderTask:
    torch.manual_seed(recipe.seed)
    return EncoderTask(recipe, small_data, rank=0, world=1, progress=silent)


def test_a_batch_is_a_function_of_the_step(small_data: Path, mel2mel: Path) -> None:
    task = task_of(small_data, recipe_of(mel2mel))
    first, other, second = task.batch(5), task.batch(100), task.batch(5)
    np.testing.assert_array_equal(first.mel, second.mel)
    np.testing.assert_array_equal(first.known.points, second.known.points)
    assert first.mel.shape[1] != other.mel.shape[1]  # crops of many lengths
    assert first.mel.shape == (8, first.mel.shape[1], 80)
    assert np.isfinite(first.mel).all()


def test_examples_of_nothing_may_lie_anywhere(small_data: Path, mel2mel: Path) -> None:
    shares = {"nothing_share": 0.98, "made_share": 0.01}
    task = task_of(small_data, recipe_of(mel2mel, shares))
    batches = [task.batch(step).known for step in range(8)]
    known = np.concatenate([batch.shares for batch in batches])
    assert (known[:, -1] == 1).mean() > 0.9
    points = np.concatenate([batch.points for batch in batches])[known[:, -1] == 1]
    assert len(np.unique(points, axis=0)) == 2  # those of both instruments


def test_made_examples_lie_between_the_instruments(small_data: Path, mel2mel: Path) -> None:
    shares = {"nothing_share": 0.0, "made_share": 0.99}
    task = task_of(small_data, recipe_of(mel2mel, shares))
    known = [task.batch(step).known for step in range(6)]
    found = np.concatenate([batch.shares for batch in known])
    sums = found.sum(axis=1)
    # Of points that strayed from the mixes no instrument is said.
    assert set(np.round(sums, 4)) == {0.0, 1.0}
    assert ((found > 0.05) & (found < 0.95)).any()


@pytest.mark.usefixtures("one_thread")
def test_two_instruments_are_learnt_and_the_bundle_hears_them(
    small_data: Path, mel2mel: Path, tmp_path: Path
) -> None:
    unchanged = {
        f"{name}_share": 0.0
        for name in ("warp", "equalizer", "tilt", "low_pass", "high_pass", "noise", "room")
    }
    options = {"augmentation": unchanged, "made_share": 0.0, "shortest_s": 0.8}
    sizes = {**SMALL_SIZES, "channels": (8, 8, 12, 12), "hidden_size": 32, "head_size": 24}
    recipe = recipe_of(
        mel2mel, options, model=sizes, steps=STEPS, batch_size=16, validate_every=STEPS
    )
    done = train(recipe, small_data, tmp_path / "run", say=print, device="cpu")
    assert done == STEPS
    export_run(tmp_path / "run", tmp_path / "bundle")
    listener = TimbreEncoder.load(tmp_path / "bundle")
    assert [i.name for i in listener.bundle.instruments] == list(TWO_INSTRUMENTS)
    assert listener.bundle.config["mel2mel"] == "two"
    assert listener.bundle.config["calibration"]["temperature"] > 0
    clips = task_of(small_data, recipe)._train.clips
    for index, clip in enumerate(clips.clips):
        (found, *_) = listener.recognised(listener.hear_mel(clips.mel(index, 0, 125)))
        assert found.instruments[0].instrument.name == clip.instrument


def test_more_data_must_hold_instruments_of_the_model(
    small_data: Path, mel2mel: Path, tmp_path: Path
) -> None:
    options = {"more_data": [str(tmp_path / "none")]}
    with pytest.raises(InputError, match="none"):
        task_of(small_data, recipe_of(mel2mel, options))


def test_the_mel_is_that_of_the_model(small_data: Path, mel2mel: Path) -> None:
    recipe = recipe_of(mel2mel, mel=MelConfig(n_mels=40))
    with pytest.raises(InputError, match="'mel' must be that of"):
        task_of(small_data, recipe)


@pytest.mark.parametrize("name", ["encoder", "encoder-2d"])
def test_the_recipes_can_be_read(name: str) -> None:
    assert read_recipe(RECIPES / f"{name}.yaml").task == "encoder"
