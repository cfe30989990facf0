"""Mel2Mel as it runs: windowed inference of the exported network, for any length.

Time is cut into an absolute grid of hops. The forward LSTM runs on from its state; for every hop
the backward LSTM begins anew, from zero, a fixed number of frames beyond the hop's end. What the
window before said of the same frames fades into what it says, or a held note would waver with the
hops. The timbre is held within a hop. So a frame of the mel depends on the score up to
`CONTEXT_FRAMES` after its hop and on nothing later, whatever the blocks in which it is asked for,
and memory does not grow.

Before a track's first note there is silence, whatever the network makes of it: it has hardly heard
any, and whispers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import numpy as np

from timbrel.bundles.bundle import CONFIG_FILE, Bundle
from timbrel.bundles.session import open_session
from timbrel.constants import FRAME_RATE
from timbrel.errors import InputError
from timbrel.score.piano_roll import PianoRoll, to_frames
from timbrel.timbre.timbre import Timbre

HOP_FRAMES = 16
CONTEXT_FRAMES = 64

PAST_FILE, FUTURE_FILE, MEL_FILE = "past.onnx", "future.onnx", "mel.onnx"


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

    def stream(
        self,
        rolls: Sequence[PianoRoll],
        timbres: Sequence[Timbre],
        n_frames: int,
        *,
        block_frames: int = 4 * HOP_FRAMES,
    ) -> Iterator[np.ndarray]:
        """Mel spectrograms of some tracks, block by block.

        Parameters
        ----------
        rolls, timbres
            One for each track.
        n_frames
            How long to go on; beyond its end a roll is silent.
        block_frames
            Frames to give at a time, a multiple of the hop. It decides the speed and the delay,
            not the result.

        Yields
        ------
        mel : ndarray of float32, shape (tracks, frames, n_mels)
            Natural logarithm; the last block may be shorter.
        """
        hop, context = self.bundle.window.hop, self.bundle.window.context
        if block_frames % hop or block_frames <= 0:
            raise InputError(
                f"a block of {block_frames} frames is not a multiple of the hop, {hop}"
            )
        n_tracks, n_hops = len(rolls), block_frames // hop
        silent_until = [self._silent_until(roll) for roll in rolls]
        hidden = np.zeros((1, n_tracks, self._hidden_size), np.float32)
        cell = np.zeros_like(hidden)
        fade = min(hop, context)
        share = (np.arange(fade, dtype=np.float32)[:, None] + 0.5) / fade
        first = np.stack([timbre.at(np.zeros(1)) for timbre in timbres])
        earlier = self._windows(
            np.stack([roll.window(-hop, context) for roll in rolls])[:, None], first
        )[:, 0, hop : hop + fade]
        for start in range(0, n_frames, block_frames):
            stop = start + block_frames
            roll = np.stack([r.window(start, stop + context) for r in rolls])
            hop_times = (start + hop * np.arange(n_hops)) / FRAME_RATE
            timbre = np.stack([t.at(hop_times) for t in timbres])  # (tracks, hops, timbre_size)
            frame_timbre = np.repeat(timbre, hop, axis=1)
            past, hidden, cell = self._past.run(
                ["past", "hidden", "cell"],
                {
                    "roll": roll[:, :block_frames],
                    "timbre": frame_timbre,
                    "hidden_in": hidden,
                    "cell_in": cell,
                },
            )
            windows = np.lib.stride_tricks.sliding_window_view(roll, hop + context, axis=1)
            # (tracks, hops, hop + context, hidden_size)
            future = self._windows(windows[:, ::hop].swapaxes(2, 3), timbre)
            ahead = future[:, :, hop : hop + fade]
            before = np.concatenate([earlier[:, None], ahead[:, :-1]], axis=1)
            future[:, :, :fade] = share * future[:, :, :fade] + (1 - share) * before
            earlier = ahead[:, -1]
            (mel,) = self._mel.run(
                ["mel"],
                {
                    "past": past,
                    "future": future[:, :, :hop].reshape(n_tracks, block_frames, -1),
                    "timbre": frame_timbre,
                },
            )
            for track, first_frame in zip(mel, silent_until, strict=True):
                track[: max(first_frame - start, 0)] = self.bundle.mel.log_floor
            yield mel[:, : n_frames - start]

    def _windows(self, roll: np.ndarray, timbre: np.ndarray) -> np.ndarray:
        """The backward LSTM over (tracks, windows, frames, 176), a timbre for each window."""
        n_tracks, n_windows, n_frames, _ = roll.shape
        nothing = np.zeros((1, n_tracks * n_windows, self._hidden_size), np.float32)
        (future,) = self._future.run(
            ["future"],
            {
                "roll": roll.reshape(n_tracks * n_windows, n_frames, -1),
                "timbre": timbre.reshape(n_tracks * n_windows, 1, -1),
                "hidden_in": nothing,
                "cell_in": nothing,
            },
        )
        return future.reshape(n_tracks, n_windows, n_frames, -1)

    def _silent_until(self, roll: PianoRoll) -> int:
        """The first frame whose window reaches a note."""
        if not len(roll.notes):
            return sys.maxsize
        mel = self.bundle.mel
        return int(to_frames(roll.notes[0, 0])) - mel.n_fft // 2 // mel.hop_length
