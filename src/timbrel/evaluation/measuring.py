"""All measures of one clip in all conditions: a unit of work for one process of an evaluation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from timbrel.evaluation import conditions, judges
from timbrel.evaluation.cache import Cache, key_of, source_key
from timbrel.evaluation.conditions import ORIGINAL, Condition, Maker, audio_key
from timbrel.evaluation.judges import judge_version, load_judge
from timbrel.evaluation.originals import Clip, render_original
from timbrel.measures import (
    correlation as metrics,
)
from timbrel.measures import (
    notes_heard as note_metrics,
)
from timbrel.measures import (
    sound as sound_metrics,
)
from timbrel.measures.correlation import LogCqtCorrelation, log_cqt
from timbrel.measures.notes_heard import note_scores, note_table
from timbrel.measures.sound import QUIET, sound_measures
from timbrel.mel import spectrogram
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.sound import read_audio


@dataclass(frozen=True)
class Measured:
    """What was measured of a clip in a condition."""

    sums: np.ndarray  # (6, 84), of the correlation with the original; see LogCqtCorrelation
    values: dict[str, float]  # by the names of measures


@dataclass(frozen=True)
class Work:
    """A clip, and what is to be measured of it."""

    clip: Clip
    conditions: tuple[Condition, ...]
    judges: tuple[str, ...]
    cache: Cache

    @property
    def silent_key(self) -> str:
        return key_of("silent", self.clip.key)

    def measures_key(self, condition: Condition) -> str:
        how = source_key(metrics, sound_metrics, spectrogram)
        return key_of(how, audio_key(condition, self.clip.key), self.clip.key)

    def verdict_key(self, condition: Condition, judge: str) -> str:
        how = source_key(judges, note_metrics)
        sound = audio_key(condition, self.clip.key)
        return key_of(how, judge, judge_version(judge), sound, self.clip.key)

    def mel_path(self, model_key: str) -> Path:
        """Where a model's mel of the clip is kept, or under '' the true one."""
        key = key_of(source_key(spectrogram, conditions), model_key, self.clip.key)
        return self.cache.path("mels", key, ".npy")


def finished(work: Work) -> dict[str, Measured] | None:
    """What the cache knows of a clip, by condition; None where something is missing.

    A clip that is silent has no conditions.
    """
    if work.cache.read_json("measures", work.silent_key):
        return {}
    found = {}
    for condition in work.conditions:
        if not work.mel_path(condition.model_key).exists():
            return None
        measures = work.cache.read_json("measures", work.measures_key(condition))
        if measures is None:
            return None
        values = dict(measures["values"])
        for judge in work.judges:
            verdict = work.cache.read_json("verdicts", work.verdict_key(condition, judge))
            if verdict is None:
                return None
            values |= verdict
        known = {name: float("nan") if v is None else v for name, v in values.items()}
        found[condition.name] = Measured(np.array(measures["sums"]), known)
    return found


def measure(work: Work) -> None:
    """Measure what the cache lacks of a clip, and put it there."""
    cache, clip = work.cache, work.clip
    original = render_original(clip, cache)
    if np.abs(original.audio).max(initial=0.0) < QUIET:
        cache.write_json("measures", work.silent_key, True)
        return
    maker = Maker(original, cache)
    target = log_cqt(original.audio)
    reference = note_table(original.score.notes, original.pre_roll_s)
    for condition in work.conditions:
        measures_key = work.measures_key(condition)
        if cache.read_json("measures", measures_key) is None:
            audio = maker.audio(condition)
            pool = LogCqtCorrelation()
            same = condition.name == ORIGINAL
            pool.add_spectra(target, target if same else log_cqt(audio))
            values = asdict(sound_measures(original.audio, audio))
            content = {"sums": pool.sums.tolist(), "values": _without_nan(values)}
            cache.write_json("measures", measures_key, content)
        for name in work.judges:
            verdict_key = work.verdict_key(condition, name)
            if cache.read_json("verdicts", verdict_key) is None:
                judge = load_judge(name)
                notes = judge.transcribe(maker.audio(condition))
                scores = note_scores(
                    reference, notes, clip.excerpt.duration_s, offsets=judge.has_offsets
                )
                verdict = {f"{name} {part}": value for part, value in asdict(scores).items()}
                cache.write_json("verdicts", verdict_key, _without_nan(verdict))
    _keep_mels(work, maker, original.audio)


def sound_path(work: Work, condition: Condition) -> Path:
    """Where the cache keeps the sound of a clip in a condition."""
    return work.cache.path("audio", audio_key(condition, work.clip.key), ".flac")


def sound(work: Work, condition: Condition) -> np.ndarray:
    """The sound of a clip that was measured, (samples,)."""
    return read_audio(sound_path(work, condition))[0]


def _keep_mels(work: Work, maker: Maker, audio: np.ndarray) -> None:
    """Put the true mel and those of the models into the cache, for measures and pictures."""
    models = {condition.model_key: condition.model for condition in work.conditions}
    for model_key, model in models.items():
        path = work.mel_path(model_key)
        if not path.exists():
            mel = maker.mel(model) if model else mel_spectrogram(audio, work.conditions[0].mel)
            with work.cache.writing(path) as temporary:
                # Half precision is off by 0.03 dB at most.
                np.save(temporary, mel.astype(np.float16))


def _without_nan(values: dict[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in values.items()}
