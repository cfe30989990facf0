"""The parallel vocoder as it runs: a bundle's ONNX graph, step by step, with its state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np

from timbrel.bundles.bundle import CONFIG_FILE, Bundle
from timbrel.bundles.session import open_session
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.score.piano_roll import PianoRoll
from timbrel.vocoder.excitation import ENVELOPES, Excitation, NoteFrames, stack_notes
from timbrel.vocoder.vocoder import Sampling, check_mel

GRAPH_FILE = "vocoder.onnx"
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

    @property
    def knows_score(self) -> bool:
        """Whether the rolls that a stream is given matter."""
        return self.bundle.model.get("conditioning") == "excitation"

    @property
    def latency_frames(self) -> int:
        """From a mel frame's arrival to the last sample of its spectrum."""
        sizes = self.bundle.model
        return sizes["lookahead"] + sizes["n_fft"] // 2 // sizes["hop_length"]

    def stream(self, rolls: Sequence[PianoRoll], *, seed: int = 0) -> ParallelStream:
        """Begin with some tracks; the rolls say what they play."""
        return ParallelStream(self, rolls, seed)


def parallel_vocoder(bundle: Bundle, *, threads: int, sampling: Sampling) -> ParallelVocoder:
    """Make the vocoder of a bundle, which draws no samples."""
    sampling.refuse(bundle.name)
    return ParallelVocoder(bundle, threads=threads)


class ParallelStream:
    """Some tracks on their way from mel to audio."""

    def __init__(self, vocoder: ParallelVocoder, rolls: Sequence[PianoRoll], seed: int) -> None:
        sizes = vocoder.bundle.model
        hop, n_fft, lookahead = sizes["hop_length"], sizes["n_fft"], sizes["lookahead"]
        self._vocoder = vocoder
        self._n_tracks, self._seed = len(rolls), seed
        self._n_bins = n_fft // 2 + 1
        self._hop, self._lookahead = hop, lookahead
        self._latency = vocoder.latency_frames
        # Pulses are wanted up to the end of the window around a frame.
        self._lead = n_fft // 2 // hop - 1
        n_past = (sizes["n_blocks"] + 1) * (sizes["kernel_size"] - 1)
        shapes: dict[str, tuple[int, ...]] = {
            "history": (sizes["n_blocks"] + 1, sizes["kernel_size"] - 1, sizes["width"]),
            "mel_tail": (lookahead, vocoder.mel.n_mels),
            "audio_tail": (n_fft - hop,),
        }
        self._excitations: list[Excitation] = []
        if vocoder.knows_score:
            n_envelopes = len(ENVELOPES)
            shapes["pulse_tail"] = (n_envelopes, n_fft - hop)
            shapes["mask_tail"] = (n_envelopes, lookahead, 2 * self._n_bins)
            self._excitations = [
                Excitation(
                    roll,
                    sample_rate=vocoder.mel.sample_rate,
                    hop_length=hop,
                    onset_grid_s=sizes["onset_grid_s"],
                )
                for roll in rolls
            ]
        self._state = {
            name: np.zeros((self._n_tracks, *shape), np.float32) for name, shape in shapes.items()
        }
        # Silence before the first frame brings the state to where it would be after long silence.
        self._position = -n_past
        self._step(self._silence(n_past))
        self._skip = self._latency * hop

    def process(self, mel: np.ndarray, *, last: bool = False) -> np.ndarray:
        """Take a block of mel (tracks, frames, n_mels) and give what is finished."""
        mel = check_mel(mel, self._n_tracks, self._vocoder.mel)
        if last:
            mel = np.concatenate([mel, self._silence(self._latency)], axis=1)
        if not mel.shape[1]:
            return np.zeros((self._n_tracks, 0), np.float32)
        # All notes of a step are computed in all of its frames: long steps cost more and more.
        starts = range(0, mel.shape[1], _LONGEST_STEP)
        parts = [self._step(mel[:, start : start + _LONGEST_STEP]) for start in starts]
        audio = np.concatenate(parts, axis=1)
        cut = min(self._skip, audio.shape[1])
        self._skip -= cut
        return audio[:, cut:]

    def _silence(self, n_frames: int) -> np.ndarray:
        config = self._vocoder.mel
        return np.full((self._n_tracks, n_frames, config.n_mels), config.log_floor, np.float32)

    def _step(self, mel: np.ndarray) -> np.ndarray:
        start, stop = self._position, self._position + mel.shape[1]
        inputs = {"mel": mel, "noise": self._noise(start - self._lookahead, stop - self._lookahead)}
        inputs |= self._notes(start + self._lead, stop + self._lead) | self._state
        names = list(self._state)
        audio, *state = self._vocoder.session.run(
            ["audio", *(f"{name}_out" for name in names)], inputs
        )
        self._state = dict(zip(names, state, strict=True))
        self._position = stop
        return audio

    def _noise(self, start: int, stop: int) -> np.ndarray:
        """Phases in cycles, which depend on the seed, the track, the frame and the bin alone."""
        frames = np.arange(start, stop, dtype=np.int64).astype(np.uint32)
        tracks = np.arange(self._n_tracks, dtype=np.uint32)
        seed = _scattered(np.array([self._seed & 0xFFFFFFFF]))
        keys = _scattered(_scattered(tracks ^ seed)[:, None] ^ frames)
        bins = np.arange(self._n_bins, dtype=np.uint32)
        numbers = _scattered(keys[..., None] + bins * np.uint32(0x9E3779B9))
        return (numbers >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)

    def _notes(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """What the notes of each track do, padded with silent ones."""
        if not self._excitations:
            return {}
        found = [excitation.frames(start, stop) for excitation in self._excitations]
        stacked = stack_notes(found)
        return {f.name: getattr(stacked, f.name) for f in fields(NoteFrames)}


def _scattered(numbers: np.ndarray) -> np.ndarray:
    """Scatter 32-bit numbers over all 32-bit numbers, one to one (Wellons' hash "lowbias32")."""
    x = numbers.astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return x
