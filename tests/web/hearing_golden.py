"""What Python hears in a sound that both it and the page can make: golden/hearing.json."""

from __future__ import annotations

import base64
import io
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soundfile
import soxr

from timbrel.bundles.bundle import load_bundle
from timbrel.constants import DEFAULT_ENCODER, DEFAULT_TRANSCRIBER, LOWEST_PITCH, N_PITCHES
from timbrel.hearing.from_audio import FoundTimbre, TimbreEncoder
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.transcription.decoding import NoteDecoder, Thresholds
from timbrel.transcription.front_end import FrontEnd
from timbrel.transcription.midi import as_midi
from timbrel.transcription.recording import look_into
from timbrel.transcription.sizes import HEADS, TranscriberConfig
from timbrel.transcription.transcriber import Transcriber, Transcription

GOLDEN_FILE = "hearing.json"
RATE = 44_100  # of the sound: it is resampled for both networks
DURATION_S = 9.2
HARMONICS = 8
ATTACK_S = 0.005
DECAY_PER_S = 2.5
# Start, pitch, level, and how far the pitch has risen after a second, in semitones.
NOTES = (
    (0.1, 60.0, 0.3, 0.0), (0.7, 64.0, 0.25, 0.0), (1.3, 67.0, 0.2, 0.0), (1.9, 72.0, 0.3, 0.0),
    (2.6, 57.0, 0.3, 1.6), (4.2, 48.1, 0.3, 0.0), (4.2, 60.1, 0.2, 0.0), (5.6, 76.0, 0.15, 0.0),
    (6.1, 69.0, 0.3, -0.8), (7.6, 55.0, 0.3, 0.0), (7.6, 59.0, 0.3, 0.0), (7.6, 62.0, 0.3, 0.0),
)  # fmt: skip
NOTE_S = 1.4
MEL_FRAMES = (15, 33)
SPECTRA_FRAMES = (8, 12)
RESAMPLED_EVERY = 7  # samples, of those from `RESAMPLED_FROM` on
RESAMPLED_FROM, RESAMPLED_COUNT = 1500, 600
# Of the frames that are decoded, and of the keys in which there is anything.
DECODED_FRAMES, DECODED_KEYS = 160, (0, 20, 21, 22, 50, 87)
LIMITS = Thresholds(0.3, 0.35, 0.4)


def golden_sound(rate: int = RATE) -> np.ndarray:
    """Plucked tones, two of which glide, float32."""
    audio = np.zeros(round(DURATION_S * rate))
    for start_s, pitch, level, rise in NOTES:
        first = round(start_s * rate)
        t = np.arange(round(NOTE_S * rate)) / rate
        hz = 440 * 2 ** ((pitch - 69) / 12)
        cycles = hz * (t + (2 ** (rise / 12) - 1) * t**2 / 2)
        envelope = level * np.minimum(t / ATTACK_S, 1) * np.exp(-DECAY_PER_S * t)
        for harmonic in range(1, HARMONICS + 1):
            tone = envelope * np.sin(2 * np.pi * harmonic * cycles) / harmonic
            audio[first : first + len(t)] += tone[: len(audio) - first]
    return audio.astype(np.float32)


def hearing_golden() -> dict[str, Any]:
    """All of it; arrays are float32 in base 64."""
    sound = golden_sound()
    encoder = TimbreEncoder.load(DEFAULT_ENCODER)
    heard = encoder.hear_audio(_at(sound, encoder.bundle.sample_rate))
    config = TranscriberConfig(**load_bundle(DEFAULT_TRANSCRIBER).model)
    transcriber = Transcriber.load(DEFAULT_TRANSCRIBER)
    return {
        "sound": {
            "rate": RATE,
            "duration_s": DURATION_S,
            "harmonics": HARMONICS,
            "attack_s": ATTACK_S,
            "decay_per_s": DECAY_PER_S,
            "note_s": NOTE_S,
            "notes": [list(note) for note in NOTES],
        },
        "resampled": {
            "first": RESAMPLED_FROM,
            "every": RESAMPLED_EVERY,
            "by_rate": {
                str(rate): text(_at(sound, rate)[RESAMPLED_FROM::RESAMPLED_EVERY][:RESAMPLED_COUNT])
                for rate in (encoder.bundle.sample_rate, config.sample_rate)
            },
        },
        "mel": {
            "frames": MEL_FRAMES,
            "values": text(_mel(encoder)[slice(*MEL_FRAMES)]),
        },
        "spectra": {
            "frames": SPECTRA_FRAMES,
            "values": text(_spectra(config)[:, slice(*SPECTRA_FRAMES)]),
        },
        "timbre": _timbre(encoder.found([heard])) | {"windows": len(heard)},
        "short": _timbre(encoder.found([encoder.hear_audio(np.zeros(100, np.float32))])),
        "notes": described(
            transcriber.transcribe_audio(_at(sound, config.sample_rate)),
        ),
        "decoded": _decoded(config),
        "recordings": [_recording(*case) for case in _recordings()],
    }


