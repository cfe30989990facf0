"""`timbrel translate` as a user runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import EXAMPLES
from support.command_line import failure_of, result_of, run
from timbrel.bundles.bundle import load_bundle
from timbrel.synthesizer import Synthesizer
from timbrel.timbre.timbre import parse_timbre


@pytest.fixture(scope="module")
def duet() -> tuple[np.ndarray, int]:
    synthesizer = Synthesizer.load(threads=1)
    return synthesizer.render(EXAMPLES / "duet.mid", duration_s=3.0), synthesizer.sample_rate


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, duet: tuple[np.ndarray, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with recordings, good ones and others, in which the program is run."""
    monkeypatch.chdir(tmp_path)
    Path("takes/more").mkdir(parents=True)
    for name in ("song.flac", "takes/one.wav", "takes/more/two.wav"):
        soundfile.write(name, *duet)
    soundfile.write("silent.wav", np.zeros(16_000), 16_000)
    Path("empty.wav").touch()


def test_a_recording_is_played_in_another_timbre() -> None:
    (found,) = result_of("translate", "song.flac", "--timbre", "church organ", "--dry")
    assert (found["file"], found["output"]) == ("song.flac", "song.wav")
    assert found["notes"] > 8
    assert found["timbre"] == "church organ"
    audio, rate = soundfile.read("song.wav")
    assert rate == found["sample_rate"]
    assert len(audio) / rate == pytest.approx(found["duration_s"], abs=1e-3)
    assert np.sqrt(np.mean(audio[: 3 * rate] ** 2)) > 0.01
    assert found["loudness_lufs"] == pytest.approx(-16.0, abs=1.5)  # the recording's


def test_its_own_timbre_is_kept_and_saved() -> None:
    model = ("--dry", "--model", "mel2mel-studio")
    arguments = ("translate", "song.flac", *model, "--keep-timbre", "--save-timbre")
    arguments += ("-o", "again/")
    (found,) = result_of(*arguments)
    kept = found["kept_timbre"]
    assert (found["timbre"], kept["file"], kept["error_db"]) == (None, "again/song.timbre", None)
    assert found["notes"] > 8
    instruments = load_bundle("mel2mel-studio").instruments
    saved = parse_timbre("again/song.timbre", instruments)
    assert list(saved.points[0]) == kept["coordinates"]
    # The file is the timbre that was played.
    played = ("translate", "song.flac", *model, "--timbre", "again/song.timbre", "-o", "as.wav")
    assert run(*played).returncode == 0
    assert Path("as.wav").read_bytes() == Path("again/song.wav").read_bytes()
    assert "again/song.wav: exists" in failure_of(*arguments)
    Path("again/song.wav").unlink()
    assert "again/song.timbre: exists" in failure_of(*arguments)
    assert not Path("again/song.wav").exists()


def test_folders_keep_their_subfolders() -> None:
    done = run("translate", "takes", "--timbre", "harp", "-o", "harps/", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    names = {str(path.relative_to("harps")) for path in Path("harps").rglob("*.wav")}
    assert names == {"one.wav", "more/two.wav"}
    assert " notes, " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("silent.wav", "-o", "x.wav"), "silent.wav: is silent, so there are no notes"),
        (("empty.wav",), "empty.wav: is empty"),
        (("missing.wav",), "missing.wav: cannot be read"),
        (("song.flac", "-o", "song.xyz"), "song.xyz"),
        (("song.flac", "silent.wav", "-o", "both.wav"), "one file for 2 sounds"),
        (("song.flac", "-o", "song.flac", "--force"), "would be overwritten by its translation"),
        (("song.flac", "--loudness", "10"), "loudness"),
        (("song.flac", "-o", "-", "--json"), "--json"),
    ],
)
def test_what_cannot_be_is_one_line(arguments: tuple[str, ...], words: str) -> None:
    before = {path: path.read_bytes() for path in Path().rglob("*.*") if path.is_file()}
    assert words in failure_of("translate", *arguments, "--timbre", "harp")
    assert {path: path.read_bytes() for path in Path().rglob("*.*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--timbre", "harp", "--keep-timbre"), "exclude each other"),
        (("--timbre", "harp", "--fit"), "belong to --keep-timbre"),
        (("--timbre", "harp", "--save-timbre"), "belong to --keep-timbre"),
        (("--keep-timbre", "--save-timbre", "-o", "-"), "--save-timbre writes beside a file"),
        (("--keep-timbre", "--model", "mel2mel-abs"), "has no timbre encoder"),
        (("--keep-timbre", "--model", "mel2mel-studio", "--encoder", "none"), "none: "),
    ],
)
def test_what_is_said_of_the_timbre_must_agree(arguments: tuple[str, ...], words: str) -> None:
    before = sorted(Path().rglob("*"))
    assert words in failure_of("translate", "song.flac", *arguments)
    assert sorted(Path().rglob("*")) == before


