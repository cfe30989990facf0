"""A bundle of a translation network at work, against PyTorch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from support.notes_data import sine
from timbrel.bundles.bundle import load_bundle, write_sums
from timbrel.engine.companding import HALF, compress, expand
from timbrel.errors import InputError
from timbrel.loudness import LoudnessMeter
from timbrel.mastering import mastered
from timbrel.notes.engine_decoder import EngineDecoder
from timbrel.transcription.recording import Recording, look_into
from timbrel.translation_network.network import TranslationNetwork
from timbrel.translation_network.translator import NetworkTranslator

HOP = 40


def recording_of(folder: Path, audio: np.ndarray, rate: int = 16_000) -> Recording:
    soundfile.write(folder / "song.wav", audio, rate, subtype="FLOAT")
    return look_into(folder / "song.wav")


def played(stream: object) -> np.ndarray:
    return np.concatenate([block.mix for block in stream.unmastered()])[:, 0]  # type: ignore[attr-defined]


@torch.no_grad()
def likeliest(model: TranslationNetwork, audio: np.ndarray, domain: int) -> np.ndarray:
    """The levels that PyTorch's decoder takes, one after the other, each the likeliest."""
    codes = model.encoder(torch.from_numpy(compress(audio)).float()[None])
    levels = torch.zeros(1, len(audio))
    for i in range(len(audio)):
        n_frames = i // HOP + 1
        given = levels[:, : n_frames * HOP]
        logits = model.decoders[domain](given, codes[:, :n_frames])
        levels[0, i] = logits[0, i].argmax() - HALF
    return levels[0].numpy().astype(np.int64)


@pytest.mark.parametrize("domain", ["harp", "church organ"])
def test_the_likeliest_samples_are_those_of_pytorch(
    tiny_network: TranslationNetwork, tiny_network_bundle: Path, domain: str
) -> None:
    audio = sine(60, 3, samples=6 * HOP)
    expected = likeliest(tiny_network, audio, ["harp", "church organ"].index(domain))
    assert len(np.unique(expected)) > 5
    codec = NetworkTranslator.load(tiny_network_bundle, domain).codec
    codes = codec.encode(audio)[None]
    native = EngineDecoder(codec._decoder_weights(), codec.config, precision="float32")
    for decoder in (codec.reference_decoder(), native):
        found = decoder.stream([0], temperature=0.0).process(codes)
        np.testing.assert_array_equal(found[0], expand(expected))


def test_a_recording_is_played_chunk_by_chunk(tiny_network_bundle: Path, tmp_path: Path) -> None:
    translator = NetworkTranslator.load(tiny_network_bundle, "harp")
    audio = sine(60, 3, samples=2 * 64 * HOP + 70)
    stream = translator.translate(recording_of(tmp_path, audio), seed=5)
    assert (stream.sample_rate, stream.channels, stream.n_blocks) == (16_000, 1, 3)
    blocks = list(stream.unmastered())
    assert [len(block.mix) for block in blocks] == [64 * HOP, 64 * HOP, 70]
    found = played(stream)
    # The same as all at once.
    codec = translator.codec
    whole = codec.decoder().stream([0], seed=5).process(codec.encode(audio)[None])[0]
    np.testing.assert_array_equal(found, whole[: len(audio)])
    np.testing.assert_array_equal(played(stream), found)
    again = played(translator.translate(recording_of(tmp_path, audio), seed=6))
    assert not np.array_equal(again, found)
    other = NetworkTranslator.load(tiny_network_bundle, "church organ")
    assert not np.array_equal(played(other.translate(look_into(tmp_path / "song.wav"))), found)


def test_the_sound_is_to_be_as_loud_as_the_recording(
    tiny_network_bundle: Path, tmp_path: Path
) -> None:
    translator = NetworkTranslator.load(tiny_network_bundle, "harp")
    audio = sine(60, 3, samples=8000)
    recording = recording_of(tmp_path, np.stack([audio, audio], axis=1))
    meter = LoudnessMeter(16_000, 1)
    meter.add(audio[:, None])
    own = meter.measured.integrated_lufs
    stream = translator.translate(recording)
    assert stream.loudness_lufs == pytest.approx(own, abs=0.01)
    assert stream.gain_db == pytest.approx(0, abs=0.01)
    louder = translator.translate(recording, loudness_lufs=own + 3)
    assert louder.gain_db == pytest.approx(3, abs=0.01)
    parts = mastered((block.parts for block in louder.unmastered()), 16_000, 1, gain_db=0.0)
    assert sum(map(len, parts)) == louder.length == 8000


@pytest.mark.parametrize(("rate", "n"), [(44_100, 44_101), (8000, 4001), (16_000, 1)])
def test_any_rate_and_length(tiny_network_bundle: Path, tmp_path: Path, rate: int, n: int) -> None:
    translator = NetworkTranslator.load(tiny_network_bundle, "harp")
    recording = recording_of(tmp_path, np.full(n, 0.1, np.float32), rate)
    stream = translator.translate(recording, temperature=0.0)
    assert stream.length == round(n / rate * 16_000)
    assert len(played(stream)) == stream.length
    assert len(list(stream)) == stream.n_blocks


def test_what_cannot_be_translated_is_refused(
    tiny_network_bundle: Path, tiny_codec: object, tmp_path: Path
) -> None:
    translator = NetworkTranslator.load(tiny_network_bundle, "harp")
    with pytest.raises(InputError, match=r"song\.wav: is silent; there is nothing to translate"):
        translator.translate(recording_of(tmp_path, np.zeros(800)))
    with pytest.raises(InputError, match="no domain 'kazoo'; it has: harp, church organ"):
        NetworkTranslator.load(tiny_network_bundle, "kazoo")
    with pytest.raises(InputError, match="kind 'notes-autoencoder', not 'translation-network'"):
        NetworkTranslator.load(tiny_codec.bundle.path, "harp")  # type: ignore[attr-defined]
    # Names that are not as many as the decoders.
    bundle = Path(shutil.copytree(tiny_network_bundle, tmp_path / "bundle"))
    config = json.loads((bundle / "config.json").read_text())
    (bundle / "config.json").write_text(json.dumps(config | {"domains": ["harp"]}))
    write_sums(bundle)
    with pytest.raises(InputError, match=r"config\.json: names 1 of 2 domains"):
        NetworkTranslator.load(bundle, "harp")


def test_the_bundle_says_what_it_is(tiny_network_bundle: Path) -> None:
    bundle = load_bundle(tiny_network_bundle)
    card = (tiny_network_bundle / "README.md").read_text()
    assert "the sound of one of\n2 domains: harp, church organ." in card
    assert bundle.sample_rate == 16_000
    assert bundle.model["hop_length"] == HOP


def test_it_runs_without_pytorch(tiny_network_bundle: Path, tmp_path: Path) -> None:
    recording_of(tmp_path, sine(60, 3, samples=400))
    code = (
        "import sys\n"
        "from timbrel.transcription.recording import look_into\n"
        "from timbrel.translation_network.translator import NetworkTranslator\n"
        f"translator = NetworkTranslator.load({str(tiny_network_bundle)!r}, 'harp')\n"
        "list(translator.translate(look_into('song.wav')))\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout == "False\n"
