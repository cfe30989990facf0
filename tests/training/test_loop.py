"""The training loop: it learns, and a kill at any moment changes nothing of what it learns."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from conftest import EXAMPLES, FRAME_RATE
from support.small_data import ATTRIBUTION, LICENSE, TWO_INSTRUMENTS, run_timbrel, small_recipe
from timbrel.bundles.bundle import WINDOW, load_bundle
from timbrel.corpus.preparation import manifest_sha256, read_data
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.mel.generator import MelGenerator
from timbrel.mel.mel2mel import Mel2Mel, Mel2MelConfig, load_mel2mel
from timbrel.score.midi import read_midi
from timbrel.score.piano_roll import PianoRoll
from timbrel.timbre.timbre import parse_timbre
from timbrel.training import loop
from timbrel.training.averaging import AveragedWeights
from timbrel.training.checkpoint import load_checkpoint
from timbrel.training.export import export_run
from timbrel.training.loop import train
from timbrel.training.recipe import Recipe, read_recipe, write_recipe
from timbrel.training.record import git_commit

# Kills itself with SIGKILL in the middle of a step, or between writing a checkpoint and moving it
# to its place.
_MORTAL = """
import os, signal, sys
from timbrel.training import checkpoint, loop

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

moment = sys.argv.pop(1)
if moment == "saving":
    checkpoint.os.fsync = die
else:
    advance = loop.Trainer.advance
    def mortal(trainer, batch):
        if trainer.step == int(moment):
            die()
        return advance(trainer, batch)
    loop.Trainer.advance = mortal
from timbrel.commands.main import main
main()
"""

_LOGS_EACH_STEP = """
from timbrel.training import loop
loop._LOG_EVERY = 1
from timbrel.commands.main import main
main()
"""


def log_of(run: Path, kind: str) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [record for record in records if record["kind"] == kind]


def assert_same_bits(a: Any, b: Any, where: str = "checkpoint") -> None:
    """Equal numbers, and the same bits in each tensor."""
    assert type(a) is type(b), where
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype, where
        assert a.numpy().tobytes() == b.numpy().tobytes(), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same_bits(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, list):
        assert len(a) == len(b), where
        for index, (one, other) in enumerate(zip(a, b, strict=True)):
            assert_same_bits(one, other, f"{where}/{index}")
    else:
        assert a == b, where


def assert_same_training(run: Path, other: Path) -> None:
    one, two = load_checkpoint(run), load_checkpoint(other)
    for content in (one, two):
        # Training draws from PyTorch's generator alone; the others are this process's.
        content["random"] = content["random"]["torch"]
    assert_same_bits(one, two)


@pytest.fixture(scope="module")
def undisturbed(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of a run of sixty steps, whose losses are all in the log."""
    run = tmp_path_factory.mktemp("runs") / "undisturbed"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_LOG_EVERY", 1)
        patch.setattr(loop, "_keep_freed_memory", lambda: None)
        assert train(small_recipe(), small_data, run, say=lambda _: None) == 60
    torch.set_num_threads(threads)
    return run


def quiet_train(recipe: Recipe, data: Path, run: Path, **options: Any) -> int:
    return train(recipe, data, run, say=lambda _: None, **options)


def test_loss_falls(undisturbed: Path) -> None:
    losses = [record["loss"] for record in log_of(undisturbed, "train")]
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:5])


def test_log_says_what_happened(undisturbed: Path) -> None:
    lines = log_of(undisturbed, "train")
    assert [line["step"] for line in lines] == list(range(1, 61))
    recipe = small_recipe()
    assert [line["rate"] for line in lines] == [recipe.learning_rate_at(s) for s in range(60)]
    assert all(line["steps_per_s"] > 0 for line in lines)
    valid = log_of(undisturbed, "valid")
    assert [line["step"] for line in valid] == [30, 60]
    for line in valid:
        parts = [line[f"error_db/{name}"] for name in TWO_INSTRUMENTS]
        assert line["error_db"] == pytest.approx(np.mean(parts))
        assert 0.3 < line["correlation"] < 1


