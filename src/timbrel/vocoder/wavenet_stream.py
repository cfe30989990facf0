"""The WaveNet vocoder at run time: a bundle's weights in the native engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from timbrel.bundles.bundle import CONFIG_FILE, WEIGHTS_FILE, Bundle, check_keys
from timbrel.engine.mulaw import N_LEVELS, mu_law_decode
from timbrel.engine.wavenet import AUTO, CATEGORICAL, Engine, Session
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.machine import within_cores
from timbrel.score.piano_roll import PianoRoll
from timbrel.vocoder.mel_scale import N_AROUND, normalised
from timbrel.vocoder.vocoder import Sampling, check_mel

FRAMES_BEFORE = 1  # of conditioning, before a sample's own
_NUMBER_BITS = 32  # of a stream's number in the engine that tell the track; the others, the frame
_FRAMES_AFTER = N_AROUND - 1 - FRAMES_BEFORE
_SIZES: dict[str, type] = {
    "n_layers": int,
    "n_cycle": int,
    "residual_size": int,
    "skip_size": int,
    "kernel_size": int,
    "output": str,
    "n_mixtures": int,
    "n_mels": int,
    "strides": list,
}
_N_PARAMETERS = {CATEGORICAL: N_LEVELS, "gaussian": 2}


class WaveNetVocoder:
    """The WaveNet vocoder of a bundle.

    Parameters
    ----------
    bundle
        A model of kind "wavenet".
    threads
        Share the tracks among them.
    precision, isa
        See `Engine`.
    temperature
        Below 1, samples keep nearer to what is most likely.

    Raises
    ------
    InputError
        If the bundle's weights cannot be read or are not those of its configuration.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int = 1,
        precision: str = AUTO,
        isa: str = "",
        temperature: float = 1.0,
    ) -> None:
        self.bundle = bundle
        self.mel: MelConfig = bundle.mel
        self.roll: str | None = None
        self._threads, self._temperature = within_cores(threads), temperature
        config, arrays = engine_parts(bundle)
        self._silent_frames = frames_of_silence(config)
        self._silence = N_LEVELS // 2 if config["output"] == CATEGORICAL else 0
        self.engine = Engine(config, arrays, precision=precision, isa=isa)

    def stream(
        self, rolls: Sequence[PianoRoll], *, seed: int = 0, numbers: Sequence[int] | None = None
    ) -> WaveNetStream:
        """Begin with as many tracks as there are rolls; what they play is not looked at."""
        begin = partial(
            self.engine.session, seed=seed, temperature=self._temperature, threads=self._threads
        )
        known = range(len(rolls)) if numbers is None else numbers
        return WaveNetStream(begin, self.mel, known, self._silent_frames, self._silence)


def wavenet_vocoder(bundle: Bundle, *, threads: int, sampling: Sampling) -> WaveNetVocoder:
    """Make the vocoder of a bundle, with what was said of its sampling."""
    given = {name: value for name, value in asdict(sampling).items() if value is not None}
    return WaveNetVocoder(bundle, threads=threads, **given)


class WaveNetStream:
    """Some tracks on their way from mel to audio."""

    def __init__(
        self,
        begin: Callable[[Sequence[int]], Session],
        mel: MelConfig,
        numbers: Sequence[int],
        silent_frames: int,
        silence: int,
    ) -> None:
        self._begin, self._mel, self._numbers = begin, mel, numbers
        self._silent_frames, self._silence = silent_frames, silence
        self._n_tracks = len(numbers)
        self.restart(0)

    def restart(self, frame: int) -> None:
        """Go on at a frame as after long silence, with other random numbers for each frame."""
        self._session = self._begin([stream_number(number, frame) for number in self._numbers])
        self._feed_silence(FRAMES_BEFORE + self._silent_frames)
        self._silent_samples = self._silent_frames * self._mel.hop_length

    def process(self, mel: np.ndarray, *, last: bool = False) -> np.ndarray:
        """Take a block of mel (tracks, frames, n_mels) and give what is finished."""
        mel = check_mel(mel, self._n_tracks, self._mel)
        self._session.feed(normalised(mel, self._mel))
        if last:
            self._feed_silence(_FRAMES_AFTER)
        silent = min(self._silent_samples, self._session.ready)
        if silent:
            self._session.force(np.full((self._n_tracks, silent), self._silence, np.float32))
            self._silent_samples -= silent
        return self._session.sample(self._session.ready)

    def _feed_silence(self, n_frames: int) -> None:
        shape = (self._n_tracks, n_frames, self._mel.n_mels)
        self._session.feed(normalised(np.full(shape, self._mel.log_floor), self._mel))


