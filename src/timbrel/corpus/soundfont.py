"""Score → audio with FluidSynth and a SoundFont: the sound that the models learn."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import mido
import numpy as np
import soxr

from timbrel.errors import InputError, MissingToolError
from timbrel.score.channels import DRUM_CHANNEL, RESET_CONTROLLERS, SOSTENUTO, SUSTAIN
from timbrel.score.keys import ALL_SOUND_OFF
from timbrel.score.score import Score

REFERENCE_GAIN = 0.2  # FluidSynth's own default
TAIL_S = 3.0  # what rings on after the last note's release

# For output below 24 kHz, FluidSynth renders at twice the rate and the result is filtered down:
# FluidSynth does not filter the 44.1 kHz recordings that it plays, so anything above half of its
# output rate would alias.
_OVERSAMPLED_BELOW_HZ = 24_000

_TICKS_PER_BEAT = 1_000
_TEMPO = 250_000  # microseconds per beat: 4,000 ticks a second
_TICKS_PER_SECOND = _TICKS_PER_BEAT * 1_000_000 // _TEMPO
_SHORTEST_S = 0.008  # of notes: a piano roll holds each for a frame at least
KIT_BANK = 128  # the SoundFont's bank of the presets that drum channels play
# Messages about the notes themselves, not about the instrument or its place in the mix.
_PLAYED_MESSAGES = ("note_on", "note_off", "pitchwheel", "aftertouch", "polytouch")
_MODULATION, _REGISTERED_PARAMETERS = 1, (6, 38, 96, 97, 100, 101)
_PLAYED_CONTROLLERS = (_MODULATION, SUSTAIN, SOSTENUTO, ALL_SOUND_OFF, *_REGISTERED_PARAMETERS)

_BLOCK_SAMPLES = 64  # of FluidSynth
# Of the semitones that the pitch wheel asks for, FluidSynth plays this share: it takes the range of
# bends for so many 128ths. And it plays whole cents, rounded down.
BEND_SHARE, PITCH_RESOLUTION = 127 / 128, 0.01
_PAUSE_S = 0.5  # between two files that are played in one go
_BLOCK_FRAMES = 1 << 18
_STEREO_BYTES = 8  # of a sample in two channels, float32
# Messages with which FluidSynth continues without the SoundFont.
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


def as_preset(
    midi: mido.MidiFile, program: int, bank: int = 0, *, tail_s: float = TAIL_S
) -> mido.MidiFile:
    """A file's own events, all of them played by one preset.

    Notes, pedals, bends with their range and tuning, and the modulation wheel stay as they are;
    programs, banks, volume, pan and all else go. An instrument plays all channels but that of the
    drums; a kit (bank 128) plays only that one.
    """
    drums = bank == KIT_BANK
    events, end_s = [], 0.0
    for message in mido.MidiFile(type=0, ticks_per_beat=midi.ticks_per_beat, tracks=midi.tracks):
        end_s += message.time
        if message.is_meta or message.type == "sysex":
            continue
        is_played = message.type in _PLAYED_MESSAGES or (
            message.type == "control_change" and message.control in _PLAYED_CONTROLLERS
        )
        if is_played and (message.channel == DRUM_CHANNEL) == drums:
            events.append((round(end_s * _TICKS_PER_SECOND), message))
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=_TEMPO)])
    for channel in sorted({message.channel for _, message in events}):
        if not drums:
            track.append(mido.Message("control_change", channel=channel, control=0, value=bank))
        track.append(mido.Message("program_change", channel=channel, program=program))
    now = 0
    # FluidSynth stops with the last event, so one that sounds nothing marks the end of the tail.
    last = round((end_s + tail_s) * _TICKS_PER_SECOND)
    for tick, message in [*events, (last, mido.Message("note_on", note=0, velocity=0))]:
        track.append(message.copy(skip_checks=True, time=tick - now))
        now = tick
    return mido.MidiFile(type=0, ticks_per_beat=_TICKS_PER_BEAT, tracks=[track])


def length_in_seconds(midi: mido.MidiFile) -> float:
    """Until the last event of a file that `to_midi` or `as_preset` made."""
    return sum(message.time for message in midi.tracks[0]) / _TICKS_PER_SECOND


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


def render_parts(
    parts: Sequence[tuple[mido.MidiFile, int]],
    soundfont: str | os.PathLike,
    *,
    sample_rate: int,
    gain: float = REFERENCE_GAIN,
) -> list[np.ndarray]:
    """Play files in one go, which loads the SoundFont once; see `render_score`.

    Parameters
    ----------
    parts
        Files as `to_midi` and `as_preset` make them, each with the number of samples wanted.

    Returns
    -------
    list of ndarray of float32
        Of each file. The first samples of some notes differ by some 0.001 from what the file
        sounds like alone, because FluidSynth reuses its voices.
    """
    if not parts:
        return []
    # FluidSynth begins notes at blocks of 64 samples, and counts time in milliseconds.
    second = _BLOCK_SAMPLES // math.gcd(sample_rate, _BLOCK_SAMPLES)
    starts, end_s = [], 0.0
    for _, length in parts:
        starts.append(second * math.ceil(end_s / second))
        end_s = starts[-1] + length / sample_rate + _PAUSE_S
    track, now = mido.MidiTrack(), 0
    for (midi, length), start in zip(parts, starts, strict=True):
        tick = start * _TICKS_PER_SECOND
        stop = tick + round(length / sample_rate * _TICKS_PER_SECOND)
        for message in midi.tracks[0]:
            tick += message.time
            if tick > stop:
                break
            if not message.is_meta or message.type == "set_tempo":
                track.append(message.copy(skip_checks=True, time=tick - now))
                now = tick
        for message in _silence():
            track.append(message.copy(skip_checks=True, time=stop - now))
            now = stop
    joined = mido.MidiFile(type=0, ticks_per_beat=_TICKS_PER_BEAT, tracks=[track])
    total = starts[-1] * sample_rate + parts[-1][1]
    audio = render_midi(joined, soundfont, length=total, sample_rate=sample_rate, gain=gain)
    return [
        audio[start * sample_rate : start * sample_rate + length].copy()
        for (_, length), start in zip(parts, starts, strict=True)
    ]


def _silence() -> Iterator[mido.Message]:
    """Cut off all that sounds, and forget what was set."""
    for channel in range(16):
        yield mido.Message("control_change", channel=channel, control=ALL_SOUND_OFF)
        yield mido.Message("control_change", channel=channel, control=RESET_CONTROLLERS)
        for parameter, value in ((0, 2), (1, 64), (2, 64)):  # range of bends, fine, coarse tuning
            for number, byte in ((101, 0), (100, parameter), (6, value), (38, 0)):
                yield mido.Message("control_change", channel=channel, control=number, value=byte)
        yield mido.Message("control_change", channel=channel, control=101, value=127)
        yield mido.Message("control_change", channel=channel, control=100, value=127)


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
