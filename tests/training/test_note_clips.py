"""Crops for transcribers: their labels are what sounds in them, at any rate and in any tuning."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from timbrel.constants import LOWEST_PITCH
from timbrel.corpus.preparation import read_clip
from timbrel.score.midi import read_midi
from timbrel.training.note_clips import PART, Cut, NoteClips, merged
from timbrel.transcription.front_end import FrontEnd
from timbrel.transcription.sizes import (
    BEND,
    FRAME,
    OFFSET,
    ONSET,
    VELOCITY,
    TranscriberConfig,
)

CONFIG = TranscriberConfig()
RATE = CONFIG.frame_rate


@pytest.fixture(scope="module")
def clips(small_data: Path) -> NoteClips:
    return NoteClips(small_data, "train", 16_000)


def labels_of(clips: NoteClips, cut: Cut, n_frames: int = 150) -> np.ndarray:
    return clips.labels(cut, first_s=0.0, frame_rate=RATE, n_frames=n_frames)


def test_samples_are_those_of_the_data_in_16_bits(clips: NoteClips, small_data: Path) -> None:
    for index, clip in enumerate(clips.clips):
        expected = read_clip(small_data, clip)
        found = clips.audio(Cut(index, 0.0), len(expected) + 50)
        np.testing.assert_allclose(found[: len(expected)], expected, atol=1.6e-5)
        assert not found[len(expected) :].any()
    early = clips.audio(Cut(0, -0.1), 5000)
    assert not early[:1600].any()
    np.testing.assert_array_equal(early[1600:], clips.audio(Cut(0, 0.0), 3400))


def test_labels_are_the_notes_of_the_score(clips: NoteClips, small_data: Path) -> None:
    notes = read_midi(small_data / "midi" / clips.clips[0].midi).notes
    labels = labels_of(clips, Cut(0, 0.0), 260)
    inside = [note for note in notes if note.end_s < 4.1]
    assert len(inside) > 5
    for note in inside:
        key = note.pitch - LOWEST_PITCH
        start, end = note.start_s * RATE, note.end_s * RATE
        middle = round((start + end) / 2)
        assert labels[middle, key, FRAME] == 1
        assert labels[middle, key, BEND] == pytest.approx(0, abs=1e-3)
        place = round(start)
        assert labels[place, key, ONSET] == pytest.approx(1 - abs(place - start) / 2, abs=1e-3)
        assert labels[place, key, VELOCITY] == pytest.approx(note.velocity / 127, abs=1e-3)
        assert labels[round(end), key, OFFSET] >= 0.7
    assert labels[..., FRAME].sum() == pytest.approx(
        sum(min(round(note.end_s * RATE), 260) - round(note.start_s * RATE) for note in notes),
        rel=0.02,
    )


def test_the_sound_begins_where_the_labels_say(clips: NoteClips) -> None:
    """The energy of a key's bands rises at its onsets."""
    labels = labels_of(clips, Cut(0, 0.0), 200)
    spectra = FrontEnd(CONFIG).push(clips.audio(Cut(0, 0.0), 60_000))[1]  # the short window
    bands = 1 - min(CONFIG.shifts) + 3 * np.arange(88)
    rises = []
    for frame, key in zip(*np.nonzero(labels[:, :, ONSET] > 0.75), strict=True):
        if 4 < frame < 190 and key > 30:
            curve = spectra[frame - 4 : frame + 5, bands[key]]
            rises.append(np.diff(curve))
    assert len(rises) > 8
    assert np.mean(rises, axis=0).argmax() - 3.5 == pytest.approx(0, abs=1)


def test_a_faster_clip_is_higher_and_its_notes_come_earlier(clips: NoteClips) -> None:
    speed = 2 ** (30 / 1200)
    plain, fast = labels_of(clips, Cut(0, 0.0)), labels_of(clips, Cut(0, 0.0, speed))
    sounding = fast[..., FRAME] > 0
    np.testing.assert_allclose(fast[..., BEND][sounding], 30, atol=1e-2)
    onsets = [np.argwhere(part[..., ONSET] > 0.7) for part in (plain, fast)]
    assert onsets[1][-1][0] == pytest.approx(onsets[0][-1][0] / speed, abs=3)
    # The sound is higher by as much: the peak of its spectrum is.
    audio = [clips.audio(Cut(0, 0.5, s), 16_000) for s in (1.0, speed)]
    peaks = [np.abs(np.fft.rfft(sound * np.hanning(16_000))).argmax() for sound in audio]
    assert peaks[1] / peaks[0] == pytest.approx(speed, abs=0.006)


def test_data_of_another_rate_is_resampled(small_data: Path, tmp_path: Path) -> None:
    for name in ("audio", "midi", "data.json", "manifest.jsonl", "instruments.json"):
        source = small_data / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    half = NoteClips(tmp_path, "train", 8000)
    whole = NoteClips(tmp_path, "train", 16_000)
    assert {path.name for path in (tmp_path / "samples").iterdir()} == {"8000", "16000"}
    np.testing.assert_allclose(half.durations_s, whole.durations_s, atol=1e-3)
    low, high = half.audio(Cut(0, 0.0), 8000), whole.audio(Cut(0, 0.0), 16_000)
    spectra = [np.abs(np.fft.rfft(sound))[:3000] for sound in (low, high)]
    np.testing.assert_allclose(2 * spectra[0], spectra[1], atol=0.02 * spectra[1].max())


def test_all_instruments_are_drawn_alike(clips: NoteClips) -> None:
    random = np.random.default_rng(0)
    drawn = [clips.draw(random, clips.pitched, 1.0) for _ in range(400)]
    of_piano = [clips.clips[cut.clip].instrument == "grand piano" for cut in drawn]
    assert np.mean(of_piano) == pytest.approx(0.5, abs=0.1)
    starts = np.array([cut.start_s for cut in drawn])
    assert -0.5 <= starts.min() < 0
    assert clips.background is None
    assert clips.instruments == ["grand piano", "trumpet"]


def test_what_two_play_is_heard_together() -> None:
    one, two = np.zeros((20, 88, 5), np.float32), np.zeros((20, 88, 5), np.float32)
    one[2:10, 40, FRAME] = 1
    one[2, 40, ONSET], one[9:12, 40, OFFSET] = 1, 1
    two[5:18, 40, FRAME] = 1
    two[5:18, 40, BEND] = 20
    two[5, 40, ONSET], two[18, 40, OFFSET] = 1, 1
    one[2, 40, VELOCITY], two[5, 40, VELOCITY] = 0.7, 0.3
    both = merged([one, two], 20)
    assert both.shape == (20, 88, 6)
    assert both[[2, 5], 40, VELOCITY].tolist() == pytest.approx([0.7, 0.3])
    assert both[[2, 5], 40, PART].tolist() == [0, 1]
    assert not merged([], 20).any()
    assert both[2:18, 40, FRAME].all()
    assert both[[2, 5], 40, ONSET].all()
    # The first's release is hidden by the second.
    assert not both[9:12, 40, OFFSET].any()
    assert both[18, 40, OFFSET] == 1
    assert both[4, 40, BEND] == 0
    assert both[12, 40, BEND] == 20
