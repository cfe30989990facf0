"""Audio → what an encoder says of it, window by window, with ONNX Runtime.

A window has the length of the longest ones in training, and begins half a window after the one
before; the last one ends with the sound. A sound that is shorter is one window.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from timbrel.bundles.bundle import Bundle
from timbrel.bundles.session import open_session
from timbrel.errors import InputError
from timbrel.hearing.combining import calibrated
from timbrel.hearing.sizes import (
    Calibration,
    embeddings_of,
    normalisation,
    normalised_points,
)
from timbrel.mel.mel_stream import MelStream

GRAPH_FILE = "encoder.onnx"
OUTPUTS = ("mean", "factor", "logits")
_WINDOWS_AT_ONCE = 4  # so that memory is bounded


@dataclass(frozen=True)
class Heard:
    """What an encoder says of the windows of a sound."""

    starts_s: np.ndarray  # (windows,)
    ends_s: np.ndarray  # (windows,)
    levels_db: np.ndarray  # (windows,): of the mels' mean power
    means: np.ndarray  # (windows, timbre_size)
    covariances: np.ndarray  # (windows, timbre_size, timbre_size)
    logs: np.ndarray  # (windows, instruments + 1): log-probabilities; the last one: of none

    def __len__(self) -> int:
        return len(self.starts_s)

    def within(self, start_s: float, end_s: float) -> Heard:
        """The windows whose middles lie in a part of the sound."""
        middles = (self.starts_s + self.ends_s) / 2
        return self._chosen((middles >= start_s) & (middles < end_s))

    def _chosen(self, chosen: np.ndarray) -> Heard:
        return Heard(**{name: values[chosen] for name, values in vars(self).items()})


class EncoderStream:
    """What an encoder says of a stream of audio; a new one for each sound.

    Parameters
    ----------
    bundle
        A bundle of kind "encoder".
    threads
        Of ONNX Runtime.

    Raises
    ------
    InputError
        If the bundle's graph cannot be run.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        self._session = open_session(bundle, GRAPH_FILE, threads)
        self._mel = bundle.mel
        self._calibration = calibration_of(bundle)
        self._centre, self._deviation = normalisation(embeddings_of(bundle.instruments))
        self._points = normalised_points(bundle.instruments)
        self._window = max(round(bundle.config["window_s"] * bundle.mel.frame_rate), 2)

    def hear(self, blocks: Iterable[np.ndarray]) -> Heard:
        """What is said of a sound, of blocks (samples,) at the model's rate."""
        return self.hear_mel(self._mels(blocks))

    def hear_mel(self, mels: Iterable[np.ndarray]) -> Heard:
        """What is said of a sound, of blocks of its natural-log mel, (frames, n_mels)."""
        found = [self._said(starts, windows) for starts, windows in self._batches(mels)]
        columns = [np.concatenate(column) for column in zip(*found, strict=True)]
        return Heard(*columns)

    def _mels(self, blocks: Iterable[np.ndarray]) -> Iterable[np.ndarray]:
        stream, n_frames = MelStream(self._mel), 0
        for block in blocks:
            mel = stream.push(block)
            n_frames += len(mel)
            yield mel
        mel = stream.finish()
        if not n_frames + len(mel):  # less than a hop
            mel = np.full((1, self._mel.n_mels), self._mel.log_floor, np.float32)
        yield mel

    def _windows(self, mels: Iterable[np.ndarray]) -> Iterable[tuple[int, np.ndarray]]:
        """The first frame of each window, and its mel."""
        kept = np.zeros((0, self._mel.n_mels), np.float32)
        first = 0  # of what is kept
        hop = self._window // 2
        for mel in mels:
            kept = np.concatenate([kept, mel])
            # One window stays, since the last one ends with the sound.
            while len(kept) >= self._window + hop:
                yield first, kept[: self._window]
                first, kept = first + hop, kept[hop:]
        yield first, kept[: self._window]
        if len(kept) > self._window:
            yield first + len(kept) - self._window, kept[-self._window :]

    def _batches(
        self, mels: Iterable[np.ndarray]
    ) -> Iterable[tuple[Sequence[int], Sequence[np.ndarray]]]:
        """Windows of one length together."""
        starts: list[int] = []
        windows: list[np.ndarray] = []
        for start, window in self._windows(mels):
            if windows and (len(windows) == _WINDOWS_AT_ONCE or len(window) != len(windows[0])):
                yield starts, windows
                starts, windows = [], []
            starts.append(start)
            windows.append(window)
        yield starts, windows

    def _said(self, starts: Sequence[int], windows: Sequence[np.ndarray]) -> tuple:
        mel = np.stack(windows)
        mean, factor, logits = self._session.run(list(OUTPUTS), {"mel": mel})
        covariances, logs = calibrated(factor, logits, self._points, self._calibration)
        power = np.exp(2 * mel.astype(np.float64)).mean(axis=(1, 2))
        starts_s = np.array(starts) / self._mel.frame_rate
        return (
            starts_s,
            starts_s + mel.shape[1] / self._mel.frame_rate,
            10 * np.log10(power),
            mean * self._deviation + self._centre,
            covariances * np.outer(self._deviation, self._deviation),
            logs,
        )


def calibration_of(bundle: Bundle) -> Calibration:
    """The calibration that a bundle states.

    Raises
    ------
    InputError
        If it is none.
    """
    try:
        return Calibration(**{key: float(v) for key, v in bundle.config["calibration"].items()})
    except (TypeError, ValueError):
        raise InputError(f"{bundle.path}: its calibration is not that of an encoder") from None
