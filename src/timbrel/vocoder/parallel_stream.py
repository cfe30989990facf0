"""The parallel vocoder at run time: a bundle's ONNX graph, step by step, with its state."""

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
# Limit of notes · frames in a step, each of which needs memory for several hops of samples.
_MOST_NOTE_FRAMES = 8192
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

    def stream(
        self, rolls: Sequence[PianoRoll], *, seed: int = 0, numbers: Sequence[int] | None = None
    ) -> ParallelStream:
        """Begin with some tracks; the rolls say what they play."""
        return ParallelStream(self, rolls, seed, range(len(rolls)) if numbers is None else numbers)


def parallel_vocoder(bundle: Bundle, *, threads: int, sampling: Sampling) -> ParallelVocoder:
    """Make the vocoder of a bundle, which draws no samples."""
    sampling.refuse(bundle.name)
    return ParallelVocoder(bundle, threads=threads)


class ParallelStream:
    """Some tracks on their way from mel to audio."""

    def __init__(
        self,
        vocoder: ParallelVocoder,
        rolls: Sequence[PianoRoll],
        seed: int,
        numbers: Sequence[int],
    ) -> None:
        sizes = vocoder.bundle.model
        hop, n_fft, lookahead = sizes["hop_length"], sizes["n_fft"], sizes["lookahead"]
        self._vocoder = vocoder
        self._n_tracks, self._seed = len(rolls), seed
        self._numbers = np.array(numbers, np.uint64).astype(np.uint32)
        self._n_bins = n_fft // 2 + 1
        self._hop, self._lookahead = hop, lookahead
        self._latency = vocoder.latency_frames
        # Pulses are wanted up to the end of the window around a frame.
        self._lead = n_fft // 2 // hop - 1
        self._n_past = (sizes["n_blocks"] + 1) * (sizes["kernel_size"] - 1)
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
        self._shapes = shapes
        self._state: dict[str, np.ndarray] = {}

    def restart(self, frame: int) -> None:
        """Go on at a frame as after long silence."""
        self._state = {
            name: np.zeros((self._n_tracks, *shape), np.float32)
            for name, shape in self._shapes.items()
        }
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
            n_frames, notes = self._next_notes(min(mel.shape[1], _LONGEST_STEP))
            audio.append(self._step(mel[:, :n_frames], notes))
            mel = mel[:, n_frames:]
        return np.concatenate(audio, axis=1)

    def _silence(self, n_frames: int) -> np.ndarray:
        config = self._vocoder.mel
        return np.full((self._n_tracks, n_frames, config.n_mels), config.log_floor, np.float32)

    def _step(self, mel: np.ndarray, notes: dict[str, np.ndarray]) -> np.ndarray:
        start, stop = self._position, self._position + mel.shape[1]
        inputs = {"mel": mel, "noise": self._noise(start - self._lookahead, stop - self._lookahead)}
        inputs |= notes | self._state
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
        seed = _scattered(np.array([self._seed & 0xFFFFFFFF]))
        keys = _scattered(_scattered(self._numbers ^ seed)[:, None] ^ frames)
        bins = np.arange(self._n_bins, dtype=np.uint32)
        numbers = _scattered(keys[..., None] + bins * np.uint32(0x9E3779B9))
        return (numbers >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)

    def _next_notes(self, n_frames: int) -> tuple[int, dict[str, np.ndarray]]:
        """A step's length, no more than so many frames, and what the notes do in it.

        A step computes all of its notes in all of its frames, as many for each track as the one
        with the most of them has: the more notes there are, the shorter it is.
        """
        if not self._excitations:
            return n_frames, {}
        start = self._position + self._lead
        while True:
            ringing = [e.ringing(start, start + n_frames) for e in self._excitations]
            most = max(map(len, ringing))
            if n_frames == 1 or self._n_tracks * most * n_frames <= _MOST_NOTE_FRAMES:
                break
            n_frames = (n_frames + 1) // 2
        found = [
            excitation.frames(start, start + n_frames, notes)
            for excitation, notes in zip(self._excitations, ringing, strict=True)
        ]
        stacked = stack_notes(found)
        return n_frames, {f.name: getattr(stacked, f.name) for f in fields(NoteFrames)}


def _scattered(numbers: np.ndarray) -> np.ndarray:
    """Scatter 32-bit numbers over all 32-bit numbers, one to one (Wellons' hash "lowbias32")."""
    x = numbers.astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return x
