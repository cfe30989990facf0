"""The program as a user runs it: what it writes, what it says, and how it fails."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

import timbrel
from support.command_line import TIMBREL, failure_of, note, result_of, run, write_midi
from timbrel.bundles.bundle import CONFIG_FILE, Bundle, write_sums
from timbrel.score.instruments import TEN_INSTRUMENTS
from timbrel.vocoder.catalog import DEFAULT_VOCODER

COMMANDS = [
    *("render", "inspect", "timbres", "prepare", "train", "export", "evaluate", "listen"),
]


@pytest.fixture(autouse=True)
def _songs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with songs, good ones and others, in which the program is run."""
    monkeypatch.chdir(tmp_path)
    trumpet = mido.Message("program_change", channel=1, program=56)
    pedal = [mido.Message("control_change", control=64, value=value) for value in (127, 0)]
    write_midi("song.mid", [*pedal, *note(60), *note(64)], [trumpet, *note(67, channel=1, ms=700)])
    write_midi("other.mid", note(60, ms=300))
    bend = mido.Message("pitchwheel", pitch=300)
    write_midi("odd.mid", [*note(60, ms=512), bend, bend, *note(36, channel=9), *note(12)])
    write_midi("drums.mid", note(36, channel=9))
    write_midi("silent.mid", [mido.Message("program_change", program=3)])
    Path("empty.mid").touch()
    Path("text.mid").write_text("Dear diary,\n")
    Path("cut.mid").write_bytes(Path("song.mid").read_bytes()[:-20])
    Path("folder.mid").mkdir()


@pytest.fixture
def model(tiny_bundle: Bundle) -> tuple[str, str]:
    """The options that choose the small model."""
    return ("--model", str(tiny_bundle.path))


def files() -> set[str]:
    """What lies in the folder but the songs."""
    return {str(p) for p in Path().rglob("*") if p.is_file() and p.suffix != ".mid"}


# What it plays


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_a_song_is_rendered_to_a_file(model: tuple[str, str], suffix: str) -> None:
    done = run("render", "song.mid", *model, "-o", f"out.{suffix}")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(
        rf"out\.{suffix}: 3\.0 s of sound in \d+\.\d s, \d+\.\d× as fast as it plays "
        r"\(real-time factor \d\.\d{3}\)\n",
        done.stdout,
    )
    assert files() == {f"out.{suffix}"}
    info = soundfile.info(f"out.{suffix}")
    assert (info.samplerate, info.channels, info.frames) == (16_000, 2, 48_000)
    assert info.format == suffix.upper()


def test_by_default_the_sound_is_named_after_the_song(model: tuple[str, str]) -> None:
    Path("songs").mkdir()
    shutil.move("song.mid", "songs")
    assert run("render", "songs/song.mid", *model).returncode == 0
    assert files() == {"song.wav"}


def test_several_songs_go_to_a_folder_and_are_told_of_in_json(model: tuple[str, str]) -> None:
    first, second = result_of("render", "song.mid", "odd.mid", *model, "-o", "out/", "--seed", 5)
    assert files() == {"out/song.wav", "out/odd.wav"}
    took_s, factor = first.pop("took_s"), first.pop("real_time_factor")
    assert took_s > 0
    assert factor == pytest.approx(took_s / 3.0, abs=0.001)
    assert first == {
        "file": "song.mid",
        "output": "out/song.wav",
        "stems": [],
        "duration_s": 3.0,
        "sample_rate": 16_000,
        "tracks": 2,
        "unplayable": {},
        "model": "tiny",
        "vocoder": "parallel",
        "seed": 5,
    }
    assert (second["file"], second["duration_s"]) == ("odd.mid", 2.512)
    assert second["unplayable"] == {"drum_notes": 1, "notes_outside_21_108": 1, "pitch_bends": 2}


def test_stems_are_written_as_well_and_mono_is_one_channel(model: tuple[str, str]) -> None:
    (result,) = result_of("render", "song.mid", *model, "--stems", "stems", "--mono")
    stems = ["stems/song-01-acoustic-grand-piano.wav", "stems/song-02-trumpet.wav"]
    assert result["stems"] == stems
    assert files() == {"song.wav", *stems}
    mix, *tracks = (soundfile.read(name)[0] for name in ("song.wav", *stems))
    assert mix.shape == tracks[0].shape == tracks[1].shape == (48_000,)
    np.testing.assert_allclose(mix, (tracks[0] + tracks[1]) / np.sqrt(2), atol=2 / 32768)


