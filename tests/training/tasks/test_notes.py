"""Training of the networks of notes, small ones on small data, and their export."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from support.notes_fixtures import TRAINED_SIZES
from timbrel.bundles.kinds import KINDS, loaded
from timbrel.engine.companding import compress, expand
from timbrel.errors import InputError
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.notes.baseline import BaselineConfig, SpectralBaseline
from timbrel.notes.codec import NoteCodec
from timbrel.notes.dataset import data_sha256, read_split
from timbrel.notes.export import load_spectral
from timbrel.notes.sizes import NoteAutoencoderConfig
from timbrel.progress import silent
from timbrel.training.export import export_run
from timbrel.training.loop import train
from timbrel.training.recipe import Recipe, read_recipe
from timbrel.training.tasks.autoencoder import AutoencoderBatch, AutoencoderTask, pitch_directions
from timbrel.training.tasks.spectral import BaselineTask, ClassifierTask
from timbrel.training.trainer import Trainer

MODELS: dict[str, dict] = {
    "notes-autoencoder": TRAINED_SIZES,
    "notes-baseline": {"width": 1 / 32, "code_size": 8, "pitch_size": 4},
    "notes-classifier": {"width": 1 / 32, "code_size": 8},
}
MEASURES = {
    "notes-autoencoder": {"nll"},
    "notes-baseline": {"loss"},
    "notes-classifier": {"loss", "pitch_accuracy", "quality_accuracy"},
}


def recipe(task: str, **values: object) -> Recipe:
    content = {
        "task": task,
        "steps": 30,
        "batch_size": 4,
        "learning_rate": 0.01,
        "model": MODELS[task],
        "options": {"crop_frames": 2} if task == "notes-autoencoder" else {},
        "warmup_steps": 2,
        "precision": "float32",
        "validate_every": 30,
    }
    return Recipe(**content | values)


def lines(run: Path, kind: str) -> list[dict]:
    found = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [line for line in found if line["kind"] == kind]


@pytest.fixture
def quick_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("autoencoder", "spectral"):
        monkeypatch.setattr(f"timbrel.training.tasks.{module}._VALID_BATCHES", 1)


@pytest.mark.usefixtures("one_thread", "quick_validation")
@pytest.mark.parametrize("task", MODELS)
def test_a_network_learns_and_goes_on(task: str, notes_data: Path, tmp_path: Path) -> None:
    run, wanted = tmp_path / "run", recipe(task)
    train(wanted, notes_data, run, say=lambda _: None, device="cpu", steps=1)
    train(wanted, notes_data, run, say=lambda _: None, device="cpu", resume=True)
    losses = lines(run, "train")
    assert losses[-1]["step"] == 30
    assert losses[-1]["loss"] < losses[0]["loss"]
    measures = lines(run, "valid")[-1]
    assert MEASURES[task] <= set(measures)
    assert all(np.isfinite(measures[name]) for name in MEASURES[task])
    notes = json.loads((run / "run.json").read_text())
    assert notes["bundle"] == {"sample_rate": 16_000}
    assert notes["data_manifest_sha256"] == data_sha256(notes_data)


@pytest.mark.usefixtures("one_thread", "quick_validation")
def test_an_exported_run_encodes_and_decodes(notes_data: Path, tmp_path: Path) -> None:
    train(
        recipe("notes-autoencoder", steps=2),
        notes_data,
        tmp_path / "run",
        say=lambda _: None,
        device="cpu",
    )
    export_run(tmp_path / "run", tmp_path / "model")
    codec = NoteCodec.load(tmp_path / "model")
    codes = codec.encode(read_split(notes_data, "test").audio(0)[:1536])
    assert codes.shape == (3, 16)
    assert codec.decode([codes[:1]])[0].shape == (512,)
    card = (tmp_path / "model" / "README.md").read_text()
    assert "| steps | 2 |" in card


@pytest.mark.parametrize("kind", MODELS)
def test_idle_parameters_are_known(kind: str, notes_data: Path) -> None:
    """Several processes must know whether all parameters get a gradient."""
    task = loaded(KINDS[kind].task)(recipe(kind), notes_data, rank=0, world=1, progress=silent)
    task.loss(task.model, task.batch(0), 0).backward()
    idle = [name for name, parameter in task.model.named_parameters() if parameter.grad is None]
    assert bool(idle) == task.has_idle_parameters, idle


def test_statistics_of_norms_are_averaged_step_by_step(notes_data: Path) -> None:
    wanted = recipe("notes-baseline", ema_decay=0.5)
    task = BaselineTask(wanted, notes_data, rank=0, world=1, progress=silent)
    norm = task.model.encoder.norm
    trainer = Trainer(wanted, task, torch.device("cpu"), 1, is_new=False)
    means, variances = norm.running_mean.clone(), norm.running_var.clone()
    for step in range(3):
        trainer.advance(task.batch(step))
        means = (means + norm.running_mean) / 2
        variances = (variances + norm.running_var) / 2
    latest = norm.running_var.clone()
    with trainer.averaged():
        torch.testing.assert_close(norm.running_mean, means)
        torch.testing.assert_close(norm.running_var, variances)
        assert not torch.allclose(latest, variances, rtol=0.01)
    torch.testing.assert_close(norm.running_var, latest)


@pytest.mark.usefixtures("one_thread", "quick_validation")
def test_a_bundle_holds_what_was_validated_and_is_gone_on_with(
    notes_data: Path, tmp_path: Path
) -> None:
    """Weights and norms are those of one average: the loss of the export is the run's."""
    wanted = recipe("notes-baseline", steps=6, ema_decay=0.9)
    train(wanted, notes_data, tmp_path / "run", say=lambda _: None, device="cpu")
    export_run(tmp_path / "run", tmp_path / "model")
    task = BaselineTask(wanted, notes_data, rank=0, world=1, progress=silent)
    exported, bundle = load_spectral(tmp_path / "model", SpectralBaseline, BaselineConfig)
    said = lines(tmp_path / "run", "valid")[-1]["loss"]
    assert task.validate(exported).measures["loss"] == pytest.approx(said, rel=0.01)  # half floats
    task.start(bundle)
    for (name, value), started in zip(
        exported.state_dict().items(), task.model.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(started, value, msg=name)


def test_qualities_that_were_not_measured_are_not_learnt(notes_data: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(notes_data, tmp_path / "data"))
    (data / "data.json").write_text('{"soundfonts": {"a.sf2": ""}, "qualities_measured": ["dark"]}')
    task = ClassifierTask(recipe("notes-classifier"), data, rank=0, world=1, progress=silent)
    batch = task.batch(0)
    model = task.model.eval()
    before = task.loss(model, batch, 0)
    with torch.no_grad():
        model.qualities.bias[0] += 5  # "bright"
    torch.testing.assert_close(task.loss(model, batch, 0), before)
    with torch.no_grad():
        model.qualities.bias[1] += 5  # "dark"
    assert task.loss(model, batch, 0) > before + 1
    assert task.describe()["soundfont"] == "a.sf2"


def test_crops_are_levels_of_the_notes_with_context(notes_data: Path) -> None:
    wanted = recipe("notes-autoencoder")
    task = AutoencoderTask(wanted, notes_data, rank=0, world=1, progress=silent)
    context = NoteAutoencoderConfig(**MODELS["notes-autoencoder"]).context_frames
    batch = task.batch(5)
    assert batch.levels.shape == (4, (2 + 2 * context) * 512)
    torch.testing.assert_close(task.batch(5).levels, batch.levels)
    assert not torch.equal(task.batch(6).levels, batch.levels)
    assert not batch.noise.any()
    split = read_split(notes_data, "train")
    whole = [compress(np.pad(split.audio(i), 512)) for i in range(len(split))]
    for crop in batch.levels.numpy():
        windows = [np.lib.stride_tricks.sliding_window_view(w, len(crop)) for w in whole]
        assert any((w == crop).all(axis=1).any() for w in windows)


def test_the_spectrum_is_trained_beside_the_others(notes_data: Path, tmp_path: Path) -> None:
    """Its error falls, the other weights stay, and the bundle holds decoded sounds to it."""
    start = tmp_path / "start"
    train(recipe("notes-autoencoder", steps=3, validate_every=3), notes_data, tmp_path / "plain")
    export_run(tmp_path / "plain", start)
    wanted = recipe(
        "notes-autoencoder",
        model=TRAINED_SIZES | {"spectrum_size": 32},
        options={"crop_frames": 8, "spectrum_only": True},
        start_from=str(start),
        steps=60,
        validate_every=20,
        ema_decay=0.9,
    )
    train(wanted, notes_data, tmp_path / "run")
    found = [line["mel_loss"] for line in lines(tmp_path / "run", "valid")]
    assert found == sorted(found, reverse=True)
    task = AutoencoderTask(wanted, notes_data, rank=0, world=1, progress=silent)
    assert found[-1] < 0.8 * task.validate(task.model.eval()).measures["mel_loss"]
    assert all("nll" not in line for line in lines(tmp_path / "run", "valid"))
    export_run(tmp_path / "run", tmp_path / "bundle")
    codec = NoteCodec.load(tmp_path / "bundle")
    assert codec.bundle.config["post_filter"] == {"passes": 3}
    assert (
        "the mel that a small\nnetwork of 32 units tells"
        in codec.bundle.file("README.md").read_text()
    )
    assert "but for the layers of the spectrum" in codec.bundle.training["start"]
    before, after = (
        load_file(tmp_path / name / "weights.safetensors") for name in ("start", "bundle")
    )
    for name, weight in before.items():
        np.testing.assert_array_equal(after[name], weight)


def test_the_mel_is_that_of_the_crop(notes_data: Path) -> None:
    options = {"crop_frames": 6}
    sizes = TRAINED_SIZES | {"spectrum_size": 8}
    wanted = recipe("notes-autoencoder", model=sizes, options=options)
    task = AutoencoderTask(wanted, notes_data, rank=0, world=1, progress=silent)
    batch = task.batch(2)
    assert batch.mel.shape == (4, 2 * 4, 80)
    context = NoteAutoencoderConfig(**sizes).context_frames
    first = (context + 2) * 4
    for levels, mel in zip(batch.levels.numpy(), batch.mel.numpy(), strict=True):
        heard = mel_spectrogram(expand(levels))[first : first + 8]
        loud = mel > 1
        np.testing.assert_allclose(mel[loud], heard[loud], atol=0.1)  # of 256 levels


def test_a_spectrum_that_cannot_be_trained_is_refused(notes_data: Path) -> None:
    def made(sizes: dict, options: dict) -> None:
        wanted = recipe("notes-autoencoder", model=TRAINED_SIZES | sizes, options=options)
        AutoencoderTask(wanted, notes_data, rank=0, world=1, progress=silent)

    with pytest.raises(InputError, match="spectrum_only wants a model with 'spectrum_size'"):
        made({}, {"spectrum_only": True})
    with pytest.raises(InputError, match="crop_frames is 4; a model with 'spectrum_size' wants"):
        made({"spectrum_size": 8}, {"crop_frames": 4})


def test_two_processes_hold_what_one_would(notes_data: Path) -> None:
    wanted = recipe("notes-autoencoder")
    one, *halves = (
        AutoencoderTask(wanted, notes_data, rank=rank, world=world, progress=silent).batch(3)
        for rank, world in ((0, 1), (0, 2), (1, 2))
    )
    torch.testing.assert_close(torch.cat([half.levels for half in halves]), one.levels)


def test_noise_on_the_past_is_as_loud_as_asked(notes_data: Path) -> None:
    options = {"crop_frames": 8, "past_noise": 10.0}
    wanted = replace(recipe("notes-autoencoder"), options=options, batch_size=32)
    task = AutoencoderTask(wanted, notes_data, rank=0, world=1, progress=silent)
    noise = task.batch(1).noise
    assert noise.shape == (32, 8 * 512)
    deviations = noise.std(dim=1)
    assert deviations.max() < 10.5
    assert deviations.mean() == pytest.approx(5, abs=1.5)
    torch.testing.assert_close(task.batch(1).noise, noise)


def test_codes_are_taught_the_pitch_where_it_is_heard(notes_data: Path) -> None:
    def loss_and_batch(weight: float) -> tuple[torch.Tensor, AutoencoderBatch, torch.nn.Module]:
        options = {"crop_frames": 20, "context": False, "pitch_weight": weight}
        wanted = replace(recipe("notes-autoencoder"), options=options)
        torch.manual_seed(0)
        task = AutoencoderTask(wanted, notes_data, rank=0, world=1, progress=silent)
        batch = task.batch(0)
        # Half of a crop becomes silent: its frames do not count.
        batch.levels[0, 10 * 512 :] = 0
        return task.loss(task.model, batch, 0).detach(), batch, task.model

    without, _, _ = loss_and_batch(0.0)
    with_pitch, batch, model = loss_and_batch(0.5)
    with torch.no_grad():
        logits = model.encoder(batch.levels) @ pitch_directions(16).T
    audible = batch.levels.abs().reshape(len(logits), 20, 512).mean(-1) > 4
    assert not audible[0, 10:].any()
    assert audible[0, :10].any()
    pitches = batch.pitches[:, None].expand(audible.shape)[audible]
    expected = torch.nn.functional.cross_entropy(logits[audible], pitches)
    assert float(with_pitch - without) == pytest.approx(0.5 * float(expected), rel=1e-4)


def test_directions_tell_all_pitches_apart() -> None:
    directions = pitch_directions(16)
    assert directions.shape == (128, 16)
    assert not directions[:, 8:].any()
    likeness = directions[21:109] @ directions[21:109].T
    assert (likeness.argmax(dim=1) == torch.arange(88)).all()
    likeness.fill_diagonal_(0)
    assert likeness.max() < 0.97 * (directions[60] @ directions[60])


@pytest.mark.parametrize("name", ["notes", "notes-published", "notes-baseline", "notes-classifier"])
def test_recipes_can_be_begun(name: str, notes_data: Path) -> None:
    wanted = read_recipe(f"recipes/{name}.yaml")
    with torch.device("meta"):
        loaded(KINDS[wanted.task].task)(wanted, notes_data, rank=0, world=1, progress=silent)
