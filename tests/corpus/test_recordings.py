"""Training data of recordings with MIDI files beside them."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import EXAMPLES
from timbrel.corpus.preparation import manifest_sha256, read_clip, read_data
from timbrel.corpus.recordings import prepare_recordings
from timbrel.corpus.soundfont import to_midi
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.score.midi import read_midi
from timbrel.training.audio_dataset import AudioClips, audio_batch
from timbrel.training.dataset import MelClips, lane_batch

RATE, LENGTH_S = 44_100, 4.0
TAKES = {"violin/a": "train", "violin/b": "valid", "my flute/x/c": "train", "my flute/d": "test"}


def tone(hz: float, rate: int = RATE) -> np.ndarray:
    """A stereo tone that begins at 0.5 s; the right channel is silent."""
    time = np.arange(round(LENGTH_S * rate)) / rate
    left = 0.8 * np.sin(2 * np.pi * hz * time) * (time >= 0.5)
    return np.stack([left, np.zeros_like(left)], axis=1)


@pytest.fixture
def takes(tmp_path: Path) -> Path:
    """Four recordings of two instruments, with splits.csv."""
    folder = tmp_path / "takes"
    score = read_midi(EXAMPLES / "duet.mid").excerpt(10, 3)
    for i, name in enumerate(TAKES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{name}.wav", tone(440 * (i + 1)), RATE)
        to_midi(score, 0, tail_s=0).save(folder / f"{name}.mid")
    rows = "".join(f"{name}.mid,{split}\n" for name, split in TAKES.items())
    (tmp_path / "splits.csv").write_text("file,split\n" + rows)
    return folder


def prepare(takes: Path, **options: object) -> Path:
    output = takes.parent / "data"
    given = {"splits": takes.parent / "splits.csv", "jobs": 1, **options}
    prepare_recordings(takes, output, **given)
    return output


def test_recordings_become_clips(takes: Path) -> None:
    data = prepare(takes, license="CC0", attribution="Played by friends.")
    settings, clips = read_data(data)
    assert settings.instruments == {"my flute": 0, "violin": 40}
    assert (settings.license, settings.attribution) == ("CC0", "Played by friends.")
    assert [(c.split, c.instrument, c.midi) for c in clips] == [
        ("train", "my flute", "my flute/x/c.mid"),
        ("train", "violin", "violin/a.mid"),
        ("valid", "violin", "violin/b.mid"),
    ]
    audio = read_clip(data, clips[1])
    assert len(audio) == clips[1].n_samples == LENGTH_S * 16_000
    # Mono is the mean of both channels; time 0 and the pitch stay.
    expected = tone(440, 16_000).mean(axis=1)
    assert np.abs(audio - expected)[8_200:-200].max() < 1e-3
    assert np.abs(audio[:7_900]).max() < 1e-3
    assert clips[1].peak == pytest.approx(0.4, abs=0.05)
    assert (data / "midi/violin/a.mid").read_bytes() == (takes / "violin/a.mid").read_bytes()


def test_trainings_read_the_data(takes: Path) -> None:
    data = prepare(takes)
    clips = MelClips(data, "train", MelConfig())
    batch = lane_batch(clips, 0, range(2), crop_frames=64, crops_per_visit=2, context=8, seed=0)
    assert clips.origin()["soundfont"] == "none"
    assert batch.roll.shape == (2, 72, 176)
    assert np.isfinite(batch.mel).all()
    assert any(clips.roll(i).window(0, 300).any() for i in range(2))
    sounding = AudioClips(data, "train", MelConfig(), performance=True)
    audio = audio_batch(sounding, 0, range(2), frames=8, before=1, after=1, seed=0)
    assert audio.audio.shape == (2, 8 * 128)


def test_preparing_again_gives_the_same_and_keeps_the_licence(takes: Path) -> None:
    data = prepare(takes, license="CC0")
    before = manifest_sha256(data)
    again = prepare_recordings(takes, data, splits=takes.parent / "splits.csv", jobs=1)
    assert (manifest_sha256(data), again.license) == (before, "CC0")
    with pytest.raises(InputError, match="holds data with another sample_rate"):
        prepare(takes, sample_rate=24_000)


def test_one_name_for_all(takes: Path) -> None:
    for path in list((takes / "violin").iterdir()):
        shutil.move(path, takes / path.name)
    rows = [f"{name.removeprefix('violin/')}.mid,{split}\n" for name, split in TAKES.items()]
    (takes.parent / "splits.csv").write_text("file,split\n" + "".join(rows))
    settings, clips = read_data(prepare(takes, instrument="fiddle"))
    assert settings.instruments == {"fiddle": 110}
    assert {clip.instrument for clip in clips} == {"fiddle"}
    assert len(clips) == 3


def test_faults_are_named_and_the_others_used(takes: Path) -> None:
    soundfile.write(takes / "violin/alone.wav", tone(440), RATE)
    shutil.copy(takes / "violin/a.mid", takes / "violin/unheard.mid")
    shutil.copy(takes / "violin/a.wav", takes / "outside.wav")
    shutil.copy(takes / "violin/a.mid", takes / "outside.mid")
    soundfile.write(takes / "violin/b.flac", tone(440), RATE)
    for name, audio in (
        ("silent", np.zeros(RATE * 3)),
        ("long", np.tile(tone(440), (3, 1))),
        ("broken", None),
    ):
        shutil.copy(takes / "violin/a.mid", takes / f"violin/{name}.mid")
        if audio is None:
            (takes / f"violin/{name}.wav").write_text("no sound")
        else:
            soundfile.write(takes / f"violin/{name}.wav", audio, RATE)
    (takes.parent / "splits.csv").write_text(
        "file,split\nviolin/a.mid,train\nviolin/b.mid,valid\nviolin/silent.mid,train\n"
        "violin/long.mid,train\nviolin/broken.mid,train\n"
    )
    faults: list[str] = []
    data = prepare(takes, skip=lambda error: faults.append(str(error)))
    assert [clip.midi for clip in read_data(data)[1]] == ["violin/a.mid", "violin/b.mid"]
    for expected in (
        "violin/alone.wav: has no MIDI file of the same name beside it",
        "violin/unheard.mid: has no recording of the same name beside it",
        "outside.wav: lies in no instrument's folder; give --instrument NAME",
        "violin/b.wav: violin/b.flac is the same recording; remove one",
        "violin/silent.wav: is silent",
        "violin/long.wav: lasts 12.0 s and its score ",
        "violin/broken.wav: cannot be read as audio",
    ):
        assert sum(f"{takes}/{expected}" in fault for fault in faults) == 1, expected
    assert len(faults) == 7


def test_a_split_without_recordings_is_refused_and_nothing_written(takes: Path) -> None:
    (takes.parent / "splits.csv").write_text("file,split\nviolin/a.mid,train\n")
    with pytest.raises(InputError, match="1 and 0 found; give a list with --splits"):
        prepare(takes)
    (takes.parent / "splits.csv").write_text("file,split\nviolin/z.mid,train\n")
    with pytest.raises(InputError, match=r"lists violin/z.mid, which is no recording's score"):
        prepare(takes)
    assert not (takes.parent / "data").exists()


def test_without_a_list_each_recording_stands_for_itself(takes: Path) -> None:
    """Not each folder: an instrument's recordings would all be in one split."""
    for i in range(30):
        for suffix in (".wav", ".mid"):
            shutil.copy(takes / f"violin/a{suffix}", takes / f"violin/{i}{suffix}")
    _, clips = read_data(prepare(takes, splits=None))
    violin = [clip.split for clip in clips if clip.instrument == "violin"]
    assert 1 <= violin.count("valid") <= 8
    assert len(violin) == 32
    assert all(dataclasses.asdict(clip)["kind"] == "score" for clip in clips)
