"""Prepared data → crops of the sound of domains: each instrument of the data is one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from timbrel.constants import SAMPLE_RATE
from timbrel.corpus.preparation import origin, read_data
from timbrel.errors import InputError
from timbrel.progress import Progress, silent
from timbrel.training.samples import excerpt, kept_samples


class DomainClips:
    """The clips of one split at 16 kHz, by domains.

    Parameters
    ----------
    folder
        Prepared data of any sample rate. The samples are kept there, in 16 bits.
    split
        "train" or "valid".
    domains
        Instruments of the data; all of them if there are none.
    progress
        Wraps the finished items, as ``progress(items, total, label)``.

    Raises
    ------
    InputError
        If there are not two domains or more, or one is no instrument of the data, or has no sound
        in the split.
    """

    def __init__(
        self, folder: Path, split: str, domains: Sequence[str] = (), *, progress: Progress = silent
    ) -> None:
        self._settings, clips = read_data(folder)
        self._folder = folder
        self.domains = list(domains or self._settings.instruments)
        _check(self.domains, self._settings.instruments, folder)
        heard = [c for c in clips if c.split == split and c.instrument in self.domains and c.peak]
        for domain in self.domains:
            if not any(clip.instrument == domain for clip in heard):
                raise InputError(
                    f"{folder}: has no sound of '{domain}' for the split '{split}'; leave it out "
                    "of options.domains, or prepare more"
                )
        samples = kept_samples(folder, heard, SAMPLE_RATE, split=split, progress=progress)
        self._samples: list[list[np.ndarray]] = [[] for _ in self.domains]
        for clip, some in zip(heard, samples, strict=True):
            self._samples[self.domains.index(clip.instrument)].append(some)
        # How likely each clip of a domain is drawn: each second is as likely as any other.
        lengths = [np.array([len(clip) for clip in some]) for some in self._samples]
        self._shares = [some / some.sum() for some in lengths]

    def origin(self) -> dict[str, str]:
        """What a model's card says of the data."""
        return origin(self._settings, self._folder)

    def draw(
        self, random: np.random.Generator, domain: int, n_samples: int, margin: int
    ) -> np.ndarray:
        """A crop of a domain and so many samples around it: float32, (margin + n + margin,).

        What lies beyond the ends of a clip is silence.
        """
        clip = self._samples[domain][
            int(random.choice(len(self._shares[domain]), p=self._shares[domain]))
        ]
        start = int(random.integers(0, max(len(clip) - n_samples, 0) + 1))
        return excerpt(clip, start - margin, n_samples + 2 * margin)


def _check(domains: Sequence[str], instruments: Sequence[str] | dict, folder: Path) -> None:
    """Refuse domains that are too few, not in the data, or named twice."""
    for place, name in enumerate(domains):
        if name not in instruments:
            known = ", ".join(instruments)
            raise InputError(f"{folder}: has no instrument '{name}'; it has: {known}")
        if name in domains[:place]:
            raise InputError(f"options: domains names '{name}' twice")
    if len(domains) < 2:
        raise InputError(
            f"{folder}: a translation network needs two domains or more; there is one, "
            f"'{domains[0]}'"
        )