def test_an_unknown_timbre_is_one_line() -> None:
    assert "kazoo" in failure_of("translate", "song.flac", "--timbre", "kazoophone")
    assert "--timbre" in failure_of("translate", "song.flac")


def test_a_file_that_cannot_be_used_leaves_the_others() -> None:
    done = run("translate", "silent.wav", "song.flac", "--timbre", "harp", "-o", "out/", "--quiet")
    assert done.returncode == 2
    assert "silent.wav: is silent" in done.stderr
    assert [path.name for path in Path("out").iterdir()] == ["song.wav"]


def test_a_network_plays_a_recording_as_one_of_its_domains(tiny_network_bundle: Path) -> None:
    arguments = ("translate", "song.flac", "--network", tiny_network_bundle, "--domain", "harp")
    (found,) = result_of(*arguments)
    assert (found["network"], found["domain"]) == ("tiny", "harp")
    assert not {"notes", "timbre", "kept_timbre"} & set(found)
    assert (found["output"], found["sample_rate"]) == ("song.wav", 16_000)
    audio, rate = soundfile.read("song.wav")
    assert (audio.ndim, rate) == (1, 16_000)
    assert len(audio) / rate == pytest.approx(soundfile.info("song.flac").duration, abs=1e-4)
    assert "song.wav: exists" in failure_of(*arguments)
    # The options that are not of notes are heeded.
    options = ("-o", "soft.wav", "--temperature", "0", "--loudness", "-30")
    (soft,) = result_of(*arguments, *options)
    assert soft["loudness_lufs"] == pytest.approx(-30, abs=0.2)
    assert found["loudness_lufs"] > -25
    assert not np.array_equal(soundfile.read("soft.wav")[0], audio)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--network", "NETWORK"), "--network needs --domain, one of: harp, church organ"),
        (("--network", "NETWORK", "--domain", "lute"), "no domain 'lute'; it has: harp, church"),
        (("--network", "notes", "--domain", "harp"), "'notes-autoencoder', not 'translation-net"),
        (("--network", "NETWORK", "--domain", "harp", "--dry"), "--dry is of the way by notes"),
        (("--timbre", "harp", "--domain", "harp"), "--domain and --temperature belong to"),
        (("--timbre", "harp", "--temperature", "1"), "--domain and --temperature belong to"),
    ],
)
def test_what_does_not_fit_a_network_is_one_line(
    arguments: tuple[str, ...], words: str, tiny_network_bundle: Path
) -> None:
    given = [str(tiny_network_bundle) if word == "NETWORK" else word for word in arguments]
    assert words in failure_of("translate", "song.flac", *given)


def test_a_network_leaves_out_what_is_silent(tiny_network_bundle: Path) -> None:
    network = ("--network", tiny_network_bundle, "--domain", "harp")
    assert "silent.wav: is silent" in failure_of("translate", "silent.wav", "-o", "x.wav", *network)
