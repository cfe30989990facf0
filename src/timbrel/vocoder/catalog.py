"""Vocoders by name: Griffin-Lim, and those that came with Timbrel or lie in a folder."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from timbrel.bundles.bundle import Bundle, load_bundle, shipped_bundles
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.vocoder.griffin_lim import GriffinLim
from timbrel.vocoder.parallel_stream import ParallelVocoder
from timbrel.vocoder.vocoder import Vocoder

GRIFFIN_LIM = "griffin-lim"
DEFAULT_VOCODER = "parallel"


@dataclass(frozen=True)
class Sampling:
    """How a vocoder that draws samples one by one does so; None: as it likes best."""

    precision: str | None = None  # of `timbrel.engine.wavenet`
    temperature: float | None = None


def _parallel(bundle: Bundle, threads: int, sampling: Sampling) -> Vocoder:
    _refuse(sampling, bundle.name)
    return ParallelVocoder(bundle, threads=threads)


def _wavenet(bundle: Bundle, threads: int, sampling: Sampling) -> Vocoder:
    from timbrel.vocoder.wavenet_stream import WaveNetVocoder

    given = {name: value for name, value in asdict(sampling).items() if value is not None}
    return WaveNetVocoder(bundle, threads=threads, **given)


def _refuse(sampling: Sampling, name: str) -> None:
    if sampling != Sampling():
        raise InputError(f"{name}: draws no samples, so it has no precision or temperature")


# The kinds of models that are vocoders, and what runs them.
_KINDS = {"parallel": _parallel, "wavenet": _wavenet}


def vocoder_names() -> list[str]:
    """Vocoders that need nothing but Timbrel, the default first."""
    shipped = [name for kind in _KINDS for name in shipped_bundles(kind)]
    return sorted([*shipped, GRIFFIN_LIM], key=lambda name: name != DEFAULT_VOCODER)


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
        _refuse(sampling, GRIFFIN_LIM)
        return GriffinLim(mel)
    if name not in vocoder_names() and not Path(name).is_dir():
        known = ", ".join(vocoder_names())
        raise InputError(
            f"there is no vocoder '{name}'; known: {known}, and the folders of vocoders' bundles"
        )
    bundle = load_bundle(name)
    if bundle.kind not in _KINDS:
        raise InputError(f"{name}: is a model of kind '{bundle.kind}', not a vocoder")
    if bundle.mel != mel:
        raise InputError(
            f"{name}: this vocoder expects mels of {bundle.mel}; the model makes {mel}"
        )
    return _KINDS[bundle.kind](bundle, threads, sampling)
