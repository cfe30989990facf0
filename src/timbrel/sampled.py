"""A timbre as a sampled instrument: an SFZ file and WAV files over keys and velocities.

Every few keys, at several velocities, a note is played dry and alone by the model and cut out where
it begins. Sounds that last are looped; the loop's end fades into what precedes its beginning, so
that no click is heard. The opcodes are those of the first SFZ format, which samplers such as
sfizz, LinuxSampler and ARIA share. These scale amplitudes by (velocity / 127)²; `volume` takes that
back at the velocity of each sample, so that its loudness there is the model's.
"""

from __future__ import annotations

import itertools
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from timbrel.bundles.bundle import Instrument
from timbrel.corpus.etudes import natural_range
from timbrel.errors import InputError, OutputError
from timbrel.files import check_output_folder, make_folder
from timbrel.progress import Progress, silent
from timbrel.score.channels import DRUM_CHANNEL
from timbrel.score.score import Note, Score, Track
from timbrel.sound import AudioWriter
from timbrel.synthesizer import Synthesizer
from timbrel.timbre.timbre import Timbre, TimbreLike, as_timbre

SAMPLES_FOLDER = "samples"
_STEPS = ("c", "cs", "d", "ds", "e", "f", "fs", "g", "gs", "a", "as", "b")
FORCE_REMEDY = "give --force to overwrite what is in it"
KEY_STEP = 4  # semitones from sample to sample
VELOCITIES = (40, 76, 112)
_HOLD_S, _LOOKED_S = 6.0, 5.0  # how long keys are held, and where it shows whether they last
_LASTING_DB = 12.0  # sounds that fall by less from the first to the other of `_LOOKED_S` are looped
_EARLY_S = 1.0
_SILENCE_DB = -70.0  # below a sample's peak, where it ends
_LOOP_S, _FADE_S = 1.5, 0.4
_LAST_FADE_S = 0.02
_SHORT_HOLD_S = 0.6  # of the notes that tell how long a release takes
_RELEASE_LOOK_S, _REST_S = 1.2, 8.5
_RELEASE_DB = 78.0  # e⁻⁹: so far samplers let the sound fall in the time of `ampeg_release`
_RELEASES_S = (0.02, 8.0)
_PEAK = 0.9  # of the samples in their files
_STEP_S = 0.02  # of levels


@dataclass(frozen=True)
class Sample:
    """A note of a sampled instrument."""

    key: int
    velocity: int
    audio: np.ndarray  # float32, (samples,), as loud as the model plays it
    loop: tuple[int, int] | None  # first and last sample
    release_s: float

    @property
    def file(self) -> str:
        octave, step = divmod(self.key, 12)
        return f"{SAMPLES_FOLDER}/{_STEPS[step]}{octave - 1}-{self.velocity:03}.wav"


def write_sampled(
    synthesizer: Synthesizer,
    timbre: TimbreLike,
    folder: str | os.PathLike,
    *,
    name: str = "",
    force: bool = False,
    progress: Progress = silent,
) -> Path:
    """Write a timbre as a sampled instrument.

    Parameters
    ----------
    synthesizer
        Plays it.
    timbre
        Whatever `timbrel.timbre.timbre.as_timbre` takes, but a path over time.
    folder
        Where the files go; it is made. It appears when all files are complete.
    name
        Of the SFZ file; that of the timbre where it is empty.
    force
        Whether files that are in the folder may be overwritten.
    progress
        Wraps the notes.

    Returns
    -------
    path : Path
        Of the SFZ file.

    Raises
    ------
    InputError
        If the timbre is a path, or the model plays nothing audible with it.
    OutputError
        If the folder holds something, or cannot be written.
    """
    folder = Path(folder)
    check_output_folder(folder, may_hold=force, remedy=FORCE_REMEDY)
    found = as_timbre(timbre, synthesizer.instruments)
    if len(found.times_s) > 1:
        raise InputError("a path over time is no sampled instrument; name a timbre that stays")
    nearest = nearest_known(found, synthesizer.instruments)
    samples = list(record(synthesizer, found, nearest, progress=progress))
    if not samples:
        raise InputError("the model plays nothing audible with this timbre")
    stem = re.sub(r"[^\w.-]+", "-", name or found.name or nearest.name).strip("-.") or "timbre"
    text = sfz_text(samples, kit=nearest.is_kit, title=found.name or stem)
    make_folder(folder.parent)
    with tempfile.TemporaryDirectory(prefix=".sampled-", dir=folder.parent) as beside:
        made = Path(beside, "made")
        (made / SAMPLES_FOLDER).mkdir(parents=True)
        _write_samples(samples, made, synthesizer.sample_rate)
        (made / f"{stem}.sfz").write_text(text, encoding="utf-8")
        _move(made, folder)
    return folder / f"{stem}.sfz"