def test_an_excerpt_is_as_long_as_asked_for(model: tuple[str, str]) -> None:
    (result,) = result_of("render", "song.mid", *model, "--start", 0.2, "--duration", 0.8)
    assert result["duration_s"] == 0.8
    assert soundfile.info("song.wav").frames == 12_800


def test_options_change_the_sound_and_the_same_ones_do_not(model: tuple[str, str]) -> None:
    Path("my.timbre").write_text(
        '{"timbrel_timbre": 1, "path": [{"time_s": 0, "timbre": "harp"}]}\n'
    )
    rendered = {}
    for options in (
        (),
        ("--seed", 0, "--threads", 2),
        ("--timbre", "harp"),
        ("--timbre", "my.timbre"),
        ("--timbre", "1=harp", "--timbre", "2=harp"),
        ("--timbre", "harp", "--timbre", "2=trumpet"),
        ("--seed", 1),
        ("--gain", 3),
    ):
        run("render", "song.mid", *model, "--force", *options)
        rendered[options] = soundfile.read("song.wav", dtype="int16")[0].tobytes()
    default, same, harp, file, both, one, seed, louder = rendered.values()
    assert default == same
    assert harp == file == both
    assert len({default, harp, one, seed, louder}) == 5


def test_force_overwrites(model: tuple[str, str]) -> None:
    Path("song.wav").write_text("old")
    assert "--force" in failure_of("render", "song.mid", *model)
    assert run("render", "song.mid", *model, "--force").returncode == 0
    assert soundfile.info("song.wav").frames == 48_000


def test_what_cannot_be_played_is_said_once(model: tuple[str, str]) -> None:
    done = run("render", "odd.mid", *model)
    assert done.returncode == 0
    assert done.stderr == (
        "odd.mid: left out, as they cannot be played: notes of drums (1), "
        "notes outside the 88 keys (1), pitch bends (2)\n"
    )


def test_progress_is_shown_where_a_person_watches(model: tuple[str, str]) -> None:
    shutil.copy("song.mid", "[red]song.mid")  # which is no markup
    watched = run("render", "[red]song.mid", *model, FORCE_COLOR="1")
    assert watched.returncode == 0
    assert "[red]song.mid" in watched.stderr
    assert "100 %" in watched.stderr


# What it says


def test_inspect_tells_what_a_file_holds() -> None:
    done = run("inspect", "song.mid", "odd.mid", "drums.mid")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    left_out = "left out, as they cannot be played: notes of drums (1)"
    assert lines == [
        "song.mid: 1.0 s, 3 notes, 2 pedal events",
        "1 Acoustic Grand Piano channel 1 Acoustic Grand Piano (0) 2 notes",
        "2 Trumpet channel 2 Trumpet (56) 1 notes",
        "odd.mid: 0.5 s, 3 notes, 0 pedal events",
        "1 Acoustic Grand Piano channel 1 Acoustic Grand Piano (0) 1 notes",
        f"odd.mid: {left_out}, notes outside the 88 keys (1), pitch bends (2)",
        "drums.mid: 0.0 s, 1 notes, 0 pedal events",
        f"drums.mid: {left_out}",
    ]


def test_inspect_tells_the_same_in_json() -> None:
    assert result_of("inspect", "song.mid", "drums.mid") == [
        {
            "file": "song.mid",
            "duration_s": 1.0,
            "notes": 3,
            "pedal_events": 2,
            "tracks": [
                {"name": "Acoustic Grand Piano", "program": 0, "channel": 1, "notes": 2},
                {"name": "Trumpet", "program": 56, "channel": 2, "notes": 1},
            ],
            "unplayable": {},
        },
        {
            "file": "drums.mid",
            "duration_s": 0.0,
            "notes": 1,
            "pedal_events": 0,
            "tracks": [],
            "unplayable": {"drum_notes": 1},
        },
    ]


@pytest.mark.parametrize(("name", "start"), [("roll.png", b"\x89PNG"), ("roll.svg", b"<?xml")])
def test_inspect_draws_the_roll(name: str, start: bytes) -> None:
    assert run("inspect", "song.mid", "--plot", name).returncode == 0
    assert files() == {name}
    assert Path(name).read_bytes().startswith(start)


