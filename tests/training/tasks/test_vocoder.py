"""Training of the vocoders, with small networks on small data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from conftest import FRAME_RATE
from timbrel.bundles.bundle import CARD_FILE, Bundle, load_bundle
from timbrel.bundles.weights import with_weights
from timbrel.corpus.preparation import read_clip
from timbrel.engine.mulaw import mu_law_encode
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.progress import silent
from timbrel.score.piano_roll import PianoRoll
from timbrel.training.audio_dataset import AudioClips, audio_batch
from timbrel.training.checkpoint import load_checkpoint
from timbrel.training.export import export_run
from timbrel.training.loop import train
from timbrel.training.recipe import Recipe
from timbrel.training.record import Record
from timbrel.training.tasks.parallel import ParallelTask
from timbrel.training.tasks.wavenet import WaveNetTask
from timbrel.vocoder.catalog import load_vocoder
from timbrel.vocoder.excitation import NoteFrames
from timbrel.vocoder.parallel import ParallelVocoder, ParallelVocoderConfig
from timbrel.vocoder.wavenet import WaveNet, WaveNetConfig
from timbrel.vocoder.wavenet_export import load_wavenet, write_wavenet_bundle

CROPS = {"frames": 40, "before": 1, "after": 2, "seed": 3}


@pytest.fixture(autouse=True)
def few_validations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timbrel.training.tasks.parallel._VALID_CROPS", 3)
    monkeypatch.setattr("timbrel.training.tasks.wavenet._VALID_CROPS", 3)


def recipe(task: str, **values: object) -> Recipe:
    small = {
        "wavenet": ({"n_layers": 4, "n_cycle": 4, "residual_size": 8, "skip_size": 16}, 24),
        "parallel": ({"width": 16, "n_blocks": 2, "lookahead": 5}, 48),
    }
    model, crop_frames = small[task]
    options = {"crop_frames": crop_frames} | values.pop("options", {})
    content = {
        "task": task,
        "steps": 60,
        "batch_size": 4,
        "learning_rate": 0.01,
        "model": model | values.pop("model", {}),
        "options": options,
        "warmup_steps": 5,
        "precision": "float32",
        "validate_every": 60,
    }
    return Recipe(**content | values)


def losses(run: Path, kind: str) -> list[dict]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def test_crops_are_a_pure_function_of_the_step(small_data: Path) -> None:
    clips = AudioClips(small_data, "train", MelConfig())
    first, again = (audio_batch(clips, 5, range(4), **CROPS) for _ in range(2))
    np.testing.assert_array_equal(first.audio, again.audio)
    np.testing.assert_array_equal(first.mel, again.mel)
    other = audio_batch(clips, 6, range(4), **CROPS)
    assert not np.array_equal(first.audio, other.audio)
    # Two processes hold what one would.
    halves = [audio_batch(clips, 5, items, **CROPS) for items in (range(2), range(2, 4))]
    np.testing.assert_array_equal(np.concatenate([h.audio for h in halves]), first.audio)


def test_audio_and_mel_of_a_crop_belong_together(small_data: Path) -> None:
    clips = AudioClips(small_data, "train", MelConfig())
    batch = audio_batch(clips, 0, range(6), **CROPS)
    for i in range(6):
        whole = read_clip(small_data, clips.clips[batch.clip[i]])
        start = batch.start[i]
        np.testing.assert_array_equal(batch.audio[i], whole[start * 128 : (start + 40) * 128])
        mel = mel_spectrogram(whole)[start : start + 40]
        np.testing.assert_allclose(batch.mel[i, 1:41], mel, atol=0.01)  # cached in half precision


def test_what_lies_outside_a_clip_is_silence(small_data: Path) -> None:
    clips = AudioClips(small_data, "train", MelConfig())
    n = int(clips.n_frames[0])
    assert (clips.padded_mel(0, -5, 0) == np.float32(np.log(1e-5))).all()
    assert (clips.padded_mel(0, n, n + 3) == np.float32(np.log(1e-5))).all()
    assert not clips.audio(0, n * 128 + 128, n * 128 + 256).any()


def test_predicted_mels_take_the_place_of_true_ones(small_data: Path, tiny_bundle: Bundle) -> None:
    clips = AudioClips(small_data, "valid", MelConfig(), predicted_by=str(tiny_bundle.path))
    predicted = clips.padded_mel(0, 0, 50, predicted=True)
    assert predicted.shape == (50, 80)
    assert not np.allclose(predicted, clips.padded_mel(0, 0, 50), atol=0.1)


def test_a_share_of_crops_has_predicted_mels(small_data: Path, tiny_bundle: Bundle) -> None:
    clips = AudioClips(small_data, "valid", MelConfig(), predicted_by=str(tiny_bundle.path))
    true, half, all_of_them = (
        audio_batch(clips, 0, range(40), **CROPS, predicted_share=share) for share in (0, 0.5, 1)
    )
    np.testing.assert_array_equal(half.start, true.start)
    np.testing.assert_array_equal(half.audio, true.audio)
    from_true = (half.mel == true.mel).all(axis=(1, 2))
    from_prediction = (half.mel == all_of_them.mel).all(axis=(1, 2))
    assert (from_true != from_prediction).all()
    assert 10 < from_true.sum() < 30


def test_mels_of_another_geometry_are_refused(small_data: Path, tiny_bundle: Bundle) -> None:
    with pytest.raises(InputError, match="makes mels of 16000 Hz, hop 128"):
        AudioClips(small_data, "valid", MelConfig(n_mels=40), predicted_by=str(tiny_bundle.path))


def test_some_crops_are_silent(small_data: Path) -> None:
    wanted = recipe("parallel", batch_size=256)
    task = ParallelTask(wanted, small_data, rank=0, world=1, progress=silent)
    batch = task.batch(0)
    plain = audio_batch(
        AudioClips(small_data, "train", MelConfig()),
        0,
        range(256),
        frames=48,
        before=0,
        after=0,
        seed=0,
    )
    is_silent = plain.audio.any(axis=1) & ~batch.crops.audio.any(axis=1)
    assert 1 <= is_silent.sum() < 16
    assert (batch.crops.mel[is_silent] == np.float32(np.log(1e-5))).all()
    assert isinstance(batch.score, NoteFrames)
    assert not batch.score.gain[is_silent].any()
    # Two processes hold what one would.
    halves = [
        ParallelTask(wanted, small_data, rank=rank, world=2, progress=silent).batch(0)
        for rank in (0, 1)
    ]
    both = np.concatenate([half.crops.audio for half in halves])
    np.testing.assert_array_equal(both, batch.crops.audio)


@pytest.mark.usefixtures("one_thread")
def test_discriminators_begin_when_the_recipe_says(small_data: Path, tmp_path: Path) -> None:
    wanted = recipe("parallel", options={"adversarial_from": 3}, steps=6, warmup_steps=1)
    train(wanted, small_data, tmp_path / "run", say=lambda _: None, device="cpu", steps=3)
    before = load_checkpoint(tmp_path / "run")["critic"]
    train(wanted, small_data, tmp_path / "run", say=lambda _: None, device="cpu", resume=True)
    after = load_checkpoint(tmp_path / "run")["critic"]
    assert before["optimizer"]["state"] == {}
    moved = [not torch.equal(before["model"][key], after["model"][key]) for key in after["model"]]
    assert all(moved)
    # The model's own steps went through them too, and resuming changes nothing.
    once = tmp_path / "once"
    train(wanted, small_data, once, say=lambda _: None, device="cpu")
    whole, resumed = load_checkpoint(once), load_checkpoint(tmp_path / "run")
    for part in ("model", "critic"):
        a, b = (
            found[part] if part == "model" else found[part]["model"] for found in (whole, resumed)
        )
        assert all(torch.equal(a[key], b[key]) for key in a), part
    plain = recipe("parallel", steps=6, warmup_steps=1)
    train(plain, small_data, tmp_path / "plain", say=lambda _: None, device="cpu")
    unjudged = load_checkpoint(tmp_path / "plain")["model"]
    assert any(not torch.equal(unjudged[key], whole["model"][key]) for key in unjudged)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    ("task", "measure"), [("wavenet", "nll"), ("parallel", "log_cqt_correlation")]
)
def test_a_vocoder_learns(task: str, measure: str, small_data: Path, tmp_path: Path) -> None:
    wanted = recipe(task)
    train(wanted, small_data, tmp_path / "run", say=lambda _: None, device="cpu", steps=1)
    train(wanted, small_data, tmp_path / "run", say=lambda _: None, device="cpu", resume=True)
    found = losses(tmp_path / "run", "train")
    assert [line["step"] for line in found] == [1, 50, 60]
    assert found[-1]["loss"] < 0.95 * found[-2]["loss"]
    assert np.isfinite(losses(tmp_path / "run", "valid")[-1][measure])


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("conditioning", ["mel", "roll"])
def test_the_parallel_vocoder_also_trains_without_the_excitation(
    conditioning: str, small_data: Path, tmp_path: Path
) -> None:
    wanted = recipe("parallel", model={"conditioning": conditioning}, steps=2, warmup_steps=1)
    done = train(wanted, small_data, tmp_path / "run", say=lambda _: None, device="cpu")
    assert done == 2


@pytest.mark.usefixtures("one_thread")
def test_a_run_becomes_a_bundle_from_which_another_starts(small_data: Path, tmp_path: Path) -> None:
    wanted = recipe("parallel", steps=4, warmup_steps=1)
    train(wanted, small_data, tmp_path / "run", say=lambda _: None, device="cpu")
    export_run(tmp_path / "run", tmp_path / "bundle", name="first try")
    bundle = load_bundle(tmp_path / "bundle", kind="parallel")
    assert (bundle.name, bundle.license, bundle.training["steps"]) == ("first try", "CC0", 4)
    assert bundle.status == ""
    assert "log_cqt_correlation" in bundle.training["validation"]
    assert "crop_frames: 48" in bundle.training["options"]
    average = load_checkpoint(tmp_path / "run")["average"]
    config = ParallelVocoderConfig(**bundle.model)
    for found, expected in zip(
        with_weights(ParallelVocoder(config), bundle).parameters(), average, strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)
    audio = load_vocoder(tmp_path / "bundle", MelConfig()).stream([PianoRoll([], FRAME_RATE)])
    assert audio.process(np.zeros((1, 20, 80), np.float32), last=True).shape == (1, 20 * 128)

    # With a rate of next to nothing, what another run ends with is what it started from.
    start = {"start_from": str(tmp_path / "bundle"), "learning_rate": 1e-9}
    again = recipe("parallel", steps=1, warmup_steps=0, **start)
    train(again, small_data, tmp_path / "next", say=lambda _: None, device="cpu")
    checkpoint = load_checkpoint(tmp_path / "next")
    assert not Record.of_checkpoint(checkpoint, "next").is_new
    for found, expected in zip(checkpoint["average"], average, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.usefixtures("one_thread")
def test_a_wavenet_run_becomes_a_bundle_that_plays(small_data: Path, tmp_path: Path) -> None:
    wanted = recipe("wavenet", steps=4, warmup_steps=1, status="experimental")
    train(wanted, small_data, tmp_path / "run", say=lambda _: None, device="cpu")
    export_run(tmp_path / "run", tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle", kind="wavenet")
    assert bundle.status == "experimental"
    assert "| status | experimental |" in bundle.file(CARD_FILE).read_text()
    assert (bundle.name, bundle.license, bundle.training["steps"]) == ("bundle", "CC0", 4)
    measured = losses(tmp_path / "run", "valid")[-1]["nll"]
    assert bundle.training["validation"]["nll"] == pytest.approx(measured, abs=1e-4)
    average = load_checkpoint(tmp_path / "run")["average"]
    for found, expected in zip(load_wavenet(bundle).parameters(), average, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)
    audio = load_vocoder(tmp_path / "bundle", MelConfig()).stream([PianoRoll([], FRAME_RATE)])
    assert audio.process(np.zeros((1, 20, 80), np.float32), last=True).shape == (1, 20 * 128)


@pytest.mark.usefixtures("one_thread")
def test_a_gaussian_wavenet_starts_from_a_categorical_ones_layers(
    small_data: Path, tmp_path: Path
) -> None:
    small = recipe("wavenet").model
    given = WaveNet(WaveNetConfig(**small))
    write_wavenet_bundle(
        given,
        tmp_path / "categorical",
        name="levels",
        mel=MelConfig(),
        gain=0.5,
        license="CC0",
        attribution="",
        training={"steps": 7},
    )
    said: list[str] = []
    start = {"start_from": str(tmp_path / "categorical"), "learning_rate": 1e-9}
    wanted = recipe("wavenet", steps=1, warmup_steps=0, model={"output": "gaussian"}, **start)
    train(wanted, small_data, tmp_path / "run", say=said.append, device="cpu")
    origin = "levels (steps: 7), but for the layers input and last, which begin"
    assert said[0].startswith(f"starts from {origin}")
    checkpoint = load_checkpoint(tmp_path / "run")
    # So its average forgets the beginning quickly, unlike that of a run that has all weights.
    assert Record.of_checkpoint(checkpoint, "run").is_new
    found = checkpoint["model"]
    expected = given.state_dict()
    shared = [name for name in found if name.partition(".")[0] not in ("input", "last")]
    assert len(shared) == len(found) - 4
    for name in shared:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-8)
    assert found["input.dense.weight"].shape == (8, 1)
    assert found["last.weight"].shape == (2, 16)
    assert set(losses(tmp_path / "run", "valid")[-1]) >= {"nll", "nll_of_levels"}
    export_run(tmp_path / "run", tmp_path / "bundle")
    assert load_bundle(tmp_path / "bundle").training["start"].startswith(origin)

    other = recipe("wavenet", model={"output": "gaussian", "residual_size": 16}, **start)
    with pytest.raises(InputError, match="its residual_size is 8, that of the recipe is 16"):
        train(other, small_data, tmp_path / "other", say=said.append, device="cpu")


def test_a_start_from_another_model_is_refused(
    small_data: Path, tiny_bundle: Bundle, tmp_path: Path
) -> None:
    wanted = recipe("parallel", start_from=str(tiny_bundle.path))
    with pytest.raises(InputError, match="of kind 'mel2mel', not 'parallel'"):
        train(wanted, small_data, tmp_path / "run", say=lambda _: None, device="cpu")
    assert not (tmp_path / "run").exists()


def test_noise_is_on_the_mel_but_not_on_its_silence(small_data: Path) -> None:
    clean, noisy = (
        ParallelTask(
            recipe("parallel", options={"mel_noise": deviation}),
            small_data,
            rank=0,
            world=1,
            progress=silent,
        )
        for deviation in (0.0, 0.02)
    )
    mel, found, again = (task.batch(3).crops.mel for task in (clean, noisy, noisy))
    np.testing.assert_array_equal(found, again)
    floor = mel <= MelConfig().log_floor
    np.testing.assert_array_equal(found[floor], mel[floor])
    assert (found - mel)[~floor].std() == pytest.approx(0.02, rel=0.1)
    assert found.dtype == np.float32


class Listener(nn.Module):
    """Remembers what it is given and predicts nothing."""

    def __init__(self, n_parameters: int = 256) -> None:
        super().__init__()
        self.n_parameters = n_parameters
        self.weight = nn.Parameter(torch.zeros(1))
        self.given: list[np.ndarray] = []

    def forward(self, samples: torch.Tensor, mel: torch.Tensor, first: int) -> torch.Tensor:  # noqa: ARG002
        self.given.append(samples.numpy())
        return torch.zeros(*samples[:, first:].shape, self.n_parameters) + self.weight


def test_noise_on_amplitudes_grows_with_them_and_is_not_rounded(small_data: Path) -> None:
    wanted = recipe("wavenet", model={"output": "gaussian"}, options={"past_noise": 2.0})
    task = WaveNetTask(wanted, small_data, rank=0, world=1, progress=silent)
    batch, listener = task.batch(3), Listener(n_parameters=2)
    task.loss(listener, batch, 3)
    away = np.abs(listener.given[0] - batch.audio)
    loud, quiet = np.abs(batch.audio) > 0.05, np.abs(batch.audio) < 0.001
    assert loud.any()
    assert quiet.any()
    assert 0.001 < (away[loud] / np.abs(batch.audio[loud])).mean() < 2 / 23
    assert 0 < away[quiet].mean() < 2 * 0.0003
    assert len(np.unique(listener.given[0])) > 1000  # there are 256 levels
    listener.given.clear()
    task.validate(listener)
    np.testing.assert_array_equal(listener.given[0], task._crops(task._valid, 10**9, [0]).audio)


def test_noise_is_on_a_wavenets_past_while_it_learns_alone(small_data: Path) -> None:
    wanted = recipe("wavenet", options={"past_noise": 8.0})
    task = WaveNetTask(wanted, small_data, rank=0, world=1, progress=silent)
    batch, listener = task.batch(3), Listener()
    levels = mu_law_encode(batch.audio).astype(int)
    for _ in range(2):
        assert task.loss(listener, batch, 3).item() == pytest.approx(np.log(256), abs=1e-4)
    first, again = listener.given
    np.testing.assert_array_equal(first, again)
    away = np.abs(first - levels).max(axis=1)
    assert (away > 0).all()
    assert away.max() < 8 * 6
    listener.given.clear()
    task.validate(listener)
    crop = task._crops(task._valid, 10**9, [0])
    np.testing.assert_array_equal(listener.given[0], mu_law_encode(crop.audio))


def test_some_of_a_wavenets_crops_are_silent(small_data: Path) -> None:
    music, mixed = (
        WaveNetTask(
            recipe("wavenet", options={"silent_share": share}),
            small_data,
            rank=0,
            world=1,
            progress=silent,
        )
        for share in (0.0, 0.5)
    )
    whole, later, untouched = 0, 0, 0
    for step in range(40):
        before, after = music.batch(step), mixed.batch(step)
        for i in range(len(before.mel)):
            differs = (before.mel[i] != after.mel[i]).any(axis=1)
            first = int(differs.argmax()) if differs.any() else len(differs)
            assert (after.mel[i, first:] == recipe("wavenet").mel.log_floor).all()
            changed = np.flatnonzero(before.audio[i] != after.audio[i])
            assert changed.size == 0 or not after.audio[i, changed[0] :].any()
            untouched += first == len(differs)
            whole += first == 0
            later += 0 < first < len(differs)
    assert min(whole, later, untouched) > 5
