"""Mel2Mel at run time: windowed inference of the exported network, for any length.

Time is divided into an absolute grid of hops. The forward LSTM carries its state from hop to hop;
for every hop the backward LSTM starts from zero, a fixed number of frames beyond the hop's end. The
previous window's output for the same frames is cross-faded into its output; otherwise held notes
waver at the hop rate. The backward LSTM of a hop has the timbre of the hop's beginning; the forward
one and the output take a new one every few frames, so that a path sounds smooth. A frame of the mel
depends on the score up to `WindowConfig.context` frames after its hop and on nothing later,
regardless of the size of the blocks, and memory does not grow with the length.

Before a track's first note the mel is silent, whatever the network outputs there: it has been
trained on little silence and outputs faint noise.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from timbrel.bundles.bundle import CONFIG_FILE, Bundle, weights_id
from timbrel.bundles.session import open_session
from timbrel.errors import InputError
from timbrel.mel.film import FilmSizes
from timbrel.mel.note_generator import FILM_INPUT, NoteGenerator
from timbrel.score.performance_roll import ROLL_SIZES
from timbrel.score.piano_roll import PianoRoll
from timbrel.score.sounding import STRETCH, sounding_notes
from timbrel.timbre.timbre import Timbre

PAST_FILE, FUTURE_FILE, MEL_FILE = "past.onnx", "future.onnx", "mel.onnx"
ALONE_INPUT = "alone"  # of the mel's graph: the mel of single notes
_REMEMBERED = 256  # timbres, of which the state after silence is kept

State = tuple[np.ndarray, np.ndarray]  # of the forward LSTM: hidden and cell, (1, tracks, size)


class MelGenerator:
    """The Mel2Mel of a bundle.

    Parameters
    ----------
    bundle
        A model of kind "mel2mel".
    threads
        Of ONNX Runtime.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        self.bundle = bundle
        self._past = open_session(bundle, PAST_FILE, threads)
        self._future = open_session(bundle, FUTURE_FILE, threads)
        self._mel = open_session(bundle, MEL_FILE, threads)
        hidden_size = bundle.model.get("hidden_size")
        if not isinstance(hidden_size, int):
            raise InputError(f"{bundle.file(CONFIG_FILE)}: lacks the model's 'hidden_size'")
        self._hidden_size = hidden_size
        self._film = FilmSizes.of(bundle.model)
        self._takes_film = any(one.name == FILM_INPUT for one in self._past.get_inputs())
        # The network of single notes, if the model has one.
        self.notes = NoteGenerator(bundle, threads=threads) if self._film.notes else None
        self._after_still_silence = lru_cache(maxsize=_REMEMBERED)(self._silence)

    def check(self, timbre: Timbre) -> None:
        """Refuse a timbre that this model cannot play.

        Raises
        ------
        InputError
            If it has FiLM vectors of its own that were fitted to another model, or the bundle was
            exported before timbres could have any.
        """
        if not timbre.film:
            return
        called = f"timbre '{timbre.name}'" if timbre.name else "the timbre"
        if len(timbre.film[0]) != self._film.total or timbre.fitted_to != weights_id(self.bundle):
            raise InputError(
                f"{called}: has FiLM vectors that were fitted to another model than "
                f"{self.bundle.name}; fit it again with this one, or play it with that one"
            )
        if not self._takes_film or (self.notes and not self.notes.takes_film):
            raise InputError(
                f"{self.bundle.path}: was exported by an earlier Timbrel and plays no timbres with "
                "FiLM vectors of their own; export it again"
            )

    def stream(
        self,
        rolls: Sequence[PianoRoll],
        timbres: Sequence[Timbre],
        n_frames: int,
        *,
        block_frames: int | None = None,
    ) -> Iterator[np.ndarray]:
        """Mel spectrograms of some tracks, block by block.

        Parameters
        ----------
        rolls, timbres
            One for each track.
        n_frames
            How long to go on; beyond its end a roll is silent.
        block_frames
            Frames to give at a time, a multiple of the hop; a few hops where it is None. It decides
            the speed and the delay, not the result.

        Yields
        ------
        mel : ndarray of float32, shape (tracks, frames, n_mels)
            Natural logarithm; the last block may be shorter.
        """
        window = self.bundle.window
        hop = window.hop
        block = window.block_hops * hop if block_frames is None else block_frames
        if block % hop or block <= 0:
            raise InputError(f"a block of {block} frames is not a multiple of the hop, {hop}")
        mels = self.begin(rolls, timbres)
        for start in range(0, n_frames, block):
            yield mels.next(block // hop)[:, : n_frames - start]

    def begin(
        self,
        rolls: Sequence[PianoRoll],
        timbres: Sequence[Timbre],
        *,
        start: int = 0,
        silence: int = 0,
    ) -> MelStream:
        """Begin with some tracks.

        Parameters
        ----------
        rolls, timbres
            One for each track.
        start
            Frame to begin with, a multiple of the hop.
        silence
            Frames of silence, a multiple of the hop, that the network has heard before.
        """
        for timbre in timbres:
            self.check(timbre)
        states = [self._state_after_silence(timbre, start, silence) for timbre in timbres]
        hidden, cell = (np.concatenate(parts, axis=1) for parts in zip(*states, strict=True))
        return MelStream(self, rolls, timbres, start, (hidden, cell))

    def past(self, roll: np.ndarray, timbre: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """The forward LSTM over (tracks, frames, 176), from a state on; a timbre for each frame."""
        past, hidden, cell = self._past.run(
            ["past", "hidden", "cell"],
            {
                "roll": roll,
                **self._fed(timbre, slice(0, self._film.first)),
                "hidden_in": state[0],
                "cell_in": state[1],
            },
        )
        return past, (hidden, cell)

    def future(self, roll: np.ndarray, timbre: np.ndarray) -> np.ndarray:
        """The backward LSTM over (tracks, windows, frames, 176), a timbre for each window."""
        n_tracks, n_windows, n_frames, _ = roll.shape
        nothing = np.zeros((1, n_tracks * n_windows, self._hidden_size), np.float32)
        (future,) = self._future.run(
            ["future"],
            {
                "roll": roll.reshape(n_tracks * n_windows, n_frames, -1),
                **self._fed(
                    timbre.reshape(n_tracks * n_windows, 1, -1), slice(0, self._film.first)
                ),
                "hidden_in": nothing,
                "cell_in": nothing,
            },
        )
        return future.reshape(n_tracks, n_windows, n_frames, -1)

    def mel(
        self,
        past: np.ndarray,
        future: np.ndarray,
        timbre: np.ndarray,
        alone: np.ndarray | None = None,
    ) -> np.ndarray:
        """The mel, (tracks, frames, n_mels), from what both LSTMs and single notes say."""
        fed = self._fed(timbre, slice(self._film.first, self._film.first + self._film.second))
        if alone is not None:
            fed[ALONE_INPUT] = alone
        return self._mel.run(["mel"], {"past": past, "future": future, **fed})[0]

    @property
    def timbre_frames(self) -> int:
        """Frames that a timbre stays where it is on its way; hops are multiples of it."""
        return math.gcd(self.bundle.window.hop, STRETCH)

    @property
    def frame_size(self) -> int:
        """Numbers of a point that the graphs of frames read: not what is added for single notes."""
        return self._timbre_size + self._film.first + self._film.second

    @property
    def _timbre_size(self) -> int:
        return len(self.bundle.instruments[0].embedding)

    def _fed(self, timbre: np.ndarray, part: slice) -> dict[str, np.ndarray]:
        """What a graph is given of timbres: places in the space, and part of what is added."""
        place, own = np.split(timbre, [self._timbre_size], axis=-1)
        fed = {"timbre": np.ascontiguousarray(place)}
        if not self._takes_film:
            return fed
        if not own.shape[-1]:
            own = np.zeros((1, 1, self._film.total), np.float32)
        return fed | {FILM_INPUT: np.ascontiguousarray(own[..., part])}

    def _state_after_silence(self, timbre: Timbre, start: int, n_frames: int) -> State:
        """The forward LSTM's state at a frame before which it has heard so much silence."""
        step = self.timbre_frames
        times_s = np.arange(start - n_frames, start, step) / self.bundle.mel.frame_rate
        points = _points(timbre, times_s)[:, : self.frame_size]
        if n_frames and (points == points[0]).all():
            return self._after_still_silence(n_frames, 1, points[:1].tobytes())
        return self._silence(n_frames, len(points), points.tobytes())

    def _silence(self, n_frames: int, n_points: int, points: bytes) -> State:
        """The state after silence in a timbre that stays, or in one for every few frames."""
        nothing = np.zeros((1, 1, self._hidden_size), np.float32)
        if not n_frames:
            return nothing, nothing
        timbre = np.frombuffer(points, np.float32).reshape(n_points, -1)
        timbre = np.repeat(timbre, n_frames // n_points, axis=0)[None]
        roll = np.zeros((1, n_frames, ROLL_SIZES[self.bundle.roll]), np.float32)
        return self.past(roll, timbre, (nothing, nothing))[1]


class MelStream:
    """Some tracks on their way from rolls to mels, hop by hop; made by `MelGenerator.begin`."""

    def __init__(
        self,
        generator: MelGenerator,
        rolls: Sequence[PianoRoll],
        timbres: Sequence[Timbre],
        start: int,
        state: State,
    ) -> None:
        mel, window = generator.bundle.mel, generator.bundle.window
        self._generator, self._rolls, self._timbres = generator, rolls, timbres
        self._hop, self._context = window.hop, window.context
        self._state = state
        self.frame = start  # of the next mel
        # The first frame whose window reaches a note.
        onsets = [roll.first_sounding(start) for roll in rolls]
        reach = mel.n_fft // 2 // mel.hop_length
        self._silent_until = [sys.maxsize if o is None else o - reach for o in onsets]
        # What a window says of the frames after its hop, which fades into what the next one says.
        self._fade = min(self._hop, self._context)
        before = np.stack([roll.window(start - self._hop, start + self._context) for roll in rolls])
        held = self._timbres_at(start - self._hop, 1, self._hop)
        future = generator.future(before[:, None], held)
        self._ahead = self._beyond(future)[:, 0]

    def next(self, n_hops: int) -> np.ndarray:
        """Mel of the next hops, natural logarithm, (tracks, n_hops · hop, n_mels), float32."""
        hop, n_frames = self._hop, n_hops * self._hop
        start, stop = self.frame, self.frame + n_frames
        roll = np.stack([r.window(start, stop + self._context) for r in self._rolls])
        step = self._generator.timbre_frames
        steps = self._timbres_at(start, n_frames // step, step)
        # What is added for single notes is many numbers, and no graph of frames reads them.
        frame_timbre = np.repeat(steps[..., : self._generator.frame_size], step, axis=1)
        past, self._state = self._generator.past(roll[:, :n_frames], frame_timbre, self._state)
        windows = np.lib.stride_tricks.sliding_window_view(roll, hop + self._context, axis=1)
        # (tracks, hops, hop + context, hidden_size)
        future = self._generator.future(windows[:, ::hop].swapaxes(2, 3), frame_timbre[:, ::hop])
        ahead = self._beyond(future)
        before = np.concatenate([self._ahead[:, None], ahead[:, :-1]], axis=1)
        share = (np.arange(self._fade, dtype=np.float32)[:, None] + 0.5) / max(self._fade, 1)
        future[:, :, : self._fade] = share * future[:, :, : self._fade] + (1 - share) * before
        # Not a view, which would keep all of the block.
        self._ahead = ahead[:, -1].copy()
        future = future[:, :, :hop].reshape(len(roll), n_frames, -1)
        alone = self._alone(n_hops, steps)
        mel = self._generator.mel(past, future, frame_timbre, alone)
        for track, first in zip(mel, self._silent_until, strict=True):
            track[: max(first - start, 0)] = self._generator.bundle.mel.log_floor
        self.frame = stop
        return mel

    def _alone(self, n_hops: int, steps: np.ndarray) -> np.ndarray | None:
        """What single notes sound like, hop by hop, since each hop knows what it looks ahead to.

        The timbres, (tracks, steps, size), stay where they are for `MelGenerator.timbre_frames`.
        """
        notes, hop, step = self._generator.notes, self._hop, self._generator.timbre_frames
        if notes is None:
            return None
        told, timbres = [], []
        for roll, of_track in zip(self._rolls, steps, strict=True):
            for i, own in enumerate(np.split(of_track, n_hops)):
                start = self.frame + i * hop
                heard = sounding_notes(
                    roll,
                    start,
                    start + hop,
                    last=start + hop + self._context,
                    stretch=step,
                    told_anew=bool((own != own[:1]).any()),
                )
                told.append(heard)
                timbres.append(own)
        mel = notes.mel(told, timbres, hop, step)
        return mel.reshape(len(steps), n_hops * hop, -1)

    def _timbres_at(self, frame: int, n: int, distance: int) -> np.ndarray:
        """Timbres of n frames from one on, a distance apart, (tracks, n, size of the points)."""
        frames = frame + distance * np.arange(n)
        times_s = frames / self._generator.bundle.mel.frame_rate
        points = [_points(timbre, times_s) for timbre in self._timbres]
        width = max(one.shape[-1] for one in points)
        # A timbre without FiLM vectors of its own adds nothing to those of its place.
        return np.stack([np.pad(one, ((0, 0), (0, width - one.shape[-1]))) for one in points])

    def _beyond(self, future: np.ndarray) -> np.ndarray:
        """Of windows (tracks, hops, hop + context, hidden_size), what fades into the next ones."""
        return future[:, :, self._hop : self._hop + self._fade]


def _points(timbre: Timbre, times_s: np.ndarray) -> np.ndarray:
    """Places in the space, and behind them what is added to their FiLM vectors, (n, size)."""
    return np.concatenate([timbre.at(times_s), timbre.film_at(times_s)], axis=-1)