def nearest_known(timbre: Timbre, instruments: Sequence[Instrument]) -> Instrument:
    """The instrument nearest to a timbre, whose range of keys it gets."""
    point = np.array(timbre.points[0])
    return min(instruments, key=lambda one: float(np.linalg.norm(one.embedding - point)))


def record(
    synthesizer: Synthesizer, timbre: Timbre, like: Instrument, *, progress: Progress = silent
) -> Iterator[Sample]:
    """The notes of a sampled instrument: those that can be heard, by key and velocity."""
    keys = list(like.keys)
    if not like.is_kit:
        low, high = natural_range(like.program)
        keys = list(range(low, high + 1, KEY_STEP))
    rate, hold_s = synthesizer.sample_rate, _SHORT_HOLD_S if like.is_kit else _HOLD_S
    for key in progress(keys, len(keys), "sampling"):
        notes = [Note(key, velocity, 0.0, hold_s) for velocity in VELOCITIES]
        short = Note(key, VELOCITIES[-1], 0.0, _SHORT_HOLD_S)
        *held, released = _played(synthesizer, timbre, like, [*notes, short])
        release_s = _release_s(released, held[-1], rate)
        for note, audio in zip(notes, held, strict=True):
            sample = _cut(audio, note, release_s, rate, is_kit=like.is_kit)
            if sample is not None:
                yield sample


def sfz_text(samples: Sequence[Sample], *, kit: bool, title: str) -> str:
    """The content of the SFZ file."""
    head = [f"// {' '.join(title.split())}, sampled by Timbrel", "<global>"]
    head += ["loop_mode=one_shot pitch_keytrack=0"] if kit else ["loop_mode=no_loop"]
    # Nothing is louder than the samples are, so that no sampler bounds a volume.
    most = max(_wanted_db(sample) for sample in samples)
    lines = []
    keys = sorted({sample.key for sample in samples})
    for velocity in sorted({sample.velocity for sample in samples}):
        low, high = _range_of(velocity, VELOCITIES, 1, 127)
        lines.append(f"\n<group> lovel={low} hivel={high}")
        for sample in samples:
            if sample.velocity != velocity:
                continue
            lokey, hikey = (sample.key,) * 2 if kit else _range_of(sample.key, keys, 0, 127)
            looped = ""
            if sample.loop:
                looped = f" loop_mode=loop_continuous loop_start={sample.loop[0]}"
                looped += f" loop_end={sample.loop[1]}"
            lines.append(
                f"<region> sample={sample.file} lokey={lokey} hikey={hikey} "
                f"pitch_keycenter={sample.key} volume={_wanted_db(sample) - most:.2f} "
                f"ampeg_release={sample.release_s:.3f}{looped}"
            )
    return "\n".join([*head, *lines]) + "\n"


def _wanted_db(sample: Sample) -> float:
    """The volume that makes a file as loud as the model plays, at the sample's velocity."""
    level = 20 * np.log10(np.abs(sample.audio).max() / _PEAK)
    return float(level + 40 * np.log10(127 / sample.velocity))


def _range_of(value: int, all_values: Sequence[int], first: int, last: int) -> tuple[int, int]:
    """The keys or velocities that are nearer to one of some values than to the others."""
    place = list(all_values).index(value)
    if place > 0:
        first = (all_values[place - 1] + value) // 2 + 1
    if place + 1 < len(all_values):
        last = (value + all_values[place + 1]) // 2
    return first, last


