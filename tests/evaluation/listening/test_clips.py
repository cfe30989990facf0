"""The clips of a listening test."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile

from support.listening_data import ITEMS, MEANS, RATE, tone
from timbrel.errors import InputError
from timbrel.evaluation.listening.clips import (
    CLIPS_FILE,
    LOUDNESS_LUFS,
    equally_loud,
    read_clips,
    sound_path,
)
from timbrel.sound import write_audio


def test_clips_of_chosen_conditions_are_read(report: Path) -> None:
    clips = read_clips(report)
    assert len(clips) == len(ITEMS) * len(MEANS)
    assert {clip.item for clip in clips} == set(ITEMS)
    assert sound_path(report, clips[0]).is_file()
    chosen = read_clips(report, ["original", "bad vocoder"])
    assert {clip.condition for clip in chosen} == {"original", "bad vocoder"}
    assert len(chosen) == 2 * len(ITEMS)


@pytest.mark.parametrize("level", [0.01, 0.1, 0.5])
def test_all_clips_are_equally_loud(level: float, tmp_path: Path) -> None:
    write_audio(tmp_path / "clip.flac", tone(1, level=level, seconds=3), RATE)
    audio, rate = soundfile.read(io.BytesIO(equally_loud(tmp_path / "clip.flac")))
    assert rate == RATE
    loudness = pyloudnorm.Meter(RATE).integrated_loudness(audio)
    assert loudness == pytest.approx(LOUDNESS_LUFS, abs=0.1)


def test_loudness_never_clips(tmp_path: Path) -> None:
    clip = np.zeros(RATE, np.float32)
    clip[::4000] = 0.1
    write_audio(tmp_path / "clip.flac", clip, RATE)
    audio, _ = soundfile.read(io.BytesIO(equally_loud(tmp_path / "clip.flac")))
    assert np.abs(audio).max() == pytest.approx(0.99, abs=0.01)


@pytest.mark.parametrize("n_samples", [100, 20_000])
def test_silence_stays_silent(n_samples: int, tmp_path: Path) -> None:
    write_audio(tmp_path / "clip.flac", np.zeros(n_samples, np.float32), RATE)
    audio, _ = soundfile.read(io.BytesIO(equally_loud(tmp_path / "clip.flac")))
    assert len(audio) == n_samples
    assert not audio.any()


def test_what_is_no_report_is_refused(report: Path) -> None:
    with pytest.raises(InputError, match=r"none: is no report .* make one with 'timbrel evaluate'"):
        read_clips(report / "none")
    with pytest.raises(InputError, match=r"no condition 'magic'; known: original; good vocoder"):
        read_clips(report, ["magic"])
    with pytest.raises(InputError, match="two conditions at least"):
        read_clips(report, ["original"])
    (report / "sounds" / "3-1.flac").unlink()
    with pytest.raises(InputError, match=r"3-1\.flac: is gone; run 'timbrel evaluate' again"):
        read_clips(report)
    for content in ("no JSON", "[1]", '[{"condition": "a"}]'):
        (report / CLIPS_FILE).write_text(content)
        with pytest.raises(InputError, match=r"is damaged|is not JSON"):
            read_clips(report)
