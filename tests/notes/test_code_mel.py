"""The mel that codes tell, and decoded sounds that are held to it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from timbrel.bundles.bundle import CONFIG_FILE, WEIGHTS_FILE, write_sums
from timbrel.errors import InputError
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.notes.autoencoder import Autoencoder, SpectrumHead
from timbrel.notes.code_mel import CodeMel
from timbrel.notes.codec import NoteCodec
from timbrel.notes.morphing import mix
from timbrel.notes.sampling import Conditioning
from timbrel.notes.sizes import SPECTRUM_MEL, SPECTRUM_REACH, NoteAutoencoderConfig

CODES = np.random.default_rng(4).normal(size=(2, 9, 16)).astype(np.float32)


def code_mel(codec: NoteCodec) -> CodeMel:
    weights = load_file(codec.bundle.file(WEIGHTS_FILE))

    def own(prefix: str) -> dict[str, np.ndarray]:
        return {k.removeprefix(prefix): w for k, w in weights.items() if k.startswith(prefix)}

    return CodeMel(own("spectrum."), Conditioning(own("decoder.")))


def test_it_is_the_network_that_was_trained(
    held_codec: NoteCodec, held_autoencoder: Autoencoder
) -> None:
    assert held_autoencoder.spectrum is not None
    with torch.no_grad():
        conditions = held_autoencoder.decoder.conditions(torch.from_numpy(CODES))
        wanted = held_autoencoder.spectrum(conditions).numpy()
    found = code_mel(held_codec)(CODES)
    assert found.shape == (2, 9 * 4, SPECTRUM_MEL.n_mels)
    inner = found[:, 4 * SPECTRUM_REACH : -4 * SPECTRUM_REACH]
    np.testing.assert_allclose(inner, np.maximum(wanted, SPECTRUM_MEL.log_floor), atol=1e-4)
    # At the ends, the first and the last code go on.
    longer = np.pad(CODES, ((0, 0), (3, 3), (0, 0)), mode="edge")
    np.testing.assert_allclose(code_mel(held_codec)(longer)[:, 12:-12], found, atol=1e-4)


def test_decoded_sounds_are_held_to_it(held_codec: NoteCodec, tiny_codec: NoteCodec) -> None:
    """Both decoders draw alike; the sounds of one come near the mel."""
    free, held = (codec.decode(list(CODES), seed=3) for codec in (tiny_codec, held_codec))
    wanted = code_mel(held_codec)(CODES)
    inner = slice(4, -4)

    def error(sound: np.ndarray, mel: np.ndarray) -> float:
        away = (mel_spectrogram(sound) - mel)[inner]
        return float(np.abs(away - away.mean()).mean())

    for before, after, mel in zip(free, held, wanted, strict=True):
        assert after.shape == before.shape == (9 * 512,)
        # As loud as before, but not beyond full scale.
        assert np.abs(after).max() == pytest.approx(1) or after.std() == pytest.approx(before.std())
        assert error(after, mel) < 0.8 * error(before, mel)
    alone = held_codec.decode([CODES[1]], numbers=[1], seed=3)
    np.testing.assert_allclose(alone[0], held[1], atol=1e-6)


def test_mixes_are_of_the_mels_too(held_codec: NoteCodec, tiny_codec: NoteCodec) -> None:
    first, second = (held_codec.with_mels(codes) for codes in CODES)
    assert first.shape == (9, 16 + 4 * 80)
    np.testing.assert_array_equal(first[:, :16], CODES[0])
    np.testing.assert_array_equal(tiny_codec.with_mels(CODES[0]), CODES[0])
    (plain,) = held_codec.decode([CODES[0]], seed=3)
    np.testing.assert_array_equal(held_codec.decode([first], seed=3)[0], plain)
    # Half way to where the low bands are louder by two nepers, with the same codes, they are so by
    # the mean of compressed magnitudes.
    factors = np.tile(np.repeat([np.exp(0.3 * 2), 1.0], 40), 4)
    louder = np.concatenate([first[:, :16], first[:, 16:] * factors], axis=1).astype(np.float32)
    (sound,) = held_codec.decode([mix([first, louder], [0.5, 0.5])], seed=3)
    change = (mel_spectrogram(sound) - mel_spectrogram(plain))[4:-4]
    half_way = np.log((1 + np.exp(0.3 * 2)) / 2) / 0.3
    assert change[:, :38].mean() - change[:, 42:].mean() == pytest.approx(half_way, abs=0.1)
    assert mix([first, second], [0.5, 0.5]).shape == first.shape


def test_no_gradient_goes_from_the_mel_to_the_codes(held_autoencoder: Autoencoder) -> None:
    levels = torch.randint(-128, 128, (1, 8 * 512)).float()
    logits, _, mel = held_autoencoder(levels, spectrum_only=True)
    assert logits is None
    assert mel is not None
    mel.sum().backward()
    with_gradient = {n for n, p in held_autoencoder.named_parameters() if p.grad is not None}
    assert with_gradient == {n for n, _ in held_autoencoder.named_parameters() if "spectrum" in n}
    held_autoencoder.zero_grad(set_to_none=True)


def test_codes_that_are_no_whole_number_of_hops_are_refused() -> None:
    with pytest.raises(InputError, match="codes of 500 samples are no whole number"):
        SpectrumHead(NoteAutoencoderConfig(hop_length=500, spectrum_size=8))


def test_a_post_filter_without_a_mel_is_refused(tiny_codec: NoteCodec, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_codec.bundle.path, tmp_path / "tiny"))
    path = folder / CONFIG_FILE
    config = json.loads(path.read_text()) | {"post_filter": {"passes": 2}}
    path.write_text(json.dumps(config))
    write_sums(folder)
    with pytest.raises(
        InputError, match=r"config\.json: has a post-filter, but no 'spectrum_size'"
    ):
        NoteCodec.load(folder)


def test_bundles_that_say_nothing_of_a_spectrum_are_read(
    tiny_codec: NoteCodec, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_codec.bundle.path, tmp_path / "tiny"))
    path = folder / CONFIG_FILE
    config = json.loads(path.read_text())
    del config["model"]["spectrum_size"]
    path.write_text(json.dumps(config))
    write_sums(folder)
    sounds = NoteCodec.load(folder).decode([CODES[0]], seed=1)
    np.testing.assert_array_equal(sounds[0], tiny_codec.decode([CODES[0]], seed=1)[0])
