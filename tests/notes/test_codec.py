"""A bundle at work: the ONNX encoder against PyTorch, chunks, files of codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from support.notes_data import sine
from timbrel.bundles.bundle import write_sums
from timbrel.engine.companding import compress
from timbrel.errors import InputError
from timbrel.notes.autoencoder import Autoencoder
from timbrel.notes.codec import CHUNK_FRAMES, Clip, NoteCodec


def reference_codes(model: Autoencoder, audio: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model.encoder(torch.from_numpy(compress(audio)).float()[None])[0].numpy()


def test_chunks_equal_the_whole(tiny_codec: NoteCodec, tiny_autoencoder: Autoencoder) -> None:
    audio = sine(60, 5, samples=(2 * CHUNK_FRAMES + 10) * 512)
    found = tiny_codec.encode(audio)
    assert found.shape == (2 * CHUNK_FRAMES + 10, 16)
    np.testing.assert_allclose(found, reference_codes(tiny_autoencoder, audio), atol=1e-5)


def test_blocks_of_any_lengths_equal_the_whole(tiny_codec: NoteCodec) -> None:
    audio = sine(60, 5, samples=(2 * CHUNK_FRAMES + 3) * 512 - 100)
    cuts = np.cumsum([0, 1, 700, 40_000, 20_000, 33_000])
    blocks = [audio[a:b] for a, b in zip(cuts, [*cuts[1:], len(audio)], strict=True)]
    chunks = list(tiny_codec.encode_blocks(blocks))
    assert [len(chunk) for chunk in chunks] == [CHUNK_FRAMES, CHUNK_FRAMES, 3]
    np.testing.assert_array_equal(np.concatenate(chunks), tiny_codec.encode(audio))


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (1, 1), (512, 1), (513, 2), (64_000, 125)])
def test_any_length(tiny_codec: NoteCodec, samples: int, frames: int) -> None:
    codes = tiny_codec.encode(sine(60, 3, samples=samples))
    assert codes.shape == (frames, 16)
    assert np.isfinite(codes).all()


def test_a_short_end_is_filled_with_silence(tiny_codec: NoteCodec) -> None:
    audio = sine(60, 3, samples=1_000)
    filled = np.pad(audio, (0, 24))
    np.testing.assert_array_equal(tiny_codec.encode(audio), tiny_codec.encode(filled))


def test_sounds_of_different_lengths_are_decoded_together(tiny_codec: NoteCodec) -> None:
    codes = tiny_codec.encode(sine(60, 3, samples=3 * 512))
    first, second = tiny_codec.decode([codes[:2], codes], seed=1)
    assert (len(first), len(second)) == (1024, 1536)
    np.testing.assert_array_equal(first, tiny_codec.decode([codes[:2]], seed=1)[0])
    assert tiny_codec.decode([codes[:0]])[0].shape == (0,)


def test_audio_of_another_rate_and_in_stereo_is_converted(
    tiny_codec: NoteCodec, tmp_path: Path
) -> None:
    left = np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100)
    soundfile.write(tmp_path / "a.wav", np.stack([left, 0 * left], axis=1), 44_100)
    audio = tiny_codec.read(tmp_path / "a.wav")
    assert len(audio) == 16_000
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(audio[500:-500], expected[500:-500], atol=2e-3)


@pytest.mark.parametrize(
    ("samples", "words"), [([], "is empty"), ([0.0] * 800, "is silent"), ([np.nan] * 9, "finite")]
)
def test_nothing_to_encode(
    tiny_codec: NoteCodec, tmp_path: Path, samples: list, words: str
) -> None:
    path = tmp_path / "bad.wav"
    soundfile.write(path, np.array(samples, np.float32), 16_000, subtype="FLOAT")
    with pytest.raises(InputError, match=rf"bad\.wav: .*{words}"):
        tiny_codec.read(path)


def test_codes_survive_their_file(tiny_codec: NoteCodec, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    clips = [
        Clip(name, random.normal(size=(n, 16)).astype(np.float32), 512 * n - 5)
        for name, n in (("a", 3), ("b", 1))
    ]
    tiny_codec.save_codes(tmp_path / "codes.npz", clips)
    found = tiny_codec.load_codes(tmp_path / "codes.npz")
    assert [(c.name, c.n_samples) for c in found] == [("a", 1531), ("b", 507)]
    for one, other in zip(found, clips, strict=True):
        np.testing.assert_array_equal(one.codes, other.codes)


def test_codes_of_another_model_are_refused(tiny_codec: NoteCodec, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for path in tiny_codec.bundle.path.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    (other / "README.md").write_text("Another model.")
    write_sums(other)
    clip = Clip("a", np.zeros((1, 16), np.float32), 512)
    NoteCodec.load(other).save_codes(tmp_path / "codes.npz", [clip])
    with pytest.raises(InputError, match=r"codes\.npz: holds codes of another model"):
        tiny_codec.load_codes(tmp_path / "codes.npz")


def test_damaged_codes_are_refused(tiny_codec: NoteCodec, tmp_path: Path) -> None:
    path = tmp_path / "codes.npz"
    tiny_codec.save_codes(path, [Clip("a", np.zeros((4, 16), np.float32), 2048)])
    content = path.read_bytes()
    for damaged in (b"", b"nothing", content[: len(content) // 2], content[200:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"codes\.npz: holds no codes"):
            tiny_codec.load_codes(path)
    np.savez(path, codes=np.zeros(3))
    with pytest.raises(InputError, match="holds no codes"):
        tiny_codec.load_codes(path)
    with pytest.raises(InputError, match=r"no\.npz: cannot be read"):
        tiny_codec.load_codes(tmp_path / "no.npz")
