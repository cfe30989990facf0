"""The kinds of models, one row each: the code that trains, writes and runs bundles of that kind.

Everything is named as ``"module:attribute"`` and loaded on first use, so that only training loads
PyTorch. A new kind of model is a new row and a module of its own.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Kind:
    """What Timbrel knows of a kind of model."""

    sizes: str  # the dataclass of its network's sizes
    task: str  # what trains it: a subclass of `timbrel.training.task.Task`
    exporter: str  # writes a bundle of a trained network
    # A vocoder's: makes a `timbrel.vocoder.vocoder.Vocoder` of a bundle.
    runner: str = ""
    # What the page does with a bundle: "plays" it live, "exports" WAV files with it, "hears"
    # recordings with it, or nothing.
    page: str = ""
    # The keys of its config.json beside those of every kind.
    keys: Mapping[str, type] = field(default_factory=dict)
    optional: Mapping[str, type] = field(default_factory=dict)  # which may be lacking


_MEL = {"mel": dict, "gain": float}
_AUDIO = {"sample_rate": int}

KINDS: dict[str, Kind] = {
    "mel2mel": Kind(
        sizes="timbrel.mel.mel2mel:Mel2MelConfig",
        task="timbrel.training.tasks.mel2mel:Mel2MelTask",
        exporter="timbrel.mel.export:write_mel2mel_bundle",
        page="plays",
        keys={**_MEL, "window": dict, "instruments": list},
    ),
    "parallel": Kind(
        sizes="timbrel.vocoder.parallel:ParallelVocoderConfig",
        task="timbrel.training.tasks.parallel:ParallelTask",
        exporter="timbrel.vocoder.parallel_export:write_parallel_bundle",
        runner="timbrel.vocoder.parallel_stream:parallel_vocoder",
        page="plays",
        keys=_MEL,
        optional={"contrast": dict},
    ),
    "wavenet": Kind(
        sizes="timbrel.vocoder.wavenet:WaveNetConfig",
        task="timbrel.training.tasks.wavenet:WaveNetTask",
        exporter="timbrel.vocoder.wavenet_export:write_wavenet_bundle",
        runner="timbrel.vocoder.wavenet_stream:wavenet_vocoder",
        page="exports",
        keys=_MEL,
        optional={"post_filter": dict},
    ),
    "student": Kind(
        sizes="timbrel.vocoder.student:StudentConfig",
        task="timbrel.training.tasks.student:StudentTask",
        exporter="timbrel.vocoder.student_export:write_student_bundle",
        runner="timbrel.vocoder.student_stream:student_vocoder",
        keys=_MEL,
        optional={"post_filter": dict},
    ),
    "notes-autoencoder": Kind(
        sizes="timbrel.notes.sizes:NoteAutoencoderConfig",
        task="timbrel.training.tasks.autoencoder:AutoencoderTask",
        exporter="timbrel.notes.export:write_autoencoder_bundle",
        keys=_AUDIO,
        optional={"post_filter": dict},
    ),
    "notes-baseline": Kind(
        sizes="timbrel.notes.baseline:BaselineConfig",
        task="timbrel.training.tasks.spectral:BaselineTask",
        exporter="timbrel.notes.export:write_baseline_bundle",
        keys=_AUDIO,
    ),
    "notes-classifier": Kind(
        sizes="timbrel.notes.classifier:ClassifierConfig",
        task="timbrel.training.tasks.spectral:ClassifierTask",
        exporter="timbrel.notes.export:write_classifier_bundle",
        keys=_AUDIO,
    ),
    "translation-network": Kind(
        sizes="timbrel.translation_network.sizes:TranslationNetworkConfig",
        task="timbrel.training.tasks.translation_network:TranslationNetworkTask",
        exporter="timbrel.translation_network.export:write_translation_network_bundle",
        keys={**_AUDIO, "domains": list},
    ),
    "transcriber": Kind(
        sizes="timbrel.transcription.sizes:TranscriberConfig",
        task="timbrel.training.tasks.transcriber:TranscriberTask",
        exporter="timbrel.transcription.export:write_transcriber_bundle",
        page="hears",
        keys={**_AUDIO, "thresholds": dict},
    ),
    "encoder": Kind(
        sizes="timbrel.hearing.sizes:EncoderConfig",
        task="timbrel.training.tasks.encoder:EncoderTask",
        exporter="timbrel.hearing.export:write_encoder_bundle",
        page="hears",
        keys={
            "mel": dict,
            "mel2mel": str,
            "instruments": list,
            "window_s": float,
            "calibration": dict,
        },
    ),
}

# Ways to train models of several kinds through each other: the kind of the one that a run begins
# with, and the task.
_THROUGH_EACH_OTHER = {
    "autoencoder": (
        "transcriber",
        "timbrel.training.tasks.score_autoencoder:ScoreAutoencoderTask",
    ),
    "joint": ("parallel", "timbrel.training.tasks.joint:JointTask"),
}

# What trains, by the name that a recipe gives as its task: that of a kind, or of such a way.
TASKS: dict[str, str] = {
    **{name: kind.task for name, kind in KINDS.items()},
    **{name: task for name, (_, task) in _THROUGH_EACH_OTHER.items()},
}


def knows_mels(task: str) -> bool:
    """Whether the recipes of a task say of which geometry its mels are."""
    kind, _ = _THROUGH_EACH_OTHER.get(task, (task, ""))
    return kind in KINDS and "mel" in KINDS[kind].keys


def loaded(name: str) -> Any:
    """What a ``"module:attribute"`` of a row names."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def vocoder_kinds() -> list[str]:
    """The kinds that turn spectrograms into sound."""
    return [name for name, kind in KINDS.items() if kind.runner]


def page_kinds(use: str) -> list[str]:
    """The kinds that the page "plays", "exports" or "hears" with."""
    return [name for name, kind in KINDS.items() if kind.page == use]
