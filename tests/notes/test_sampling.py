"""Queue-cached sampling against the network that it must equal."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from timbrel.engine.companding import compress
from timbrel.errors import InputError
from timbrel.notes.autoencoder import Autoencoder
from timbrel.notes.codec import NoteCodec
from timbrel.notes.sampling import QueueDecoder
from timbrel.notes.sizes import NoteAutoencoderConfig


def queue_decoder(model: Autoencoder) -> QueueDecoder:
    weights = {key: value.numpy() for key, value in model.decoder.state_dict().items()}
    config = model.config
    return QueueDecoder(weights, dilations=config.decoder_dilations, hop_length=config.hop_length)


def random_codes(*shape: int) -> np.ndarray:
    return np.random.default_rng(4).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    "config",
    [
        NoteAutoencoderConfig(residual_size=16, skip_size=24, decoder_layers=12, decoder_cycle=10),
        NoteAutoencoderConfig(
            residual_size=32, skip_size=16, decoder_layers=5, decoder_cycle=2, hop_length=128
        ),
        NoteAutoencoderConfig(residual_size=16, skip_size=24, decoder_layers=3, n_prototypes=24),
    ],
)
def test_logits_equal_the_full_convolution(config: NoteAutoencoderConfig) -> None:
    torch.manual_seed(5)
    model = Autoencoder(config).eval()
    with torch.no_grad():
        for name, parameter in model.decoder.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.3)
    codes = random_codes(2, 4, 16)
    levels = np.random.default_rng(1).integers(-128, 128, (2, 4 * config.hop_length))
    with torch.no_grad():
        expected = model.decoder(torch.from_numpy(levels).float(), torch.from_numpy(codes))
    found = queue_decoder(model).stream([0, 1]).teacher_forced(levels, codes)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_any_cut_gives_the_same_samples(tiny_codec: NoteCodec) -> None:
    codes = random_codes(1, 5, 16)
    decoder = tiny_codec.reference_decoder()
    whole = decoder.stream([0], seed=3).process(codes)
    stream = decoder.stream([0], seed=3)
    cut = [stream.process(codes[:, a:b]) for a, b in ((0, 1), (1, 4), (4, 4), (4, 5))]
    np.testing.assert_array_equal(np.concatenate(cut, axis=1), whole)


def test_a_stream_draws_the_same_beside_others(tiny_codec: NoteCodec) -> None:
    codes = random_codes(3, 2, 16)
    decoder = tiny_codec.reference_decoder()
    together = decoder.stream(range(3), seed=7).process(codes)
    alone = decoder.stream([2], seed=7).process(codes[2:])
    np.testing.assert_array_equal(alone[0], together[2])
    assert (together[0] != decoder.stream([0], seed=8).process(codes[:1])[0]).mean() > 0.5


def test_draws_follow_the_distribution(tiny_codec: NoteCodec) -> None:
    stream = tiny_codec.reference_decoder().stream([0])
    logits = np.log(np.array([[0.1, 0.2, 0.0, 0.7, *[0.0] * 252]]) + 1e-30)
    uniform = np.array([0.0, 0.0999, 0.1001, 0.2999, 0.3001, 0.999, 1 - 2**-53])
    drawn = [int(stream._draw(logits, u[None])[0]) + 128 for u in uniform]
    assert drawn == [0, 0, 1, 1, 3, 3, 3]


def test_a_draw_never_runs_off_the_end(tiny_codec: NoteCodec) -> None:
    stream = tiny_codec.reference_decoder().stream([0])
    flat = np.zeros((1, 256), np.float32)
    assert stream._draw(flat, np.array([1 - 2**-53]))[0] == 127
    assert stream._draw(flat, np.array([0.0]))[0] == -128


def test_zero_temperature_takes_the_likeliest(tiny_codec: NoteCodec) -> None:
    codes = random_codes(1, 1, 16)
    audio = tiny_codec.reference_decoder().stream([0], temperature=0).process(codes)
    again = tiny_codec.reference_decoder().stream([0], temperature=0, seed=9).process(codes)
    np.testing.assert_array_equal(audio, again)
    logits = tiny_codec.reference_decoder().stream([0]).teacher_forced(compress(audio), codes)
    np.testing.assert_array_equal(logits.argmax(-1) - 128, compress(audio))


@pytest.mark.parametrize("shape", [(2, 3, 16), (1, 3, 8), (3, 16)])
def test_codes_of_another_shape_are_refused(tiny_codec: NoteCodec, shape: tuple) -> None:
    with pytest.raises(InputError, match=r"wants codes of shape \(1, frames, 16\)"):
        tiny_codec.reference_decoder().stream([0]).process(np.zeros(shape, np.float32))


def test_codes_that_are_not_finite_are_refused(tiny_codec: NoteCodec) -> None:
    with pytest.raises(InputError, match="not finite"):
        tiny_codec.reference_decoder().stream([0]).process(np.full((1, 1, 16), np.nan, np.float32))
