"""Model bundles: a folder with config.json, weights, a card, and the SHA-256 of each of them.

Loading checks every hash and the version, refuses unknown keys, and never unpickles.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from timbrel.bundles.kinds import KINDS
from timbrel.constants import PIANO
from timbrel.errors import InputError, OutputError
from timbrel.files import read_json, read_text
from timbrel.geometry import MelConfig
from timbrel.score.instruments import KIT_FAMILY, family_of

FORMAT = 2
CONFIG_FILE, CARD_FILE, SUMS_FILE = "config.json", "README.md", "SHA256SUMS"
WEIGHTS_FILE = "weights.safetensors"
_ID_DIGITS = 16  # of a SHA-256
SHIPPED = Path(__file__).parents[1] / "models"

_KEYS = {
    "format": int,
    "kind": str,
    "name": str,
    "model": dict,
    "license": str,
    "attribution": str,
    "training": dict,
}
_INSTRUMENT_KEYS = {"name": str, "program": int, "embedding": list}
_KIT_KEYS = {"keys": list}  # beside them


@dataclass(frozen=True)
class Instrument:
    """An instrument that a model knows: a name, a General MIDI program, a point in its space."""

    name: str
    program: int
    embedding: tuple[float, ...]
    keys: tuple[int, ...] = ()  # of a drum kit, whose program is its own; other instruments: none

    @property
    def is_kit(self) -> bool:
        return bool(self.keys)

    @property
    def family(self) -> str:
        """The family of General MIDI that it belongs to, or that of drum kits."""
        return KIT_FAMILY if self.is_kit else family_of(self.program)


@dataclass(frozen=True)
class WindowConfig:
    """The grid of windowed inference, in frames."""

    hop: int
    context: int

    @property
    def block_hops(self) -> int:
        """Hops to compute at a time where nobody asks for less delay: about three seconds.

        Longer blocks take less time for a frame.
        """
        return max(384 // self.hop, 1)


WINDOW = WindowConfig(hop=32, context=64)  # what bundles state unless their training says more


@dataclass(frozen=True)
class Bundle:
    """A model's configuration, and where its files lie."""

    path: Path
    config: dict[str, Any]  # config.json as the newest format has it
    # Of kinds with mels:
    _mel: MelConfig | None = None
    window: WindowConfig = WindowConfig(0, 0)  # of a Mel2Mel alone
    # Of a Mel2Mel, and of an encoder, which speaks of a Mel2Mel's:
    instruments: tuple[Instrument, ...] = ()

    @property
    def kind(self) -> str:
        return self.config["kind"]

    @property
    def name(self) -> str:
        return self.config["name"]

    @property
    def model(self) -> dict[str, Any]:
        """The sizes of its network."""
        return self.config["model"]

    @property
    def roll(self) -> str:
        """The kind of piano roll that a Mel2Mel reads; see `timbrel.score.performance_roll`."""
        return str(self.model.get("roll", PIANO))

    @property
    def license(self) -> str:
        return self.config["license"]

    @property
    def attribution(self) -> str:
        return self.config["attribution"]

    @property
    def training(self) -> dict[str, Any]:
        """A summary of the training run."""
        return self.config["training"]

    @property
    def mel(self) -> MelConfig:
        """The geometry of the mels that it makes or takes."""
        if self._mel is None:
            raise InputError(f"{self.path}: a model of kind '{self.kind}' has no mel spectrogram")
        return self._mel

    @property
    def gain(self) -> float:
        """FluidSynth's gain in what it was trained on."""
        return float(self.config["gain"])

    @property
    def sample_rate(self) -> int:
        """Of the audio that it makes or takes, in Hz."""
        return self.config["sample_rate"] if self._mel is None else self._mel.sample_rate

    @property
    def status(self) -> str:
        """What its makers say of its worth, such as "experimental"; mostly nothing."""
        return str(self.training.get("status", ""))

    def file(self, name: str) -> Path:
        return self.path / name


def shipped_bundles(kind: str | None = None) -> list[str]:
    """Names of the models that came with Timbrel, of one kind or of all."""
    return sorted(
        path.parent.name
        for path in SHIPPED.glob(f"*/{CONFIG_FILE}")
        if kind is None or read_json(path)["kind"] == kind
    )


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
    if not path.is_dir():
        known = ", ".join(shipped_bundles()) or "none"
        raise InputError(
            f"{name_or_path}: is neither a bundle's folder nor a shipped model ({known})"
        )
    _check_sums(path)
    config_path = path / CONFIG_FILE
    config = read_json(config_path)
    version = config.get("format") if isinstance(config, dict) else None
    if version not in (1, FORMAT):
        raise InputError(
            f"{config_path}: has format {version}; this Timbrel reads formats 1 and {FORMAT}. "
            "Update Timbrel, or export the model again"
        )
    own_kind = config.get("kind")
    if kind is not None and own_kind != kind:
        raise InputError(f"{path}: is a model of kind '{own_kind}', not '{kind}'")
    if own_kind not in KINDS:
        known = ", ".join(KINDS)
        raise InputError(f"{config_path}: its kind '{own_kind}' is unknown; known: {known}")
    if version == 1:
        config = _from_format_1(config)
    own = KINDS[own_kind]
    check_keys(config, {**_KEYS, **own.keys}, config_path, optional=own.optional)
    parts: dict[str, Any] = {}
    if "mel" in config:
        parts["_mel"] = _part(MelConfig, config["mel"], config_path)
    if "window" in config:
        parts["window"] = _part(WindowConfig, config["window"], config_path)
        if parts["window"].hop < 1 or parts["window"].context < 0:
            raise InputError(f"{config_path}: {parts['window']} is not possible")
    if "instruments" in config:
        parts["instruments"] = _instruments(config["instruments"], config_path)
    return Bundle(path, config, **parts)