def test_tensorboard_has_the_same_numbers(undisturbed: Path) -> None:
    (events,) = (undisturbed / "tensorboard").glob("events.out.tfevents.*")
    board = EventAccumulator(str(events)).Reload()
    losses = [record["loss"] for record in log_of(undisturbed, "train")]
    scalars = board.Scalars("train/loss")
    assert [scalar.step for scalar in scalars] == list(range(1, 61))
    np.testing.assert_allclose([scalar.value for scalar in scalars], losses, rtol=1e-6)
    assert len(board.Scalars("valid/centred_correlation/trumpet")) == 2
    (tag,) = board.Tags()["images"]
    image = board.Images(tag)[-1]
    assert (image.height, image.width) == (160, 1000)  # two mels of eight seconds


def test_run_says_where_it_comes_from(undisturbed: Path, small_data: Path) -> None:
    notes = json.loads((undisturbed / "run.json").read_text())
    settings, _ = read_data(small_data)
    assert notes.pop("config") == {
        "n_instruments": 2,
        "timbre_size": 2,
        "roll": "piano",
        "roll_size": 176,
        "hidden_size": 16,
        "head_size": 0,
        "film_size": 0,
        "note_units": 0,
        "timbre_units": 384,
        "n_mels": 80,
    }
    commit = notes.pop("git_commit")
    assert commit is None or re.fullmatch("[0-9a-f]{40}", commit)
    assert notes == {
        "bundle": {
            "gain": settings.gain,
            "instruments": TWO_INSTRUMENTS,
            "kits": {},
            "window": asdict(WINDOW),
        },
        "card": {"loss": "tanh-log-abs"},
        "soundfont": settings.soundfont,
        "license": LICENSE,
        "attribution": ATTRIBUTION,
        "data_manifest_sha256": manifest_sha256(small_data),
        "start": None,
        "torch": torch.__version__,
    }
    assert read_recipe(undisturbed / "recipe.yaml") == small_recipe()


def test_run_without_git_has_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_commit() is None


def test_average_is_another_model_than_the_trained_one(undisturbed: Path) -> None:
    content = load_checkpoint(undisturbed)
    model = Mel2Mel(Mel2MelConfig(n_instruments=2, hidden_size=16))
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    assert len(content["average"]) == len(names)
    for name, average in zip(names, content["average"], strict=True):
        assert average.shape == content["model"][name].shape
    distances = [
        float((average - content["model"][name]).abs().max())
        for name, average in zip(names, content["average"], strict=True)
    ]
    assert 1e-5 < max(distances) < 0.5


def test_average_is_lent_and_taken_back() -> None:
    torch.manual_seed(0)
    model = Mel2Mel(Mel2MelConfig(n_instruments=2, hidden_size=4)).train()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    average = [torch.full_like(p, 0.25) for p in model.parameters() if p.requires_grad]
    with AveragedWeights(model, average) as lent:
        assert lent is model
        assert not model.training
        for name, parameter in model.named_parameters():
            assert torch.all(parameter == (0 if "bias_hh" in name else 0.25)), name
    assert model.training
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]), name


@pytest.mark.usefixtures("one_thread")
def test_first_step_is_of_the_rate_that_the_recipe_says(small_data: Path, tmp_path: Path) -> None:
    """Adam moves each weight by the rate at first, which warms up from a fifth of 0.01."""
    quiet_train(small_recipe(), small_data, tmp_path / "run", steps=1)
    content = load_checkpoint(tmp_path / "run")
    model = Mel2Mel(Mel2MelConfig(n_instruments=2, hidden_size=16))
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    # The average keeps 2/11 of the first weights after the first step.
    moved = [
        (content["model"][name] - average).abs().max() * 11 / 2
        for name, average in zip(names, content["average"], strict=True)
    ]
    assert float(max(moved)) == pytest.approx(0.002, rel=0.01)
    (adam,) = content["optimizer"]["parts"]
    assert [group["lr"] for group in adam["param_groups"]] == [0.002]


