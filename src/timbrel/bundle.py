"""Model bundles: a folder with config.json, weights, a card, and the SHA-256 of each of them.

Loading checks every hash and the version, refuses keys that it does not know, and never unpickles.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from timbrel.errors import InputError
from timbrel.mel.spectrogram import MelConfig

FORMAT = 1
CONFIG_FILE, CARD_FILE, SUMS_FILE = "config.json", "README.md", "SHA256SUMS"
SHIPPED = Path(__file__).parent / "models"
DEFAULT_MODEL = "mel2mel"

_KEYS = {
    "format": int,
    "kind": str,
    "name": str,
    "mel": dict,
    "model": dict,
    "window": dict,
    "gain": float,
    "instruments": list,
    "license": str,
    "attribution": str,
    "training": dict,
}


@dataclass(frozen=True)
class Instrument:
    """An instrument that a model knows: a name, a General MIDI program, a point in its space."""

    name: str
    program: int
    embedding: tuple[float, ...]


@dataclass(frozen=True)
class WindowConfig:
    """The grid of windowed inference, in frames."""

    hop: int
    context: int


@dataclass(frozen=True)
class Bundle:
    """A model's configuration, and where its files lie."""

    path: Path
    kind: str
    name: str
    mel: MelConfig
    model: dict[str, Any]
    window: WindowConfig
    gain: float
    instruments: tuple[Instrument, ...]
    license: str
    attribution: str
    training: dict[str, Any]

    def file(self, name: str) -> Path:
        return self.path / name


def shipped_bundles() -> list[str]:
    """Names of the models that came with Timbrel."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{CONFIG_FILE}"))


def load_bundle(name_or_path: str | os.PathLike, *, kind: str | None = None) -> Bundle:
    """Load and check a bundle.

    Parameters
    ----------
    name_or_path
        A shipped model's name, or a folder.
    kind
        What the bundle must be, such as "mel2mel".

    Raises
    ------
    InputError
        If there is no such bundle, a file is missing or altered, the version is not known, or the
        configuration holds an unknown key or lacks one.
    """
    path = Path(name_or_path)
    if str(name_or_path) in shipped_bundles():
        path = SHIPPED / name_or_path
    if not (path / CONFIG_FILE).is_file():
        known = ", ".join(shipped_bundles()) or "none"
        raise InputError(
            f"{name_or_path}: is neither a folder with a model nor a shipped one ({known})"
        )
    _check_sums(path)
    config_path = path / CONFIG_FILE
    try:
        config = json.loads(config_path.read_text())
    except ValueError as error:
        raise InputError(f"{config_path}: is not JSON ({error})") from None
    version = config.get("format") if isinstance(config, dict) else None
    if version != FORMAT:
        raise InputError(
            f"{config_path}: has format {version}; this Timbrel reads format {FORMAT}. "
            "Update Timbrel, or export the model again"
        )
    for key, value in config.items():
        if key not in _KEYS:
            raise InputError(f"{config_path}: has an unknown key '{key}'")
        if not isinstance(value, (int, float) if _KEYS[key] is float else _KEYS[key]):
            raise InputError(f"{config_path}: '{key}' must be of type {_KEYS[key].__name__}")
    missing = sorted(set(_KEYS) - set(config))
    if missing:
        raise InputError(f"{config_path}: lacks the key '{missing[0]}'")
    if kind is not None and config["kind"] != kind:
        raise InputError(f"{path}: is a model of kind '{config['kind']}', not '{kind}'")
    return Bundle(
        path=path,
        kind=config["kind"],
        name=config["name"],
        mel=_part(MelConfig, config["mel"], config_path),
        model=config["model"],
        window=_part(WindowConfig, config["window"], config_path),
        gain=float(config["gain"]),
        instruments=tuple(
            Instrument(i["name"], i["program"], tuple(i["embedding"]))
            for i in config["instruments"]
        ),
        license=config["license"],
        attribution=config["attribution"],
        training=config["training"],
    )


def write_sums(path: Path) -> None:
    """List the hashes of all files of a bundle, as `sha256sum -c` reads them."""
    names = sorted(p.name for p in path.iterdir() if p.name != SUMS_FILE)
    lines = [f"{_sha256(path / name)}  {name}\n" for name in names]
    (path / SUMS_FILE).write_text("".join(lines))


def _check_sums(path: Path) -> None:
    try:
        lines = (path / SUMS_FILE).read_text().splitlines()
    except OSError:
        raise InputError(f"{path}: has no {SUMS_FILE}; export the model again") from None
    listed = {}
    for line in lines:
        expected, _, name = line.partition("  ")
        listed[name] = expected
    if CONFIG_FILE not in listed:
        raise InputError(f"{path / SUMS_FILE}: does not list {CONFIG_FILE}; export the model again")
    for name, expected in listed.items():
        if not (path / name).is_file():
            raise InputError(f"{path}: lacks the file {name}; install or export the model again")
        if _sha256(path / name) != expected:
            raise InputError(
                f"{path / name}: is damaged (its SHA-256 differs from {SUMS_FILE}); "
                "install or export the model again"
            )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _part(cls: type, values: dict, where: Path) -> Any:
    names = {item.name for item in fields(cls)}
    for key in values:
        if key not in names:
            raise InputError(f"{where}: has an unknown key '{key}'")
    missing = sorted(names - set(values))
    if missing:
        raise InputError(f"{where}: lacks the key '{missing[0]}'")
    return cls(**values)
