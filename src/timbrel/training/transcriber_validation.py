"""What a transcriber hears of the validation split: its measures, and the best thresholds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import nn

from timbrel.corpus.selection import ETUDE, SCORE
from timbrel.measures.notes_heard import note_scores
from timbrel.measures.statistics import mean_of_known
from timbrel.measures.transcription import transcription_scores
from timbrel.training.note_clips import Cut, NoteClips
from timbrel.transcription.decoding import NoteDecoder, Thresholds, probabilities
from timbrel.transcription.heard import note_rows
from timbrel.transcription.network import Transcriber

THRESHOLD_KEY = "threshold/"  # of the measures that say which thresholds were chosen
_PRE_ROLL_S = 1.0  # heard before an excerpt, so that the network knows what sounds
_BATCH = 8
_ONSETS = (0.2, 0.3, 0.4, 0.5, 0.6)
_FRAMES = (0.2, 0.3, 0.4, 0.5)
_OFFSETS = (0.2, 0.3, 0.4, 0.6, 1.0)  # at 1 no release ends a note
_SOME = 3  # ends are judged on every so-many-th excerpt, as that takes longest


@dataclass(frozen=True)
class _Heard:
    """An excerpt, and what the network says of it."""

    instrument: str
    reference: np.ndarray  # (notes, 4)
    values: np.ndarray  # (frames, 88, 5), from the pre-roll on


def validated(
    model: Transcriber, front_end: nn.Module, clips: NoteClips, *, excerpt_s: float
) -> dict[str, float]:
    """The measures of one excerpt of each instrument, with the thresholds that suit them best.

    Returns
    -------
    dict
        Means over the instruments; with ``/NAME``, those of an instrument; and with
        `THRESHOLD_KEY` before their names, the thresholds.
    """
    heard = _heard(model, front_end, clips, excerpt_s)
    rate = model.config.frame_rate
    chosen = Thresholds()
    of_onset = {o: _mean_f1(heard, rate, replace(chosen, onset=o), excerpt_s) for o in _ONSETS}
    chosen = replace(chosen, onset=max(of_onset, key=lambda o: of_onset[o]))
    some = heard[::_SOME]
    of_ends = {
        (f, o): _mean_f1(some, rate, replace(chosen, frame=f, offset=o), excerpt_s, offset=True)
        for f in _FRAMES
        for o in _OFFSETS
    }
    frame, offset = max(of_ends, key=lambda ends: of_ends[ends])
    chosen = replace(chosen, frame=frame, offset=offset)
    measures: dict[str, float] = {}
    for part in heard:
        found = transcription_scores(part.reference, _notes(part, rate, chosen), excerpt_s)
        for key, value in asdict(found).items():
            name = key if key.endswith("error") else f"{_NAMES.get(key, key)}_f1"
            measures[f"{name}/{part.instrument}"] = value
    names = dict.fromkeys(key.partition("/")[0] for key in measures)
    means = {
        name: float(
            mean_of_known(np.array([v for k, v in measures.items() if k.startswith(f"{name}/")]))
        )
        for name in names
    }
    thresholds = {THRESHOLD_KEY + key: value for key, value in chosen.as_dict().items()}
    known = {key: value for key, value in {**means, **measures}.items() if np.isfinite(value)}
    return {"onset_pitch_f1": 0.0, **known, **thresholds}


_NAMES = {
    "pitch": "onset_pitch",
    "offset": "onset_pitch_offset",
    "velocity": "onset_pitch_velocity",
}


def _mean_f1(
    heard: list[_Heard],
    rate: float,
    thresholds: Thresholds,
    excerpt_s: float,
    *,
    offset: bool = False,
) -> float:
    found = [
        note_scores(part.reference[:, :3], _notes(part, rate, thresholds)[:, :3], excerpt_s)
        for part in heard
    ]
    return float(np.nanmean([scores.offset if offset else scores.pitch for scores in found]))


def _notes(part: _Heard, rate: float, thresholds: Thresholds) -> np.ndarray:
    """The notes of an excerpt, (notes, 4), in seconds from its beginning."""
    decoder = NoteDecoder(rate, thresholds)
    rows = note_rows([*decoder.push(part.values), *decoder.finish()])
    rows[:, :2] -= _PRE_ROLL_S
    return rows


def _heard(
    model: Transcriber, front_end: nn.Module, clips: NoteClips, excerpt_s: float
) -> list[_Heard]:
    config = model.config
    margin, ahead = max(config.windows) // 2, config.frames_ahead
    n_frames = round((_PRE_ROLL_S + excerpt_s) * config.frame_rate)
    n_samples = (n_frames + ahead - 1) * config.hop_length + 2 * margin
    device = next(model.parameters()).device
    cuts, found = _places(clips, excerpt_s), []
    for first in range(0, len(cuts), _BATCH):
        batch = cuts[first : first + _BATCH]
        audio = []
        for cut in batch:
            shifted = replace(cut, start_s=cut.start_s - _PRE_ROLL_S - margin / config.sample_rate)
            audio.append(clips.audio(shifted, n_samples))
        spectra = front_end.to(device)(torch.from_numpy(np.stack(audio)).to(device))
        values, _ = model(spectra)
        for cut, of_one in zip(batch, values[:, ahead:].float().cpu().numpy(), strict=True):
            rows = clips.notes(cut.clip) - (cut.start_s, cut.start_s, 0, 0)
            inside = (rows[:, 1] > 0) & (rows[:, 0] < excerpt_s)
            found.append(
                _Heard(clips.clips[cut.clip].instrument, rows[inside], probabilities(of_one))
            )
    return found


def _places(clips: NoteClips, excerpt_s: float) -> list[Cut]:
    """An excerpt of each instrument: of a score or of an etude in turn, where it has both."""
    cuts = []
    for i, instrument in enumerate(clips.instruments):
        own = [k for k, clip in enumerate(clips.clips) if clip.instrument == instrument]
        etudes = [k for k in own if clips.clips[k].kind == ETUDE]
        scores = [k for k in own if clips.clips[k].kind == SCORE]
        choice = ((etudes or scores) if i % 2 else (scores or etudes)) or own
        index = choice[i // 2 % len(choice)]
        cuts.append(Cut(index, max(float(clips.durations_s[index]) - excerpt_s, 0.0) / 3))
    return cuts
