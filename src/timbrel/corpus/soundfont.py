"""Score → audio by FluidSynth and a SoundFont: what the models learn to sound like."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import mido
import numpy as np
import soxr

from timbrel.errors import InputError, MissingToolError
from timbrel.score.channels import DRUM_CHANNEL
from timbrel.score.score import Score

REFERENCE_GAIN = 0.2  # FluidSynth's own default
TAIL_S = 3.0  # what rings on after the last note's release

# FluidSynth's output below 24 kHz is rendered at twice the rate and then filtered down, because
# it does not filter the 44.1 kHz recordings that it plays, and what lies above half of its output
# rate would fold back.
_OVERSAMPLED_BELOW_HZ = 24_000

_TICKS_PER_BEAT = 1_000
_TEMPO = 250_000  # microseconds per beat: 4,000 ticks a second
_TICKS_PER_SECOND = _TICKS_PER_BEAT * 1_000_000 // _TEMPO
_SHORTEST_S = 0.008  # of notes: a piano roll holds each for a frame at least
_BLOCK_FRAMES = 1 << 18
_STEREO_BYTES = 8  # of a sample in two channels, float32
# What FluidSynth says where it goes on without the SoundFont.
_REFUSALS = ("Failed to load the SoundFont", "not a SoundFont or MIDI file")

SOUNDFONT_HELP = (
    "on Debian and Ubuntu: apt-get install fluidsynth musescore-general-soundfont-small "
    "(the SoundFont is then /usr/share/sounds/sf3/MuseScore_General_Lite.sf3)"
)


def find_fluidsynth() -> str:
    """Path of the FluidSynth program, or an error that says how to install it."""
    program = shutil.which("fluidsynth")
    if program is None:
        raise MissingToolError(f"fluidsynth is not installed; {SOUNDFONT_HELP}")
    return program


def check_soundfont(path: str | os.PathLike) -> Path:
    """Refuse a path that is no SoundFont, saying where to get one."""
    path = Path(path)
    if not path.is_file():
        raise MissingToolError(f"{path}: there is no such SoundFont; {SOUNDFONT_HELP}")
    with path.open("rb") as file:
        header = file.read(12)
    if header[:4] != b"RIFF" or header[8:12] != b"sfbk":
        raise InputError(f"{path}: is not a SoundFont (.sf2 or .sf3)")
    return path


def to_midi(score: Score, program: int, *, tail_s: float = TAIL_S) -> mido.MidiFile:
    """A MIDI file that plays every note of a score with one program, and nothing else.

    Pedals are already part of the notes' ends; volume, pan and everything else that a piano roll
    does not hold are left out. Each (track, channel) of the score keeps a channel of its own as
    long as there are enough, so that its notes do not cut those of another. Where notes of one
    pitch overlap on a channel, the key is struck for each and released after the last, as a piano
    roll says it.
    """
    channels = [channel for channel in range(16) if channel != DRUM_CHANNEL]
    parts = sorted({(i, track.channel) for i, track in enumerate(score.tracks)})
    channel_of = {part: channels[i % len(channels)] for i, part in enumerate(parts)}
    events = []  # (tick, ons last, message); at one tick, what ends must end before what begins
    for index, track in enumerate(score.tracks):
        channel = channel_of[index, track.channel]
        for note in track.notes:
            # A note of an excerpt may have begun before it; its release must still come after.
            start_s = max(note.start_s, 0.0)
            start = round(start_s * _TICKS_PER_SECOND)
            stop = round(max(note.end_s, start_s + _SHORTEST_S) * _TICKS_PER_SECOND)
            events.append((start, 1, note.pitch, note.velocity, channel))
            events.append((stop, 0, note.pitch, 0, channel))
    events.sort()

    track = mido.MidiTrack()
    track.append(mido.MetaMessage("set_tempo", tempo=_TEMPO))
    for channel in sorted({event[4] for event in events}):
        track.append(mido.Message("program_change", channel=channel, program=program))
    now = 0
    held: Counter[tuple[int, int]] = Counter()  # notes of a channel and a pitch that sound
    for tick, is_on, pitch, velocity, channel in events:
        held[channel, pitch] += 1 if is_on else -1
        if not is_on and held[channel, pitch] > 0:
            continue  # a release would end the other notes of this key, too
        track.append(
            mido.Message("note_on", channel=channel, note=pitch, velocity=velocity, time=tick - now)
        )
        now = tick
    # FluidSynth stops with the last event, so one that sounds nothing marks the end of the tail.
    tail = round(tail_s * _TICKS_PER_SECOND)
    track.append(mido.Message("note_on", channel=channels[0], note=0, velocity=0, time=tail))
    return mido.MidiFile(type=0, ticks_per_beat=_TICKS_PER_BEAT, tracks=[track])


def render_score(
    score: Score,
    program: int,
    soundfont: str | os.PathLike,
    *,
    sample_rate: int,
    gain: float = REFERENCE_GAIN,
    tail_s: float = TAIL_S,
) -> np.ndarray:
    """Play a score with one General MIDI program, without reverb and chorus.

    Parameters
    ----------
    score
        What to play; all of its tracks.
    program
        General MIDI program, 0–127, for all of them.
    soundfont
        An .sf2 or .sf3 file.
    sample_rate
        Of the result, in Hz.
    gain
        FluidSynth's gain, a factor.
    tail_s
        Seconds to go on after the last note.

    Returns
    -------
    audio : ndarray of float32, shape (samples,)
        The mean of both channels; ``round((score.duration_s + tail_s) · sample_rate)`` samples,
        not clipped.

    Raises
    ------
    MissingToolError
        If FluidSynth is not installed.
    InputError
        If FluidSynth fails, or cannot read the SoundFont.
    """
    length = round((score.duration_s + tail_s) * sample_rate)
    midi = to_midi(score, program, tail_s=tail_s)
    return render_midi(midi, soundfont, length=length, sample_rate=sample_rate, gain=gain)


def render_midi(
    midi: mido.MidiFile,
    soundfont: str | os.PathLike,
    *,
    length: int,
    sample_rate: int,
    gain: float = REFERENCE_GAIN,
) -> np.ndarray:
    """Play a MIDI file as it is; see `render_score`. Gives `length` samples of its beginning."""
    fluidsynth = find_fluidsynth()
    oversampling = 2 if sample_rate < _OVERSAMPLED_BELOW_HZ else 1
    with tempfile.TemporaryDirectory(prefix="timbrel-") as folder:
        midi_path, raw_path = Path(folder, "score.mid"), Path(folder, "audio.raw")
        midi.save(midi_path)
        command = [fluidsynth, "-ni", "-q", "-R", "0", "-C", "0", "-g", str(gain)]
        command += ["-r", str(sample_rate * oversampling), "-T", "raw", "-O", "float"]
        command += ["-o", "synth.dynamic-sample-loading=1", "-o", "synth.polyphony=1024"]
        command += ["-F", str(raw_path), str(soundfont), str(midi_path)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        # FluidSynth succeeds without a SoundFont, too: it plays silence. And where the disk is full
        # it just stops; how far it goes beyond the last event depends on its version.
        lines = result.stderr.strip().splitlines()
        refused = [line for line in lines if any(words in line for words in _REFUSALS)]
        n_rendered = raw_path.stat().st_size // _STEREO_BYTES if raw_path.exists() else 0
        n_needed = (length - sample_rate // 10) * oversampling
        if result.returncode != 0 or refused or n_rendered < n_needed:
            words = (refused or lines or ["it wrote too little; is the disk full?"])[-1]
            raise InputError(f"{soundfont}: FluidSynth failed ({words})")
        mono = _downmixed(raw_path)
        if oversampling == 1:
            audio = np.concatenate(list(mono) or [np.zeros(0, np.float32)])
        else:
            stream = soxr.ResampleStream(sample_rate * oversampling, sample_rate, 1, quality="HQ")
            parts = [stream.resample_chunk(block) for block in mono]
            parts.append(stream.resample_chunk(np.zeros(0, np.float32), last=True))
            audio = np.concatenate(parts)
    audio = audio[:length]
    return np.pad(audio, (0, length - len(audio)))


def _downmixed(raw_path: Path) -> Iterator[np.ndarray]:
    """Blocks of mono audio from a file of interleaved float32 stereo."""
    with raw_path.open("rb") as file:
        while block := file.read(_BLOCK_FRAMES * _STEREO_BYTES):
            whole = len(block) // _STEREO_BYTES * _STEREO_BYTES
            stereo = np.frombuffer(block[:whole], np.float32).reshape(-1, 2)
            yield stereo.mean(axis=1)
