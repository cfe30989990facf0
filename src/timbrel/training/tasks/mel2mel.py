"""Training of Mel2Mel: from piano roll and timbre to the mel of the rendered score."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from timbrel.errors import InputError
from timbrel.measures.correlation import log_mel_measures
from timbrel.mel.losses import LOSSES
from timbrel.mel.mel2mel import Mel2Mel, Mel2MelConfig
from timbrel.progress import Progress
from timbrel.training.dataset import MelBatch, MelClips, lane_batch
from timbrel.training.recipe import Recipe, known
from timbrel.training.task import Task
from timbrel.training.tasks.mels import MelValidation


@dataclass(frozen=True)
class Mel2MelOptions:
    """The options of a Mel2Mel recipe."""

    loss: str = "tanh-log-abs"
    crop_frames: int = 512
    crops_per_visit: int = 8
    # The right context is cut as windowed inference will cut it: each step draws how often the
    # backward LSTM begins anew within a crop, and how many frames it sees beyond its window.
    windows_per_crop: tuple[int, ...] = (1, 1, 2, 4)
    contexts: tuple[int, ...] = (16, 32, 64)

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise InputError(f"loss '{self.loss}' is unknown; known: {', '.join(LOSSES)}")
        for n_windows in self.windows_per_crop:
            if self.crop_frames % n_windows:
                raise InputError(
                    f"crops of {self.crop_frames} frames cannot be divided into {n_windows} windows"
                )


class Mel2MelTask(Task):
    """Train Mel2Mel on prepared data.

    Parameters
    ----------
    recipe, folder
        The recipe and the prepared data.
    rank, world
        This process's number and the number of processes, which share the lanes of a batch.
    """

    kind = "mel2mel"
    judged_by = "error_db"

    def __init__(
        self, recipe: Recipe, folder: Path, *, rank: int, world: int, progress: Progress
    ) -> None:
        self._recipe = recipe
        self._options = known(Mel2MelOptions, recipe.options, "options")
        self._train = MelClips(folder, "train", recipe.mel, progress=progress)
        self._valid = MelClips(folder, "valid", recipe.mel, progress=progress)
        share = recipe.batch_size // world
        self._lanes = range(rank * share, (rank + 1) * share)
        self.config: Mel2MelConfig = known(
            Mel2MelConfig,
            {"n_instruments": len(self._train.instruments), "n_mels": recipe.mel.n_mels}
            | recipe.model,
            "model",
        )
        self.model: Mel2Mel = Mel2Mel(self.config)
        with torch.no_grad():  # tanh saturates far from the data: start at its mean
            self.model.output.bias.copy_(torch.from_numpy(self._train.mean_mel()))
        size = (1, share, self.config.hidden_size)
        self._state = (torch.zeros(size), torch.zeros(size))

    def batch(self, step: int) -> MelBatch:
        return lane_batch(
            self._train,
            step,
            self._lanes,
            crop_frames=self._options.crop_frames,
            crops_per_visit=self._options.crops_per_visit,
            context=self._truncation(step)[1],
            seed=self._recipe.seed,
        )

    def loss(self, model: nn.Module, batch: MelBatch, step: int) -> Tensor:
        device = next(model.parameters()).device
        n_windows, context = self._truncation(step)
        n_frames = self._options.crop_frames
        fresh = torch.from_numpy(batch.fresh).to(device)[None, :, None]
        state = tuple(part.to(device).masked_fill(fresh, 0.0) for part in self._state)
        predicted, state = model(
            torch.from_numpy(batch.roll).to(device),
            torch.from_numpy(batch.instrument).to(device),
            state,
            n_frames,
            n_frames // n_windows,
            context,
        )
        self._state = (state[0].detach().float(), state[1].detach().float())
        true = torch.from_numpy(batch.mel).to(device)
        errors = LOSSES[self._options.loss](predicted.float(), true).mean(dim=-1)
        return (errors * torch.from_numpy(batch.weight).to(device)).mean()

    def wrapped(self) -> nn.Module:
        """Give the model with the forward pass of training."""
        return _TrainingPass(self.model)

    def _truncation(self, step: int) -> tuple[int, int]:
        random = np.random.default_rng((self._recipe.seed, step))
        n_windows = random.choice(self._options.windows_per_crop)
        return int(n_windows), int(random.choice(self._options.contexts))

    @torch.no_grad()
    def validate(self, model: nn.Module) -> MelValidation:
        assert isinstance(model, Mel2Mel)
        true, predicted = validation_mels(model, self._valid)
        measures = {}
        for name, a, b in zip(self._valid.instruments, true, predicted, strict=True):
            found = log_mel_measures(a, b)
            measures[f"centred_correlation/{name}"] = found.centred_correlation
            measures[f"correlation/{name}"] = found.correlation
            measures[f"error_db/{name}"] = found.error_db
        for key in ("centred_correlation", "correlation", "error_db"):
            parts = [value for name, value in measures.items() if name.startswith(key + "/")]
            measures[key] = float(np.mean(parts))
        return MelValidation(measures, (true[0][:1000], predicted[0][:1000]))

    def state(self) -> dict[str, Tensor]:
        return {"hidden": self._state[0], "cell": self._state[1]}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self._state = (state["hidden"], state["cell"])

    def describe(self) -> dict:
        return {
            "config": asdict(self.config),
            "bundle": {
                "gain": self._train.settings.gain,
                "instruments": self._train.settings.instruments,
            },
            "card": {"loss": self._options.loss},
            **self._train.origin(),
        }

    @classmethod
    def network(cls, sizes: Mel2MelConfig, recipe: Recipe) -> Mel2Mel:  # noqa: ARG003
        return Mel2Mel(sizes)


class _TrainingPass(nn.Module):
    """Mel2Mel on a crop, from a carried state, with its right context cut."""

    def __init__(self, model: Mel2Mel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        roll: Tensor,
        instrument: Tensor,
        state: tuple[Tensor, Tensor],
        n_frames: int,
        hop: int,
        context: int,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        model = self.model
        timbre = model.embedding(instrument)
        features = model.features(roll, timbre)
        past, state = model.past(features[:, :n_frames], state)
        future = model.windowed_future(features, n_frames, hop, context)
        return model.mel(past, future, timbre), state


# Validation excerpts: so many of each instrument, of so many frames, spread over its clips.
# The network hears some seconds before each, which do not count.
_VALID_EXCERPTS, _VALID_FRAMES, _VALID_WARM_UP = 8, 1250, 250


def validation_mels(model: Mel2Mel, clips: MelClips) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """True and predicted mels of fixed excerpts, one pool for each instrument."""
    true, predicted = [], []
    device = next(model.parameters()).device
    for label in range(len(clips.instruments)):
        indices = np.flatnonzero(clips.labels == label)
        rolls, mels = [], []
        for i in range(_VALID_EXCERPTS):
            index = int(indices[i * len(indices) // _VALID_EXCERPTS])
            n_frames = int(clips.n_frames[index])
            start = max(n_frames - _VALID_FRAMES, 0) * (i + 1) // (_VALID_EXCERPTS + 1)
            rolls.append(clips.roll(index).window(start - _VALID_WARM_UP, start + _VALID_FRAMES))
            mels.append(clips.mel(index, start, start + _VALID_FRAMES))
        timbre = model.embedding.weight[label].expand(len(rolls), -1)
        output = model(torch.from_numpy(np.stack(rolls)).to(device), timbre).float().cpu()
        output = output[:, _VALID_WARM_UP:].numpy()
        true.append(np.concatenate(mels))
        predicted.append(np.concatenate([a[: len(b)] for a, b in zip(output, mels, strict=True)]))
    return true, predicted
