"""The network of single notes at run time.

What is costly is computed once for a note, and kept: it depends on the note and its timbre alone,
so that notes that last, or come again, cost little. It is the same whatever the blocks are.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence

import numpy as np

from timbrel.bundles.bundle import Bundle
from timbrel.bundles.session import open_session
from timbrel.mel.film import FilmSizes
from timbrel.score.sounding import SoundingNotes

NOTES_FILE, LEVELS_FILE = "notes.onnx", "levels.onnx"
FILM_INPUT = "film"  # of graphs that take what is added to the FiLM vectors
_REMEMBERED = 1024  # notes, of 13 KB each
_ROWS_AT_ONCE = 2048  # each takes the spectra of a note, 13 KB

_Codes = tuple[np.ndarray, np.ndarray]  # of a note: spectra and gains


class NoteGenerator:
    """The network of single notes of a bundle.

    Parameters
    ----------
    bundle
        Of kind "mel2mel", with such a network.
    threads
        Of ONNX Runtime.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        self._notes = open_session(bundle, NOTES_FILE, threads)
        self._levels = open_session(bundle, LEVELS_FILE, threads)
        self._mel = bundle.mel
        self._timbre_size = len(bundle.instruments[0].embedding)
        self._film = FilmSizes.of(bundle.model)
        # Graphs that were exported by an earlier Timbrel take other numbers, which are zeros then.
        (self._n_taken,) = (n.shape[1] for n in self._notes.get_inputs() if n.name == FILM_INPUT)
        self._known: dict[bytes, _Codes] = {}  # the one that was used last comes last
        self._lock = threading.Lock()  # of what is known

    @property
    def takes_film(self) -> bool:
        """Whether its graph takes FiLM vectors of a timbre's own."""
        return bool(self._n_taken == self._film.notes)

    def mel(
        self,
        told: Sequence[SoundingNotes],
        timbres: Sequence[np.ndarray],
        n_frames: int,
        stretch: int,
    ) -> np.ndarray:
        """Natural-log mels of some passages of the same length.

        Parameters
        ----------
        told
            What is heard in each.
        timbres
            For each passage, those of its stretches, (n_frames / stretch, size).
        n_frames
            Of each passage, a multiple of `stretch`.
        stretch
            As what is heard is divided.

        Returns
        -------
        ndarray of float32, shape (passages, n_frames, n_mels)
        """
        given = list(zip(told, timbres, strict=True))
        parts, rows = [0], 0
        for number, one in enumerate(told):
            rows += len(one.of_note)
            if rows > _ROWS_AT_ONCE:
                parts.append(number)
                rows = len(one.of_note)
        bounds = itertools.pairwise((*parts, len(told)))
        return np.concatenate(
            [self._summed(given[a:b], n_frames, stretch) for a, b in bounds if a < b]
        )

    def _summed(
        self, given: list[tuple[SoundingNotes, np.ndarray]], n_frames: int, stretch: int
    ) -> np.ndarray:
        """`mel` of some passages at once."""
        told = [one for one, _ in given]
        n_mels, n_stretches = self._mel.n_mels, n_frames // stretch
        if not any(len(one.of_note) for one in told):
            shape = (len(told), n_frames, n_mels)
            return np.full(shape, self._mel.log_floor, np.float32)
        which, codes = self._codes(
            np.concatenate([one.notes for one in told]),
            np.concatenate([timbre[one.first_frames // stretch] for one, timbre in given]),
        )
        firsts = np.cumsum([0, *(len(one.notes) for one in told)])
        of_note = [which[first + one.of_note] for one, first in zip(told, firsts, strict=False)]
        places = [one.stretches + i * n_stretches for i, one in enumerate(told)]
        spectra, gains = zip(*codes, strict=True)
        rows = np.concatenate(places)
        one_hot = np.zeros((len(told) * n_stretches, len(rows)), np.float32)
        one_hot[rows, np.arange(len(rows))] = 1
        (mel,) = self._levels.run(
            ["mel"],
            {
                "spectra": np.stack(spectra),
                "gains": np.stack(gains),
                "of_note": np.concatenate(of_note).astype(np.float32),
                "times_s": np.concatenate([one.times_s for one in told]),
                "places": one_hot,
            },
        )
        return mel.reshape(len(told), n_frames, n_mels)

    def _codes(self, notes: np.ndarray, timbre: np.ndarray) -> tuple[np.ndarray, list[_Codes]]:
        """The codes of notes (n, 4) in timbres (n, size), and which of them is each note's."""
        rows = np.concatenate([notes, timbre], axis=1, dtype=np.float32)
        keys = [row.tobytes() for row in rows]
        place_of = {key: place for place, key in enumerate(dict.fromkeys(keys))}
        with self._lock:
            found = {key: self._known[key] for key in place_of if key in self._known}
        missing = [key for key in place_of if key not in found]
        if missing:
            new = np.stack([np.frombuffer(key, np.float32) for key in missing])
            found |= zip(missing, self._computed(new[:, :4], new[:, 4:]), strict=True)
        with self._lock:
            for key in place_of:
                self._known.pop(key, None)
                self._known[key] = found[key]
            for key in list(self._known)[: max(len(self._known) - _REMEMBERED, 0)]:
                del self._known[key]
        return np.array([place_of[key] for key in keys]), [found[key] for key in place_of]

    def _computed(self, notes: np.ndarray, timbre: np.ndarray) -> list[_Codes]:
        place, own = np.split(timbre, [self._timbre_size], axis=1)
        own = own[:, self._film.first + self._film.second :]
        if not own.shape[1]:
            own = np.zeros((1, self._n_taken), np.float32)
        spectra, gains = self._notes.run(
            ["spectra", "gains"],
            {"notes": notes, "timbre": np.ascontiguousarray(place), FILM_INPUT: own},
        )
        # Copies: a view would keep the whole batch in memory.
        return [(one.copy(), gain.copy()) for one, gain in zip(spectra, gains, strict=True)]
