"""Training of the translation network.

It maximises the likelihood of each sample by the decoder of its domain, given the previous samples
and the codes of the sound with a part of it detuned. Meanwhile a classifier learns to find the
domain in the codes, and the encoder is rewarded for what the classifier loses.

The two take turns, as the network's authors let them: a step of the network against the classifier
as it is, then one of the classifier on the codes of that step. This is what the loop does for all
critics; a layer that reverses gradients would need one step instead, but would let the classifier
learn at the small weight that its loss has for the encoder, with the network's optimiser, average
and clipping.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from timbrel.constants import SAMPLE_RATE
from timbrel.engine.companding import HALF, compress
from timbrel.errors import InputError
from timbrel.progress import Progress
from timbrel.training.detuning import LONGEST_S, detuned, draw_segment
from timbrel.training.domain_clips import DomainClips
from timbrel.training.recipe import Recipe, known
from timbrel.training.task import Task, Validation
from timbrel.training.tasks.notes import TensorBatch
from timbrel.translation_network.network import DomainClassifier, TranslationNetwork, domains_of
from timbrel.translation_network.sizes import TranslationNetworkConfig
from timbrel.translation_network.translator import KIND

# Validation crops: the number of fixed batches, the crops of each domain in one, and the step that
# draws them.
_VALID_BATCHES, _VALID_CROPS, _VALID_STEP = 8, 4, 10**9


@dataclass(frozen=True)
class TranslationNetworkOptions:
    """The options of a translation network's recipe; the defaults are the published values."""

    domains: tuple[str, ...] = ()  # instruments of the data; all of them if there are none
    crop_frames: int = 15  # of codes: 12,000 samples
    confusion_weight: float = 0.01  # of the classifier's loss, as the encoder's reward
    classifier_size: int = 100
    detune_semitones: float = 0.5  # at most, of a segment of what the encoder is given

    def __post_init__(self) -> None:
        for key in ("confusion_weight", "detune_semitones"):
            if not 0 <= getattr(self, key) < float("inf"):
                raise InputError(f"'{key}' must not be negative, not {getattr(self, key)}")
        for key in ("crop_frames", "classifier_size"):
            if getattr(self, key) < 1:
                raise InputError(f"'{key}' must be 1 or more, not {getattr(self, key)}")


@dataclass(frozen=True)
class TranslationNetworkBatch(TensorBatch):
    """Crops; item i is of domain i modulo the number of domains."""

    heard: Tensor  # what the encoder is given: levels, (batch, samples) float32, with the context
    levels: Tensor  # what is to be predicted, (batch, samples without the context)