def test_timbres_lists_the_instruments(model: tuple[str, str], tiny_bundle: Bundle) -> None:
    done = run("timbres", *model)
    assert len(done.stdout.splitlines()) == 10
    x, y = tiny_bundle.instruments[3].embedding
    assert f"church organ         program  19  @{x:.3f},{y:.3f}\n" in done.stdout
    rows = result_of("timbres", *model)
    assert {row["name"]: row["program"] for row in rows} == TEN_INSTRUMENTS
    assert rows[3]["coordinates"] == [x, y]


def test_a_timbre_is_looked_up_and_saved(model: tuple[str, str], tiny_bundle: Bundle) -> None:
    points = {i.name: np.array(i.embedding) for i in tiny_bundle.instruments}
    middle = (points["harp"] + 3 * points["trumpet"]) / 4
    spec = "0s Harp, trumpet:3; 8s harp"
    rows = result_of("timbres", spec, *model)
    assert [row["time_s"] for row in rows] == [0, 8]
    np.testing.assert_allclose(rows[0]["coordinates"], middle, rtol=1e-12)
    done = run("timbres", spec, *model, "-o", "my.timbre")
    lines = [f"{t:g} s  @{x:.3f},{y:.3f}" for t, (x, y) in ((0, middle), (8, points["harp"]))]
    assert done.stdout.splitlines() == [*lines, "my.timbre: saved"]
    assert result_of("timbres", "my.timbre", *model) == rows
    assert "my.timbre: exists" in failure_of("timbres", "harp", *model, "-o", "my.timbre")
    assert "ends with '.timbre'" in failure_of("timbres", "harp", *model, "-o", "my.json")
    assert "name it" in failure_of("timbres", *model, "-o", "new.timbre")


