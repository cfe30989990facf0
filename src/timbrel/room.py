"""The room in which a mix sounds: reverberation, and a chorus.

The reverb is a feedback delay network (Jot and Chaigne, "Digital delay networks for designing
artificial reverberators", AES 1991): sixteen delay lines of mutually prime lengths, mixed by a
Hadamard matrix, each with a gain for the decay and a short filter that damps high frequencies. The
chorus is three copies of the sound whose delays are modulated slowly. Of noise, a full send
is heard 9 dB below the dry sound (chorus: 4 dB below). A track that does not set a send uses
General MIDI 2's default of 40, 19 dB below; there the reverb is as loud as FluidSynth 2.3's.
"""

from __future__ import annotations

from itertools import accumulate

import numpy as np

DECAY_S = 1.0  # until the reverb has decayed by 60 dB
SILENT_AFTER_S = 2 * DECAY_S  # the reverb has decayed by 120 dB, and is not computed
SHORTEST_LINE_S, LONGEST_LINE_S = 0.018, 0.056
N_LINES = 16
DAMPING = 0.045  # a pass through a line takes four times so much off the highest frequency
# Amplitudes of the effects beside a dry sound whose send is full.
REVERB_LEVEL, CHORUS_LEVEL = 0.25, 0.8
CHORUS_DELAY_S, CHORUS_DEPTH_S, CHORUS_HZ = 0.015, 0.004, 0.3
N_CHORUS_VOICES = 3
_PARTS_AHEAD = 4


class Room:
    """Adds a room to blocks of sound; the cutting into blocks does not change the result.

    Parameters
    ----------
    sample_rate
        In Hz.
    channels
        1, or 2: left and right.
    position
        Sample of the score that the sound begins with: the chorus's delays depend on it.
    """

    def __init__(self, sample_rate: int, channels: int, *, position: int = 0) -> None:
        self._reverb = _Reverb(sample_rate, channels)
        self._chorus = _Chorus(sample_rate, channels, position)
        self._waiting = np.zeros((channels, 0), np.float32)  # less than a part of what is sent
        # What is computed and not given yet. No line is as short as a part.
        self._echoes = np.zeros((channels, self._reverb.part), np.float32)

    def process(self, reverb: np.ndarray, chorus: np.ndarray) -> np.ndarray:
        """What the effects add to a block.

        Parameters
        ----------
        reverb, chorus
            What is sent to each of them, (samples, channels).

        Returns
        -------
        wet : ndarray of float32, shape (samples, channels)
        """
        n = len(reverb)
        sent = np.concatenate([self._waiting, reverb.T], axis=1)
        whole = sent.shape[1] // self._reverb.part * self._reverb.part
        self._waiting = sent[:, whole:].copy()
        echoes = np.concatenate([self._echoes, self._reverb.process(sent[:, :whole])], axis=1)
        self._echoes = echoes[:, n:].copy()
        return (echoes[:, :n] + self._chorus.process(chorus.T)).T.astype(np.float32)


