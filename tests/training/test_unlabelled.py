"""Audio without labels: crops of what is in folders, and what is wrong with them in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from timbrel.errors import InputError
from timbrel.training.unlabelled import UnlabelledClips

RATE = 8000


def tone(path: Path, seconds: float, hz: float = 440.0, level: float = 0.5) -> Path:
    """Write a sine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    audio = level * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)
    soundfile.write(path, audio, RATE)
    return path


def test_crops_are_parts_of_the_files_and_functions_of_the_seed(tmp_path: Path) -> None:
    tone(tmp_path / "audio/flute/long.wav", 3.0)
    tone(tmp_path / "audio/short.flac", 0.2, hz=220.0)
    clips = UnlabelledClips([tmp_path / "audio"], tmp_path / "cache", RATE)
    assert clips.subfolders == ["flute", ""]
    assert clips.duration_s == pytest.approx(3.2)
    found = [clips.draw(np.random.default_rng(seed), RATE) for seed in range(40)]
    again = clips.draw(np.random.default_rng(3), RATE)
    np.testing.assert_array_equal(again.audio, found[3].audio)
    assert {crop.file for crop in found} == {0, 1}
    for crop in found:
        assert crop.audio.shape == (RATE,)
        assert np.abs(crop.audio).max() == pytest.approx(0.5, abs=0.01)
        if crop.file == 1:  # what is short ends in silence
            assert not crop.audio[round(0.25 * RATE) :].any()
    # The samples are kept at another rate, too, and not read again.
    UnlabelledClips([tmp_path / "audio"], tmp_path / "cache", 2 * RATE)
    assert len(list((tmp_path / "cache/samples").rglob("*.npy"))) == 4


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    def clips(folder: Path) -> None:
        UnlabelledClips([folder], tmp_path / "cache", RATE)

    with pytest.raises(InputError, match=r"nowhere: is not a folder.*options\.unlabelled"):
        clips(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no sound")
    with pytest.raises(InputError, match=r"empty: holds no audio files \(\.wav"):
        clips(tmp_path / "empty")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "broken.wav").write_bytes(b"RIFFnothing")
    with pytest.raises(InputError, match=r"broken\.wav: cannot be read as audio"):
        clips(tmp_path / "bad")
    tone(tmp_path / "still" / "silent.wav", 1.0, level=0.0)
    with pytest.raises(InputError, match=r"silent\.wav: is silent"):
        clips(tmp_path / "still")