def test_the_version_is_that_of_the_package() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"timbrel {timbrel.__version__}\n")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_the_help_lists_the_commands(arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    for command in COMMANDS:
        assert re.search(rf"^\W*{command}  ", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_its_options(command: str) -> None:
    done = run(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(re.findall(r"^\W*--[a-z-]+.*[a-z]", done.stdout, re.MULTILINE)) >= 2
    if command == "render":
        words = re.sub(r"[^\w.-]+", " ", done.stdout)  # without the frame around them
        assert f"By default {DEFAULT_VOCODER}." in words


def test_bash_completes_commands_and_options() -> None:
    assert "--install-completion" in run("--help").stdout
    script = run("--show-completion", "bash", SHELL="/bin/bash")
    assert script.returncode == 0
    assert "_TIMBREL_COMPLETE=complete_bash" in script.stdout
    for words, completed in (
        ("timbrel re", {"render"}),
        ("timbrel render --st", {"--start", "--stems"}),
    ):
        done = run(
            _TIMBREL_COMPLETE="complete_bash",
            COMP_WORDS=words,
            COMP_CWORD=str(len(words.split()) - 1),
        )
        assert set(done.stdout.split()) == completed


# How it fails


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty.mid", "empty.mid: is empty; a MIDI file was expected"),
        ("text.mid", "text.mid: is not a MIDI file"),
        ("cut.mid", "cut.mid: is cut off"),
        ("silent.mid", "silent.mid: the score has no notes that can be played"),
        (
            "drums.mid",
            "drums.mid: the score has no notes that can be played; left out: drum notes (1)",
        ),
        ("missing.mid", "missing.mid: cannot be read (No such file or directory)"),
        ("folder.mid", "folder.mid: "),
    ],
)
def test_a_file_that_is_no_song_is_refused_before_anything_is_written(
    model: tuple[str, str], name: str, message: str
) -> None:
    assert failure_of("render", "song.mid", name, *model, "-o", "new/").startswith(message)
    if name not in ("silent.mid", "drums.mid"):
        assert failure_of("inspect", name).startswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "song.mp3"], "song.mp3: cannot write '.mp3' files; use one of .wav, .flac, .ogg"),
        (["-o", "nowhere/x.wav"], "the folder nowhere does not exist"),
        (["-o", "text.mid/out/"], "text.mid/out: cannot be created, as text.mid is not a folder"),
        (["-o", "text.mid/x.wav"], "text.mid/x.wav: text.mid is not a folder"),
        (["-o", "/proc/x.wav"], "/proc/x.wav: cannot be written"),
        (["-o", "/proc/out/"], "/proc/out: cannot be created"),
        (["-o", "new/", "--stems", "text.mid"], "text.mid is not a folder"),
        (["song.mid", "-o", "new/"], "new/song.wav: would be written twice"),
        (["other.mid", "-o", "x.wav"], "x.wav: is one file for 2 scores; name a folder"),
        (["--timbre", "trumpit"], "there is no instrument 'trumpit'; did you mean trumpet?"),
        (["--timbre", "harp:much"], "'much' is not a number"),
        (["--timbre", "harp:1, trumpet:-1"], "must add up to more than 0"),
        (["--timbre", "@nan,0"], "'nan' is not finite"),
        (["--timbre", "@0.1,inf"], "'inf' is not finite"),
        (["--timbre", "@0.1"], "has 1 coordinates; the model has 2"),
        (["--timbre", ""], "is empty"),
        (["--timbre", "missing.timbre"], "missing.timbre: cannot be read"),
        (["--timbre", "harp", "--timbre", "trumpet"], "two timbres for all tracks"),
        (["--timbre", "1=harp", "--timbre", "1=trumpet"], "two timbres for track 1"),
        (["--timbre", "3=harp"], "song.mid: there is no track 3; the score has 2"),
        (["--start", "-1"], "song.mid: start -1 s lies outside the score (1.0 s)"),
        (["--start", "1"], "song.mid: start 1 s lies outside the score"),
        (["--start", "nan"], "song.mid: start nan s lies outside the score"),
        (["--duration", "0"], "a duration of 0 s is not possible"),
        (["--duration", "-2"], "a duration of -2 s is not possible"),
        (["--gain", "nan"], "a gain of nan dB is not possible"),
        (["--max-duration", "0.0001"], "song.mid: lasts longer than 0.0001 hours"),
        (
            ["--vocoder", "theremin"],
            "there is no vocoder 'theremin'; known: parallel, wavenet, griffin-lim",
        ),
        (["--model", "nowhere"], "nowhere: is neither a bundle's folder nor a shipped model"),
        (["--model", "folder.mid"], "folder.mid: is no bundle"),
    ],
)
def test_what_render_cannot_do_is_refused_before_anything_is_written(
    model: tuple[str, str], arguments: list[str], message: str
) -> None:
    assert message in failure_of("render", "song.mid", *model, *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["render"], "missing argument 'SONG.mid' (see 'timbrel render --help')"),
        (["render", "song.mid", "--timbr", "harp"], "no such option: --timbr"),
        (["render", "song.mid", "--seed", "-1"], "invalid value for '--seed'"),
        (["render", "song.mid", "--start", "soon"], "invalid value for '--start'"),
        (["render", "song.mid", "-o"], "requires an argument"),
        (["rendr", "song.mid"], "no such command 'rendr'"),
        (["--colour"], "no such option: --colour"),
        (["inspect", "song.mid", "drums.mid", "--plot", "x.png"], "--plot draws one file"),
        (["inspect", "drums.mid", "--plot", "x.png"], "no notes to draw"),
        (["inspect", "song.mid", "--plot", "x.abc"], "x.abc: pictures end in .png"),
        (["inspect", "song.mid", "--plot", "text.mid"], "text.mid: exists"),
        (["timbres", "--model", "nowhere"], "nowhere: is neither"),
    ],
)
def test_what_is_not_understood_is_one_line_with_a_way_out(
    arguments: list[str], message: str
) -> None:
    assert message in failure_of(*arguments)


def test_a_damaged_model_is_refused(tiny_bundle: Bundle) -> None:
    path = Path(shutil.copytree(tiny_bundle.path, "bundle"))
    weights = bytearray((path / "past.onnx").read_bytes())
    weights[1000] ^= 1
    (path / "past.onnx").write_bytes(weights)
    message = failure_of("render", "song.mid", "--model", "bundle")
    assert message.startswith("bundle/past.onnx: is damaged")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "has format 2; this Timbrel reads format 1. Update Timbrel"),
        ({"colour": "red"}, "has an unknown key 'colour'"),
    ],
)
def test_a_model_of_the_future_is_refused(
    tiny_bundle: Bundle, change: dict[str, object], message: str
) -> None:
    path = Path(shutil.copytree(tiny_bundle.path, "bundle"))
    config = json.loads((path / CONFIG_FILE).read_text())
    (path / CONFIG_FILE).write_text(json.dumps({**config, **change}))
    write_sums(path)
    assert f"bundle/{CONFIG_FILE}: {message}" in failure_of(
        "render", "song.mid", "--model", "bundle"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prepare", "folder.mid"], "folder.mid: holds no MIDI files"),
        (["train", "missing.yaml", "--data", "data"], "missing.yaml: cannot be read"),
        (["export", "missing"], "missing"),
    ],
)
def test_training_without_data_is_refused(
    soundfont: Path, arguments: list[str], message: str
) -> None:
    more = ["--soundfont", soundfont] if arguments[0] == "prepare" else []
    assert message in failure_of(*arguments, *more, "-o", "out")