def _played(
    synthesizer: Synthesizer, timbre: Timbre, like: Instrument, notes: Sequence[Note]
) -> list[np.ndarray]:
    """The sound of notes, each alone, one after the other: (samples,) each."""
    spacing_s = max(note.end_s for note in notes) + _REST_S
    later = tuple(
        note._replace(start_s=i * spacing_s, end_s=i * spacing_s + note.end_s)
        for i, note in enumerate(notes)
    )
    channel = DRUM_CHANNEL if like.is_kit else 0
    track = Track(like.name, like.program, channel, later, is_kit=like.is_kit)
    audio = synthesizer.render(
        Score((track,)) if not like.is_kit else Score((), drum_tracks=(track,)),
        timbre={1: timbre},
        channels=1,
        normalize=False,
        dry=True,
    )[:, 0]
    audio = np.pad(audio, (0, round(spacing_s * synthesizer.sample_rate)))  # silence goes unsaid
    starts = [round(i * spacing_s * synthesizer.sample_rate) for i in range(len(notes) + 1)]
    return [audio[start:stop] for start, stop in itertools.pairwise(starts)]


def _cut(
    audio: np.ndarray, note: Note, release_s: float, rate: int, *, is_kit: bool
) -> Sample | None:
    """A note as it goes into a file; None where there is nothing to hear."""
    levels = _levels_db(audio, rate)
    loudest = levels.max(initial=-200.0)
    if loudest < _SILENCE_DB:
        return None
    early, late = (levels[round(s / _STEP_S)] for s in (_EARLY_S, _LOOKED_S))
    lasts = not is_kit and early - late < _LASTING_DB and late > loudest + _SILENCE_DB
    if lasts:
        held = audio[: round(_LOOKED_S * rate)].copy()
        return Sample(note.pitch, note.velocity, *_looped(held, note.pitch, rate), release_s)
    heard = np.flatnonzero(levels > loudest + _SILENCE_DB)[-1] + 1
    most = len(audio) if is_kit else round(_HOLD_S * rate)
    cut = audio[: min(round(heard * _STEP_S * rate), most)].copy()
    fade = min(round(_LAST_FADE_S * rate), len(cut))
    cut[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return Sample(note.pitch, note.velocity, cut, None, release_s)


def _looped(audio: np.ndarray, key: int, rate: int) -> tuple[np.ndarray, tuple[int, int]]:
    """A sound that can be looped to its end, and the loop: a whole number of periods."""
    period = rate / (440 * 2 ** ((key - 69) / 12))
    length = round(round(_LOOP_S * rate / period) * period)
    start, fade = len(audio) - length, round(_FADE_S * rate)
    # The last samples become those ahead of the loop, with the same power while both are heard.
    phase = np.linspace(0, np.pi / 2, fade, dtype=np.float32)
    audio[-fade:] = np.cos(phase) * audio[-fade:] + np.sin(phase) * audio[start - fade : start]
    return audio, (start, len(audio) - 1)


def _release_s(released: np.ndarray, held: np.ndarray, rate: int) -> float:
    """What `ampeg_release` must be for the sound to fall as after the release of a key."""
    first, last = (round(s / _STEP_S) for s in (_SHORT_HOLD_S, _SHORT_HOLD_S + _RELEASE_LOOK_S))
    fallen = (_levels_db(released, rate) - _levels_db(held, rate))[first:last]
    below = np.flatnonzero(fallen < -30)
    if len(below):
        slope = (fallen[below[0]] - fallen[0]) / (max(below[0], 1) * _STEP_S)
    else:
        slope = fallen[-1] / _RELEASE_LOOK_S
    return float(np.clip(_RELEASE_DB / max(-slope, 1e-3), *_RELEASES_S))


def _levels_db(audio: np.ndarray, rate: int) -> np.ndarray:
    """RMS levels in steps of `_STEP_S`."""
    step = round(_STEP_S * rate)
    parts = audio[: len(audio) // step * step].reshape(-1, step).astype(np.float64)
    return 10 * np.log10(np.maximum(np.square(parts).mean(axis=1), 1e-20))


def _write_samples(samples: Sequence[Sample], folder: Path, rate: int) -> None:
    for sample in samples:
        scale = np.float32(_PEAK / np.abs(sample.audio).max())
        with AudioWriter(folder / sample.file, rate, 1, bit_depth="24") as writer:
            writer.write(sample.audio * scale)


def _move(made: Path, folder: Path) -> None:
    """Put finished files where they belong; the SFZ file comes last."""
    try:
        if not folder.exists():
            made.rename(folder)
            return
        (folder / SAMPLES_FOLDER).mkdir(exist_ok=True)
        files = [path for path in made.rglob("*") if path.is_file()]
        for path in sorted(files, key=lambda path: path.suffix == ".sfz"):
            path.replace(folder / path.relative_to(made))
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror})") from None
