"""Checkpoints of a training run: everything needed to resume it as if it had not stopped."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from timbrel.errors import InputError
from timbrel.files import atomic_path

CHECKPOINT_FILE = "checkpoint.pt"
BEST_FILE = "best.pt"  # without what only training needs


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint; a kill at any moment leaves the old one or the new one, whole."""
    with atomic_path(path) as temporary:
        torch.save(content, temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())


def load_checkpoint(run: Path, file: str = CHECKPOINT_FILE) -> dict[str, Any]:
    """Read a checkpoint of a run, onto the CPU and without executing anything that it holds."""
    path = run / file
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{run}: holds no {file}; is it a training run?") from None
    except Exception as error:  # torch raises what its unpickler stumbles over
        words = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: is not a readable checkpoint ({words})") from None


def random_state() -> dict[str, Any]:
    """States of the random generators that training may draw from."""
    state: Any = np.random.get_state()
    _, keys, position, has_gauss, gauss = state
    return {
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "numpy": [torch.from_numpy(keys.astype(np.int64)), position, has_gauss, gauss],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, cached))
