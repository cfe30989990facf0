"""The WaveNet vocoder: its bundle, and blocks of mel to blocks of audio."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from conftest import FRAME_RATE
from support.small_wavenet import engine_of, small_wavenet
from timbrel.bundles.bundle import CONFIG_FILE, WEIGHTS_FILE, Bundle, load_bundle, write_sums
from timbrel.errors import InputError, OutputError
from timbrel.geometry import MelConfig
from timbrel.score.piano_roll import PianoRoll
from timbrel.vocoder.catalog import load_vocoder
from timbrel.vocoder.mel_scale import normalised
from timbrel.vocoder.post_filter import PostFiltered
from timbrel.vocoder.vocoder import Sampling, Vocoder
from timbrel.vocoder.wavenet import WaveNet
from timbrel.vocoder.wavenet_export import load_wavenet, write_wavenet_bundle
from timbrel.vocoder.wavenet_stream import (
    WaveNetVocoder,
    engine_config,
    frames_of_silence,
    interpolation,
)

MEL = MelConfig(n_mels=12, hop_length=32, n_fft=128)


def write(model: WaveNet, path: Path) -> Bundle:
    write_wavenet_bundle(
        model,
        path,
        name="small",
        mel=MEL,
        gain=0.5,
        license="CC0",
        attribution="Made by chance.",
        training={"steps": 0, "validation": {"nll": 5.5}},
    )
    return load_bundle(path, kind="wavenet")


@pytest.fixture(scope="module")
def model() -> WaveNet:
    return small_wavenet()


@pytest.fixture(scope="module")
def bundle(model: WaveNet, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write(model, tmp_path_factory.mktemp("models") / "small")


def rolls(n: int) -> list[PianoRoll]:
    return [PianoRoll([], FRAME_RATE) for _ in range(n)]


def drawing(vocoder: Vocoder) -> WaveNetVocoder:
    """The WaveNet before its post-filter."""
    assert isinstance(vocoder, PostFiltered)
    assert isinstance(vocoder.vocoder, WaveNetVocoder)
    return vocoder.vocoder


def mel_of(n_tracks: int, n_frames: int) -> np.ndarray:
    random = np.random.default_rng(1)
    return random.uniform(MEL.log_floor, 0, (n_tracks, n_frames, 12)).astype(np.float32)


def test_the_bundle_holds_the_model(model: WaveNet, bundle: Bundle) -> None:
    loaded = load_wavenet(bundle)
    assert loaded.config == model.config
    for name, parameter in loaded.named_parameters():
        torch.testing.assert_close(parameter, dict(model.named_parameters())[name], msg=name)
    assert load_file(bundle.file(WEIGHTS_FILE))["last.weight"].dtype == np.float16
    assert "| nll | 5.500 |" in bundle.file("README.md").read_text()
    with pytest.raises(OutputError, match="exists"):
        write(model, bundle.path)


def test_interpolation_is_that_of_the_reference(model: WaveNet) -> None:
    with torch.no_grad():
        kernels = [kernel.numpy() for kernel in model.upsampling]
        expected = model.interpolation().numpy()
    np.testing.assert_allclose(interpolation(kernels), expected, atol=1e-6)


def test_blocks_of_mel_become_their_samples(bundle: Bundle) -> None:
    mel = mel_of(3, 20)
    whole = WaveNetVocoder(bundle).stream(rolls(3), seed=2).process(mel, last=True)
    assert whole.shape == (3, 20 * 32)
    assert whole.dtype == np.float32
    assert len(np.unique(whole)) > 20
    stream = WaveNetVocoder(bundle, threads=2).stream(rolls(3), seed=2)
    cuts = [0, 1, 1, 2, 9, 20]
    parts = [stream.process(mel[:, a:b]) for a, b in itertools.pairwise(cuts)]
    assert [part.shape[1] for part in parts] == [0, 0, 0, 7 * 32, 11 * 32]
    parts.append(stream.process(mel[:, :0], last=True))
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
    other = WaveNetVocoder(bundle).stream(rolls(3), seed=3).process(mel, last=True)
    assert (other != whole).any()


def test_a_gaussian_bundle_plays_amplitudes_of_any_number(tmp_path: Path) -> None:
    model = small_wavenet(output="gaussian")
    with torch.no_grad():
        model.last.weight.mul_(0.05)
        model.last.bias.copy_(torch.tensor([0.0, -3.0]))
    bundle = write(model, tmp_path / "gaussian")
    card = bundle.file("README.md").read_text()
    assert "gaussian output" in card
    assert "nll is that of a density" in card
    mel = mel_of(2, 12)
    vocoder = drawing(load_vocoder(bundle.path, MEL))
    assert vocoder.engine.precision == "float32"
    whole = vocoder.stream(rolls(2), seed=2).process(mel, last=True)
    assert len(np.unique(whole)) > 700  # of 768: there are 256 levels
    assert 0.01 < whole.std() < 0.3
    stream = drawing(load_vocoder(bundle.path, MEL, threads=2)).stream(rolls(2), seed=2)
    parts = [stream.process(mel[:, a:b], last=b == 12) for a, b in ((0, 3), (3, 4), (4, 12))]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
    conservative = drawing(load_vocoder(bundle.path, MEL, sampling=Sampling(temperature=0.01)))
    quiet = conservative.stream(rolls(2), seed=2).process(mel, last=True)
    assert quiet.std() < 0.5 * whole.std()


def test_a_stream_begins_with_silence_as_long_as_it_remembers() -> None:
    sizes = {"dilations": [1, 2, 4], "kernel_size": 2, "hop_length": 4}
    assert frames_of_silence(sizes | {"input_taps": 0}) == 2
    assert frames_of_silence(sizes | {"input_taps": 1}) == 2
    assert frames_of_silence(sizes | {"input_taps": 2}) == 3


def test_a_track_keeps_its_random_numbers_and_a_restart_draws_others(bundle: Bundle) -> None:
    mel = mel_of(3, 20)
    vocoder = WaveNetVocoder(bundle)
    whole = vocoder.stream(rolls(3), seed=2).process(mel, last=True)
    stream = vocoder.stream(rolls(1), seed=2, numbers=[2])
    np.testing.assert_array_equal(stream.process(mel[2:], last=True), whole[2:])
    stream.restart(0)
    np.testing.assert_array_equal(stream.process(mel[2:], last=True), whole[2:])
    stream.restart(160)
    assert (stream.process(mel[2:], last=True) != whole[2:]).any()


def test_samples_lie_where_training_puts_them(model: WaveNet, bundle: Bundle) -> None:
    """Frames outside the mel are silence; before its first sample, as many as are remembered."""
    mel = mel_of(1, 6)
    vocoder = WaveNetVocoder(bundle, precision="float32")
    audio = vocoder.stream(rolls(1), seed=5).process(mel, last=True)
    before = frames_of_silence(engine_config(asdict(model.config)))
    assert before > 0
    silence = np.full((1, before + 1, 12), MEL.log_floor, np.float32)
    padded = np.concatenate([silence, mel, silence[:, :2]], axis=1)
    session = engine_of(model).session([0], seed=5)
    session.feed(normalised(padded, MEL))
    session.force(np.full((1, before * 32), 128, np.float32))
    np.testing.assert_array_equal(audio, session.sample(6 * 32))


def test_precision_and_temperature_are_passed_on(bundle: Bundle) -> None:
    vocoder = drawing(load_vocoder(bundle.path, MEL, sampling=Sampling("int16", 0.5)))
    assert vocoder.engine.precision == "int16"
    mel = mel_of(1, 10)
    cold, warm = (
        drawing(load_vocoder(bundle.path, MEL, sampling=Sampling("float32", temperature)))
        .stream(rolls(1))
        .process(mel, last=True)
        for temperature in (0.05, 1.0)
    )
    assert len(np.unique(cold)) < 0.8 * len(np.unique(warm))


def test_other_vocoders_have_no_precision() -> None:
    with pytest.raises(InputError, match="griffin-lim: draws no samples"):
        load_vocoder("griffin-lim", MEL, sampling=Sampling("int8"))


def test_bad_mels_and_precisions_are_refused(bundle: Bundle) -> None:
    stream = WaveNetVocoder(bundle).stream(rolls(1))
    with pytest.raises(InputError, match=r"mel of shape \(1, 4, 13\)"):
        stream.process(np.zeros((1, 4, 13), np.float32))
    with pytest.raises(InputError, match="not finite"):
        stream.process(np.full((1, 4, 12), np.nan, np.float32))
    with pytest.raises(InputError, match="no precision 'int4'"):
        WaveNetVocoder(bundle, precision="int4")
    with pytest.raises(InputError, match="temperature of -1"):
        WaveNetVocoder(bundle, temperature=-1).stream(rolls(1))


def with_config(bundle: Bundle, path: Path, **changes: Any) -> Bundle:
    """A copy of a bundle with other sizes, rightly hashed."""
    path.mkdir()
    for file in bundle.path.iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    config = json.loads((path / CONFIG_FILE).read_text())
    config["model"] |= changes
    (path / CONFIG_FILE).write_text(json.dumps(config))
    write_sums(path)
    return load_bundle(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_layers": 5}, "does not hold the weight|lacks the weight|does not belong"),
        ({"n_layers": 7}, "lacks the weight"),
        ({"residual_size": 32}, "holds .* numbers, not"),
        ({"strides": [4, 4]}, "'strides' do not make up the mel's hop"),
        ({"strides": [0, 8]}, "'strides' must be numbers"),
        ({"n_mels": 13}, "'n_mels' is not that of the mel"),
        ({"n_cycle": 60}, "n_cycle is 60, which is not possible"),
        ({"output": "cauchy"}, "output 'cauchy' is unknown"),
        ({"depth": 3}, "has an unknown key 'depth'"),
        ({"kernel_size": "2"}, "'kernel_size' must be of type int"),
    ],
)
def test_bundles_of_another_architecture_are_refused(
    bundle: Bundle, tmp_path: Path, changes: dict, message: str
) -> None:
    other = with_config(bundle, tmp_path / "other", **changes)
    with pytest.raises(InputError, match=message):
        WaveNetVocoder(other)


def test_damaged_weights_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    other = with_config(bundle, tmp_path / "other")
    other.file(WEIGHTS_FILE).write_bytes(b"not safetensors")
    with pytest.raises(InputError, match=r"weights\.safetensors: cannot be read"):
        WaveNetVocoder(other)
    save_file({"last.weight": np.zeros((2, 2), np.float16)}, other.file(WEIGHTS_FILE))
    with pytest.raises(InputError, match=r"lacks the weight 'upsampling\.0'"):
        WaveNetVocoder(other)


def test_mels_of_another_kind_are_refused(bundle: Bundle) -> None:
    assert asdict(bundle.mel) == asdict(MEL)
    with pytest.raises(InputError, match="this vocoder expects mels"):
        load_vocoder(bundle.path, MelConfig())