class _Reverb:
    """The delay network, computed in parts that are a little shorter than every line."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        delays = np.array(_line_lengths(sample_rate))
        self.part = part = int(delays[0]) - 2
        decay = 10 ** (-3 * delays / (DECAY_S * sample_rate))
        # Lines in turn belong to the left and to the right; each side hears all of them, with
        # other signs, so that the sides differ.
        into = np.arange(N_LINES)[:, None] % channels == np.arange(channels)
        feedback = _hadamard(N_LINES) / np.sqrt(N_LINES) * decay
        self._into_lines = np.concatenate([feedback, into], axis=1).astype(np.float32)
        out = REVERB_LEVEL * _hadamard(N_LINES)[1 : 1 + channels] / np.sqrt(N_LINES)
        self._out = out.astype(np.float32)
        # What went into the lines, and room for some parts to come.
        self._reach = -(-(int(delays[-1]) + 1) // part) * part
        self._lines = np.zeros((N_LINES, self._reach + _PARTS_AHEAD * part), np.float32)
        starts = np.arange(N_LINES) * self._lines.shape[1] - delays - 1
        self._taps = starts[:, None] + np.arange(part + 2)  # of a part at 0, in the flat lines
        self._heard = np.zeros((N_LINES, part + 2), np.float32)
        # What comes out of the lines, damped, and what is sent: what goes into the lines next.
        self._next = np.zeros((N_LINES + channels, part), np.float32)
        self._at = self._reach
        self._longest_rest = -(-round(SILENT_AFTER_S * sample_rate) // part)
        self._rest = self._longest_rest  # parts since the last that was not silent

    def process(self, sent: np.ndarray) -> np.ndarray:
        """What is heard a part later than what is sent, both (channels, parts)."""
        heard = np.zeros_like(sent)
        for start in range(0, sent.shape[1], self.part):
            part = sent[:, start : start + self.part]
            self._rest = 0 if part.any() else self._rest + 1
            if self._rest == self._longest_rest:
                self._lines[:], self._next[:] = 0.0, 0.0
            if self._rest < self._longest_rest:
                heard[:, start : start + self.part] = self._echo(part)
        return heard

    def _echo(self, sent: np.ndarray) -> np.ndarray:
        """What is heard while the part after a part (channels, part) is played."""
        if self._at == self._lines.shape[1]:
            self._lines[:, : self._reach] = self._lines[:, -self._reach :].copy()
            self._at = self._reach
        self._next[N_LINES:] = sent
        self._lines[:, self._at : self._at + self.part] = self._into_lines @ self._next
        self._at += self.part
        # Any mode but the default one writes to `out` at once.
        self._lines.take(self._taps + self._at, out=self._heard, mode="clip")
        damped = self._next[:N_LINES]
        np.add(self._heard[:, :-2], self._heard[:, 2:], out=damped)
        damped *= DAMPING
        damped += (1 - 2 * DAMPING) * self._heard[:, 1:-1]
        return self._out @ damped


class _Chorus:
    """Copies of a sound whose delays are modulated, each channel's differently."""

    def __init__(self, sample_rate: int, channels: int, position: int) -> None:
        self._sample_rate = sample_rate
        self._position = position
        reach = int((CHORUS_DELAY_S + CHORUS_DEPTH_S) * sample_rate) + 2
        self._past = np.zeros((channels, reach), np.float32)

    def process(self, sent: np.ndarray) -> np.ndarray:
        """The copies of a block (channels, samples)."""
        (channels, n), reach = sent.shape, self._past.shape[1]
        line = np.concatenate([self._past, sent], axis=1)
        self._past = line[:, n:].copy()
        turns = CHORUS_HZ / self._sample_rate * (self._position + np.arange(n))
        self._position += n
        wet = np.zeros((channels, n))
        if not line.any():
            return wet
        sine, cosine = np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)
        for voice in range(N_CHORUS_VOICES):
            for channel, sound in enumerate(line):
                phase = 2 * np.pi * (voice + channel / channels) / N_CHORUS_VOICES
                swing = np.cos(phase) * sine + np.sin(phase) * cosine
                delay = self._sample_rate * (CHORUS_DELAY_S + CHORUS_DEPTH_S * swing)
                whole = delay.astype(np.int64)
                share = delay - whole
                at = np.arange(reach, reach + n) - whole
                wet[channel] += (1 - share) * sound[at] + share * sound[at - 1]
        return wet * (CHORUS_LEVEL / np.sqrt(N_CHORUS_VOICES))


def _line_lengths(sample_rate: int) -> list[int]:
    """Lengths in samples, rising by equal factors, without a common divisor."""
    factor = (LONGEST_LINE_S / SHORTEST_LINE_S) ** (1 / (N_LINES - 1))
    wished = accumulate(
        range(N_LINES - 1), lambda s, _: s * factor, initial=SHORTEST_LINE_S * sample_rate
    )
    lengths: list[int] = []
    for wish in wished:
        length = round(wish)
        while any(np.gcd(length, other) > 1 for other in lengths):
            length += 1
        lengths.append(length)
    return lengths


def _hadamard(size: int) -> np.ndarray:
    """Sylvester's matrix of ±1 with orthogonal rows; `size` is a power of two."""
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix
