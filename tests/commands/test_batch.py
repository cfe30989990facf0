"""Many files at once: those that cannot be used are named, and the others are done."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import soundfile
import typer

from support.command_line import failure_of, files, note, run, write_midi
from support.notes_data import sine
from timbrel.commands.batch import Batch, Failures
from timbrel.errors import InputError
from timbrel.notes.codec import NoteCodec

pytestmark = pytest.mark.usefixtures("songs")

# What `songs` has of files that cannot be played, and how the line about each begins.
BAD = {
    "empty.mid": "empty.mid: is empty",
    "text.mid": "text.mid: is not a MIDI file",
    "missing.mid": "missing.mid: cannot be read (No such file or directory)",
    "folder.mid": "folder.mid: holds no MIDI files",
    "silent.mid": "silent.mid: the score has no notes that can be played",
    "drums.mid": "drums.mid: the score has no notes that can be played",
}
READABLE = ("silent.mid", "drums.mid")  # by `inspect`


def complaints(error: str) -> list[str]:
    """Lines of stderr, each of which begins with the program's name."""
    lines = error.splitlines()
    assert all(line.startswith("timbrel: ") for line in lines), error
    return [line.removeprefix("timbrel: ") for line in lines]


def assert_named(error: str, expected: list[str], last: str) -> None:
    found = complaints(error)
    assert found[-1] == last
    for line, beginning in zip(found[:-1], expected, strict=True):
        assert line.startswith(beginning)


def test_the_good_ones_are_rendered_and_the_bad_ones_named(model: tuple[str, str]) -> None:
    bad = list(BAD)
    given = [*bad[:2], "song.mid", *bad[2:], "other.mid"]
    done = run("render", *given, *model, "-o", "out/", "--stems", "out/stems")
    assert done.returncode == 2
    assert_named(done.stderr, list(BAD.values()), "6 of 8 files failed; the others are done")
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [
        *("song.mid", "out/song.wav"),
        *("other.mid", "out/other.wav"),
    ]
    stems = ["other-01-acoustic-grand-piano", "song-01-acoustic-grand-piano", "song-02-trumpet"]
    assert files() == {
        "out/song.wav",
        "out/other.wav",
        *(f"out/stems/{stem}.wav" for stem in stems),
    }


def test_json_tells_of_both_in_the_order_of_the_files(model: tuple[str, str]) -> None:
    done = run("render", "text.mid", "other.mid", "drums.mid", *model, "--json")
    assert done.returncode == 2
    text, other, drums = json.loads(done.stdout)
    assert text == {"file": "text.mid", "error": complaints(done.stderr)[0]}
    assert (other["file"], other["output"]) == ("other.mid", "other.wav")
    assert drums["error"].startswith(BAD["drums.mid"])


@pytest.mark.parametrize("name", ["text.mid", "drums.mid"])
def test_who_wants_to_stop_at_the_first_gets_nothing(model: tuple[str, str], name: str) -> None:
    message = failure_of("render", "song.mid", name, "empty.mid", *model, "--stop-at-first")
    assert message.startswith(BAD["empty.mid"] if name in READABLE else BAD[name])


def test_where_all_fail_nothing_is_written() -> None:
    done = run("render", "empty.mid", "text.mid", "-o", "out/")
    assert (done.returncode, done.stdout) == (2, "")
    assert_named(done.stderr, [BAD["empty.mid"], BAD["text.mid"]], "all 2 files failed")
    assert files() == set()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--start", 0.5), "other.mid: the start, 0.5 s, lies beyond the score's end (0.3 s)"),
        (("--timbre", "2=harp"), "other.mid: there is no track 2; the score has 1"),
        (("--max-duration", 0.0002), "song.mid: lasts longer than 0.0002 hours"),
    ],
)
def test_options_that_do_not_fit_one_song_do_for_another(
    model: tuple[str, str], options: tuple[object, ...], message: str
) -> None:
    done = run("render", "song.mid", "other.mid", *model, *options)
    assert done.returncode == 2
    assert_named(done.stderr, [message], "1 of 2 files failed; the others are done")
    assert len(files()) == 1


def test_options_that_fit_none_are_refused_as_a_whole(model: tuple[str, str]) -> None:
    given = ("render", "song.mid", "other.mid", *model)
    assert "no instrument 'trumpit'" in failure_of(*given, "--timbre", "trumpit")
    assert "the duration must be" in failure_of(*given, "--duration", "-1")
    Path("other.wav").touch()
    assert "other.wav: exists; give --force" in failure_of(*given)
    assert "one file for 2 sounds" in failure_of("render", "song.mid", "cut.mid", "-o", "x.wav")


def test_inspect_goes_on(songs: None) -> None:  # noqa: ARG001
    names = [name for name in BAD if name not in READABLE]
    done = run("inspect", "song.mid", *names, "other.mid")
    assert done.returncode == 2
    expected = [BAD[name] for name in names]
    assert_named(done.stderr, expected, "4 of 6 files failed; the others are done")
    lines = done.stdout.splitlines()
    assert (lines[0], lines[3]) == (
        "song.mid: 1.0 s, 3 notes, 2 pedal events",
        "other.mid: 0.3 s, 1 notes, 0 pedal events",
    )
    as_json = run("inspect", "song.mid", *names, "other.mid", "--json")
    assert as_json.returncode == 2
    rows = json.loads(as_json.stdout)
    assert [row["file"] for row in rows] == ["song.mid", *names, "other.mid"]
    assert ["error" in row for row in rows] == [False, *[True] * 4, False]
    assert "empty.mid" in failure_of(
        "inspect", "song.mid", "empty.mid", "--stop-at-first", "--json"
    )


