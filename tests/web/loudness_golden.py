"""What Python measures, limits and expects, for the page to agree with: golden/loudness.json.

`make_golden.py` writes the file.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from timbrel.bundles.bundle import load_bundle
from timbrel.expected_loudness import expected_loudness
from timbrel.mastering import mastered, measured_loudness
from timbrel.score.score import Automation, Note, Score, Track
from timbrel.timbre.timbre import Timbre
from timbrel.voices import voices_of

GOLDEN_FILE = "loudness.json"
RATE = 16_000
LOUD = [
    {"hz": 310.0, "left": 0.5, "right": 0.1},
    {"hz": 317.0, "left": 0.4, "right": 0.3},
    {"hz": 3700.0, "left": 0.1, "right": 0.3},
]
SOFT = [{"hz": 60.0, "left": 0.05, "right": 0.0}, {"hz": 2500.0, "left": 0.002, "right": 0.01}]
LIMITER_GAIN_DB = 6.0
LIMITED_SAMPLES = 12_000


def tones(n: int, parts: list[dict[str, float]]) -> np.ndarray:
    """A sum of sines, (n, 2)."""
    times = np.arange(n) / RATE
    sides = [
        sum(part[side] * np.sin(2 * np.pi * part["hz"] * times) for part in parts)
        for side in ("left", "right")
    ]
    return np.stack(sides, axis=1).astype(np.float32)


def loudness_golden() -> dict[str, Any]:
    """The file's content."""
    return {"meter": _meter(), "limiter": _limiter(), "expected": [_expected()]}


def _meter() -> list[dict[str, Any]]:
    rows = []
    for n, parts in ((40_000, LOUD), (30_000, SOFT), (3000, LOUD)):
        found = measured_loudness([tones(n, parts)], RATE, 2)
        peak_db = round(found.true_peak_dbtp, 4)
        lufs = round(found.integrated_lufs, 4)
        rows.append({"n": n, "parts": parts, "lufs": lufs, "peak_db": peak_db})
    return rows


def _limiter() -> dict[str, Any]:
    sound = tones(LIMITED_SAMPLES, LOUD)
    out = np.concatenate(list(mastered([sound], RATE, 2, gain_db=LIMITER_GAIN_DB)))
    samples = [
        [at, *(round(float(value), 6) for value in out[at])] for at in range(0, LIMITED_SAMPLES, 97)
    ]
    return {"n": len(sound), "parts": LOUD, "gain_db": LIMITER_GAIN_DB, "samples": samples}


def _expected() -> dict[str, Any]:
    bundle = load_bundle("mel2mel")
    tracks, timbres = [], []
    random = np.random.default_rng(3)
    for number in range(3):
        notes = tuple(
            Note(36 + 3 * i, 40 + 4 * i + number, 0.37 * i, 0.37 * i + 0.1 * (i % 7))
            for i in range(number, 20)
        )
        gain = Automation((0.0, 2.0 + number), (0.9, 0.4))
        tracks.append(Track("", 0, number, notes, gain=gain))
        points = random.uniform(-0.5, 1.0, (2, 2))
        timbres.append(Timbre((0.0, 4.0), tuple(tuple(map(float, point)) for point in points)))
    timbres[0] = Timbre.constant(bundle.instruments[3].embedding)
    seconds = 9.0
    voices = voices_of(Score(tuple(tracks)), timbres, bundle.mel.frame_rate).voices
    lufs = expected_loudness(voices, bundle, start_s=0.0, stop_s=seconds, channels=2)
    instruments = [
        {"program": one.program, "embedding": list(one.embedding)} for one in bundle.instruments
    ]
    return {
        "tracks": [
            {
                "notes": [note[:4] for note in track.notes],
                "gain": [list(track.gain.times_s), list(track.gain.values)],
            }
            for track in tracks
        ],
        "timbres": [
            {"times": list(one.times_s), "points": [list(point) for point in one.points]}
            for one in timbres
        ],
        "model": {"gain": bundle.gain, "instruments": instruments},
        "seconds": seconds,
        "lufs": round(lufs, 4),
    }
