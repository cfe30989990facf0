"""The parallel vocoder at run time: a bundle's ONNX graph, step by step, with its state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from timbrel.bundles.bundle import CONFIG_FILE, Bundle
from timbrel.bundles.session import open_session
from timbrel.constants import PERFORMANCE
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.score.piano_roll import PianoRoll
from timbrel.vocoder.pre_echo import PreEchoControl
from timbrel.vocoder.sources import is_kit, wanted_roll
from timbrel.vocoder.stream_inputs import inputs_of
from timbrel.vocoder.vocoder import Sampling, VocoderStream, check_mel

GRAPH_FILE = "vocoder.onnx"
KITS_FILE = "kits.onnx"
_LONGEST_STEP = 128  # frames
_SIZES = ("hop_length", "n_fft", "width", "n_blocks", "kernel_size", "lookahead", "onset_grid_s")


class ParallelVocoder:
    """The parallel vocoder of a bundle.

    Parameters
    ----------
    bundle
        A model of kind "parallel".
    threads
        Of ONNX Runtime.

    Raises
    ------
    InputError
        If the bundle's graph cannot be run, or its configuration lacks a size.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        self.bundle = bundle
        self.mel: MelConfig = bundle.mel
        for name in _SIZES:
            if not isinstance(bundle.model.get(name), int | float):
                raise InputError(f"{bundle.file(CONFIG_FILE)}: lacks the model's '{name}'")
        self.session = open_session(bundle, GRAPH_FILE, threads)
        self.kits = open_session(bundle, KITS_FILE, threads) if self.plays_kits else None

    @property
    def roll(self) -> str | None:
        """The kind of piano roll that it wants; None where it knows nothing of the score."""
        return wanted_roll(self.bundle.model)

    @property
    def plays_kits(self) -> bool:
        """Whether it plays drum kits."""
        return self.roll == PERFORMANCE

    @property
    def latency_frames(self) -> int:
        """From a mel frame's arrival to the last sample of its spectrum."""
        sizes = self.bundle.model
        return sizes["lookahead"] + sizes["n_fft"] // 2 // sizes["hop_length"]

    def stream(
        self, rolls: Sequence[PianoRoll], *, seed: int = 0, numbers: Sequence[int] | None = None
    ) -> VocoderStream:
        """Begin with some tracks; the rolls say what they play."""
        numbers = range(len(rolls)) if numbers is None else numbers
        # A vocoder that knows nothing of the score takes a kit's mel for any other.
        kits = [i for i, roll in enumerate(rolls) if self.plays_kits and is_kit(roll)]
        others = [i for i in range(len(rolls)) if i not in kits]
        groups = [group for group in (others, kits) if group]
        streams = [
            ParallelStream(self, [rolls[i] for i in group], seed, [numbers[i] for i in group])
            for group in groups
        ]
        return streams[0] if len(streams) == 1 else _Together(streams, groups)


def parallel_vocoder(bundle: Bundle, *, threads: int, sampling: Sampling) -> ParallelVocoder:
    """Make the vocoder of a bundle, which draws no samples."""
    sampling.refuse(bundle.name)
    return ParallelVocoder(bundle, threads=threads)


class ParallelStream:
    """Some tracks on their way from mel to audio, of which all are kits or none is."""

    def __init__(
        self,
        vocoder: ParallelVocoder,
        rolls: Sequence[PianoRoll],
        seed: int,
        numbers: Sequence[int],
    ) -> None:
        sizes = vocoder.bundle.model
        hop, n_fft, lookahead = sizes["hop_length"], sizes["n_fft"], sizes["lookahead"]
        self._vocoder, self._n_tracks, self._hop = vocoder, len(rolls), hop
        self._latency = vocoder.latency_frames
        self._inputs = inputs_of(
            rolls, sizes, seed=seed, numbers=numbers, latency_frames=self._latency
        )
        kits = vocoder.kits if vocoder.plays_kits and is_kit(rolls[0]) else None
        self._session = kits or vocoder.session
        self._pre_echo = PreEchoControl(
            self._inputs.onsets, sample_rate=sizes["sample_rate"], hop_length=hop
        )
        self._n_past = (sizes["n_blocks"] + 1) * (sizes["kernel_size"] - 1)
        self._shapes: dict[str, tuple[int, ...]] = {
            "history": (sizes["n_blocks"] + 1, sizes["kernel_size"] - 1, sizes["width"]),
            "mel_tail": (lookahead, vocoder.mel.n_mels),
            "audio_tail": (n_fft - hop,),
        }
        if kits:
            self._shapes["attack_tail"] = (n_fft - hop,)
        if n_sources := self._inputs.n_sources:
            self._shapes["pulse_tail"] = (n_sources, n_fft - hop)
            self._shapes["mask_tail"] = (n_sources, lookahead, 2 * (n_fft // 2 + 1))
        self._state: dict[str, np.ndarray] = {}

    def restart(self, frame: int) -> None:
        """Go on at a frame as after long silence."""
        self._state = {
            name: np.zeros((self._n_tracks, *shape), np.float32)
            for name, shape in self._shapes.items()
        }
        self._pre_echo.restart()
        # Silence before the first frame brings the state to where it would be after long silence.
        self._position = frame - self._n_past
        self._steps(self._silence(self._n_past))
        self._skip = self._latency * self._hop

    def process(self, mel: np.ndarray, *, last: bool = False) -> np.ndarray:
        """Take a block of mel (tracks, frames, n_mels) and give what is finished."""
        mel = check_mel(mel, self._n_tracks, self._vocoder.mel)
        if not self._state:
            self.restart(0)
        if last:
            mel = np.concatenate([mel, self._silence(self._latency)], axis=1)
        audio = self._steps(mel)
        cut = min(self._skip, audio.shape[1])
        self._skip -= cut
        return audio[:, cut:]

    def _steps(self, mel: np.ndarray) -> np.ndarray:
        """All of a block, in steps that are no larger than memory and caches like them."""
        audio = [np.zeros((self._n_tracks, 0), np.float32)]
        while mel.shape[1]:
            longest = min(mel.shape[1], _LONGEST_STEP)
            n_frames, inputs = self._inputs.next(self._position, longest)
            audio.append(self._step(mel[:, :n_frames], inputs))
            mel = mel[:, n_frames:]
        return np.concatenate(audio, axis=1)

    def _silence(self, n_frames: int) -> np.ndarray:
        config = self._vocoder.mel
        return np.full((self._n_tracks, n_frames, config.n_mels), config.log_floor, np.float32)

    def _step(self, mel: np.ndarray, inputs: dict[str, np.ndarray]) -> np.ndarray:
        names = list(self._state)
        audio, *state = self._session.run(
            ["audio", *(f"{name}_out" for name in names)], {"mel": mel} | inputs | self._state
        )
        self._state = dict(zip(names, state, strict=True))
        begin = (self._position - self._latency) * self._hop
        self._position += mel.shape[1]
        return self._pre_echo.process(audio, begin) if self._inputs.onsets else audio


class _Together:
    """Streams of kits and of others side by side."""

    def __init__(self, streams: list[ParallelStream], groups: list[list[int]]) -> None:
        self._streams, self._groups = streams, groups

    def restart(self, frame: int) -> None:
        for stream in self._streams:
            stream.restart(frame)

    def process(self, mel: np.ndarray, *, last: bool = False) -> np.ndarray:
        parts = [
            stream.process(mel[group], last=last)
            for stream, group in zip(self._streams, self._groups, strict=True)
        ]
        # Back into the order of the tracks.
        return np.concatenate(parts)[np.argsort(np.concatenate(self._groups))]
