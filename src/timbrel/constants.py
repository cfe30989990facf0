"""Constants that every part of Timbrel shares: the published geometry and the keys of a piano."""

from __future__ import annotations

SAMPLE_RATE = 16_000  # Hz
HOP_LENGTH = 128  # samples between mel frames
N_FFT = 1024  # samples in an analysis window
N_MELS = 80
F_MIN_HZ = 0.0
F_MAX_HZ = 8_000.0
MEL_FLOOR = 1e-5  # −100 dB of magnitude, where every mel spectrogram is clipped

LOWEST_PITCH = 21  # A0
HIGHEST_PITCH = 108  # C8
A4_PITCH, A4_HZ = 69, 440.0
N_PITCHES = HIGHEST_PITCH - LOWEST_PITCH + 1

DEFAULT_TEMPO = 120.0  # beats a minute, of MIDI that sets none

# The licence of data and models for which none has been stated.
LICENSE_NOT_STATED = "not stated"

# The shipped Mel2Mel that plays where none is named, with the vocoder that was made for it.
DEFAULT_MODEL = "mel2mel-studio"
# The paper's: ten instruments at 16 kHz, on a plane. The WaveNet and the tables of docs/results.md
# belong to it, and the page plays with it first, since it is small.
SMALL_MODEL = "mel2mel"
DEFAULT_TRANSCRIBER = "transcriber"  # what hears notes where no other is named
DEFAULT_ENCODER = "encoder"  # what hears timbres where no other is named

# Kinds of piano rolls: the paper's, and that of all keys and bends.
PIANO, PERFORMANCE = "piano", "performance"