@pytest.mark.usefixtures("one_thread")
def test_stopped_and_resumed_equals_undisturbed(
    undisturbed: Path, small_data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert quiet_train(small_recipe(), small_data, run, steps=17) == 17
    assert load_checkpoint(run)["step"] == 17
    with pytest.raises(InputError, match="holds a run already; give --resume"):
        quiet_train(small_recipe(), small_data, run)
    assert quiet_train(small_recipe(), small_data, run, resume=True, steps=18) == 18
    assert quiet_train(small_recipe(), small_data, run, resume=True) == 60
    assert_same_training(run, undisturbed)
    assert quiet_train(small_recipe(), small_data, run, resume=True) == 60  # nothing is left to do
    assert_same_training(run, undisturbed)


def test_killed_twice_and_resumed_equals_undisturbed(
    undisturbed: Path, small_data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    write_recipe(tmp_path / "recipe.yaml", small_recipe())
    arguments = ["train", tmp_path / "recipe.yaml", "--data", small_data, "-o", run]
    arguments += ["--threads", 1, "--device", "cpu"]
    for moment, resume, done in (("25", [], 20), ("saving", ["--resume"], 20)):
        killed = subprocess.run(
            [sys.executable, "-c", _MORTAL, moment, *map(str, arguments), *resume],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert load_checkpoint(run)["step"] == done
    code, said = run_timbrel(*arguments)
    assert code == 2
    assert "holds a run already; give --resume" in said
    code, said = run_timbrel(*arguments, "--resume")
    assert code == 0, said
    assert "step 60 of 60, loss" in said
    assert "60 steps done" in said
    assert_same_training(run, undisturbed)
    assert [line["step"] for line in log_of(run, "valid")] == [30, 60]


@pytest.mark.usefixtures("one_thread")
def test_minutes_stop_it_with_a_checkpoint(small_data: Path, tmp_path: Path) -> None:
    recipe = small_recipe(
        steps=1_000_000, decay_steps=0, validate_every=1_000_000, checkpoint_every=1_000_000
    )
    said: list[str] = []
    began = time.monotonic()
    done = train(recipe, small_data, tmp_path / "run", minutes=0.01, say=said.append)
    assert time.monotonic() - began >= 0.6
    assert 1 <= done < 100_000
    assert load_checkpoint(tmp_path / "run")["step"] == done
    assert [line["step"] for line in log_of(tmp_path / "run", "valid")] == [done]
    assert said[-2].startswith(f"step {done} of 1000000, loss ")
    assert said[-2].endswith("0 min left")
    assert said[-1].startswith("valid: ")


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("loss", ["abs", "log-abs"])
def test_the_other_losses_fall_too(
    loss: str, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below those of a network that sees the same crops and does not learn."""
    monkeypatch.setattr(loop, "_LOG_EVERY", 1)
    options = {**small_recipe().options, "loss": loss}
    means = []
    for run, rate in (("run", 0.01), ("still", 1e-9)):
        recipe = small_recipe(options=options, learning_rate=rate)
        quiet_train(recipe, small_data, tmp_path / run, steps=40)
        losses = [record["loss"] for record in log_of(tmp_path / run, "train")]
        means.append(np.mean(losses[-20:]))
    assert means[0] < 0.9 * means[1]
    assert read_recipe(tmp_path / "run" / "recipe.yaml").options["loss"] == loss


@pytest.mark.usefixtures("one_thread")
def test_half_precision_trains_nearly_the_same(
    undisturbed: Path, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_LOG_EVERY", 1)
    quiet_train(small_recipe(precision="bfloat16"), small_data, tmp_path / "run", steps=15)
    losses, exact = (
        [record["loss"] for record in log_of(run, "train")[:15]]
        for run in (tmp_path / "run", undisturbed)
    )
    np.testing.assert_allclose(losses, exact, rtol=0.05)
    assert losses != exact
    content = load_checkpoint(tmp_path / "run")
    assert {tensor.dtype for tensor in content["model"].values()} == {torch.float32}


@pytest.mark.usefixtures("one_thread")
def test_two_processes_train_as_one(undisturbed: Path, small_data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_recipe(tmp_path / "recipe.yaml", small_recipe())
    (tmp_path / "script.py").write_text(_LOGS_EACH_STEP)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", tmp_path / "script.py", "train", tmp_path / "recipe.yaml"]
    command += ["--data", small_data, "-o", run, "--steps", "20", "--threads", "1"]
    found = subprocess.run(
        [*map(str, command), "--device", "cpu"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert found.returncode == 0, found.stderr
    losses, expected = (
        [record["loss"] for record in log_of(path, "train")[:20]] for path in (run, undisturbed)
    )
    assert len(losses) == 20
    np.testing.assert_allclose(losses, expected, rtol=0, atol=1e-5)
    states = load_checkpoint(run)["task"]
    assert [state["hidden"].shape for state in states] == [(1, 2, 16), (1, 2, 16)]
    # Each process has its own share of the state.
    with pytest.raises(InputError, match="the checkpoint is of 2 processes; resume with as many"):
        quiet_train(small_recipe(), small_data, run, resume=True)


@pytest.mark.usefixtures("one_thread")
def test_what_cannot_be_trained_is_refused(
    small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    with pytest.raises(InputError, match=r"task 'mel3mel' is unknown; known: mel2mel"):
        quiet_train(small_recipe(task="mel3mel"), small_data, run)
    with pytest.raises(InputError, match="model: has an unknown key 'hiden_size'"):
        quiet_train(small_recipe(model={"hiden_size": 16}), small_data, run)
    with pytest.raises(InputError, match=r"is not finished training data \(data\.json"):
        quiet_train(small_recipe(), tmp_path, run)
    assert not run.exists()
    monkeypatch.setattr(loop, "_LOG_EVERY", 1)
    options = {**small_recipe().options, "loss": "log-abs"}
    with pytest.raises(InputError, match=r"the loss is not finite at step \d+; lower the rate"):
        quiet_train(small_recipe(learning_rate=1e30, options=options), small_data, run)
    assert not (run / "checkpoint.pt").exists()


def test_batch_that_cannot_be_shared_is_refused(
    small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop.Processes, "__enter__", lambda _: (0, 3))
    with pytest.raises(InputError, match="a batch of 4 cannot be shared by 3 processes"):
        quiet_train(small_recipe(), small_data, tmp_path / "run")


def test_exported_bundle_is_the_average_and_runs(undisturbed: Path, tmp_path: Path) -> None:
    export_run(undisturbed, tmp_path / "small")
    bundle = load_bundle(tmp_path / "small", kind="mel2mel")
    notes = json.loads((undisturbed / "run.json").read_text())
    assert bundle.name == "small"
    assert (bundle.gain, bundle.license) == (notes["bundle"]["gain"], "CC0")
    assert bundle.attribution == "Of no use."
    assert bundle.mel == MelConfig()
    assert {i.name: i.program for i in bundle.instruments} == TWO_INSTRUMENTS
    assert bundle.training["steps"] == 60
    assert bundle.training["loss"] == "tanh-log-abs"
    last = log_of(undisturbed, "valid")[-1]
    assert bundle.training["validation"]["error_db"] == round(last["error_db"], 4)

    model = load_mel2mel(bundle)
    trained = [p for p in model.parameters() if p.requires_grad]
    for parameter, average in zip(trained, load_checkpoint(undisturbed)["average"], strict=True):
        assert torch.equal(parameter, average.half().float())

    roll = PianoRoll(read_midi(EXAMPLES / "duet.mid").notes, FRAME_RATE)
    timbre = parse_timbre("trumpet:0.5, grand piano:0.5", bundle.instruments)
    (mel,) = MelGenerator(bundle).stream([roll], [timbre], 64)
    assert mel.shape == (1, 64, 80)
    assert np.isfinite(mel).all()
    assert mel.std() > 0.1


def test_exported_bundle_can_have_a_name(undisturbed: Path, tmp_path: Path) -> None:
    export_run(undisturbed, tmp_path / "folder", name="other")
    assert load_bundle(tmp_path / "folder").name == "other"
    with pytest.raises(InputError, match=r"holds no checkpoint\.pt"):
        export_run(tmp_path, tmp_path / "nothing")
