"""A training run → a model bundle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from timbrel.bundles.weights import Model
from timbrel.errors import InputError
from timbrel.mel.export import write_mel2mel_bundle
from timbrel.mel.mel2mel import Mel2Mel, Mel2MelConfig
from timbrel.notes.autoencoder import Autoencoder
from timbrel.notes.codec import KIND as AUTOENCODER_KIND
from timbrel.notes.export import (
    SPECTRAL_MODELS,
    write_autoencoder_bundle,
    write_spectral_bundle,
)
from timbrel.notes.sizes import AutoencoderConfig
from timbrel.training.checkpoint import load_checkpoint
from timbrel.training.loop import LOG_FILE, RECIPE_FILE, RUN_FILE
from timbrel.training.recipe import known, read_recipe
from timbrel.vocoder.parallel import ParallelVocoder, ParallelVocoderConfig
from timbrel.vocoder.parallel_export import write_parallel_bundle
from timbrel.vocoder.wavenet import WaveNet, WaveNetConfig
from timbrel.vocoder.wavenet_export import write_wavenet_bundle


def export_run(
    run: str | os.PathLike, output: str | os.PathLike, *, name: str | None = None
) -> None:
    """Write the bundle of a run, with its averaged weights.

    Parameters
    ----------
    run
        Folder of the training run.
    output
        The bundle's folder, which must not exist yet.
    name
        The model's name; the folder's where it is None.

    Raises
    ------
    InputError
        If the run has no checkpoint, or nothing of its kind can be exported.
    OutputError
        If the folder exists, or its parent does not.
    """
    run, output = Path(run), Path(output)
    checkpoint = load_checkpoint(run)
    notes = json.loads((run / RUN_FILE).read_text())
    recipe = read_recipe(run / RECIPE_FILE)
    common: dict[str, Any] = {
        "name": name or output.name,
        "mel": recipe.mel,
        "gain": notes["gain"],
        "license": recipe.license,
        "attribution": recipe.attribution,
    }
    training = {
        **({"status": recipe.status} if recipe.status else {}),
        "steps": checkpoint["step"],
        "sequences per step": recipe.batch_size,
        "start": recipe.start_from or "random",
        "SoundFont": notes["soundfont"],
        "data manifest (SHA-256)": notes["data_manifest_sha256"],
        "validation": _last_validation(run),
    }
    if notes["kind"] == "mel2mel":
        write_mel2mel_bundle(
            averaged(Mel2Mel(known(Mel2MelConfig, notes["config"], RUN_FILE)), checkpoint),
            output,
            instruments=notes["instruments"],
            training={"loss": notes["loss"], **training},
            **common,
        )
        return
    training["options"] = ", ".join(f"{key}: {value}" for key, value in recipe.options.items())
    if notes["kind"] == "parallel":
        sizes = known(ParallelVocoderConfig, notes["config"], RUN_FILE)
        write_parallel_bundle(
            averaged(ParallelVocoder(sizes, recipe.mel), checkpoint),
            output,
            training=training,
            **common,
        )
    elif notes["kind"] == "wavenet":
        # JSON knows no tuples.
        config = {**notes["config"], "strides": tuple(notes["config"]["strides"])}
        write_wavenet_bundle(
            averaged(WaveNet(known(WaveNetConfig, config, RUN_FILE)), checkpoint),
            output,
            training=training,
            **common,
        )
    elif notes["kind"] == AUTOENCODER_KIND:
        write_autoencoder_bundle(
            averaged(Autoencoder(known(AutoencoderConfig, notes["config"], RUN_FILE)), checkpoint),
            output,
            training=training,
            **common,
        )
    elif notes["kind"] in SPECTRAL_MODELS:
        model_type, config_type = SPECTRAL_MODELS[notes["kind"]]
        write_spectral_bundle(
            averaged(model_type(known(config_type, notes["config"], RUN_FILE)), checkpoint),
            output,
            training=training,
            **common,
        )
    else:
        raise InputError(f"{run}: is a run of '{notes['kind']}', which has no export")


def averaged(model: Model, checkpoint: dict[str, Any]) -> Model:
    """Give a new model the averaged weights of a run's checkpoint."""
    model.load_state_dict(checkpoint["model"])
    with torch.no_grad():
        trained = [p for p in model.parameters() if p.requires_grad]
        for parameter, value in zip(trained, checkpoint["average"], strict=True):
            parameter.copy_(value)
    return model


def _last_validation(run: Path) -> dict[str, float]:
    """The measures of the run's last validation."""
    found: dict[str, float] = {}
    for line in (run / LOG_FILE).read_text().splitlines():
        record = json.loads(line)
        if record.pop("kind") == "valid":
            found = {key: round(value, 4) for key, value in record.items()}
    return found
