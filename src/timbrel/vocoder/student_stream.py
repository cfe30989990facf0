"""The parallel student at run time: a bundle's ONNX graph, step by step, with its state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from timbrel.bundles.bundle import CONFIG_FILE, Bundle, check_keys
from timbrel.bundles.session import open_session
from timbrel.geometry import MelConfig
from timbrel.score.piano_roll import PianoRoll
from timbrel.vocoder.chance import normal
from timbrel.vocoder.mel_scale import N_AROUND, natural, normalised
from timbrel.vocoder.shaping import filters_of, n_taps, shaped
from timbrel.vocoder.vocoder import Sampling, check_mel
from timbrel.vocoder.wavenet_stream import FRAMES_BEFORE, dilations_of, stream_number

GRAPH_FILE = "vocoder.onnx"
_LONGEST_STEP = 8  # frames; activations of longer ones leave the second-level cache
_SIZES: dict[str, type] = {
    "n_flows": int,
    "n_layers": int,
    "n_cycle": int,
    "residual_size": int,
    "skip_size": int,
    "n_mels": int,
    "strides": list,
}


class StudentVocoder:
    """The parallel student of a bundle.

    Parameters
    ----------
    bundle
        A model of kind "student".
    threads
        Of ONNX Runtime.

    Raises
    ------
    InputError
        If the bundle's graph cannot be run, or its configuration lacks a size.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        check_keys(bundle.model, _SIZES, bundle.file(CONFIG_FILE))
        self.bundle = bundle
        self.mel: MelConfig = bundle.mel
        self.roll: str | None = None
        self.session = open_session(bundle, GRAPH_FILE, threads)

    def stream(
        self, rolls: Sequence[PianoRoll], *, seed: int = 0, numbers: Sequence[int] | None = None
    ) -> StudentStream:
        """Begin with as many tracks as there are rolls; what they play is not looked at."""
        return StudentStream(self, seed, range(len(rolls)) if numbers is None else numbers)


def student_vocoder(bundle: Bundle, *, threads: int, sampling: Sampling) -> StudentVocoder:
    """Make the vocoder of a bundle, which draws all samples at once, in single precision."""
    sampling.refuse(
        bundle.name,
        "draws all samples at once, as it was taught to; it has no precision or temperature to "
        "choose",
    )
    return StudentVocoder(bundle, threads=threads)


class StudentStream:
    """Some tracks on their way from mel to audio; their noise is that of a WaveNet's streams."""

    def __init__(self, vocoder: StudentVocoder, seed: int, numbers: Sequence[int]) -> None:
        sizes = vocoder.bundle.model
        self._vocoder, self._seed, self._numbers = vocoder, seed, numbers
        n_past = sum(dilations_of(sizes))
        self._shapes: dict[str, tuple[int, ...]] = {}
        for i in range(sizes["n_flows"]):
            self._shapes[f"past_{i}"] = n_past, sizes["residual_size"]
            self._shapes[f"last_{i}"] = (1,)
        self.restart(0)

    def restart(self, frame: int) -> None:
        """Go on at a frame as after long silence, with other random numbers for each frame."""
        n_tracks = len(self._numbers)
        self._streams = [stream_number(number, frame) for number in self._numbers]
        self._state = {
            name: np.zeros((n_tracks, *shape), np.float32) for name, shape in self._shapes.items()
        }
        self._position = 0  # samples since then
        self._mel = self._silence(FRAMES_BEFORE)
        self._noise = np.zeros((n_tracks, n_taps(self._vocoder.mel) - 1), np.float32)

    def process(self, mel: np.ndarray, *, last: bool = False) -> np.ndarray:
        """Take a block of mel (tracks, frames, n_mels) and give what is finished."""
        config = self._vocoder.mel
        mel = normalised(check_mel(mel, len(self._numbers), config), config)
        parts = [self._mel, mel.astype(np.float32, copy=False)]
        if last:
            parts.append(self._silence(N_AROUND - 1 - FRAMES_BEFORE))
        self._mel = np.concatenate(parts, axis=1)
        audio = [np.zeros((len(mel), 0), np.float32)]
        while (ready := self._mel.shape[1] - (N_AROUND - 1)) > 0:
            n_frames = min(ready, _LONGEST_STEP)
            audio.append(self._step(self._mel[:, : n_frames + N_AROUND - 1]))
            self._mel = self._mel[:, n_frames:]
        return np.concatenate(audio, axis=1)

    def _silence(self, n_frames: int) -> np.ndarray:
        config = self._vocoder.mel
        shape = len(self._numbers), n_frames, config.n_mels
        return normalised(np.full(shape, config.log_floor, np.float32), config)

    def _step(self, mel: np.ndarray) -> np.ndarray:
        config = self._vocoder.mel
        stop = self._position + (mel.shape[1] - (N_AROUND - 1)) * config.hop_length
        noise = [normal(self._seed, stream, self._position, stop) for stream in self._streams]
        past = self._noise.shape[1]
        both = np.concatenate([self._noise, np.stack(noise)], axis=1)
        self._noise = both[:, -past:]
        found, _ = shaped(
            both, filters_of(natural(mel[:, 1:-1], config), config), config.hop_length
        )
        names = list(self._state)
        audio, *state = self._vocoder.session.run(
            ["audio", *(f"{name}_out" for name in names)],
            {"mel": mel, "shaped": found} | self._state,
        )
        self._state = dict(zip(names, state, strict=True))
        self._position = stop
        return audio
