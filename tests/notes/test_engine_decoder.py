"""The native engine as the decoder of notes, against the queues in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file

from timbrel.bundles.bundle import WEIGHTS_FILE
from timbrel.errors import InputError
from timbrel.notes.codec import NoteCodec
from timbrel.notes.engine_decoder import EngineDecoder
from timbrel.notes.sampling import Conditioning


@pytest.fixture(scope="module")
def weights(tiny_codec: NoteCodec) -> dict[str, np.ndarray]:
    found = load_file(tiny_codec.bundle.file(WEIGHTS_FILE))
    prefix = "decoder."
    return {k.removeprefix(prefix): v for k, v in found.items() if k.startswith(prefix)}


def random_codes(*shape: int) -> np.ndarray:
    return np.random.default_rng(4).normal(size=shape).astype(np.float32)


def test_logits_equal_those_of_the_queues(
    tiny_codec: NoteCodec, weights: dict[str, np.ndarray]
) -> None:
    codes = random_codes(2, 2, 16)
    levels = np.random.default_rng(1).integers(-128, 128, (2, 1024))
    expected = tiny_codec.reference_decoder().stream([0, 1]).teacher_forced(levels, codes)
    session = EngineDecoder(weights, tiny_codec.config, precision="float32").engine.session([0, 1])
    session.feed(Conditioning(weights)(codes))
    np.testing.assert_allclose(session.force(levels + 128), expected, atol=1e-3)


@pytest.mark.parametrize("precision", ["float32", "int16", "int8"])
def test_neither_cuts_nor_company_change_the_samples(
    tiny_codec: NoteCodec, weights: dict[str, np.ndarray], precision: str
) -> None:
    codes = random_codes(3, 3, 16)
    decoder = EngineDecoder(weights, tiny_codec.config, precision=precision)
    together = decoder.stream([0, 1, 7], seed=3).process(codes)
    alone = decoder.stream([7], seed=3)
    cut = [alone.process(codes[2:, a:b]) for a, b in ((0, 1), (1, 3))]
    np.testing.assert_array_equal(np.concatenate(cut, axis=1)[0], together[2])


def test_codes_of_another_shape_are_refused(
    tiny_codec: NoteCodec, weights: dict[str, np.ndarray]
) -> None:
    stream = EngineDecoder(weights, tiny_codec.config).stream([0])
    with pytest.raises(InputError, match=r"wants codes of shape \(1, frames, 16\)"):
        stream.process(np.zeros((2, 1, 16), np.float32))
