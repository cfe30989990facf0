"""Training of the vocoders, with small networks on small data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from timbrel.bundle import Bundle
from timbrel.errors import InputError
from timbrel.mel.spectrogram import MelConfig, mel_spectrogram
from timbrel.training.audio_dataset import AudioClips, audio_batch
from timbrel.training.loop import train
from timbrel.training.preparation import read_clip
from timbrel.training.recipe import Recipe

pytest_plugins = ["small_fixtures"]

CROPS = {"frames": 40, "before": 1, "after": 2, "seed": 3}


def recipe(task: str, **values: object) -> Recipe:
    small = {
        "wavenet": ({"n_layers": 4, "n_cycle": 4, "residual_size": 8, "skip_size": 16}, 24),
        "parallel": ({"width": 16, "n_blocks": 2}, 48),
    }
    model, crop_frames = small[task]
    options = {"crop_frames": crop_frames} | values.pop("options", {})
    content = {
        "task": task,
        "steps": 30,
        "batch_size": 4,
        "learning_rate": 0.01,
        "model": model | values.pop("model", {}),
        "options": options,
        "warmup_steps": 5,
        "precision": "float32",
        "validate_every": 30,
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
    clips = AudioClips(small_data, "valid", MelConfig(), mels=str(tiny_bundle.path))
    true = AudioClips(small_data, "valid", MelConfig())
    assert clips.padded_mel(0, 0, 50).shape == (50, 80)
    assert not np.allclose(clips.padded_mel(0, 0, 50), true.padded_mel(0, 0, 50), atol=0.1)


def test_mels_of_another_geometry_are_refused(small_data: Path, tiny_bundle: Bundle) -> None:
    with pytest.raises(InputError, match="makes mels of 16000 Hz, hop 128"):
        AudioClips(small_data, "valid", MelConfig(n_mels=40), mels=str(tiny_bundle.path))


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    ("task", "measure"), [("wavenet", "nll"), ("parallel", "log_cqt_correlation")]
)
def test_a_vocoder_learns(task: str, measure: str, small_data: Path, tmp_path: Path) -> None:
    wanted = recipe(task)
    train(wanted, small_data, tmp_path / "run", say=lambda _: None, device="cpu", steps=1)
    train(wanted, small_data, tmp_path / "run", say=lambda _: None, device="cpu", resume=True)
    found = losses(tmp_path / "run", "train")
    assert found[-1]["step"] == 30
    assert found[-1]["loss"] < found[0]["loss"]
    assert np.isfinite(losses(tmp_path / "run", "valid")[-1][measure])


@pytest.mark.usefixtures("one_thread")
def test_the_parallel_vocoder_also_trains_without_the_score(
    small_data: Path, tmp_path: Path
) -> None:
    wanted = recipe("parallel", model={"conditioning": "mel"}, steps=2, warmup_steps=1)
    done = train(wanted, small_data, tmp_path / "run", say=lambda _: None, device="cpu")
    assert done == 2
