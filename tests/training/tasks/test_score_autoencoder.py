"""Training of the autoencoder of scores on small data, with a small Mel2Mel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from support.sine_synthesizer import sine_bundle
from support.small_data import small_recipe
from support.small_mel2mel import two_instruments_bundle
from support.small_studio import small_mel2mel
from support.small_transcriber import SMALL_SIZES, small_transcriber_bundle
from timbrel.bundles.bundle import CARD_FILE, Bundle, load_bundle
from timbrel.errors import InputError, OutputError
from timbrel.mel.mel2mel import load_mel2mel
from timbrel.progress import silent
from timbrel.training.export import export_run
from timbrel.training.loop import train
from timbrel.training.recipe import Recipe, known, read_recipe
from timbrel.training.tasks.score_autoencoder import (
    ScoreAutoencoderOptions,
    ScoreAutoencoderTask,
)
from timbrel.transcription.sizes import FRAME, ONSET
from timbrel.transcription.transcriber import Transcriber

RECIPE = Path(__file__).parents[3] / "recipes" / "autoencoder.yaml"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A Mel2Mel of the small data's instruments, with random weights."""
    return load_bundle(two_instruments_bundle(tmp_path_factory.mktemp("models")))


def recipe_of(data: Path, bundle: Bundle, **changes: Any) -> Recipe:
    options = {
        **{"crop_s": 1.0, "lead_s": 0.1, "valid_s": 1.0},
        **{"unlabelled": str(data / "audio"), "unlabelled_clips": 2},
        **{"unlabelled_s": 1.0, "unlabelled_lead_s": 0.2},
        **{"mel2mel": str(bundle.path), "named_instruments": True},
        **changes.pop("options", {}),
    }
    given: dict[str, Any] = {
        "task": "autoencoder",
        "model": SMALL_SIZES,
        "options": options,
        "batch_size": 2,
        "learning_rate": 0.003,
        "steps": 4,
        "warmup_steps": 1,
        "decay_steps": 0,
        "validate_every": 4,
        "checkpoint_every": 2,
    }
    return small_recipe(**(given | changes))


def task_of(data: Path, recipe: Recipe, rank: int = 0, world: int = 1) -> ScoreAutoencoderTask:
    torch.manual_seed(recipe.seed)
    return ScoreAutoencoderTask(recipe, data, rank=rank, world=world, progress=silent)


def test_a_batch_is_a_function_of_the_step_and_knows_the_timbres(
    small_data: Path, two: Bundle
) -> None:
    task = task_of(small_data, recipe_of(small_data, two))
    first, second = task.batch(5), task.batch(5)
    assert first.cycle is not None
    assert second.cycle is not None
    np.testing.assert_array_equal(first.audio, second.audio)
    np.testing.assert_array_equal(first.cycle.mel, second.cycle.mel)
    # One second: so many frames of the mel, and what the transcriber hears around it.
    assert first.cycle.mel.shape == (2, 2 * round(62.5), 80)
    points = {one.embedding for one in two.instruments}
    assert {tuple(point) for point in first.cycle.timbre.tolist()} <= points
    # Processes share the clips of a batch.
    parts = [task_of(small_data, recipe_of(small_data, two), rank, 2).batch(5) for rank in (0, 1)]
    shared = np.concatenate([part.cycle.audio for part in parts if part.cycle is not None])
    np.testing.assert_array_equal(shared, first.cycle.audio)


@pytest.mark.parametrize("roll", ["relaxed", "straight-through"])
def test_gradients_of_the_cycle_reach_the_transcriber(
    small_data: Path, tmp_path: Path, roll: str
) -> None:
    bundle = sine_bundle(tmp_path / "sine")
    (tmp_path / "audio/sine").mkdir(parents=True)
    tone = 0.3 * np.sin(2 * np.pi * 880 * np.arange(32_000) / 16_000)
    soundfile.write(tmp_path / "audio/sine/a.wav", tone, 16_000)
    options = {"unlabelled": [str(tmp_path / "audio")], "roll": roll}
    task = task_of(small_data, recipe_of(small_data, bundle, options=options))
    batch, device = task.batch(1), torch.device("cpu")
    assert batch.cycle is not None
    made = task.model.again(task._heard(batch.cycle, device))
    task._cycle_loss(made, batch.cycle).backward()
    outputs = task.model.transcriber.outputs
    for head in (ONSET, FRAME):
        gradient = outputs[head].weight.grad
        assert gradient is not None
        assert torch.isfinite(gradient).all()
        assert gradient.abs().max() > 0
    assert all(p.grad is None for p in task.model.synthesizer.parameters())


def test_the_control_learns_from_the_labels_alone(small_data: Path, two: Bundle) -> None:
    whole = task_of(small_data, recipe_of(small_data, two))
    control = task_of(small_data, recipe_of(small_data, two, options={"cycle_weight": 0.0}))
    batch = control.batch(3)
    assert batch.cycle is None
    np.testing.assert_array_equal(batch.audio, whole.batch(3).audio)
    both, alone = (float(t.loss(t.model, t.batch(3), 3).detach()) for t in (whole, control))
    assert both > alone
    cycle = whole.batch(3).cycle
    assert cycle is not None
    made = whole.model.again(whole._heard(cycle, torch.device("cpu")))
    lost = float(whole._cycle_loss(made, cycle).detach())
    assert both - alone == pytest.approx(2.0 * lost, rel=1e-4)


