"""Codes → audio with the native engine, a fast version of `timbrel.notes.sampling` (in NumPy)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from timbrel.engine.companding import HALF, N_LEVELS, expand
from timbrel.engine.wavenet import AUTO, Engine, Session
from timbrel.notes.sampling import Conditioning, check_codes
from timbrel.notes.sizes import KERNEL_SIZE, AutoencoderConfig

_LOWEST_TEMPERATURE = 1e-3  # of the engine, which nearly always takes the likeliest level


class EngineDecoder:
    """The decoder in the native engine; implements `timbrel.notes.sampling.Decoder`.

    Parameters
    ----------
    weights
        As `timbrel.notes.autoencoder.Decoder` names them.
    config
        The autoencoder's sizes.
    precision, isa, threads
        See `timbrel.engine.wavenet`.
    """

    def __init__(
        self,
        weights: Mapping[str, np.ndarray],
        config: AutoencoderConfig,
        *,
        precision: str = AUTO,
        isa: str = "",
        threads: int = 1,
    ) -> None:
        self.config, self._threads = config, threads
        self._conditioning = Conditioning(weights)
        self.engine = Engine(
            engine_config(config), engine_weights(weights, config), precision=precision, isa=isa
        )

    def stream(
        self, numbers: Sequence[int], *, seed: int = 0, temperature: float = 1.0
    ) -> EngineStream:
        """Begin some sounds; see `timbrel.notes.sampling.Decoder`."""
        session = self.engine.session(
            numbers,
            seed=seed,
            temperature=max(temperature, _LOWEST_TEMPERATURE),
            threads=self._threads,
        )
        return EngineStream(session, len(numbers), self.config, self._conditioning)


class EngineStream:
    """Sounds on their way."""

    def __init__(
        self,
        session: Session,
        n_streams: int,
        config: AutoencoderConfig,
        conditioning: Conditioning,
    ) -> None:
        self._session, self._n_streams = session, n_streams
        self._config, self._conditioning = config, conditioning

    def process(self, codes: np.ndarray) -> np.ndarray:
        """Sample the next frames; see `timbrel.notes.sampling.DecoderStream`."""
        check_codes(codes, self._n_streams, self._config.code_size)
        self._session.feed(self._conditioning(codes))
        return self._session.sample(codes.shape[1] * self._config.hop_length)


def engine_config(config: AutoencoderConfig) -> dict:
    """The engine's configuration of an autoencoder's decoder."""
    return {
        "dilations": config.decoder_dilations,
        "kernel_size": KERNEL_SIZE,
        "residual_size": config.residual_size,
        "skip_size": config.skip_size,
        "n_parameters": N_LEVELS,
        "output": "categorical",
        "n_mels": config.condition_size,
        "hop_length": config.hop_length,
        "n_around": 1,
        "input_taps": KERNEL_SIZE,
        "sigmoid_first": True,
        "layer_condition": True,
        "output_condition": True,
        "skip_start": True,
    }


def engine_weights(
    weights: Mapping[str, np.ndarray], config: AutoencoderConfig
) -> dict[str, np.ndarray]:
    """The engine's arrays of the decoder's parameters; biases that meet are added up."""
    given = {name: value.astype(np.float32) for name, value in weights.items()}
    levels = np.arange(-HALF, HALF)
    found = {
        "input.weight": given["input.dense.weight"],
        "input.bias": given["input.dense.bias"],
        "input.values": (levels / HALF).astype(np.float32),
        "skip_start.weight": given["skip_start.weight"],
        "hidden.weight": given["hidden.weight"],
        "hidden.bias": given["hidden.bias"] + given["hidden_condition.bias"],
        "hidden.condition.weight": given["hidden_condition.weight"],
        "last.weight": given["logits.weight"],
        "last.bias": given["logits.bias"],
        "interpolation": np.ones((1, config.hop_length), np.float32),
        "decode": expand(levels),
    }
    skip_bias = given["skip_start.bias"]
    for i in range(config.decoder_layers):
        layer = f"layers.{i}"
        taps = np.split(given[f"{layer}.dilated.dense.weight"], KERNEL_SIZE, axis=1)
        found |= {f"{layer}.taps.{k}.weight": tap for k, tap in enumerate(taps)}
        found[f"{layer}.condition.weight"] = given[f"{layer}.condition.weight"]
        found[f"{layer}.condition.bias"] = (
            given[f"{layer}.condition.bias"] + given[f"{layer}.dilated.dense.bias"]
        )
        found[f"{layer}.skip.weight"] = given[f"{layer}.skip.weight"]
        skip_bias = skip_bias + given[f"{layer}.skip.bias"]
        if i < config.decoder_layers - 1:  # nothing follows the last layer's residual
            found[f"{layer}.residual.weight"] = given[f"{layer}.residual.weight"]
            found[f"{layer}.residual.bias"] = given[f"{layer}.residual.bias"]
    found["skip.bias"] = skip_bias
    return found
