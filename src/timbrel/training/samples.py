"""The samples of prepared clips at any rate, kept beside the data in 16 bits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from timbrel.corpus.preparation import Clip
from timbrel.progress import Progress
from timbrel.sound import read_audio
from timbrel.training.cached import cached_arrays

_FULL_SCALE = 32767


def kept_samples(
    folder: Path, clips: Sequence[Clip], sample_rate: int, *, split: str, progress: Progress
) -> list[np.ndarray]:
    """The samples of each clip, int16, mapped into memory; what is missing is computed.

    Parameters
    ----------
    folder
        Prepared data of any sample rate, where the samples are kept.
    clips
        Some of its clips.
    sample_rate
        To which they are resampled, in Hz.
    split
        Which clips these are, for the progress.
    progress
        Wraps the finished items, as ``progress(items, total, label)``.
    """
    kept = folder / "samples" / str(sample_rate)
    return cached_arrays(
        [kept / f"{clip.audio_sha256}.npy" for clip in clips],
        _read_samples,
        [(folder, clip, sample_rate) for clip in clips],
        progress=progress,
        label=f"samples ({split})",
    )


def excerpt(samples: np.ndarray, start: int, n_samples: int) -> np.ndarray:
    """A part of a clip's samples, float32, (n_samples,); zeros beyond the clip's ends."""
    first, last = np.clip((start, start + n_samples), 0, len(samples))
    audio = np.zeros(n_samples, np.float32)
    audio[first - start : last - start] = samples[first:last]
    audio /= _FULL_SCALE
    return audio


def _read_samples(folder: Path, clip: Clip, sample_rate: int) -> np.ndarray:
    audio, _ = read_audio(folder / clip.audio, sample_rate=sample_rate)
    return np.round(audio.clip(-1, 1) * _FULL_SCALE).astype(np.int16)
