"""Training of the parallel student, with a small teacher on small data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import EXAMPLES
from timbrel.bundles.bundle import CARD_FILE, Bundle, load_bundle
from timbrel.bundles.weights import with_weights
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.progress import silent
from timbrel.synthesizer import Synthesizer
from timbrel.training.checkpoint import load_checkpoint
from timbrel.training.export import export_run
from timbrel.training.loop import train
from timbrel.training.recipe import Recipe
from timbrel.training.tasks.student import StudentTask
from timbrel.vocoder.losses import PowerLoss
from timbrel.vocoder.student import Student, StudentConfig
from timbrel.vocoder.wavenet import WaveNet, WaveNetConfig
from timbrel.vocoder.wavenet_export import write_wavenet_bundle

SMALL = {"n_layers": 4, "n_cycle": 4, "residual_size": 8, "skip_size": 16}


@pytest.fixture(autouse=True)
def few_validations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timbrel.training.tasks.student._VALID_CROPS", 3)


def teacher(folder: Path, *, mel: MelConfig | None = None, output: str = "gaussian") -> str:
    torch.manual_seed(2)
    mel = mel or MelConfig()
    model = WaveNet(WaveNetConfig(**SMALL, output=output, n_mels=mel.n_mels))
    write_wavenet_bundle(
        model,
        folder,
        name="teacher",
        mel=mel,
        gain=0.5,
        license="CC0",
        attribution="",
        training={"steps": 7},
    )
    return str(folder)


def recipe(teacher: str, **values: object) -> Recipe:
    options = {"teacher": teacher, "crop_frames": 24} | values.pop("options", {})
    content = {
        "task": "student",
        "steps": 40,
        "batch_size": 2,
        "learning_rate": 0.01,
        "model": {"n_flows": 2, **SMALL},
        "options": options,
        "warmup_steps": 5,
        "precision": "float32",
        "validate_every": 40,
        "status": "experimental",
    }
    return Recipe(**content | values)


@pytest.mark.usefixtures("one_thread")
def test_a_student_is_taught_exported_and_plays(
    small_data: Path, tiny_bundle: Bundle, tmp_path: Path
) -> None:
    wanted, run = recipe(teacher(tmp_path / "teacher")), tmp_path / "run"
    train(wanted, small_data, run, say=lambda _: None, device="cpu", steps=1)
    train(wanted, small_data, run, say=lambda _: None, device="cpu", resume=True)
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    first, *_, last = (line["loss"] for line in lines if line["kind"] == "train")
    assert last < 0.8 * first
    found = [line for line in lines if line["kind"] == "valid"][-1]
    assert np.isfinite([found["kl"], found["log_cqt_correlation"]]).all()
    assert found["silence_dbfs"] < -80

    export_run(run, tmp_path / "student")
    bundle = load_bundle(tmp_path / "student", kind="student")
    assert bundle.status == "experimental"
    card = bundle.file(CARD_FILE).read_text()
    assert "| teacher | teacher (steps: 7, licence: CC0) |" in card
    assert f"| kl | {round(found['kl'], 4)} |" in card
    # What was validated and is exported are the averaged weights, without the teacher's.
    average = load_checkpoint(run)["average"]
    network = with_weights(Student(StudentConfig(**bundle.model), bundle.mel), bundle)
    for parameter, expected in zip(network.parameters(), average, strict=True):
        torch.testing.assert_close(parameter, expected, rtol=1e-3, atol=1e-6)
    task = StudentTask(wanted, small_data, rank=0, world=1, progress=silent)
    assert task.validate(network).measures["kl"] == pytest.approx(found["kl"], rel=0.02)

    synthesizer = Synthesizer.load(tiny_bundle.path, vocoder=bundle.path)
    audio = synthesizer.render(EXAMPLES / "duet.mid", duration_s=1.0)
    assert len(audio) >= 16_000
    assert np.isfinite(audio).all()
    assert np.abs(audio).max() > 1e-4


@pytest.mark.usefixtures("one_thread")
def test_a_batch_is_a_function_of_the_step(small_data: Path, tmp_path: Path) -> None:
    wanted = recipe(teacher(tmp_path / "teacher"), options={"silent_share": 0.5}, batch_size=8)
    whole, again = (
        StudentTask(wanted, small_data, rank=0, world=1, progress=silent).batch(3) for _ in "ab"
    )
    np.testing.assert_array_equal(whole.noise, again.noise)
    halves = [
        StudentTask(wanted, small_data, rank=rank, world=2, progress=silent).batch(3)
        for rank in (0, 1)
    ]
    np.testing.assert_array_equal(np.concatenate([half.noise for half in halves]), whole.noise)
    audio = np.concatenate([half.crops.audio for half in halves])
    np.testing.assert_array_equal(audio, whole.crops.audio)
    is_silent = (whole.crops.mel == np.float32(MelConfig().log_floor)).all(axis=(1, 2))
    assert 1 <= is_silent.sum() < 8
    assert not whole.crops.audio[is_silent].any()


def test_what_is_quieter_than_the_least_deviation_is_not_distilled(
    small_data: Path, tmp_path: Path
) -> None:
    """There the teacher would teach to hiss."""
    wanted = recipe(teacher(tmp_path / "teacher"), options={"silent_share": 1.0})
    task = StudentTask(wanted, small_data, rank=0, world=1, progress=silent)
    kl, regulariser = task._distilled(task._made(task.model, task.batch(0)))
    assert (kl.item(), regulariser.item()) == (0.0, 0.0)
    loud = recipe(wanted.options["teacher"], options={"silent_share": 0.0})
    task = StudentTask(loud, small_data, rank=0, world=1, progress=silent)
    kl, regulariser = task._distilled(task._made(task.model, task.batch(0)))
    assert kl.item() > 0
    assert regulariser.item() > 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"options": {"teacher": ""}}, "a student needs a teacher"),
        ({"options": {"teacher": "wavenet"}}, "its output is categorical"),
        ({"options": {"teacher": "parallel"}}, "of kind 'parallel', not 'wavenet'"),
        ({"mel": MelConfig(n_mels=40)}, "reads mels of 16000 Hz.*80 mels.*are of .*40 mels"),
        ({"options": {"crop_frames": 0}}, "must be longer than the 16 samples"),
        ({"options": {"colour": 3}}, "unknown key 'colour'"),
        ({"model": {"strides": [8, 8]}}, "hops of 64 samples"),
    ],
)
def test_what_cannot_be_taught_is_refused(
    changes: dict, words: str, small_data: Path, tmp_path: Path
) -> None:
    wanted = recipe(teacher(tmp_path / "teacher"), **changes)
    with pytest.raises(InputError, match=words):
        train(wanted, small_data, tmp_path / "run", say=lambda _: None, device="cpu")
    assert not (tmp_path / "run").exists()


def test_power_counts_over_time_alone() -> None:
    random = np.random.default_rng(1)
    noise, other = (torch.from_numpy(random.standard_normal((1, 160_000))) for _ in "ab")
    loss = PowerLoss()
    assert float(loss(noise, noise)) == 0
    assert float(loss(other, noise)) < 0.15  # another noise, as loud
    assert float(loss(2 * noise, noise)) == pytest.approx(3)
