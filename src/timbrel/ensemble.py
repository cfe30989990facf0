"""The voices of a score, each computed separately and only while it sounds.

A voice is computed by itself, so that neither other voices nor the number of threads change a bit
of its sound. It sleeps before its first note and during its rests:

- It falls asleep at the end of a silent hop (every band of its mel is below `SILENCE_DB`), at the
  earliest `REST_S` after its last note, at the latest `RING_S` after it.
- It wakes in the hop in which the window of a mel frame first reaches its next note. The networks
  then start from new states, as they do for an excerpt: Mel2Mel has been fed `PRE_ROLL_S` of
  silence, or as much as there was since the beginning, and the vocoder a long silence.

Where a rest is too short for a sleep of `REST_S`, the voice stays awake. All of this happens on the
grid of hops, so that it does not depend on the block size.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from heapq import heappop, heappush

import numpy as np

from timbrel.mel.generator import MelGenerator, MelStream
from timbrel.score.performance_roll import roll_of
from timbrel.score.piano_roll import PianoRoll, to_frames
from timbrel.vocoder.vocoder import Vocoder, VocoderStream
from timbrel.voices import RING_S, Voice

SILENCE_DB = -90.0  # of a band, beside a sine of full scale: the last bit of 16
REST_S = 2.0
PRE_ROLL_S = 4.0


class Ensemble:
    """Plays some voices, block by block.

    Parameters
    ----------
    voices
        Their notes count from the first frame on.
    generator, vocoder
        What makes mels of notes, and sound of mels.
    n_frames
        How long they play.
    seed
        Of the vocoder's chance.
    threads
        Share the voices among them.
    """

    def __init__(
        self,
        voices: Sequence[Voice],
        generator: MelGenerator,
        vocoder: Vocoder,
        *,
        n_frames: int,
        seed: int = 0,
        threads: int = 1,
    ) -> None:
        self._players = [_Player(voice, generator, vocoder, n_frames, seed) for voice in voices]
        self._asleep: list[tuple[int, int]] = []  # a heap: the frame of waking, and the index
        self._awake: list[int] = []
        self._sort(range(len(voices)))
        self._threads = threads

    def blocks(self, stops: Iterable[int]) -> Iterator[dict[int, np.ndarray]]:
        """Play from one frame to the next, beginning with frame 0.

        Parameters
        ----------
        stops
            The frames where the blocks end.

        Yields
        ------
        sounds : dict of ndarray of float32, shape (samples,)
            The audio of the voices that sound in the block, by their indices.
        """
        start = 0
        with _mapping(self._threads) as mapped:
            for stop in stops:
                while self._asleep and self._asleep[0][0] < stop:
                    insort(self._awake, heappop(self._asleep)[1])
                play = partial(_Player.play, start=start, stop=stop)
                sounds = list(mapped(play, [self._players[index] for index in self._awake]))
                yield dict(zip(self._awake, sounds, strict=True))
                self._sort(self._awake)
                start = stop

    def _sort(self, indices: Iterable[int]) -> None:
        """Find out who is awake, and who sleeps and will wake."""
        awake = []
        for index in indices:
            player = self._players[index]
            if player.awake:
                awake.append(index)
            elif player.wakes is not None:
                heappush(self._asleep, (player.wakes, index))
        self._awake = awake


class _Player:
    """The sound of one voice."""

    def __init__(
        self, voice: Voice, generator: MelGenerator, vocoder: Vocoder, n_frames: int, seed: int
    ) -> None:
        self._voice, self._generator, self._vocoder = voice, generator, vocoder
        self._n_frames, self._seed = n_frames, seed
        mel = generator.bundle.mel
        window = generator.bundle.window
        self._hop, self._block_hops = window.hop, window.block_hops
        self._silence = mel.log_amplitude(10 ** (SILENCE_DB / 20))
        self._rest, self._ring = (round(s * mel.frame_rate) for s in (REST_S, RING_S))
        self._heard = -(-round(PRE_ROLL_S * mel.frame_rate) // self._hop) * self._hop
        self._reach = mel.n_fft // 2 // mel.hop_length
        self._roll: PianoRoll | None = None  # made when it is wanted
        self._stream: VocoderStream | None = None
        self._mels: MelStream | None = None  # while it is awake
        self._ready = np.zeros(0, np.float32)  # audio ahead of what was asked for
        self._behind = 0  # frames by which audio follows its mel, as far as is known
        # The frame in which it will wake; None where it will not.
        self.wakes = self._reaching(next(iter(to_frames(voice.notes[:1, 0], mel.frame_rate)), None))

    @property
    def awake(self) -> bool:
        """Whether it sounds where the last block ended."""
        return self._mels is not None or len(self._ready) > 0

    def play(self, start: int, stop: int) -> np.ndarray:
        """Audio from frame `start`, where the last block ended, to `stop`: (samples,), float32."""
        samples = self._generator.bundle.mel.hop_length
        audio = np.zeros((stop - start) * samples, np.float32)
        at = 0
        while at < len(audio):
            if len(self._ready):
                part, self._ready = np.split(self._ready, [len(audio) - at])
                audio[at : at + len(part)] = part
                at += len(part)
            elif self._mels is not None:
                self._behind = max(self._behind, self._mels.frame - start - at // samples)
                self._go_on(self._mels, stop)
            elif self.wakes is not None and self.wakes < stop:
                at = max((self.wakes - start) * samples, at)
                self._wake(self.wakes)
            else:
                break
        return audio

    def _wake(self, frame: int) -> None:
        voice, frame_rate = self._voice, self._generator.bundle.mel.frame_rate
        if self._roll is None or self._stream is None:
            self._roll = roll_of(self._generator.bundle.roll, voice.track, voice.notes, frame_rate)
            self._stream = self._vocoder.stream(
                [self._roll], seed=self._seed, numbers=[voice.number]
            )
        self._stream.restart(frame)
        self._mels = self._generator.begin(
            [self._roll], [voice.timbre], start=frame, silence=min(self._heard, frame)
        )

    def _go_on(self, mels: MelStream, stop: int) -> None:
        """Make more audio, if the vocoder gives it as soon as it did before all of it to `stop`."""
        assert self._stream is not None
        start = mels.frame
        n_hops = min(max(-(-(stop + self._behind - start) // self._hop), 1), self._block_hops)
        mel = mels.next(n_hops)
        end = self._end(start, mel[0])
        if end is None:
            self._ready = self._stream.process(mel)[0]
            return
        self._ready = self._stream.process(mel[:, : end - start], last=True)[0]
        self._mels = None
        self.wakes = self._wakes_after(end)
        if self.wakes is None:
            self._roll = self._stream = None

    def _end(self, start: int, mel: np.ndarray) -> int | None:
        """Where the voice falls asleep in a mel (frames, n_mels), or the piece ends; or nowhere."""
        assert self._roll is not None
        for end in range(start + self._hop, start + len(mel) + 1, self._hop):
            if end >= self._n_frames:
                return self._n_frames
            stopped, wakes = self._roll.last_stop(end), self._wakes_after(end)
            rest = end - (0 if stopped is None else stopped)
            if rest < self._rest or (wakes is not None and wakes - end < self._rest):
                continue
            hop = mel[end - self._hop - start : end - start]
            if rest >= self._ring or hop.max() < self._silence:
                return end
        return None

    def _wakes_after(self, frame: int) -> int | None:
        assert self._roll is not None
        return self._reaching(self._roll.first_sounding(frame))

    def _reaching(self, onset: int | None) -> int | None:
        """The hop in which a window first reaches a note; None after the end, or without one."""
        if onset is None:
            return None
        hop = max(onset - self._reach, 0) // self._hop * self._hop
        return hop if hop < self._n_frames else None


@contextmanager
def _mapping(threads: int) -> Iterator[Callable[..., Iterable[np.ndarray]]]:
    """`map`, shared among threads."""
    if threads == 1:
        yield map
        return
    with ThreadPoolExecutor(threads) as pool:
        yield pool.map
