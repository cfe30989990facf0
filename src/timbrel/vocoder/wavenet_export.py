"""The WaveNet vocoder → model bundle: weights only, for the native engine and for training."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from timbrel.bundles.bundle import Bundle, write_bundle
from timbrel.bundles.weights import (
    WEIGHTS_FILE,
    bundle_config,
    packed_weights,
    round_to_half,
    training_rows,
    with_weights,
)
from timbrel.geometry import MelConfig
from timbrel.vocoder.post_filter import DRAWN
from timbrel.vocoder.post_filter import KEY as POST_FILTER
from timbrel.vocoder.wavenet import Continuous, WaveNet, WaveNetConfig


def write_wavenet_bundle(
    model: WaveNet,
    output: Path,
    *,
    mel: MelConfig,
    **about: Any,
) -> None:
    """Write a bundle; its weights are stored in half precision.

    Parameters
    ----------
    model
        The trained model. Its weights are rounded to what the bundle holds.
    output
        The bundle's folder, which must not exist yet.
    mel
        The geometry of what it was trained on.
    about
        What else `timbrel.bundles.weights.bundle_config` wants to know.

    Raises
    ------
    OutputError
        If the folder exists, or its parent does not.
    """
    round_to_half(model)
    config = bundle_config(model, "wavenet", mel=asdict(mel), **about)
    config[POST_FILTER] = asdict(DRAWN)
    write_bundle(
        output, config, {WEIGHTS_FILE: packed_weights(model)}, card=_card(config, _unit(model))
    )


def load_wavenet(bundle: Bundle) -> WaveNet:
    """Make the network of a bundle, ready to compute.

    Raises
    ------
    InputError
        If the bundle's weights are those of another model.
    """
    return with_weights(WaveNet(WaveNetConfig(**bundle.model)), bundle)


def _unit(model: WaveNet) -> str:
    if not isinstance(model.output, Continuous):
        return ""
    return (
        "; nll is that of a density over −1…1, nll_of_levels that of µ-law's 256 levels, as of a\n"
        "categorical output"
    )


def _card(config: dict[str, Any], unit: str) -> str:
    training = config["training"]
    rows = training_rows(config)
    measures = "".join(
        f"| {key} | {value:.3f} |\n" for key, value in training.get("validation", {}).items()
    )
    sizes = config["model"]
    return f"""# {config["name"]}

WaveNet vocoder (van den Oord et al. 2016; sizes of Kim et al. 2019 by default): mel spectrogram to
audio at {config["mel"]["sample_rate"]} Hz, {sizes["n_layers"]} layers, {sizes["residual_size"]}
residual and {sizes["skip_size"]} skip channels, {sizes["output"]} output. A post-filter of
{config[POST_FILTER]["passes"]} passes holds its sound to the mel.

{config["attribution"]}

Licence of the weights: {config["license"]}.

| training | |
|---|---|
{rows}
Measured on the validation split, which it was not trained on: negative log-likelihood in nats a
sample, given the true mel{unit}.

| | nats |
|---|---|
{measures}"""