def stream_number(number: int, frame: int) -> int:
    """The number, of 64 bits, that decides the chance of a track which goes on at a frame."""
    return number + (frame << _NUMBER_BITS)


def dilations_of(sizes: Mapping[str, Any]) -> list[int]:
    """The dilation of each layer of a WaveNet, or of a student's flow, in samples."""
    return [2 ** (layer % sizes["n_cycle"]) for layer in range(sizes["n_layers"])]


def frames_of_silence(config: Mapping[str, Any]) -> int:
    """How many frames a stream is silent, by force, before it begins: until it remembers no more.

    A network has seen no sample without those before it: left to itself at its beginning, it may
    be as loud as it can.

    Parameters
    ----------
    config
        As `engine_config` gives it.
    """
    reach = sum(config["dilations"]) * (config["kernel_size"] - 1) + config["input_taps"]
    return math.ceil(reach / config["hop_length"])


def engine_config(sizes: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's configuration of a `WaveNetConfig`'s fields."""
    output = sizes["output"]
    if output not in (*_N_PARAMETERS, "mixture-of-logistics"):
        raise InputError(f"the WaveNet's output '{output}' is unknown")
    for name in ("n_layers", "n_cycle"):
        if not 1 <= sizes[name] <= (1000 if name == "n_layers" else 20):
            raise InputError(f"the WaveNet's {name} is {sizes[name]}, which is not possible")
    return {
        "dilations": dilations_of(sizes),
        "kernel_size": sizes["kernel_size"],
        "residual_size": sizes["residual_size"],
        "skip_size": sizes["skip_size"],
        "n_parameters": _N_PARAMETERS.get(output, 3 * sizes["n_mixtures"]),
        "output": output,
        "n_mels": sizes["n_mels"],
        "hop_length": math.prod(sizes["strides"]),
        "n_around": N_AROUND,
        "input_taps": 0 if output == CATEGORICAL else 1,
    }


def engine_parts(bundle: Bundle) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The engine's configuration and arrays of a bundle.

    Raises
    ------
    InputError
        If the configuration is not possible, the weights cannot be read, or one is missing.
    """
    sizes = bundle.model
    where = bundle.file(CONFIG_FILE)
    check_keys(sizes, _SIZES, where)
    if not all(isinstance(stride, int) and stride > 0 for stride in sizes["strides"]):
        raise InputError(f"{where}: 'strides' must be numbers of frames, more than 0")
    if math.prod(sizes["strides"]) != bundle.mel.hop_length:
        raise InputError(f"{where}: 'strides' do not make up the mel's hop")
    if sizes["n_mels"] != bundle.mel.n_mels:
        raise InputError(f"{where}: 'n_mels' is not that of the mel")
    config = engine_config(sizes)
    try:
        return config, engine_weights(_read_weights(bundle), sizes)
    except KeyError as error:
        path = bundle.file(WEIGHTS_FILE)
        raise InputError(f"{path}: lacks the weight {error}; export the model again") from None


def engine_weights(
    weights: Mapping[str, np.ndarray], sizes: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """The engine's arrays of a `WaveNet`'s parameters."""
    found = dict(weights)
    kernels = [found.pop(f"upsampling.{i}") for i in range(len(sizes["strides"]))]
    found["interpolation"] = interpolation(kernels)
    found["skip.bias"] = found.pop(f"layers.{sizes['n_layers'] - 1}.skip.bias")
    if sizes["output"] == CATEGORICAL:
        found["decode"] = mu_law_decode(np.arange(N_LEVELS))
    else:
        found["input.weight"] = found.pop("input.dense.weight")
        found["input.bias"] = found.pop("input.dense.bias")
    return found


def interpolation(kernels: Sequence[np.ndarray]) -> np.ndarray:
    """Transposed convolutions as one, as `WaveNet.interpolation` does: (N_AROUND, hop_length)."""
    kernel = np.asarray(kernels[0], np.float64)
    hop = len(kernel) // 2
    for wider in kernels[1:]:
        stride = len(wider) // 2
        spread = np.zeros((len(kernel) - 1) * stride + 1)
        spread[::stride] = kernel
        kernel = np.convolve(spread, np.asarray(wider, np.float64))
        hop *= stride
    around = np.zeros(N_AROUND * hop)
    left = 2 * hop - len(kernel) // 2
    around[left : left + len(kernel)] = kernel
    return around.reshape(N_AROUND, hop)[::-1].astype(np.float32)


def _read_weights(bundle: Bundle) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = bundle.file(WEIGHTS_FILE)
    try:
        return {name: array.astype(np.float32) for name, array in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({error}); export the model again") from None