class TranslationNetworkTask(Task):
    """Train a translation network on prepared data; see `Mel2MelTask` for the parameters."""

    kind = KIND
    judged_by = "nll"
    has_idle_parameters = True  # nothing follows the residual of a decoder's last layer

    def __init__(
        self, recipe: Recipe, folder: Path, *, rank: int, world: int, progress: Progress
    ) -> None:
        self._seed = recipe.seed
        self._options = options = known(TranslationNetworkOptions, recipe.options, "options")
        self._train, self._valid = (
            DomainClips(folder, split, options.domains, progress=progress)
            for split in ("train", "valid")
        )
        n_domains = len(self._train.domains)
        self.config: TranslationNetworkConfig = known(
            TranslationNetworkConfig, {"n_domains": n_domains} | recipe.model, "model"
        )
        if self.config.n_domains != n_domains:
            raise InputError(
                f"model: n_domains is {self.config.n_domains}, but there are {n_domains} domains; "
                "leave it out"
            )
        share = recipe.batch_size // world
        if share % n_domains:
            shared = f" for each of {world} processes" if world > 1 else ""
            raise InputError(
                f"batch_size must be a multiple of the {n_domains} domains{shared}, "
                f"not {recipe.batch_size}"
            )
        self._n_samples = options.crop_frames * self.config.hop_length
        if options.detune_semitones and self._n_samples < LONGEST_S * SAMPLE_RATE:
            raise InputError(
                f"options: a crop must last {LONGEST_S} s or more, as a detuned segment may; "
                f"crop_frames is {options.crop_frames}"
            )
        self._items = range(rank * share, (rank + 1) * share)
        self.model: TranslationNetwork = self.network(self.config, recipe)
        self.critic: DomainClassifier = DomainClassifier(
            self.config.code_size, n_domains, options.classifier_size
        )
        self._last_codes: Tensor | None = None

    @classmethod
    def network(
        cls,
        sizes: TranslationNetworkConfig,
        recipe: Recipe,  # noqa: ARG003
    ) -> TranslationNetwork:
        return TranslationNetwork(sizes)

    def describe(self) -> dict:
        return {
            "config": asdict(self.config),
            "bundle": {"sample_rate": SAMPLE_RATE, "domains": self._train.domains},
            **self._train.origin(),
        }

    def batch(self, step: int) -> TranslationNetworkBatch:
        return self._crops(self._train, step, self._items, self._options.detune_semitones)

    def loss(self, model: nn.Module, batch: TranslationNetworkBatch, step: int) -> Tensor:  # noqa: ARG002
        nll, codes = self._predicted(model, batch)
        self._last_codes = codes.detach()
        return nll.mean() - self._options.confusion_weight * self._confusion(codes)

    def critic_loss(self) -> Tensor | None:
        """Loss of the classifier on the codes of the last step."""
        return None if self._last_codes is None else self._confusion(self._last_codes)

    @torch.no_grad()
    def validate(self, model: nn.Module) -> Validation:
        n_domains = self.config.n_domains
        nlls, right = [], []
        for i in range(_VALID_BATCHES):
            items = range(i * _VALID_CROPS * n_domains, (i + 1) * _VALID_CROPS * n_domains)
            nll, codes = self._predicted(model, self._crops(self._valid, _VALID_STEP, items))
            nlls.append(nll.unflatten(0, (-1, n_domains)).mean(dim=0))
            found = self.critic(codes).argmax(dim=-1)
            right.append((found == self._domains(codes)).float().mean())
        of_domains = torch.stack(nlls).mean(dim=0).tolist()
        measures = {
            f"nll/{name}": nll for name, nll in zip(self._valid.domains, of_domains, strict=True)
        }
        measures["nll"] = float(np.mean(of_domains))
        measures["classifier_accuracy"] = float(torch.stack(right).mean())
        return Validation(measures)

    def _predicted(self, model: nn.Module, batch: TranslationNetworkBatch) -> tuple[Tensor, Tensor]:
        """The mean negative log-likelihood of each crop's samples, and the codes."""
        batch = batch.to(next(model.parameters()).device)
        logits, codes = model(batch.heard, batch.levels, self.config.context_frames)
        labels = batch.levels.long() + HALF
        each = functional.cross_entropy(
            logits.float().flatten(0, 1), labels.flatten(), reduction="none"
        )
        return each.view_as(labels).mean(dim=1), codes

    def _confusion(self, codes: Tensor) -> Tensor:
        """What the classifier loses on codes."""
        return functional.cross_entropy(self.critic(codes).float(), self._domains(codes))

    def _domains(self, codes: Tensor) -> Tensor:
        return domains_of(len(codes), self.config.n_domains, codes.device)

    def _crops(
        self, clips: DomainClips, step: int, items: Iterable[int], semitones: float = 0.0
    ) -> TranslationNetworkBatch:
        """A step's crops, a pure function of its arguments.

        The encoder is given what lies around a crop, as it will when it is used.
        """
        margin = self.config.context_frames * self.config.hop_length
        heard, levels = [], []
        for item in items:
            random = np.random.default_rng((self._seed, step, item))
            audio = clips.draw(random, item % self.config.n_domains, self._n_samples, margin)
            levels.append(audio[margin : margin + self._n_samples])
            if semitones:
                last = margin + self._n_samples
                segment = draw_segment(random, margin, last, SAMPLE_RATE, most=semitones)
                audio = detuned(audio, segment, SAMPLE_RATE)
            heard.append(audio)
        return TranslationNetworkBatch(
            *(torch.from_numpy(compress(np.stack(some))).float() for some in (heard, levels))
        )