def write_bundle(
    output: Path, config: dict[str, Any], files: Mapping[str, bytes], *, card: str
) -> None:
    """Write a bundle; there is never half of one.

    Parameters
    ----------
    output
        The bundle's folder, which must not exist yet.
    config
        All that `load_bundle` wants, but the format.
    files
        Weights and graphs by their names.
    card
        What README.md says.

    Raises
    ------
    OutputError
        If the folder exists, or its parent does not.
    """
    if output.exists():
        raise OutputError(f"{output}: exists; remove it, or export to another folder")
    if not output.parent.is_dir():
        raise OutputError(f"{output}: the folder {output.parent} does not exist; create it first")
    # Made beside the target and then renamed.
    with tempfile.TemporaryDirectory(prefix=".bundle-", dir=output.parent) as folder:
        made = Path(folder, "bundle")
        made.mkdir()
        (made / CONFIG_FILE).write_text(
            json.dumps({"format": FORMAT, **config}, indent=2) + "\n", encoding="utf-8"
        )
        (made / CARD_FILE).write_text(card, encoding="utf-8")
        for name, content in files.items():
            (made / name).write_bytes(content)
        write_sums(made)
        made.rename(output)


def write_sums(path: Path) -> None:
    """List the hashes of all files of a bundle, as `sha256sum -c` reads them."""
    names = sorted(p.name for p in path.iterdir() if p.name != SUMS_FILE)
    lines = [f"{_sha256(path / name)}  {name}\n" for name in names]
    (path / SUMS_FILE).write_text("".join(lines), encoding="utf-8")


def bundle_hash(path: Path) -> str:
    """The hash of a bundle's hashes, which stands for all of it."""
    return _sha256(path / SUMS_FILE)


def weights_id(bundle: Bundle) -> str:
    """A short name for a bundle's weights, which no other weights share."""
    return read_sums(bundle.path)[WEIGHTS_FILE][:_ID_DIGITS]


def read_sums(path: Path) -> dict[str, str]:
    """The SHA-256 of each file of a bundle, as it lists them.

    Raises
    ------
    InputError
        If the list is missing or damaged.
    """
    if not (path / SUMS_FILE).is_file():
        raise InputError(f"{path}: is no bundle, or a damaged one: it has no {SUMS_FILE}")
    listed = {}
    for line in read_text(path / SUMS_FILE).splitlines():
        expected, _, name = line.partition("  ")
        listed[name] = expected
    return listed


def _from_format_1(config: dict[str, Any]) -> dict[str, Any]:
    """What format 1 said, in format 2: there, every model had a mel's geometry and a gain."""
    config = config | {"format": FORMAT}
    if "sample_rate" in KINDS[config["kind"]].keys and isinstance(config.get("mel"), dict):
        config["sample_rate"] = config.pop("mel").get("sample_rate")
        config.pop("gain", None)
    return config


def _check_sums(path: Path) -> None:
    listed = read_sums(path)
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
    check_keys(values, get_type_hints(cls), where)
    try:
        return cls(**values)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _instruments(values: list, where: Path) -> tuple[Instrument, ...]:
    for value in values:
        check_keys(value, _INSTRUMENT_KEYS, where, optional=_KIT_KEYS)
        if not all(isinstance(key, int) and 0 <= key < 128 for key in value.get("keys", [])):
            raise InputError(
                f"{where}: the 'keys' of {value['name']} must be numbers from 0 to 127"
            )
    points = [tuple(value["embedding"]) for value in values]
    numbers = all(isinstance(number, int | float) for point in points for number in point)
    if not numbers or len({len(point) for point in points}) > 1:
        raise InputError(f"{where}: each 'embedding' must hold as many numbers as the others")
    return tuple(
        Instrument(value["name"], value["program"], point, tuple(value.get("keys", ())))
        for value, point in zip(values, points, strict=True)
    )


def check_keys(
    values: Any,
    types: Mapping[str, type],
    where: Path,
    *,
    optional: Mapping[str, type] | None = None,
) -> None:
    """Refuse what is not an object with just these keys, each with a value of its type.

    Those of `optional` may be lacking.
    """
    required, types = set(types), {**types, **(optional or {})}
    if not isinstance(values, dict):
        raise InputError(f"{where}: holds {values!r} where keys with values must be")
    for key, value in values.items():
        if key not in types:
            raise InputError(f"{where}: has an unknown key '{key}'")
        number = types[key] is float and isinstance(value, int)
        is_truth, wants_truth = isinstance(value, bool), types[key] is bool
        if not (isinstance(value, types[key]) or number) or is_truth != wants_truth:
            raise InputError(f"{where}: '{key}' must be of type {types[key].__name__}")
    missing = sorted(required - set(values))
    if missing:
        raise InputError(f"{where}: lacks the key '{missing[0]}'")
