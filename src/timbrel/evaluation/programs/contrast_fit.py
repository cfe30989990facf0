"""The contrast with which a vocoder's sounds vary as much as their originals, and are as loud."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from timbrel.bundles.bundle import Instrument
from timbrel.corpus.etudes import etude
from timbrel.corpus.presets import Preset
from timbrel.corpus.soundfont import KIT_BANK
from timbrel.evaluation.programs.melodic import variance_ratio, velocity_errors_db
from timbrel.evaluation.programs.pairs import Pairs
from timbrel.measures.correlation import DB_PER_NEPER
from timbrel.measures.sound import level_error_db
from timbrel.vocoder.contrast import Contrast

_ROUNDS = 4
_SMOOTHED_BANDS = 9  # offsets are means of so many neighbours
_MOST_DB = 12.0  # by which a band of a single sound counts as wrong
_FAINT_DB = -50.0  # of a band, against the loudest: beneath, it says nothing of an offset


def fitted(
    originals: Sequence[np.ndarray],
    play: Callable[[Contrast], Sequence[np.ndarray]],
    say: Callable[[str], object],
    *,
    variance: float = 1.0,
) -> Contrast:
    """Find it, round by round.

    Parameters
    ----------
    originals
        Log-mels of sounds, each (frames, n_mels).
    play
        Gives the log-mels of the same sounds as they are played with a contrast.
    say
        Told of what is left, round by round.
    variance
        That is wanted, by the originals'.
    """
    n_mels = originals[0].shape[1]
    contrast = Contrast(1.0, (0.0,) * n_mels)
    for turn in range(_ROUNDS):
        played = play(contrast)
        pairs = list(zip(originals, played, strict=True))
        ratio = float(np.mean([variance_ratio(*pair) for pair in pairs]))
        loud = np.mean([_loudness(one) for one in played], axis=0)
        bias = _mean_bias(pairs)
        say(
            f"round {turn}: factor {contrast.factor:.3f}, variance {ratio:.3f}, level "
            f"{DB_PER_NEPER * float(bias.mean()):+.2f} dB"
        )
        factor = contrast.factor * np.sqrt(variance / ratio)
        # What is loud is to become louder by the bias alone; the vocoder's input was
        # (loud − offset) / factor.
        was = (loud - np.array(contrast.offset)) / contrast.factor
        offset = _smooth(loud - bias - factor * was)
        contrast = Contrast(round(float(factor), 4), tuple(np.round(offset, 4).tolist()))
    return contrast


def kits_offset(pairs: Pairs, kits: Sequence[Instrument]) -> float:
    """How much louder kits have to be, natural logarithm; in music of the validation split."""
    wrong_db = []
    for kit in kits:
        groove = etude(Preset(kit.name, kit.program, KIT_BANK, kit.keys), 0, split="valid")
        wrong_db.append(level_error_db(*pairs.of_midi(groove, kit)))
    return -float(np.mean(wrong_db)) / DB_PER_NEPER


def notes_offset(pairs: Pairs, instruments: Sequence[Instrument]) -> float:
    """What is to be added to all bands for the sake of single notes, natural logarithm.

    Where music has the level of its originals, single notes are too loud. Each shall be wrong by
    half of that.
    """
    wrong_db = [velocity_errors_db(pairs, instrument) for instrument in instruments]
    return -float(np.mean(wrong_db)) / 2 / DB_PER_NEPER


def _loudness(mel: np.ndarray) -> np.ndarray:
    """Of each band, the logarithm of its mean power, halved: as a magnitude, (n_mels,)."""
    return np.log(np.square(np.exp(mel.astype(np.float64))).mean(axis=0)) / 2


def _mean_bias(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """How much louder than the original each band is, of the sounds in which it is heard."""
    originals, made = (
        np.array([_loudness(mel) for mel in one]) for one in zip(*pairs, strict=True)
    )
    most = _MOST_DB / DB_PER_NEPER
    wrong = np.clip(made - originals, -most, most)
    heard = originals > originals.max(axis=1, keepdims=True) + _FAINT_DB / DB_PER_NEPER
    # A band that is heard in few sounds is wrong by less than it seems.
    return np.asarray((wrong * heard).sum(axis=0) / np.maximum(heard.sum(axis=0), 1))


def _smooth(values: np.ndarray) -> np.ndarray:
    reach = _SMOOTHED_BANDS // 2
    padded = np.pad(values, reach, mode="edge")
    return np.convolve(padded, np.full(_SMOOTHED_BANDS, 1 / _SMOOTHED_BANDS), mode="valid")
