"""What single notes of a mix sound like: how loud their harmonics are, and how this changes.

A note is looked for where its harmonics are. Where those of several notes meet, each gets a share,
and where most belongs to others, nothing is known. Levels are against the loudest of the note's
own, so that neither the note's velocity nor the recording's level matters.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from timbrel.constants import SAMPLE_RATE
from timbrel.transcription.note_masks import TINY, Grid, claim, fundamental_hz, segments

_GRID = Grid(SAMPLE_RATE, 1024, 128)  # windows of 64 ms every 8 ms
_AHEAD_FRAMES, _RING_FRAMES = 2, 10  # before its onset and after its end, a note is heard
_SHORTEST_FRAMES, _LONGEST_FRAMES = 20, 250
# Spans of frames after `_AHEAD_FRAMES` before the onset in which levels are averaged.
_SPANS = ((2, 7), (7, 17), (17, 40), (40, 120))
_N_HARMONICS = 20
_N_BANDS, _LOWEST_BAND_HZ = 24, 60.0
_LEAST_SHARE = 0.7  # of a harmonic's bin, from which on its level is known
_DEEPEST_DB = 60.0
_TINY_LEVEL = 1e-6
_SEGMENT_FRAMES = 1250

N_FEATURES = len(_SPANS) * (_N_HARMONICS + _N_BANDS)


def note_features(blocks: Iterable[np.ndarray], notes: np.ndarray) -> np.ndarray:
    """What notes sound like.

    Parameters
    ----------
    blocks
        Sound at 16 kHz, each (samples,), of any length: memory does not grow with it.
    notes : ndarray, shape (notes, 4)
        Start and end in seconds, pitch (also between keys), velocity; sorted by start.

    Returns
    -------
    features : ndarray of float32, shape (notes, N_FEATURES)
        Levels in dB, for each of four spans after the onset: those of 20 harmonics, then those of
        24 bands. NaN where they are not known.
    """
    found = np.full((len(notes), N_FEATURES), np.nan, np.float32)
    if not len(notes):
        return found
    starts = np.maximum(np.round(notes[:, 0] * _GRID.frame_rate).astype(int) - _AHEAD_FRAMES, 0)
    stops = np.round(notes[:, 1] * _GRID.frame_rate).astype(int) + _RING_FRAMES
    stops = np.clip(stops, starts + _SHORTEST_FRAMES, starts + _LONGEST_FRAMES)
    for first, spectra in segments(blocks, _GRID, _SEGMENT_FRAMES, _LONGEST_FRAMES):
        last = first + len(spectra)
        here = np.flatnonzero((starts < last) & (stops > first))
        claims = {i: claim(notes[i, 2], notes[i, 3], _GRID) for i in here}
        total = np.full(spectra.shape, TINY, np.float32)
        for place in here:
            total[max(starts[place] - first, 0) : stops[place] - first] += claims[place]
        for place in here[(starts[here] >= first) & (starts[here] < first + _SEGMENT_FRAMES)]:
            inside = slice(starts[place] - first, stops[place] - first)
            share = claims[place] / total[inside]
            if not len(share):  # it begins where the sound ends
                continue
            found[place] = _levels(spectra[inside] * share, share, notes[place, 2])
    return found


@lru_cache(maxsize=1)
def _bands() -> np.ndarray:
    """Which bins are in which of the bands, (bins, bands); they grow by one ratio."""
    edges_hz = np.geomspace(_LOWEST_BAND_HZ, SAMPLE_RATE / 2, _N_BANDS + 1)
    bins_hz = np.arange(_GRID.n_bins)[:, None] * _GRID.bin_hz
    inside = (bins_hz >= edges_hz[:-1]) & (bins_hz < edges_hz[1:])
    return inside.astype(np.float32)


def _levels(own: np.ndarray, share: np.ndarray, pitch: float) -> np.ndarray:
    """The features of a note, of its magnitudes and its shares, each (frames, bins)."""
    numbers = np.arange(1, _N_HARMONICS + 1)
    places = np.round(numbers * fundamental_hz(pitch) / _GRID.bin_hz).astype(int)
    heard = places < own.shape[1] - 1
    levels = np.full((len(_SPANS), _N_HARMONICS + _N_BANDS), np.nan)
    peaks = np.stack([own[:, places[heard] + k] for k in (-1, 0, 1)]).max(axis=0)
    is_known = share[:, places[heard]].mean(axis=0) >= _LEAST_SHARE
    bands = np.sqrt(own**2 @ _bands())
    for row, (begin, end) in zip(levels, _SPANS, strict=True):
        if begin >= len(own):
            break
        row[: heard.sum()] = np.where(is_known, peaks[begin:end].mean(axis=0), np.nan)
        row[_N_HARMONICS:] = bands[begin:end].mean(axis=0)
    levels = 20 * np.log10(levels + _TINY_LEVEL)
    for part in (levels[:, :_N_HARMONICS], levels[:, _N_HARMONICS:]):
        if np.isfinite(part).any():
            part -= np.nanmax(part)
    return np.maximum(levels, -_DEEPEST_DB).reshape(-1)
