"""What a Mel2Mel makes of fixed excerpts of the validation split, beside the true mels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from timbrel.mel.mel2mel import Mel2Mel
from timbrel.score.sounding import sounding_notes
from timbrel.training.dataset import MelClips

# Validation excerpts: so many of each instrument, of so many frames, spread over its clips; fewer
# and shorter ones where there are many instruments. The network hears some seconds before each,
# which do not count.
_VALID_EXCERPTS, _VALID_FRAMES, _VALID_WARM_UP = 8, 1250, 250
MANY_INSTRUMENTS, _MANY_EXCERPTS, _MANY_FRAMES = 20, 1, 750
_VALID_BATCH = 32  # excerpts


def validation_mels(
    model: Mel2Mel, clips: MelClips, *, context: int | None = None
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """True and predicted mels of fixed excerpts, one pool for each instrument.

    Parameters
    ----------
    model, clips
        The network, and the validation split.
    context
        Frames that the network sees ahead; all of them where it is None.
    """
    many = len(clips.instruments) > MANY_INSTRUMENTS
    n_excerpts, length = (
        (_MANY_EXCERPTS, _MANY_FRAMES) if many else (_VALID_EXCERPTS, _VALID_FRAMES)
    )
    places = []  # instrument, clip, first frame
    for label in range(len(clips.instruments)):
        indices = np.flatnonzero((clips.labels == label) & clips.is_drawn)
        for i in range(n_excerpts):
            index = int(indices[i * len(indices) // n_excerpts])
            start = max(int(clips.n_frames[index]) - length, 0) * (i + 1) // (n_excerpts + 1)
            places.append((label, index, start))
    true: list[list[np.ndarray]] = [[] for _ in clips.instruments]
    predicted: list[list[np.ndarray]] = [[] for _ in clips.instruments]
    device = next(model.parameters()).device
    for first in range(0, len(places), _VALID_BATCH):
        batch = places[first : first + _VALID_BATCH]
        rolls = [clips.roll(i).window(s - _VALID_WARM_UP, s + length) for _, i, s in batch]
        roll = torch.from_numpy(np.stack(rolls)).to(device)
        timbre = model.embedding.weight[[label for label, _, _ in batch]]
        told = [
            sounding_notes(clips.roll(i), s - _VALID_WARM_UP, s + length)
            for _, i, s in (batch if model.notes is not None else ())
        ]
        alone = model.alone(told, timbre, roll.shape[1], clips.config.floor)
        output = _windowed(model, roll, timbre, context, alone).float().cpu().numpy()
        for (label, index, start), mel in zip(batch, output, strict=True):
            true[label].append(clips.mel(index, start, start + length))
            predicted[label].append(mel[_VALID_WARM_UP:][: len(true[label][-1])])
    return [np.concatenate(p) for p in true], [np.concatenate(p) for p in predicted]


def _windowed(
    model: Mel2Mel, roll: Tensor, timbre: Tensor, context: int | None, alone: Tensor | None
) -> Tensor:
    """The mel of whole rolls, of which the network sees so many frames ahead, or all."""
    if context is None:
        return model(roll, timbre, alone)
    features = model.features(roll, timbre)
    past, _ = model.past(features)
    hop, n_frames = max(context, 1), roll.shape[1]
    n_whole = -(-n_frames // hop) * hop
    padded = functional.pad(features, (0, 0, 0, n_whole - n_frames + context))
    future = model.windowed_future(padded, n_whole, hop, context)
    return model.mel(past, future[:, :n_frames], timbre, alone)
