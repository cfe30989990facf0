"""Plots of scores and of the mel spectrograms that models make from them."""

from __future__ import annotations

import os

import numpy as np

from timbrel.constants import LOWEST_PITCH, N_PITCHES
from timbrel.errors import InputError
from timbrel.pictures import new_figure, save_figure
from timbrel.score.piano_roll import PianoRoll
from timbrel.score.score import Score

_FRAME_RATE = 125  # of the picture
_MAX_COLUMNS = 4000


def plot_piano_roll(score: Score, path: str | os.PathLike, *, title: str = "") -> None:
    """Draw the sounding keys of a score, darker where louder, with their onsets, to a file.

    Raises
    ------
    MissingToolError
        If matplotlib is not installed.
    InputError
        If the score has no notes, or the extension is not that of a picture.
    """
    figure = new_figure(path, figsize=(12, 5))
    if not score.n_notes:
        raise InputError("the score has no notes to draw")
    melody = [track for track in score.tracks if not track.is_kit]
    notes = [note._replace(detune=0.0) for track in melody for note in track.notes]
    if not notes:
        raise InputError("the score has no notes to draw, but those of drums")
    roll = PianoRoll(notes, _FRAME_RATE)
    step = -(-len(roll) // _MAX_COLUMNS)  # frames in a column, of which the loudest is drawn
    columns = [roll.window(start, start + step).max(axis=0) for start in range(0, len(roll), step)]
    picture = np.stack(columns, axis=1)  # (176, columns)
    axes = figure.subplots()
    extent = (0, picture.shape[1] * step / _FRAME_RATE, LOWEST_PITCH - 0.5, 108.5)
    frames, onsets = picture[:N_PITCHES], picture[N_PITCHES:]
    axes.imshow(frames, aspect="auto", origin="lower", extent=extent, cmap="Blues", vmin=0, vmax=1)
    masked = np.ma.masked_equal(onsets, 0)
    axes.imshow(masked, aspect="auto", origin="lower", extent=extent, cmap="autumn", vmin=0, vmax=1)
    axes.set(xlabel="time (s)", ylabel="MIDI pitch", title=title)
    save_figure(figure, path, dpi=120)