def test_a_reader_that_has_enough_is_no_error() -> None:
    command = f"yes song.mid | head -2000 | xargs {TIMBREL} inspect | head -1"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.stdout == "song.mid: 1.0 s, 3 notes, 2 pedal events\n"
    assert done.stderr == ""


# What it loads


def loaded_after(code: str) -> set[str]:
    """Heavy packages that are loaded after some code has run in a process of its own."""
    heavy = ("torch", "numpy", "typer", "onnxruntime", "librosa", "matplotlib", "onnx")
    code += f"\nimport sys; print(*[name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()) if done.stdout.strip() else set()


def test_importing_timbrel_loads_next_to_nothing() -> None:
    assert loaded_after("import timbrel; timbrel.__version__; dir(timbrel)") == set()


def test_rendering_does_not_load_torch(tiny_bundle: Bundle) -> None:
    code = (
        "import timbrel\n"
        f"synthesizer = timbrel.Synthesizer.load({str(tiny_bundle.path)!r})\n"
        "assert synthesizer.render('other.mid').any()"
    )
    assert loaded_after(code) == {"numpy", "onnxruntime"}


def test_all_that_is_public_can_be_had() -> None:
    assert len(timbrel.__all__) <= 10
    for name in timbrel.__all__:
        assert getattr(timbrel, name).__doc__
        assert name in dir(timbrel)
    with pytest.raises(AttributeError, match="no attribute 'missing'"):
        _ = timbrel.missing


# Evaluation


def test_an_evaluation_writes_its_report(model: tuple[str, str], soundfont: Path) -> None:
    """And another one takes what it needs from the cache."""
    write_midi("song.mid", *[note(60 + i, ms=150) for i in range(8)])
    Path("list.csv").write_text("file,start_s,duration_s\nsong.mid,0,1.2\n")
    command = ("evaluate", "--midi", ".", "--soundfont", soundfont, "-o", "report", *model)
    command += ("--excerpts", "list.csv", "--instrument", "harp", "--judge", "madmom")
    done = run(*command, "--vocoder", "griffin-lim", "--jobs", 1)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "report/report.html: written\n"
    assert done.stdout == Path("report/results.md").read_text() + "\n"
    assert "| µ-law only |" in done.stdout
    content = json.loads(Path("report/results.json").read_text())
    assert content["instruments"] == ["harp"]
    assert list(content["log_cqt_correlation"]) == [
        "µ-law only",
        "true mel, griffin-lim",
        "tiny, griffin-lim",
    ]
    assert content["judges_left_out"] == []
    assert {path.split("/")[0] for path in files()} == {"list.csv", "report"}
    assert failure_of("listen", "--report", "report", "--analyse").startswith(
        "report: nobody has listened yet"
    )
    assert "no condition 'magic'" in failure_of(
        "listen", "--report", "report", "--condition", "magic"
    )


def test_evaluations_that_cannot_be_are_refused(soundfont: Path) -> None:
    with_font = ("--soundfont", soundfont, "-o", "report")
    assert failure_of("evaluate", "--midi", "none", *with_font) == "none: is not a folder"
    assert failure_of("evaluate", "--midi", ".", *with_font, "--excerpts", "none.csv").startswith(
        "none.csv: cannot be read"
    )
    Path("list.csv").write_text("file,start_s,duration_s\nsong.mid,0,1.2\n")
    given = ("evaluate", "--midi", ".", "--excerpts", "list.csv", "-o", "report")
    assert "there is no such SoundFont" in failure_of(*given, "--soundfont", "none.sf2")
    assert "there is no vocoder 'magic'" in failure_of(
        *given, "--soundfont", soundfont, "--vocoder", "magic"
    )
    assert "is no report" in failure_of("listen", "--report", ".")
