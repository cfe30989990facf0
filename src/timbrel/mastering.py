"""How loud a mix becomes: a gain that brings it to a loudness, and a limiter behind it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from timbrel.limiter import CEILING_DBTP, MARGIN_DB, Limiter
from timbrel.loudness import ABSOLUTE_GATE_LUFS, Loudness, LoudnessMeter

MAX_LIMITING_DB = 6.0  # more is heard
CLOSE_LU = 0.1  # near enough to what was asked for
MOST_TRIES = 6


@dataclass(frozen=True)
class Mastering:
    """A gain, and what it makes of a mix."""

    gain_db: float
    result: Loudness  # behind the limiter
    shortfall_lu: float = 0.0  # by how much the result is quieter than was asked for

    @property
    def remark(self) -> str:
        """What a user should know, to be put after a name; empty where there is nothing."""
        words = ""
        if self.result.is_silent:
            words = f"is silent (below {ABSOLUTE_GATE_LUFS:g} LUFS); its loudness stays as it is"
        elif self.shortfall_lu > CLOSE_LU:
            words = (
                f"stays at {self.result.integrated_lufs:.1f} LUFS, {self.shortfall_lu:.1f} dB "
                f"quieter than asked for; its peaks would need more than {MAX_LIMITING_DB:g} dB of "
                "limiting"
            )
        return words.replace("-", "−")

    def levels(self) -> dict[str, float | None]:
        """Gain, loudness and true peak; JSON has no infinity for those of silence."""
        levels = {
            "gain_db": self.gain_db,
            "loudness_lufs": self.result.integrated_lufs,
            "true_peak_dbtp": self.result.true_peak_dbtp,
        }
        return {
            name: round(value, 2) if math.isfinite(value) else None
            for name, value in levels.items()
        }


def fitted_mastering(
    measured: Loudness,
    replay: Callable[[], Iterable[np.ndarray]],
    sample_rate: int,
    channels: int,
    *,
    loudness_lufs: float,
) -> Mastering:
    """Find the gain that brings a mix to a loudness, limiting peaks by at most `MAX_LIMITING_DB`.

    Parameters
    ----------
    measured
        Of the mix itself.
    replay
        Gives the mix in blocks (samples, channels), each time anew.
    sample_rate, channels
        In Hz; 1 or 2.
    loudness_lufs
        The loudness that is asked for.
    """
    if measured.is_silent:
        return Mastering(0.0, measured)
    free = CEILING_DBTP - MARGIN_DB - measured.true_peak_dbtp  # gain that needs no limiter
    gain_db = min(loudness_lufs - measured.integrated_lufs, free + MAX_LIMITING_DB)
    if gain_db <= free:
        louder = (measured.integrated_lufs + gain_db, measured.true_peak_dbtp + gain_db)
        return Mastering(gain_db, Loudness(*louder))
    for _ in range(MOST_TRIES):
        limited = mastered(replay(), sample_rate, channels, gain_db=gain_db)
        result = measured_loudness(limited, sample_rate, channels)
        # What the limiter has taken away is given back.
        missing = loudness_lufs - result.integrated_lufs
        following = min(gain_db + missing, free + MAX_LIMITING_DB)
        if abs(missing) <= CLOSE_LU or following == gain_db:
            break
        gain_db = following
    return Mastering(gain_db, result, max(missing, 0.0))


def measured_loudness(blocks: Iterable[np.ndarray], sample_rate: int, channels: int) -> Loudness:
    """The loudness of a whole mix in blocks (samples, channels)."""
    meter = LoudnessMeter(sample_rate, channels)
    for block in blocks:
        meter.add(block)
    return meter.measured


def mastered(
    blocks: Iterable[np.ndarray], sample_rate: int, channels: int, *, gain_db: float
) -> Iterator[np.ndarray]:
    """Blocks (samples, columns) with a gain and behind the limiter, and what that holds back."""
    limiter = Limiter(sample_rate, channels, gain_db=gain_db)
    block = np.zeros((0, channels), np.float32)
    for block in blocks:
        yield limiter.process(block)
    yield limiter.process(block[:0], last=True)