def described(found: Transcription) -> dict[str, Any]:
    file = io.BytesIO()
    as_midi(found).save(file=file)
    return {
        "frame_rate": found.frame_rate,
        "tuning_cents": found.tuning_cents,
        "notes": [asdict(note) for note in found.notes],
        "midi": base64.b64encode(file.getvalue()).decode(),
    }


def text(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()


def _at(sound: np.ndarray, rate: int) -> np.ndarray:
    return soxr.resample(sound, RATE, rate)


def _mel(encoder: TimbreEncoder) -> np.ndarray:
    """Of what is made at the model's rate, so that no resampling is in it."""
    rate = encoder.bundle.sample_rate
    return mel_spectrogram(golden_sound(rate)[: rate // 2], encoder.bundle.mel)


def _spectra(config: TranscriberConfig) -> np.ndarray:
    rate = config.sample_rate
    return FrontEnd(config).push(golden_sound(rate)[:rate])


def _timbre(found: FoundTimbre) -> dict[str, Any]:
    return {
        "point": list(found.point),
        "covariance": found.covariance.tolist(),
        "instruments": [[one.instrument.name, one.probability] for one in found.instruments[:8]],
        "nothing": found.nothing,
        "sureness": found.sureness,
        "distance": found.distance,
        "neighbours": found.neighbours,
    }


def _decoded(config: TranscriberConfig) -> dict[str, Any]:
    """Probabilities that rise and fall by chance, and the notes in them."""
    random = np.random.default_rng(7)
    shape = (DECODED_FRAMES, len(DECODED_KEYS), len(HEADS))
    steps = random.random((shape[0] // 4 + 2, *shape[1:]))
    times = np.arange(shape[0]) / 4
    before = times.astype(int)
    share = (times - before)[:, None, None]
    values = ((1 - share) * steps[before] + share * steps[before + 1]).astype(np.float32)
    values[..., -1] = 80 * (values[..., -1] - 0.5)
    whole = np.zeros((DECODED_FRAMES, N_PITCHES, len(HEADS)), np.float32)
    whole[:, list(DECODED_KEYS)] = values
    decoder = NoteDecoder(config.frame_rate, LIMITS)
    notes = sorted(
        [*decoder.push(whole), *decoder.finish()], key=lambda note: (note.start_s, note.pitch)
    )
    assert any(note.bend_cents for note in notes)
    assert {note.pitch - LOWEST_PITCH for note in notes} >= {0, 20, 87}
    steady = [note.cents for note in notes if not note.bend_cents]
    tuning = float(np.median(steady))
    found = Transcription(tuple(notes), 0.0, config.frame_rate, tuning)
    return {
        "thresholds": LIMITS.as_dict(),
        "n_frames": DECODED_FRAMES,
        "keys": DECODED_KEYS,
        "values": text(values),
    } | described(found)


def _recordings() -> list[tuple[int, np.ndarray]]:
    """Sample rates and channels, (samples, channels), of what needs care."""
    wave = np.sin(np.arange(40) / 3).astype(np.float32)[:, None] / 2
    broken = np.concatenate([wave, wave], axis=1)
    broken[3, 0] = np.nan
    return [
        (16_000, np.concatenate([wave, wave / 2], axis=1)),
        (16_000, np.concatenate([wave, -wave], axis=1)),
        (16_000, 0.02 * wave),
        (16_000, 1e-5 * wave),
        (8_000, wave),
        (16_000, broken),
    ]


def _recording(rate: int, channels: np.ndarray) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "sound.wav"
        soundfile.write(path, channels, rate, "FLOAT")
        found = look_into(path)
        mono = np.concatenate(list(found.blocks(rate)))
    return {
        "rate": rate,
        "channels": [text(channel) for channel in np.nan_to_num(channels.T, nan=np.inf)],
        "is_silent": found.is_silent,
        "remarks": list(found.remarks),
        "mono": text(mono),
    }
