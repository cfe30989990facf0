"""`timbrel transcribe` as a user runs it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from support.command_line import failure_of, result_of, run
from support.small_transcriber import small_transcriber_bundle
from timbrel.score.midi import read_midi
from timbrel.transcription.decoding import Thresholds

RATE = 16_000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    path = tmp_path_factory.mktemp("models") / "small"
    small_transcriber_bundle(path, Thresholds(onset=0.3, frame=0.2, offset=0.9))
    return ("--model", str(path))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with recordings, good ones and others, in which the program is run."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(4)
    Path("takes/more").mkdir(parents=True)
    for name in ("song.wav", "takes/one.flac", "takes/more/two.ogg", "takes/three.mp3"):
        soundfile.write(name, random.uniform(-0.5, 0.5, 2 * RATE), RATE)
    soundfile.write("silent.wav", np.zeros(RATE), RATE)
    Path("empty.wav").touch()
    Path("film.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(500))


def test_a_recording_becomes_a_midi_file(model: tuple[str, str]) -> None:
    (found,) = result_of("transcribe", "song.wav", "--csv", "--plot", "notes.png", *model)
    assert (found["file"], found["output"]) == ("song.wav", "song.mid")
    assert found["duration_s"] == 2.0
    notes = read_midi("song.mid").notes
    assert len(notes) == len(found["notes"]) > 10
    written = sorted((note["pitch"], note["velocity"]) for note in found["notes"])
    assert sorted((note.pitch, note.velocity) for note in notes) == written
    with Path("song.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["confidence"]) for row in rows] == [n["confidence"] for n in found["notes"]]
    assert list(rows[0]) == ["pitch", "start_s", "end_s", "velocity", "confidence", "cents"]
    assert Path("notes.png").stat().st_size > 1000


def test_notes_are_grouped_into_tracks(model: tuple[str, str]) -> None:
    (found,) = result_of("transcribe", "song.wav", "--csv", "--tracks", 2, *model)
    assert len(found["parts"]) == 2
    assert sum(part["notes"] for part in found["parts"]) == len(found["notes"])
    names = [part["name"] for part in found["parts"]]
    assert {note["part"] for note in found["notes"]} == set(names)
    by_name: dict[str, int] = {}
    for track in read_midi("song.mid").tracks:
        by_name[track.name] = by_name.get(track.name, 0) + len(track.notes)
        assert track.program == found["parts"][names.index(track.name)]["program"]
    assert by_name == {part["name"]: part["notes"] for part in found["parts"]}
    with Path("song.csv").open() as file:
        assert [row["part"] for row in csv.DictReader(file)] == [n["part"] for n in found["notes"]]
    silent = run("transcribe", "silent.wav", "--tracks", "auto", *model)
    assert silent.stdout == "silent.mid: 1.0 s, 0 notes\n"


def test_folders_keep_their_subfolders(model: tuple[str, str]) -> None:
    done = run("transcribe", "takes", "song.wav", "-o", "scores/", *model)
    assert (done.returncode, done.stderr) == (0, "")
    names = {str(path.relative_to("scores")) for path in Path("scores").rglob("*.mid")}
    assert names == {"one.mid", "more/two.mid", "three.mid", "song.mid"}
    assert done.stdout.startswith("scores/more/two.mid: 2.0 s, ")


def test_a_tempo_moves_no_note(model: tuple[str, str]) -> None:
    run("transcribe", "song.wav", *model)
    run("transcribe", "song.wav", "-o", "slow.mid", "--tempo", 60, *model)
    notes = (
        sorted(read_midi(name).notes, key=lambda n: n[:3]) for name in ("song.mid", "slow.mid")
    )
    for a, b in zip(*notes, strict=True):
        assert a.pitch == b.pitch
        assert a.start_s == pytest.approx(b.start_s, abs=2e-3)


def test_nothing_is_overwritten_unless_that_is_meant(model: tuple[str, str]) -> None:
    Path("song.mid").write_text("precious")
    assert "--force" in failure_of("transcribe", "song.wav", *model)
    assert run("transcribe", "song.wav", "--force", *model).returncode == 0
    assert read_midi("song.mid").n_notes > 10


def test_silence_is_an_empty_score_that_says_why(model: tuple[str, str]) -> None:
    done = run("transcribe", "silent.wav", *model)
    assert done.returncode == 0
    assert done.stderr == "silent.wav: is silent, so there are no notes\n"
    assert done.stdout == "silent.mid: 1.0 s, 0 notes\n"
    assert read_midi("silent.mid").n_notes == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("empty.wav",), "empty.wav: is empty"),
        (("film.mp4",), "ffmpeg"),
        (("missing.wav",), "missing.wav: cannot be read"),
        (("song.wav", "-o", "song.txt"), "name a .mid file"),
        (("song.wav", "-o", "-"), "standard output"),
        (("song.wav", "silent.wav", "-o", "both.mid"), "one file for 2 recordings"),
        (("song.wav", "silent.wav", "--plot", "a.png"), "--plot draws one recording"),
        (("song.wav", "--tempo", "5"), "tempo"),
        (("song.wav", "takes/../song.wav"), "written twice"),
        (("song.wav", "--tracks", "0"), "--tracks '0': give a number from 1 to 8, or 'auto'"),
        (("song.wav", "--tracks", "two"), "--tracks 'two'"),
        (("song.wav", "--encoder", "encoder"), "--encoder belongs to --tracks"),
        (("song.wav", "--tracks", "2", "--encoder", "none"), "none: "),
    ],
)
def test_what_cannot_be_is_one_line(
    arguments: tuple[str, ...], words: str, model: tuple[str, str]
) -> None:
    assert words in failure_of("transcribe", *arguments, *model)


def test_a_file_that_cannot_be_read_leaves_the_others(model: tuple[str, str]) -> None:
    done = run("transcribe", "empty.wav", "song.wav", *model)
    assert done.returncode == 2
    assert "empty.wav: is empty" in done.stderr
    assert read_midi("song.mid").n_notes > 10
    assert not Path("empty.mid").exists()
