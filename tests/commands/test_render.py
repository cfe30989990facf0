"""`timbrel render` as a user runs it: what it writes, what it says, and how it fails."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import stat
import subprocess
import wave
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from support.command_line import (
    TIMBREL,
    failure_of,
    files,
    note,
    result_of,
    run,
    run_process,
    write_midi,
)
from timbrel.bundles.bundle import CONFIG_FILE, Bundle, write_sums

pytestmark = pytest.mark.usefixtures("songs")


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_a_song_is_rendered_to_a_file(model: tuple[str, str], suffix: str) -> None:
    done = run("render", "song.mid", *model, "-o", f"out.{suffix}")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(
        r"song\.mid: grand piano plays track 1; trumpet plays track 2\n"
        rf"out\.{suffix}: 4\.0 s of sound in \d+\.\d s, \d+\.\d× real time\n",
        done.stdout,
    )
    assert files() == {f"out.{suffix}"}
    info = soundfile.info(f"out.{suffix}")
    assert (info.samplerate, info.channels, info.frames) == (16_000, 2, 64_000)
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
    assert factor == pytest.approx(took_s / 4.0, abs=0.001)
    assert first.pop("loudness_lufs") == pytest.approx(-16, abs=0.11)
    assert first.pop("true_peak_dbtp") <= -1
    assert first.pop("gain_db") > 0
    assert first == {
        "file": "song.mid",
        "output": "out/song.wav",
        "stems": [],
        "duration_s": 4.0,
        "sample_rate": 16_000,
        "tracks": [
            {
                **{"number": 1, "name": "Acoustic Grand Piano", "program": 0, "drums": False},
                **{"port": 1, "channel": 1, "notes": 2, "instrument": "grand piano"},
            },
            {
                **{"number": 2, "name": "Trumpet", "program": 56, "drums": False},
                **{"port": 1, "channel": 2, "notes": 1, "instrument": "trumpet"},
            },
        ],
        "unplayable": {},
        "warnings": [],
        "model": "tiny",
        "vocoder": "parallel",
        "seed": 5,
    }
    assert (second["file"], second["duration_s"]) == ("odd.mid", 3.512)
    assert second["unplayable"] == {"drum_notes": 1, "notes_outside_21_108": 1, "pitch_bends": 2}


def test_stems_are_written_as_well_and_mono_is_one_channel(model: tuple[str, str]) -> None:
    given = ("render", "song.mid", *model, "--stems", "stems", "--mono", "--bit-depth", 24, "--dry")
    (result,) = result_of(*given)
    stems = ["stems/song-01-acoustic-grand-piano.wav", "stems/song-02-trumpet.wav"]
    assert result["stems"] == stems
    assert files() == {"song.wav", *stems}
    mix, *tracks = (soundfile.read(name)[0] for name in ("song.wav", *stems))
    assert mix.shape == tracks[0].shape == tracks[1].shape == (48_000,)
    np.testing.assert_allclose(mix, tracks[0] + tracks[1], atol=1e-4)
    assert soundfile.info("song.wav").subtype == "PCM_24"
    (other,) = result_of(*given, "--stems-kind", "pre-fader", "--force", "--no-normalize")
    assert other["gain_db"] == 0
    dry = [soundfile.read(name)[0] for name in stems]
    for one, louder in zip(dry, tracks, strict=True):
        factor = 10 ** (result["gain_db"] / 20)
        np.testing.assert_allclose(louder, factor * one, atol=1e-5 * factor)


def test_what_cannot_be_as_loud_as_asked_for_is_said(model: tuple[str, str]) -> None:
    done = run("render", "song.mid", *model, "--loudness", "-1", "--mono")
    assert done.returncode == 0
    assert re.fullmatch(
        r"song\.mid: stays at −\d+\.\d LUFS, \d+\.\d dB quieter than asked for; its peaks would "
        r"need more than 6 dB of limiting\n",
        done.stderr,
    )
    silent = [mido.Message("control_change", control=7, value=0), *note(60)]
    write_midi("muted.mid", silent)
    done = run("render", "muted.mid", *model)
    assert done.returncode == 0
    assert done.stderr == ("muted.mid: is silent (below −70 LUFS); its loudness stays as it is\n")
    assert not soundfile.read("muted.wav")[0].any()
    (row,) = result_of("render", "muted.mid", *model, "--force")
    assert row["loudness_lufs"] is None
    assert row["warnings"] == ["is silent (below −70 LUFS); its loudness stays as it is"]


@pytest.mark.parametrize(
    ("bit_depth", "name", "subtype"),
    [("16", "x.wav", "PCM_16"), ("24", "x.flac", "PCM_24"), ("32f", "x.wav", "FLOAT")],
)
def test_files_have_the_bits_that_are_asked_for(
    model: tuple[str, str], bit_depth: str, name: str, subtype: str
) -> None:
    assert run("render", "song.mid", *model, "-o", name, "--bit-depth", bit_depth).returncode == 0
    assert soundfile.info(name).subtype == subtype


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


def test_general_midi_names_and_track_names_choose_timbres(model: tuple[str, str]) -> None:
    rendered = {}
    for options in (
        ("--timbre", "0"),
        ("--timbre", "piano"),
        ("--timbre", "100% grand piano"),
        ("--timbre", "acoustic grand piano=trumpet", "--timbre", "TRUMPET=0"),
        ("--timbre", "1=56", "--timbre", "0"),
        ("--timbre", "50% trumpet + 50% harp"),
        ("--timbre", "trumpet, orchestral harp"),
    ):
        done = run("render", "song.mid", *model, "--force", *options)
        assert done.returncode == 0, done.stderr
        rendered[options] = Path("song.wav").read_bytes()
    number, everyday, whole, names, numbers, percent, commas = rendered.values()
    assert number == everyday == whole
    assert names == numbers
    assert percent == commas
    assert len({number, names, percent}) == 3


def test_what_should_be_known_of_a_timbre_is_said(model: tuple[str, str]) -> None:
    done = run("render", "song.mid", *model, "--timbre", "1=violin", "--timbre", "2=@99,99")
    assert done.stderr == (
        "song.mid: the model has no Violin; string ensemble sounds nearest to it and plays "
        "instead\n"
        "song.mid: timbre '@99,99': lies far outside the model's instruments and may not sound "
        "well\n"
    )
    assert "string ensemble plays track 1; @99,99 plays track 2" in done.stdout
    (row,) = result_of("render", "song.mid", *model, "--timbre", "harp:2, trumpet:-1", "--force")
    assert row["tracks"][0]["instrument"] == "harp:2, trumpet:-1"
    assert "a negative weight leads away from its instrument" in row["warnings"][0]


def test_folders_are_rendered_with_their_subfolders(model: tuple[str, str]) -> None:
    Path("album/one").mkdir(parents=True)
    for name in ("album/b.mid", "album/one/b.midi"):
        shutil.copy("other.mid", name)
    Path("album/notes.txt").write_text("no music")
    rows = result_of("render", "album", "other.mid", *model, "-o", "out")
    assert [row["output"] for row in rows] == ["out/b.wav", "out/one/b.wav", "out/other.wav"]
    assert "folder.mid: holds no MIDI files" in failure_of("render", "folder.mid", *model)


def test_standard_input_is_a_song(model: tuple[str, str]) -> None:
    # With a loudness, what is written to standard output gets an estimated gain.
    command = f"cat song.mid | {TIMBREL} render - {' '.join(model)} --gain 40"
    run("render", "song.mid", *model, "--gain", 40)
    subprocess.run(["bash", "-c", command], check=True, capture_output=True)
    assert files() == {"song.wav", "stdin.wav"}
    assert Path("stdin.wav").read_bytes() == Path("song.wav").read_bytes()
    done = subprocess.run(["bash", "-c", f"{command} -o - | tail -c +45"], capture_output=True)
    assert done.stdout == Path("song.wav").read_bytes()[44:]


def test_dry_leaves_out_the_room(model: tuple[str, str]) -> None:
    options = (*model, "--gain", 0, "--bit-depth", "32f")
    for name, more in (("wet.wav", ()), ("dry.wav", ("--dry",))):
        assert run("render", "song.mid", *options, "-o", name, *more).returncode == 0
    wet, dry = (soundfile.read(name)[0] for name in ("wet.wav", "dry.wav"))
    assert (len(wet), len(dry)) == (64_000, 48_000)
    np.testing.assert_array_equal(dry[:, 0], dry[:, 1])
    assert np.abs(wet[:, 0] - wet[:, 1]).max() > 0.05 * np.abs(dry).max()


def test_force_overwrites(model: tuple[str, str]) -> None:
    Path("song.wav").write_text("old")
    assert "--force" in failure_of("render", "song.mid", *model)
    assert run("render", "song.mid", *model, "--force").returncode == 0
    assert soundfile.info("song.wav").frames == 64_000


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
    assert "[red]song.wav" in watched.stderr
    assert "100 %" in watched.stderr


def test_quiet_shows_no_progress_even_to_a_person(model: tuple[str, str]) -> None:
    watched = run("render", "song.mid", *model, "--quiet", FORCE_COLOR="1")
    assert (watched.returncode, watched.stderr) == (0, "")


def test_muted_tracks_are_not_heard(model: tuple[str, str]) -> None:
    run("render", "song.mid", *model, "--mute", "Trumpet")
    muted = Path("song.wav").read_bytes()
    done = run("render", "song.mid", *model, "--solo", "1", "--force")
    assert Path("song.wav").read_bytes() == muted
    assert done.stdout.startswith("song.mid: grand piano plays track 1\n")


# Where it writes


def test_a_dash_is_standard_output(model: tuple[str, str]) -> None:
    done = subprocess.run(
        [TIMBREL, "render", "song.mid", *model, "-o", "-", "--stems", "stems", "--gain", "6"],
        capture_output=True,
    )
    assert done.returncode == 0
    assert re.fullmatch(
        rb"song\.mid: grand piano plays track 1; trumpet plays track 2\n"
        rb"standard output: 4\.0 s of sound in \d+\.\d s, \d+\.\d\xc3\x97 real time\n",
        done.stderr,
    )
    stems = {"stems/song-01-acoustic-grand-piano.wav", "stems/song-02-trumpet.wav"}
    assert files() == stems
    run("render", "song.mid", *model, "--gain", 6)
    assert done.stdout == Path("song.wav").read_bytes()


def test_what_goes_to_standard_output_has_the_rate_that_is_asked_for(
    model: tuple[str, str],
) -> None:
    command = [TIMBREL, "render", "other.mid", *model, "--mono", "--sample-rate", "44100"]
    done = subprocess.run([*command, "-o", "-"], capture_output=True, check=True)
    with wave.open(io.BytesIO(done.stdout)) as plain:
        assert (plain.getframerate(), plain.getnchannels()) == (44_100, 1)
        assert plain.getnframes() == round(3.296 * 44_100) == (len(done.stdout) - 44) // 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["other.mid", "-o", "-"], "standard output: is one file for 2 sounds"),
        (["-o", "-", "--json"], "--json prints to standard output, where '-o -' writes the sound"),
        (["-o", "/dev/full"], "/dev/full: cannot be written (No space left on device)"),
    ],
)
def test_streams_that_cannot_be_written_are_refused(
    model: tuple[str, str], arguments: list[str], message: str
) -> None:
    assert message in failure_of("render", "song.mid", *model, *arguments)


def test_long_names_are_cut_and_tell_tracks_apart(model: tuple[str, str]) -> None:
    long, name = "曲" * 60, "バイオリン第一楽章ソロ" * 4
    label = mido.MetaMessage("track_name", name=name.encode().decode("latin-1"))
    write_midi(f"{long}.mid", [label, *note(60)], [label, *note(67, channel=1)])
    longest = "x" * 251
    shutil.copy("song.mid", f"{longest}.mid")
    arguments = ("render", f"{long}.mid", f"{longest}.mid", *model, "-o", "out/")
    rows = result_of(*arguments, "--stems", "out/")
    assert {Path(row["output"]).name for row in rows} == {f"{long}.wav", f"{longest}.wav"}
    names = sorted(path.name for path in Path("out").iterdir())
    assert len(names) == 2 * 3
    assert max(len(name.encode()) for name in names) <= 255
    assert {f"{'x' * 248}-0{number}.wav" for number in (1, 2)} <= set(names)
    first, second = (Path(stem).name for stem in rows[0]["stems"])
    assert first.startswith(f"{long}-01-")
    assert second.startswith(f"{long}-02-")


def test_links_and_pipes_are_written_through(model: tuple[str, str]) -> None:
    Path("link.wav").symlink_to("real.wav")
    model = (*model, "--no-normalize")
    assert run("render", "song.mid", *model, "-o", "link.wav").returncode == 0
    assert Path("link.wav").is_symlink()
    real = Path("real.wav").read_bytes()
    for name in ("pipe.wav", "pipe.flac", "pipe"):
        os.mkfifo(name)
        # Into a file, which takes all that comes: a pipe to here would be full before the end. The
        # reader leaves when the pipe is closed, so whoever opened it twice would wait in vain.
        with Path("heard").open("wb") as file, subprocess.Popen(["cat", name], stdout=file) as cat:
            try:
                done = run_process("render", "song.mid", *model, "-o", name, timeout_s=120)
                assert (done.returncode, done.stdout) == (0, ""), done.stderr
                cat.wait(timeout=120)
            finally:
                cat.kill()
        heard = Path("heard").read_bytes()
        assert stat.S_ISFIFO(Path(name).stat().st_mode)
        if name == "pipe.flac":
            samples = soundfile.read(io.BytesIO(heard), dtype="int16")[0]
            np.testing.assert_array_equal(samples, soundfile.read("real.wav", dtype="int16")[0])
        else:
            assert heard == real


def test_a_reader_that_goes_away_ends_the_work_quietly(model: tuple[str, str]) -> None:
    write_midi("long.mid", note(60, ms=600_000))
    command = (
        f"{TIMBREL} render long.mid {' '.join(model)} -o - --stems stems | head -c 1000 | wc -c"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("1000", "")
    assert files() == set()


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_a_full_disk_leaves_nothing(model: tuple[str, str], suffix: str) -> None:
    limit = "ulimit -f 20"  # blocks of 1024 bytes
    given = f"render song.mid {' '.join(model)} -o out.{suffix} --stems stems --gain 60"
    command = f"{limit}; exec {TIMBREL} {given}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        rf"timbrel: (out|stems/song-0[12].*)\.{suffix}: cannot be written \([^\n]+\)\n", done.stderr
    )
    assert files() == set()


# How it fails


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty.mid", "empty.mid: is empty; a MIDI file was expected"),
        ("text.mid", "text.mid: is not a MIDI file"),
        ("silent.mid", "silent.mid: the score has no notes that can be played"),
        (
            "drums.mid",
            "drums.mid: the score has no notes that can be played; left out: notes of drums (1)",
        ),
        ("missing.mid", "missing.mid: cannot be read (No such file or directory)"),
        ("folder.mid", "folder.mid: "),
    ],
)
def test_a_file_that_is_no_song_is_refused_before_anything_is_written(
    model: tuple[str, str], name: str, message: str
) -> None:
    given = ("render", "song.mid", name, *model)
    assert failure_of(*given, "-o", "new/", "--stop-at-first").startswith(message)
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
        (["-o", "new/", "--stems", "text.mid"], "text.mid: is not a folder"),
        (["song.mid", "-o", "new/"], "new/song.wav: would be written twice"),
        (["other.mid", "-o", "x.wav"], "x.wav: is one file for 2 sounds; name a folder"),
        (["--timbre", "trumpit"], "there is no instrument 'trumpit'; did you mean trumpet"),
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
        (["--timbre", "Flute=harp"], "song.mid: there is no track 'Flute'; the score has 1 'Aco"),
        (["--timbre", "128"], "there is no General MIDI program 128; they are 0 to 127"),
        (["--timbre", "50% harp, trumpet"], "give each instrument of the mix its share in percent"),
        (["--mute", "1", "--mute", "2"], "song.mid: no track with notes would be heard"),
        (["--solo", "Oboe"], "song.mid: there is no track 'Oboe'"),
        (["--start", "-1"], "the start must be 0 s or later, not -1 s"),
        (["--start", "1"], "song.mid: the start, 1 s, lies beyond the score's end (1.0 s)"),
        (["--start", "nan"], "the start must be 0 s or later, not nan s"),
        (["--duration", "0"], "the duration must be more than 0 s, not 0 s"),
        (["--duration", "-2"], "the duration must be more than 0 s, not -2 s"),
        (["--loudness", "10"], "the loudness must lie between −60 and −1 LUFS, not 10 LUFS"),
        (["--loudness", "-16", "--gain", "3"], "a loudness and a gain were given; give one of"),
        (["--loudness", "-16", "--no-normalize"], "a loudness was given, but the mix is not"),
        (["--stems-kind", "dry"], "stems must be post-fader or pre-fader, not 'dry'"),
        (["--bit-depth", "12"], "--bit-depth must be one of 16, 24, 32f, not '12'"),
        (["-o", "x.flac", "--bit-depth", "32f"], "the bit depth of FLAC files is 16 or 24"),
        (["-o", "x.ogg", "--bit-depth", "16"], "x.ogg: OGG files have no bit depth"),
        (["--gain", "nan"], "the gain must lie between −100 and 100 dB, not nan dB"),
        (["--max-duration", "0.0001"], "song.mid: lasts longer than 0.0001 hours"),
        (
            ["--vocoder", "theremin"],
            "there is no vocoder 'theremin'; known: parallel, parallel-studio, wavenet",
        ),
        (["--model", "nowhere"], "nowhere: is neither a bundle's folder nor a shipped model"),
        (["--model", "folder.mid"], "folder.mid: is no bundle"),
    ],
)
def test_what_render_cannot_do_is_refused_before_anything_is_written(
    model: tuple[str, str], arguments: list[str], message: str
) -> None:
    assert message in failure_of("render", "song.mid", *model, *arguments)


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
        ({"format": 3}, "has format 3; this Timbrel reads formats 1 and 2. Update Timbrel"),
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
