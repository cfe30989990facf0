"""Vocoders by name: Griffin-Lim, the shipped ones, and those in a bundle's folder."""

from __future__ import annotations

import os
from pathlib import Path

from timbrel.bundles.bundle import CONFIG_FILE, Bundle, load_bundle, shipped_bundles
from timbrel.bundles.kinds import KINDS, loaded, vocoder_kinds
from timbrel.constants import DEFAULT_MODEL, SMALL_MODEL
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.vocoder.contrast import Contrast
from timbrel.vocoder.griffin_lim import GriffinLim
from timbrel.vocoder.post_filter import PostFilter, PostFiltered
from timbrel.vocoder.sources import wanted_roll
from timbrel.vocoder.vocoder import Sampling, Vocoder

GRIFFIN_LIM = "griffin-lim"


def vocoder_names(mel: MelConfig | None = None) -> list[str]:
    """Vocoders that need nothing but Timbrel: all, or those for mels of one geometry."""
    shipped = [name for kind in vocoder_kinds() for name in shipped_bundles(kind)]
    if mel is not None:
        shipped = [name for name in shipped if load_bundle(name).mel == mel]
    return [*shipped, GRIFFIN_LIM]


def vocoder_for(model: Bundle) -> str:
    """The name of the vocoder that plays a Mel2Mel where none is asked for.

    It is the first of the shipped ones, in the order of `timbrel.bundles.kinds`, that was made for
    the model's mels and its kind of piano roll.

    Raises
    ------
    InputError
        If there is none.
    """
    for kind in vocoder_kinds():
        for name in shipped_bundles(kind):
            bundle = load_bundle(name)
            if bundle.mel == model.mel and wanted_roll(bundle.model) in (None, model.roll):
                return name
    raise InputError(
        f"{model.name}: none of the vocoders that came with Timbrel was made for mels of "
        f"{model.mel}; name one that was, or '{GRIFFIN_LIM}', which takes any (--vocoder)"
    )


def contrast_of(model: Bundle) -> Contrast | None:
    """The contrast with which a Mel2Mel is heard where no vocoder is asked for, if there is one."""
    try:
        vocoder = load_bundle(vocoder_for(model))
    except InputError:
        return None
    return Contrast.of_bundle(vocoder.config, vocoder.mel.n_mels, vocoder.file(CONFIG_FILE))


def model_for(vocoder: str | os.PathLike | None) -> str:
    """The name of the Mel2Mel that plays where none is asked for.

    It is the default one, unless the vocoder that is asked for was made for the small one's mels.
    """
    if vocoder in (None, GRIFFIN_LIM) or not _exists(vocoder):
        return DEFAULT_MODEL
    bundle = load_bundle(vocoder)
    fits = bundle.kind in vocoder_kinds() and bundle.mel == load_bundle(SMALL_MODEL).mel
    return SMALL_MODEL if fits else DEFAULT_MODEL


def load_vocoder(
    name: str | os.PathLike, mel: MelConfig, *, threads: int = 1, sampling: Sampling | None = None
) -> Vocoder:
    """Load a vocoder for mels of a geometry.

    Parameters
    ----------
    name
        One of `vocoder_names`, or the folder of a vocoder's bundle.
    mel
        What it will be given.
    threads
        For its network, if it has one.
    sampling
        For vocoders that draw samples one by one.

    Raises
    ------
    InputError
        If there is no such vocoder, it was made for other mels, or it draws no samples and is told
        how to.
    """
    sampling = sampling or Sampling()
    if name == GRIFFIN_LIM:
        sampling.refuse(GRIFFIN_LIM)
        return GriffinLim(mel)
    if not _exists(name):
        known = ", ".join(vocoder_names())
        raise InputError(
            f"there is no vocoder '{name}'; known: {known}, and the folders of vocoders' bundles"
        )
    bundle = load_bundle(name)
    if bundle.kind not in vocoder_kinds():
        raise InputError(f"{name}: is a model of kind '{bundle.kind}', not a vocoder")
    if bundle.mel != mel:
        raise InputError(
            f"{name}: this vocoder expects mels of {bundle.mel}; the model makes {mel}"
        )
    post_filter = PostFilter.of_bundle(bundle.config, bundle.file(CONFIG_FILE))
    vocoder = loaded(KINDS[bundle.kind].runner)(bundle, threads=threads, sampling=sampling)
    return vocoder if post_filter is None else PostFiltered(vocoder, post_filter)


def _exists(name: str | os.PathLike) -> bool:
    return name in vocoder_names() or Path(name).is_dir()
