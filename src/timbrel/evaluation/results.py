"""Results of an evaluation by condition, instrument and track, with confidence intervals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from timbrel.evaluation.conditions import MU_LAW, ORIGINAL, Condition
from timbrel.evaluation.originals import Excerpt
from timbrel.measures.correlation import LogCqtCorrelation, LogMelMeasures, correlation_of_sums
from timbrel.measures.statistics import drawn_means, draws, interval, mean_of_known

CORRELATION = "log-CQT correlation"
# The F1 on the originals that a judge must reach before it may judge a synthesis.
JUDGED_FROM = 0.5
# The losses of Kim et al. (2019), in the order in which listeners and the correlation ranked them.
PUBLISHED_LOSSES = ("tanh-log-abs", "log-abs", "abs")
PUBLISHED_ORDER = "µ-law > true mel > tanh-log-abs ≥ log-abs > abs"
AS_PUBLISHED = "as published"


@dataclass(frozen=True)
class Estimate:
    """A mean over tracks and its 95 % interval, NaN where fewer than two tracks were measured."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """How much higher `a` is than `b`, on the same tracks."""

    measure: str
    a: str
    b: str
    difference: Estimate

    @property
    def verdict(self) -> str:
        """Whether `a` is higher, as was published of the two, in words."""
        if not math.isfinite(self.difference.low):
            return "not tested: one track"
        if self.difference.low > 0:
            return AS_PUBLISHED
        return "reversed" if self.difference.high < 0 else "no difference beyond chance"


@dataclass
class Results:
    """What was measured of some excerpts (T) in some instruments (I)."""

    instruments: list[str]
    excerpts: list[Excerpt]
    conditions: list[Condition]
    sums: dict[str, np.ndarray]  # condition → (T, I, 6, 84), of the log-CQT correlation
    values: dict[str, dict[str, np.ndarray]]  # measure → condition → (T, I), NaN: not measured
    log_mel: dict[str, dict[str, LogMelMeasures]]  # model → instrument → measures
    judges: list[str] = field(default_factory=list)
    silence_db: dict[str, float] = field(default_factory=dict)  # vocoder → what it makes of silence
    skipped: list[str] = field(default_factory=list)  # words about judges that could not judge
    silent: list[tuple[Excerpt, str]] = field(default_factory=list)  # clips that are left out
    settings: dict[str, Any] = field(default_factory=dict)
    _known_draws: dict[tuple[str, str], np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def vocoders(self) -> list[str]:
        """Names of the vocoders, in the order of the conditions."""
        return list(dict.fromkeys(c.vocoder for c in self.conditions if c.vocoder))

    @property
    def syntheses(self) -> list[Condition]:
        """The conditions but the original itself."""
        return [condition for condition in self.conditions if condition.name != ORIGINAL]

    @cached_property
    def _draws(self) -> np.ndarray:
        return draws(len(self.excerpts))

    def pooled(self, condition: str) -> LogCqtCorrelation:
        """The correlation of a condition over all tracks and instruments."""
        return LogCqtCorrelation(self.sums[condition].sum(axis=(0, 1)))

    def of_instrument(self, condition: str, instrument: str) -> LogCqtCorrelation:
        """The correlation of a condition over all tracks in one instrument."""
        index = self.instruments.index(instrument)
        return LogCqtCorrelation(self.sums[condition][:, index].sum(axis=0))

    def estimate(self, measure: str, condition: str) -> Estimate:
        """Mean of a measure in a condition: over bins of the pool, or over clips."""
        mean, drawn = self._mean(measure, condition), self._drawn(measure, condition)
        return _estimate(mean, drawn, self._known(measure, condition))

    def by_instrument(self, measure: str, condition: str) -> np.ndarray:
        """Means of a measure for each instrument, (I,)."""
        if measure == CORRELATION:
            return np.array(
                [self.of_instrument(condition, name).mean() for name in self.instruments]
            )
        return mean_of_known(self.values[measure][condition], axis=0)

    def difference(self, measure: str, a: str, b: str) -> Difference:
        """The difference of two conditions, with an interval from common draws of tracks."""
        mean = self._mean(measure, a) - self._mean(measure, b)
        drawn = self._drawn(measure, a) - self._drawn(measure, b)
        known = self._known(measure, a) & self._known(measure, b)
        return Difference(measure, a, b, _estimate(mean, drawn, known))

    def differences(self, measure: str) -> list[Difference]:
        """Between all conditions that differ in one thing: the vocoder, or what it is given."""
        found = self.syntheses
        return [
            self.difference(measure, a.name, b.name)
            for i, a in enumerate(found)
            for b in found[i + 1 :]
            if (a.vocoder == b.vocoder or MU_LAW in (a.name, b.name) or a.model == b.model)
            and not (a.name == MU_LAW and b.model)
        ]

    def published_order(self, vocoder: str) -> tuple[list[Condition], list[str]]:
        """The conditions in the order published, best first, and losses that no model has."""
        of_loss = {c.loss: c for c in reversed(self.conditions) if c.model and c.vocoder == vocoder}
        first = [c for c in self.conditions if c.name == MU_LAW]
        first += [c for c in self.conditions if c.vocoder == vocoder and not c.model]
        missing = [loss for loss in PUBLISHED_LOSSES if loss not in of_loss]
        return first + [of_loss[x] for x in PUBLISHED_LOSSES if x in of_loss], missing

    def published_differences(self, vocoder: str) -> list[Difference]:
        """Between neighbours of the published order, the better one first."""
        order, _ = self.published_order(vocoder)
        return [self.difference(CORRELATION, a.name, b.name) for a, b in itertools.pairwise(order)]

    def judged(self, judge: str) -> tuple[list[str], list[str]]:
        """Instruments whose originals a judge understands, and those which it does not."""
        scores = self.by_instrument(f"{judge} pitch", ORIGINAL)
        good = [self.instruments[i] for i in np.flatnonzero(scores >= JUDGED_FROM)]
        return good, [name for name in self.instruments if name not in good]

    def relative_pitch(self, judge: str, condition: str) -> Estimate:
        """F1 of onsets with pitches, as a share of the original's, of instruments understood."""
        good, _ = self.judged(judge)
        columns = [self.instruments.index(name) for name in good]
        both = [
            mean_of_known(self.values[f"{judge} pitch"][name][:, columns], axis=1)
            for name in (condition, ORIGINAL)
        ]
        a, b = (float(mean_of_known(values)) for values in both)
        drawn = drawn_means(both[0], self._draws) / drawn_means(both[1], self._draws)
        known = np.isfinite(both[0]) & np.isfinite(both[1])
        return _estimate(a / b if b else math.nan, drawn, known)

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row for each condition, track and instrument."""
        for condition in self.conditions:
            by_bin = correlation_of_sums(self.sums[condition.name]).mean(axis=-1)
            for t, excerpt in enumerate(self.excerpts):
                for i, instrument in enumerate(self.instruments):
                    if (excerpt, instrument) in self.silent:
                        continue
                    yield {
                        "condition": condition.name,
                        "source": condition.source,
                        "loss": condition.loss,
                        "vocoder": condition.vocoder,
                        "instrument": instrument,
                        **asdict(excerpt),
                        CORRELATION: round(float(by_bin[t, i]), 6),
                        **{
                            measure: _rounded(found[condition.name][t, i])
                            for measure, found in self.values.items()
                        },
                    }

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        content = {
            "settings": self.settings,
            "instruments": self.instruments,
            "excerpts": len(self.excerpts),
            "excerpt_list": [asdict(excerpt) for excerpt in self.excerpts],
            "log_mel": {
                model: {name: asdict(found) for name, found in by_instrument.items()}
                for model, by_instrument in self.log_mel.items()
            },
            "log_cqt_correlation": {
                condition.name: self._correlation_dict(condition.name)
                for condition in self.syntheses
            },
            "measures": {
                measure: {
                    condition: {
                        **asdict(self.estimate(measure, condition)),
                        "instruments": dict(
                            zip(
                                self.instruments,
                                self.by_instrument(measure, condition).tolist(),
                                strict=True,
                            )
                        ),
                    }
                    for condition in found
                }
                for measure, found in self.values.items()
            },
            "relative_pitch_f1": {
                judge: {
                    "instruments": self.judged(judge)[0],
                    "not_understood": self.judged(judge)[1],
                    **{c.name: asdict(self.relative_pitch(judge, c.name)) for c in self.syntheses},
                }
                for judge in self.judges
            },
            "differences": [
                {**asdict(found), "difference": asdict(found.difference)}
                for measure in [CORRELATION, *(f"{judge} pitch" for judge in self.judges)]
                for found in self.differences(measure)
            ],
            "vocoders_of_silence_db": self.silence_db,
            "left_out": [{**asdict(excerpt), "instrument": name} for excerpt, name in self.silent],
            "judges_left_out": self.skipped,
        }
        return _without_nan(content)

    def _correlation_dict(self, condition: str) -> dict[str, Any]:
        pooled = self.pooled(condition)
        estimate = self.estimate(CORRELATION, condition)
        return {
            "mean": pooled.mean(),
            "low": estimate.low,
            "high": estimate.high,
            "octaves": pooled.by_octave().tolist(),
            "bins": pooled.by_bin().tolist(),
            "instruments": {
                name: self.of_instrument(condition, name).mean() for name in self.instruments
            },
        }

    def _mean(self, measure: str, condition: str) -> float:
        if measure == CORRELATION:
            return self.pooled(condition).mean()
        return float(mean_of_known(self._track_means(measure, condition)))

    def _drawn(self, measure: str, condition: str) -> np.ndarray:
        """The mean in each draw of the tracks; drawn once, as many tables ask for it."""
        key = measure, condition
        if key not in self._known_draws:
            self._known_draws[key] = self._draw(measure, condition)
        return self._known_draws[key]

    def _draw(self, measure: str, condition: str) -> np.ndarray:
        if measure != CORRELATION:
            return drawn_means(self._track_means(measure, condition), self._draws)
        sums = self.sums[condition].sum(axis=1)  # (tracks, 6, bins)
        drawn = np.tensordot(self._draws.astype(np.float64), sums, axes=1)
        return correlation_of_sums(drawn).mean(axis=-1)

    def _known(self, measure: str, condition: str) -> np.ndarray:
        """Which tracks were measured, (tracks,) bool."""
        if measure == CORRELATION:
            n_frames = self.sums[condition][:, :, 0].sum(axis=(1, 2))
            return np.asarray(n_frames > 0)
        return np.isfinite(self._track_means(measure, condition))

    def _track_means(self, measure: str, condition: str) -> np.ndarray:
        return mean_of_known(self.values[measure][condition], axis=1)


def _estimate(mean: float, drawn: np.ndarray, known: np.ndarray) -> Estimate:
    """With an interval where it means something: of one track, all draws are the same."""
    low, high = interval(drawn) if known.sum() > 1 else (math.nan, math.nan)
    return Estimate(mean, low, high)


def _rounded(value: float) -> float | str:
    return round(float(value), 6) if math.isfinite(value) else ""


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
