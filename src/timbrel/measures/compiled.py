"""What librosa compiles, compiled once."""

from __future__ import annotations

import importlib

# Those with functions of Numba's `guvectorize`, which are compiled when they are imported.
COMPILED_MODULES = ("librosa.util.utils", "librosa.core.audio", "librosa.core.pitch")


def compile_librosa() -> None:
    """Have librosa's functions compiled and kept, before several processes would do so at once.

    Processes that write Numba's cache at the same time can leave functions in it that crash
    whoever calls them, then and later: https://github.com/numba/numba/issues/10128.
    """
    for name in COMPILED_MODULES:
        importlib.import_module(name)
