"""The native WaveNet engine: the only module that imports its compiled code.

For one precision and one instruction set, the same seed gives the same bytes, regardless of the
number of streams and threads and of how the audio is cut into blocks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from timbrel import _wavenet
from timbrel.errors import InputError

PRECISIONS = ("float32", "int16", "int8", "bfloat16")
AUTO = "auto"
CATEGORICAL = "categorical"  # the output that is one of the levels; others are amplitudes
# Instruction sets that multiply bytes faster than 16-bit numbers.
_FAST_INT8 = ("avx-vnni", "avx512", "amx", "neon-dot")


def instruction_sets() -> list[str]:
    """Instruction sets that the engine can use on this processor, the best one last."""
    return _wavenet.instruction_sets()


def precisions(isa: str) -> tuple[str, ...]:
    """Those of `PRECISIONS` that an instruction set has: bfloat16 is for the tiles of AMX alone."""
    return tuple(name for name in PRECISIONS if _wavenet.has_precision(isa, name))


class Engine:
    """A WaveNet's weights, packed for one precision and one instruction set.

    Parameters
    ----------
    config
        Sizes; the fields of `Config` in native/wavenet/include/timbrel/wavenet.hpp.
    weights
        Arrays by name, as that file lists them.
    precision
        Of the products: one of `PRECISIONS`, or "auto": the fastest for levels, and float32 for a
        continuous output, whose mean has more digits than 8-bit products give.
    isa
        One of `instruction_sets()`; the best one where it is empty.

    Raises
    ------
    InputError
        If the precision is not known or the instruction set does not have it, the processor lacks
        the instruction set, or the weights are not those of the configuration.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        weights: Mapping[str, np.ndarray],
        *,
        precision: str = AUTO,
        isa: str = "",
    ) -> None:
        known = instruction_sets()
        self.isa = isa or known[-1]
        if self.isa not in known:
            raise InputError(
                f"this processor has no instruction set '{isa}'; it has: {', '.join(known)}"
            )
        self.precision = precision
        if precision == AUTO:
            of_levels = "int8" if self.isa in _FAST_INT8 else "int16"
            is_continuous = config.get("output", CATEGORICAL) != CATEGORICAL
            self.precision = "float32" if is_continuous else of_levels
        if self.precision not in PRECISIONS:
            raise InputError(
                f"there is no precision '{precision}'; known: {AUTO}, {', '.join(PRECISIONS)}"
            )
        there = precisions(self.isa)
        if self.precision not in there:
            raise InputError(
                f"the precision {precision} needs a processor with AMX, and its instruction set; "
                f"{self.isa} has: {', '.join(there)}"
            )
        arrays = {
            name: np.ascontiguousarray(values, np.float32) for name, values in weights.items()
        }
        try:
            self.native = _wavenet.Engine(dict(config), arrays, self.precision, self.isa)
        except (TypeError, ValueError) as error:
            raise InputError(f"this is no WaveNet that the engine can run: {error}") from None

    @property
    def bytes_a_sample(self) -> float:
        """Bytes of weights that a sample needs, older taps being worked off in blocks."""
        return self.native.bytes_a_sample

    def stream_weights(self, n_samples: int) -> None:
        """Load the weights of so many samples and do nothing with them: the floor of sampling."""
        self.native.stream_weights(n_samples)

    def session(
        self,
        streams: Sequence[int],
        *,
        seed: int = 0,
        temperature: float = 1.0,
        threads: int = 1,
    ) -> Session:
        """Begin with some streams that advance together.

        Parameters
        ----------
        streams
            A number for each: with the seed, it decides the stream's random numbers.
        seed
            Not negative.
        temperature
            Divides logits, or scales deviations; more than 0.
        threads
            Share the streams among them.

        Raises
        ------
        InputError
            If a number is not possible, or the streams need more memory than there is.
        """
        if not len(streams):
            raise InputError("there must be at least one stream")
        if not (np.isfinite(temperature) and 1e-3 <= temperature <= 1e3):
            raise InputError(f"a temperature of {temperature:g} is not possible; 0.001 to 1000 are")
        if threads < 1:
            raise InputError(f"threads must be 1 or more, not {threads}")
        if not 0 <= seed < 2**64:
            raise InputError(f"a seed of {seed} is not possible; 0 to 2^64 - 1 are")
        needed, there = len(streams) * self.native.bytes_a_stream, _memory_bytes()
        if needed > there:
            raise InputError(
                f"{len(streams)} streams need {needed / 1e9:.1f} GB of memory, and this machine "
                f"has {there / 1e9:.1f} GB; take fewer"
            )
        numbers = np.array(streams, np.uint64)
        threads = min(threads, len(streams))
        return Session(_wavenet.Session(self.native, numbers, seed, temperature, threads))


class Session:
    """The state of some streams; made by `Engine.session`."""

    def __init__(self, native: Any) -> None:
        self._native = native

    @property
    def ready(self) -> int:
        """Samples that what was fed is enough for."""
        return self._native.ready

    @property
    def position(self) -> int:
        """Samples that each stream has done."""
        return self._native.position

    def feed(self, mel: np.ndarray) -> None:
        """Append conditioning, (streams, frames, n_mels), as the network was trained on.

        A sample mixes the frame before its own and the two after it: the first frame that is fed
        lies before the first sample's.

        Raises
        ------
        InputError
            If the shape is wrong, or a value is not finite.
        """
        if not np.isfinite(mel).all():
            raise InputError("the mel holds values that are not finite")
        self._checked(self._native.feed, np.ascontiguousarray(mel, np.float32))

    def sample(self, n_samples: int) -> np.ndarray:
        """Draw the next samples: amplitudes, (streams, n_samples), float32.

        Raises
        ------
        InputError
            If that is more than `ready`.
        """
        return self._checked(self._native.sample, n_samples)

    def force(self, samples: np.ndarray) -> np.ndarray:
        """Take samples as given (teacher forcing) and give what was predicted for each.

        Parameters
        ----------
        samples
            Levels or amplitudes, shape (streams, n).

        Returns
        -------
        parameters : ndarray of float32, shape (streams, n, n_parameters)
            In 8 bits, the logits of a sample may all be shifted by the same number.

        Raises
        ------
        InputError
            If the shape is wrong, a sample is not possible, or they are more than `ready`.
        """
        return self._checked(self._native.force, np.ascontiguousarray(samples, np.float32))

    def copy(self) -> Session:
        """Another session that goes on from here."""
        return Session(self._native.copy())

    @staticmethod
    def _checked(method: Any, argument: Any) -> Any:
        try:
            return method(argument)
        except (TypeError, ValueError) as error:
            raise InputError(" ".join(str(error).split())) from None


def _memory_bytes() -> float:
    """Memory of the machine; where that cannot be asked, as much as is wanted."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return float("inf")
