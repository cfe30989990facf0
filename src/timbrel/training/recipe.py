"""Recipes: everything that determines the result of a training run, in one YAML file."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml

from timbrel.bundles.kinds import TASKS, knows_mels
from timbrel.errors import InputError
from timbrel.files import read_yaml
from timbrel.geometry import MelConfig

T = TypeVar("T")
_CHECKED_TYPES = (bool, int, float, str, dict)
_TEXTS = tuple[str, ...]
_POSITIVE = ("steps", "batch_size", "learning_rate", "validate_every", "checkpoint_every")
OPTIMIZERS = ("adam", "adamw", "muon")
_OF_THE_DATA = ("license", "attribution")


@dataclass(frozen=True)
class Recipe:
    """A training run.

    The learning rate warms up, stays, and falls to zero over `decay_steps`. Without these it stays
    to the end, and the averaged weights do what the fall would: such a run can be ended and gone on
    with at any time. A run that begins with a bundle's weights also begins with them as its
    average, so that little warm-up and a long average let it go on without a dip.
    """

    task: str  # what is trained: one of `timbrel.bundles.kinds.TASKS`
    steps: int
    batch_size: int  # of all processes together
    learning_rate: float
    model: dict  # fields of the model's configuration that differ from its defaults
    options: dict  # what the task alone understands
    warmup_steps: int = 200
    decay_steps: int = 0
    optimizer: str = "adam"  # one of OPTIMIZERS
    matrix_learning_rate: float = 0.0  # muon's; learning_rate if 0
    weight_decay: float = 0.0  # of adamw, and of muon's matrices
    gradient_clip: float = 1.0
    ema_decay: float = 0.999  # of the averaged weights, which are validated and exported
    precision: str = "bfloat16"  # of matrix products; "float32" is bit-reproducible on one thread
    seed: int = 0
    validate_every: int = 1000
    checkpoint_every: int = 250
    start_from: str = ""  # a bundle whose weights are the start
    status: str = ""  # what the card says of the model's worth, such as "experimental"
    mel: MelConfig = field(default_factory=MelConfig)  # of kinds that have mels

    def __post_init__(self) -> None:
        for key in _POSITIVE:
            if not getattr(self, key) > 0:
                raise InputError(f"'{key}' must be more than 0, not {getattr(self, key)}")
        if self.task in TASKS and not knows_mels(self.task) and self.mel != MelConfig():
            raise InputError(f"'mel' has no meaning for '{self.task}', which knows no mels")
        if self.optimizer not in OPTIMIZERS:
            known_names = ", ".join(OPTIMIZERS)
            raise InputError(f"optimizer '{self.optimizer}' is unknown; known: {known_names}")
        if not 0 <= self.matrix_learning_rate < math.inf or not 0 <= self.weight_decay < math.inf:
            raise InputError("matrix_learning_rate and weight_decay must not be negative")
        if self.matrix_learning_rate and self.optimizer != "muon":
            raise InputError(f"matrix_learning_rate is muon's; the optimizer is {self.optimizer}")
        if self.weight_decay and self.optimizer == "adam":
            raise InputError("weight_decay is that of adamw and muon; the optimizer is adam")
        if not 0 <= self.ema_decay < 1:
            raise InputError(f"ema_decay must be from 0 to less than 1, not {self.ema_decay}")
        if self.precision not in ("bfloat16", "float32"):
            raise InputError(f"precision '{self.precision}' is neither bfloat16 nor float32")
        if self.warmup_steps + self.decay_steps > self.steps:
            raise InputError("warmup_steps and decay_steps together exceed steps")

    def learning_rate_at(self, step: int) -> float:
        """The rate of the step that follows `step` finished ones."""
        warmup = min(1.0, (step + 1) / max(self.warmup_steps, 1))
        remaining = (self.steps - step) / max(self.decay_steps, 1) if self.decay_steps else 1.0
        return self.learning_rate * warmup * min(1.0, remaining)


def read_recipe(path: str | os.PathLike, settings: Iterable[str] = ()) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    path
        A YAML file.
    settings
        Changes, each as ``key=value`` with a value in YAML; ``options.loss=abs`` reaches into a
        mapping.

    Raises
    ------
    InputError
        If the file is missing or no YAML, a key is missing or unknown, or a change is none.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: is not a recipe (a mapping of keys to values)")
    for setting in settings:
        _change(content, setting)
    return recipe_from(content, str(path))


def recipe_from(content: dict[str, Any], where: str) -> Recipe:
    """Make a recipe of a mapping; an InputError says `where` something is wrong with it."""
    content = dict(content)
    for key in _OF_THE_DATA:
        if key in content:
            raise InputError(
                f"{where}: '{key}' belongs to the data; remove it here and give it to "
                f"'timbrel prepare --{key}'"
            )
    try:
        mel = content.pop("mel", {})
        if not isinstance(mel, dict):
            raise InputError(f"{where}: 'mel' must be a mapping of keys to values, not {mel!r}")
        return known(Recipe, {**content, "mel": known(MelConfig, mel, f"{where}: mel")}, where)
    except TypeError as error:
        raise InputError(f"{where}: is not a complete recipe ({error})") from None


def _change(content: dict[str, Any], setting: str) -> None:
    """Set what ``key=value`` says."""
    name, equals, text = setting.partition("=")
    *mappings, key = name.strip().split(".")
    if not equals or not key:
        raise InputError(f"--set {setting}: is not of the form key=value, as in options.loss=abs")
    for mapping in mappings:
        content = content.setdefault(mapping, {})
        if not isinstance(content, dict):
            raise InputError(f"--set {setting}: '{mapping}' is not a mapping of the recipe")
    try:
        content[key] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise InputError(f"--set {setting}: '{text}' is not a value in YAML") from None


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Write a recipe so that `read_recipe` gives it back."""
    path.write_text(yaml.safe_dump(asdict(recipe), sort_keys=False), encoding="utf-8")


def known(cls: type[T], values: dict, where: str) -> T:
    """An instance of a dataclass, refusing keys that it does not have and values of other types."""
    types = get_type_hints(cls)
    given = dict(values)
    for key, value in values.items():
        if key not in types:
            known_keys = ", ".join(sorted(types))
            raise InputError(f"{where}: has an unknown key '{key}'; known: {known_keys}")
        wanted = types[key]
        if wanted == _TEXTS:
            if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
                raise InputError(f"{where}: '{key}' must be a list of texts, not {value!r}")
            given[key] = tuple(value)  # YAML gives lists
        accepted = (int, float) if wanted is float else wanted
        if wanted in _CHECKED_TYPES and (
            not isinstance(value, accepted) or isinstance(value, bool) != (wanted is bool)
        ):
            # YAML takes 2e-3 for text: it wants a point in a number with an exponent.
            hint = "; write 2e-3 as 0.002" if wanted is float and isinstance(value, str) else ""
            raise InputError(
                f"{where}: '{key}' must be of type {wanted.__name__}, not {value!r}{hint}"
            )
    try:
        return cls(**given)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def differences(
    old: dict[str, Any], new: dict[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Keys whose values differ, those of mappings with dots, and both values."""
    for key in [*old, *(key for key in new if key not in old)]:
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from differences(a, b, f"{prefix}{key}.")
        elif a != b:
            yield prefix + key, a, b


def refuse_other_sizes(found: Any, wanted: Any, path: object) -> None:
    """Raise an error that names the first size in which a bundle's network is not the recipe's."""
    for key, a, b in differences(asdict(found), asdict(wanted)):
        raise InputError(f"{path}: its {key} is {a}, that of the recipe is {b}")
