"""How well an encoder knows held-out renders and points, and whether its doubt is the true one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import chi2

from timbrel.bundles.bundle import Bundle
from timbrel.hearing.combining import Gaussian, calibrated, combined, combined_logs
from timbrel.hearing.encoder import Encoder
from timbrel.hearing.sizes import Calibration
from timbrel.score.instruments import FAMILY_NAMES
from timbrel.training.encoder_examples import SILENT_NATS, Maker, Making, Renders, Truth, part

CALIBRATION_KEY = "calibration/"
REGION = 0.9  # the probability of the regions that are stated
_EXCERPTS = 2  # of each instrument
_MADE = 128
_WINDOWS = 3  # of an excerpt, each half a window after the one before
_BATCH = 32
_TEMPERATURE_GRID = np.geomspace(0.1, 10.0, 25)
_SPREAD_GRID = (0.0, *np.geomspace(0.02, 2.0, 11))
_EQUAL = 0.1  # lacks, in logarithms of squared radii, that count as equal
_SHARED_GRID = np.linspace(0.0, 1.0, 21)
# Never above 1: what is sure of held-out pieces of its own SoundFont must not be surer of others.
_SHARPNESS_GRID = np.geomspace(0.3, 1.0, 21)


class _Said(NamedTuple):
    """What the network says of excerpts, of each of their windows."""

    means: np.ndarray  # (excerpts, windows, size)
    factors: np.ndarray  # (excerpts, windows, size, size)
    logits: np.ndarray  # (excerpts, windows, classes)

    def of_first(self) -> _Said:
        return _Said(self.means[:, :1], self.factors[:, :1], self.logits[:, :1])


class EncoderValidation:
    """Fixed excerpts of the validation split, and of what a Mel2Mel makes of its scores.

    Parameters
    ----------
    renders
        The split.
    truth
        What is true of its instruments.
    bundle, making
        The Mel2Mel, and how it is asked.
    window_s
        The length of a window.
    """

    def __init__(
        self, renders: Renders, truth: Truth, bundle: Bundle, making: Making, *, window_s: float
    ) -> None:
        self._truth = truth
        config = renders.clips.config
        self._window = round(window_s * config.frame_rate)
        self._short = round(min(2.0, window_s) * config.frame_rate)
        self._hop = self._window // 2
        n_frames = self._window + (_WINDOWS - 1) * self._hop
        random = np.random.default_rng(0)
        mels, labels = [], []
        for label in np.unique(renders.labels[renders.labels >= 0]):
            places = np.flatnonzero(renders.labels == label)
            for i in range(_EXCERPTS):
                index = int(places[i * len(places) // _EXCERPTS])
                mel = part(renders.clips, index, renders.start(random, index, n_frames), n_frames)
                if mel[: self._short].max() > SILENT_NATS:
                    mels.append(mel)
                    labels.append(label)
        self._mels, self.labels = np.stack(mels), np.array(labels)
        maker = Maker(bundle, renders, truth, making)
        parts = [maker.make(random, _BATCH, n_frames) for _ in range(_MADE // _BATCH)]
        self._made = np.concatenate([made.mels for made in parts])
        self._points = np.concatenate([made.known.points for made in parts])
        programs = [instrument.program for instrument in bundle.instruments]
        # The families of General MIDI; kits are one of their own.
        self._families = np.where(
            truth.is_kit, len(FAMILY_NAMES), np.array(programs) * len(FAMILY_NAMES) // 128
        )

    def measures(self, model: Encoder) -> dict[str, float]:
        """All that is found, with the calibration."""
        rendered, made = self._said(model, self._mels), self._said(model, self._made)
        short = self._said(model, self._mels[:, : self._short])
        true = self._truth.points[self.labels]
        is_known = ~self._truth.is_kit[self.labels]
        how = self._calibration(rendered, made, true)
        found = {"score": 0.0}
        for name, said in (("window", short), ("excerpt", rendered)):
            logs = self._logs(said, how)[is_known, :-1]
            labels = self.labels[is_known]
            order = np.argsort(-logs, axis=1)
            best = order[:, 0]
            found[f"top1_{name}"] = float((best == labels).mean())
            found[f"top5_{name}"] = float((order[:, :5] == labels[:, None]).any(axis=1).mean())
            right = self._families[best] == self._families[labels]
            found[f"families_{name}"] = float(right.mean())
        for name, said, points in (("renders", rendered, true), ("made", made, self._points)):
            distances, deviations = self._distances(said, points, how)
            found[f"held_{name}"] = float((distances < self._limit).mean())
            found[f"deviation_{name}"] = float(np.median(deviations))
            errors = np.linalg.norm(self._means(said, how) - points, axis=1)
            found[f"error_{name}"] = float(np.median(errors))
        found["score"] = found["top1_window"] - 0.1 * (found["error_made"] + found["error_renders"])
        return found | {CALIBRATION_KEY + key: v for key, v in asdict(how).items()}

    @property
    def _limit(self) -> float:
        return float(chi2.ppf(REGION, self._truth.points.shape[1]))

    def _said(self, model: Encoder, mels: np.ndarray) -> _Said:
        """What the network says of the windows of mels (excerpts, frames, n_mels)."""
        starts = range(0, max(mels.shape[1] - self._window, 0) + 1, self._hop)
        windows = np.stack([mels[:, s : s + self._window] for s in starts], axis=1)
        flat = windows.reshape(-1, *windows.shape[2:])
        device = next(model.parameters()).device
        parts = []
        for first in range(0, len(flat), _BATCH):
            encoded = model(torch.from_numpy(flat[first : first + _BATCH]).to(device))
            parts.append([value.float().cpu().numpy() for value in encoded])
        joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
        return _Said(*(value.reshape(*windows.shape[:2], *value.shape[1:]) for value in joined))

    def _calibration(self, rendered: _Said, made: _Said, true: np.ndarray) -> Calibration:
        """The numbers with which the regions hold what they say, of renders and of made mels.

        Among nearly equal ones, those that trust the likely instruments most, which are right more
        often of sounds that are unlike all that was trained on; and never too small for either.
        """
        both = ((rendered, true), (made, self._points))
        firsts = tuple((said.of_first(), points) for said, points in both)

        def lacks(pairs: Sequence[tuple[_Said, np.ndarray]], how: Calibration) -> np.ndarray:
            """How much larger the regions of either would have to be, in logarithms."""
            found = [np.quantile(self._squares(*pair, how), REGION) for pair in pairs]
            return np.log(np.array(found) / self._limit)

        hows = [
            Calibration(temperature=float(temperature), spread=float(spread))
            for temperature in _TEMPERATURE_GRID
            for spread in _SPREAD_GRID
        ]
        strays = [float(np.abs(lacks(firsts, how)).max()) for how in hows]
        near = [
            how for how, stray in zip(hows, strays, strict=True) if stray < min(strays) + _EQUAL
        ]
        how = max(near, key=lambda how: how.spread)
        hows = [replace(how, shared=float(shared)) for shared in _SHARED_GRID]
        how = min(hows, key=lambda how: abs(float(lacks(both, how).max())))

        def surprise(how: Calibration) -> float:
            logs = self._logs(rendered.of_first(), how)
            return -float(logs[np.arange(len(logs)), self.labels].mean())

        hows = [replace(how, sharpness=float(value)) for value in _SHARPNESS_GRID]
        return min(hows, key=surprise)

    def _squares(self, said: _Said, points: np.ndarray, how: Calibration) -> np.ndarray:
        """Squared Mahalanobis distances of the true points; of single windows all in one go."""
        if said.means.shape[1] > 1:
            return self._distances(said, points, how)[0]
        covariances, _ = calibrated(said.factors[:, 0], said.logits[:, 0], self._truth.points, how)
        strays = points - said.means[:, 0]
        return np.einsum(
            "ni,ni->n", strays, np.linalg.solve(covariances, strays[..., None])[..., 0]
        )

    def _distances(
        self, said: _Said, points: np.ndarray, how: Calibration
    ) -> tuple[np.ndarray, np.ndarray]:
        """Squared Mahalanobis distances of the true points, and deviations of the regions."""
        regions = [self._region(*parts, how) for parts in zip(*said, strict=True)]
        distances = [r.distance(point) for r, point in zip(regions, points, strict=True)]
        return np.array(distances), np.array([region.deviation for region in regions])

    def _means(self, said: _Said, how: Calibration) -> np.ndarray:
        return np.stack([self._region(*parts, how).mean for parts in zip(*said, strict=True)])

    def _region(
        self, means: np.ndarray, factors: np.ndarray, logits: np.ndarray, how: Calibration
    ) -> Gaussian:
        covariances, _ = calibrated(factors, logits, self._truth.points, how)
        return combined(means, covariances, np.ones(len(means)), shared=how.shared)

    def _logs(self, said: _Said, how: Calibration) -> np.ndarray:
        """Log-probabilities of the classes of each excerpt."""
        found = []
        for _, factors, logits in zip(*said, strict=True):
            _, logs = calibrated(factors, logits, self._truth.points, how)
            found.append(combined_logs(logs, np.ones(len(logs)), shared=how.shared))
        return np.stack(found)