def test_lack_of_memory_is_the_fault_of_one_file(capsys: pytest.CaptureFixture[str]) -> None:
    batch = Batch([Path("a.mid"), Path("b.mid"), Path("a.mid")])

    def work(place: int) -> int:
        if place == 1:
            raise MemoryError
        return place

    assert batch.each(work) == {0: 0, 2: 2}
    assert batch.each(lambda place: place) == {0: 0, 2: 2}  # what has failed is not tried again
    with pytest.raises(typer.Exit) as end:
        batch.end()
    assert end.value.exit_code == 2
    first, last = complaints(capsys.readouterr().err)
    assert first.startswith("b.mid: there is not enough memory")
    assert last == "1 of 3 files failed; the others are done"


def test_a_fault_that_is_met_twice_is_one() -> None:
    failures = Failures()
    for _ in range(2):
        failures(InputError("a.mid: is empty"))
    with pytest.raises(typer.Exit):
        failures.end()
    with pytest.raises(InputError):
        Failures(stop_at_first=True)(InputError("a.mid: is empty"))
    Failures().end()  # which has nothing to end


# Notes


@pytest.fixture
def clips(tiny_codec: NoteCodec) -> list[str]:
    """Clips beside the songs, good ones and others; gives the option that names the model."""
    for name, pitch in (("a", 60), ("b", 67)):
        soundfile.write(f"{name}.wav", sine(pitch, 3, samples=1_500), 16_000)
    soundfile.write("silent.wav", sine(60, 3, samples=800) * 0, 16_000)
    soundfile.write("nothing.wav", sine(60, 3, samples=0), 16_000)
    Path("text.wav").write_text("no audio")
    return ["--model", str(tiny_codec.bundle.path)]


BAD_CLIPS = {
    "silent.wav": "silent.wav: is silent",
    "nothing.wav": "nothing.wav: is empty",
    "text.wav": "text.wav: cannot be read as audio",
    "missing.wav": "missing.wav: cannot be read as audio",
}


def test_clips_that_can_be_read_are_encoded(clips: list[str], tiny_codec: NoteCodec) -> None:
    done = run("notes", "encode", "a.wav", *BAD_CLIPS, "b.wav", "-o", "codes.npz", *clips)
    assert done.returncode == 2
    expected = list(BAD_CLIPS.values())
    assert_named(done.stderr, expected, "4 of 6 files failed; the others are done")
    assert done.stdout == "a: 3 frames\nb: 3 frames\n"
    assert [clip.name for clip in tiny_codec.load_codes("codes.npz")] == ["a", "b"]
    assert "text.wav" in failure_of(
        *("notes", "encode", "a.wav", "text.wav", "-o", "more.npz", *clips, "--stop-at-first")
    )
    nothing = run("notes", "encode", "text.wav", "silent.wav", "-o", "more.npz", *clips)
    assert nothing.returncode == 2
    assert not Path("more.npz").exists()


def test_clips_that_can_be_read_are_reconstructed(clips: list[str]) -> None:
    done = run("notes", "reconstruct", "text.wav", "a.wav", "-o", "out", *clips)
    assert done.returncode == 2
    assert_named(done.stderr, [BAD_CLIPS["text.wav"]], "1 of 2 files failed; the others are done")
    assert [path.name for path in Path("out").iterdir()] == ["a.wav"]


def test_clips_that_can_be_read_are_drawn(clips: list[str]) -> None:  # noqa: ARG001
    done = run("notes", "rainbowgram", "text.wav", "a.wav", "nothing.wav", "-o", "picture.png")
    assert (done.returncode, done.stdout) == (2, "picture.png: written\n")
    expected = [BAD_CLIPS["text.wav"], BAD_CLIPS["nothing.wav"]]
    assert_named(done.stderr, expected, "2 of 3 files failed; the others are done")


def test_pitches_of_a_grid_that_can_be_read_are_made(clips: list[str]) -> None:
    corners = [f"corner{i}" for i in range(4)]
    for corner in corners:
        Path(corner).mkdir()
        for pitch in (60, 62):
            shutil.copy("a.wav", f"{corner}/note-{pitch:03d}.wav")
    shutil.copy("text.wav", "corner2/note-060.wav")
    done = run("notes", "grid", *corners, "-o", "grid", "--size", 2, *clips)
    assert done.returncode == 2
    assert_named(
        done.stderr,
        ["corner2/note-060.wav: cannot be read as audio"],
        "1 file failed; the others are done",
    )
    assert [path.name for path in Path("grid").iterdir()] == ["062"]


# Training data and evaluations


def test_training_data_are_made_without_the_damaged_files(soundfont: Path) -> None:
    midis = Path("midis")
    for name in ("train", "valid", "damaged"):
        (midis / name).mkdir(parents=True)
        write_midi(str(midis / name / "song.mid"), note(60, ms=200))
    damaged = midis / "damaged" / "song.mid"
    damaged.write_bytes(damaged.read_bytes()[:-10])
    rows = ["damaged/song.mid,train", "train/song.mid,train", "valid/song.mid,valid"]
    Path("splits.csv").write_text("\n".join(["file,split", *rows]))
    given = ("prepare", midis, "--soundfont", soundfont, "--splits", "splits.csv", "--jobs", 1)
    stopped = failure_of(*given, "-o", "stopped", "--stop-at-first")
    assert "damaged/song.mid: is cut off" in stopped
    done = run(*given, "-o", "data")
    assert done.returncode == 2
    found = complaints(done.stderr)
    assert (found[0], found[1]) == (stopped, "1 file failed; the others are done")
    assert done.stdout.startswith("data: ready")
    lines = [json.loads(line) for line in Path("data/manifest.jsonl").read_text().splitlines()]
    assert {line["midi"] for line in lines} == {"train/song.mid", "valid/song.mid"}
    assert len(lines) == 2 * 10