@pytest.mark.usefixtures("one_thread")
def test_a_run_goes_on_from_a_transcriber_and_becomes_bundles(
    small_data: Path, two: Bundle, tmp_path: Path
) -> None:
    start = small_transcriber_bundle(tmp_path / "start")
    options = {"train_synthesizer": True, "unlabelled_license": "CC0"}
    recipe = recipe_of(small_data, two, options=options, start_from=str(start.path))
    said: list[str] = []
    train(recipe, small_data, tmp_path / "run", steps=2, say=said.append)
    train(recipe, small_data, tmp_path / "run", resume=True, say=said.append)
    assert any("cycle_loss" in line and "onset_pitch_f1" in line for line in said)
    (tmp_path / "heard-mel2mel").mkdir()
    with pytest.raises(OutputError, match="heard-mel2mel: exists"):
        export_run(tmp_path / "run", tmp_path / "heard")
    assert not (tmp_path / "heard").exists()
    (tmp_path / "heard-mel2mel").rmdir()
    written = export_run(tmp_path / "run", tmp_path / "heard")
    assert written == [tmp_path / "heard", tmp_path / "heard-mel2mel"]
    transcriber = Transcriber.load(written[0])
    assert transcriber.transcribe_audio(np.zeros(16_000, np.float32)).duration_s == 1.0
    card = (written[0] / CARD_FILE).read_text()
    assert "CC0 (the audio without labels: CC0)" in card
    assert "two (licence: MIT), trained, too" in card
    assert "weight of the cycle | 2.0" in card
    # The synthesizer has learnt, but its timbres are where they were.
    before, after = load_mel2mel(two), load_mel2mel(load_bundle(written[1], kind="mel2mel"))
    assert not torch.equal(before.output.weight, after.output.weight)
    assert torch.equal(before.embedding.weight, after.embedding.weight)


def test_the_recipe_that_comes_with_timbrel_is_one() -> None:
    recipe = read_recipe(RECIPE)
    options = known(ScoreAutoencoderOptions, recipe.options, "options")
    assert (options.unlabelled, options.mel2mel) == (("unlabelled",), "mel2mel-studio")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"unlabelled": ""}, r"needs audio without labels.*options\.unlabelled=FOLDER"),
        ({"unlabelled": [3]}, "a folder, or a list of them"),
        ({"unlabelled": "nowhere"}, "nowhere: is not a folder"),
        ({"unlabelled_lead_s": 1.0}, "unlabelled_lead_s"),
        ({"unlabelled_clips": 0}, "at least 1"),
        ({"cycle_weight": -1.0}, "negative"),
        ({"cycle_loss": "loud"}, "loud.*known: abs"),
        ({"roll": "soft"}, "soft.*known: relaxed"),
        ({"named_instruments": False}, r"no timbre encoder.*options\.named_instruments"),
        ({"named_instruments": False, "encoder": "encoder"}, "is not one of two's space"),
        ({"encoder": "nothing", "named_instruments": False}, "nothing: is neither"),
    ],
)
def test_what_cannot_be_trained_is_said(
    small_data: Path, two: Bundle, options: dict, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        task_of(small_data, recipe_of(small_data, two, options=options))


def test_a_folder_that_names_no_instrument_is_told(
    small_data: Path, two: Bundle, tmp_path: Path
) -> None:
    (tmp_path / "kazoo").mkdir()
    soundfile.write(tmp_path / "kazoo/a.wav", 0.1 * np.ones(8000), 16_000)
    with pytest.raises(InputError, match=r"a\.wav: lies in no subfolder that names an instrument"):
        task_of(small_data, recipe_of(small_data, two, options={"unlabelled": str(tmp_path)}))


def test_a_mel2mel_of_other_frames_is_refused(small_data: Path, two: Bundle) -> None:
    sizes = {**SMALL_SIZES, "hop_length": 320}  # 50 frames a second
    with pytest.raises(InputError, match=r"two: a Mel2Mel of 125 frames a second cannot read.* 50"):
        task_of(small_data, recipe_of(small_data, two, model=sizes))


def test_a_synthesizer_is_trained_on_data_of_its_rate(small_data: Path, tmp_path: Path) -> None:
    bundle = small_mel2mel(tmp_path / "studio")
    (tmp_path / "audio/piano").mkdir(parents=True)
    soundfile.write(tmp_path / "audio/piano/a.wav", 0.1 * np.ones(8000), 16_000)
    options = {"unlabelled": str(tmp_path / "audio"), "train_synthesizer": True}
    with pytest.raises(InputError, match="is data of 16000 Hz"):
        task_of(small_data, recipe_of(small_data, bundle, options=options))
