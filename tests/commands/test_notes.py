"""`timbrel notes` as a user runs it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from support.command_line import failure_of, run
from support.notes_data import sine
from timbrel.notes.codec import NoteCodec
from timbrel.notes.morphing import faded

CLIP_SAMPLES = 1_500  # three frames


def succeeds(*arguments: object) -> str:
    done = run("notes", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def fails(*arguments: object) -> str:
    return failure_of("notes", *arguments)


@pytest.fixture
def model(tiny_codec: NoteCodec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A folder with clips, in which the program is run; gives the option that names the model."""
    monkeypatch.chdir(tmp_path)
    for name, pitch in (("a", 60), ("b", 67), ("c", 48), ("d", 72)):
        soundfile.write(f"{name}.wav", sine(pitch, 3, samples=CLIP_SAMPLES), 16_000)
    soundfile.write("silent.wav", np.zeros(800), 16_000)
    Path("text.wav").write_text("no audio")
    return ["--model", str(tiny_codec.bundle.path)]


def length(path: str | Path) -> int:
    return soundfile.info(path).frames


def test_codes_are_written_and_decoded(model: list[str], tiny_codec: NoteCodec) -> None:
    rows = json.loads(succeeds("encode", "a.wav", "b.wav", "-o", "codes.npz", *model, "--json"))
    assert rows == [{"clip": name, "frames": 3, "samples": 1500} for name in ("a", "b")]
    clips = tiny_codec.load_codes("codes.npz")
    np.testing.assert_allclose(clips[0].codes, tiny_codec.encode(tiny_codec.read("a.wav")))
    succeeds("decode", "codes.npz", "-o", "out", "--seed", 5, *model)
    decoded = tiny_codec.decode([clip.codes for clip in clips], seed=5)
    for name, audio in zip("ab", decoded, strict=True):
        found, rate = soundfile.read(f"out/{name}.wav", dtype="float32")
        assert (len(found), rate) == (1500, 16_000)
        np.testing.assert_allclose(found, faded(audio[:1500]), atol=1e-4)


def test_reconstruct_writes_what_encode_and_decode_would(model: list[str]) -> None:
    succeeds("encode", "a.wav", "-o", "codes.npz", *model)
    succeeds("decode", "codes.npz", "-o", "one.wav", "--temperature", 0.5, *model)
    succeeds("reconstruct", "a.wav", "-o", "two.wav", "--temperature", 0.5, *model)
    assert Path("one.wav").read_bytes() == Path("two.wav").read_bytes()
    succeeds("reconstruct", "a.wav", "-o", "long.wav", "--stretch", 2, *model)
    assert length("long.wav") == 3000


def test_a_morph_is_gone_on_with(model: list[str]) -> None:
    succeeds("morph", "a.wav", "b.wav", "-o", "out", "--steps", 3, *model)
    files = sorted(Path("out").iterdir())
    assert [path.name for path in files] == [f"morph-{i:02d}-of-03.wav" for i in (1, 2, 3)]
    contents = [path.read_bytes() for path in files]
    assert len(set(contents)) == 3
    assert "exists; give --force" in fails(
        "morph", "a.wav", "b.wav", "-o", "out", *model, "--steps", 3
    )
    files[1].unlink()
    result = json.loads(
        succeeds("morph", "a.wav", "b.wav", "-o", "out", "--steps", 3, "--resume", "--json", *model)
    )
    assert [row["written"] for row in result["sounds"]] == [False, True, False]
    assert [path.read_bytes() for path in files] == contents


def test_a_path_and_a_loop(model: list[str]) -> None:
    succeeds("morph", "a.wav", "b.wav", "-o", "out", "--path", *model)
    assert length("out/path.wav") == 1500
    soundfile.write("long.wav", sine(60, 3, samples=6_000), 16_000)
    succeeds(
        *("morph", "long.wav", "a.wav", "-o", "looped", "--steps", 2, "--duration", 0.5, *model)
    )
    assert length("looped/morph-02-of-02.wav") == 8_000


def test_a_grid_of_files(model: list[str]) -> None:
    succeeds("grid", "a.wav", "b.wav", "c.wav", "d.wav", "-o", "grid", "--size", 2, *model)
    names = sorted(path.name for path in Path("grid").iterdir())
    assert names == [f"row-{r}-column-{c}.wav" for r in (1, 2) for c in (1, 2)]
    assert "four corners, not 2" in fails("grid", "a.wav", "b.wav", "-o", "other", *model)


def test_a_grid_of_the_pitches_that_all_corners_have(model: list[str]) -> None:
    for corner in range(4):
        Path(f"corner{corner}").mkdir()
        for pitch in (60, 62) if corner else (60, 64):
            shutil.copy("a.wav", f"corner{corner}/note-{pitch:03d}.wav")
    corners = [f"corner{i}" for i in range(4)]
    succeeds("grid", *corners, "-o", "grid", "--size", 2, *model)
    assert [path.name for path in Path("grid").iterdir()] == ["060"]
    assert len(list(Path("grid/060").iterdir())) == 4
    Path("corner3/note-060.wav").unlink()
    assert "no note of a pitch that all" in fails("grid", *corners, "-o", "other", *model)
    Path("corner1/nameless.wav").touch()
    assert "does not end with a pitch" in fails("grid", *corners, "-o", "other", *model)


def test_rainbowgrams_are_drawn(model: list[str]) -> None:  # noqa: ARG001
    succeeds("rainbowgram", "a.wav", "b.wav", "-o", "picture.png")
    assert Path("picture.png").read_bytes()[:4] == b"\x89PNG"
    assert "exists; give --force" in fails("rainbowgram", "a.wav", "-o", "picture.png")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["encode", "no.wav", "-o", "x.npz"], "no.wav: cannot be read as audio"),
        (["encode", "text.wav", "-o", "x.npz"], "text.wav: cannot be read as audio"),
        (["encode", "silent.wav", "-o", "x.npz"], "silent.wav: is silent"),
        (["encode", "a.wav", "-o", "x.wav"], "x.wav: codes are written as .npz"),
        (["encode", "a.wav", "-o", "no/x.npz"], "folder no does not exist"),
        (["decode", "a.wav", "-o", "x.wav"], "a.wav: holds no codes"),
        (["decode", "no.npz", "-o", "x.wav"], "no.npz: cannot be read"),
        (["reconstruct", "a.wav", "b.wav", "-o", "x.wav"], "2 sounds need a folder"),
        (["reconstruct", "a.wav", "a.wav", "-o", "out"], "would be written twice; rename a clip"),
        (["reconstruct", "a.wav", "-o", "x.mp3"], "cannot write '.mp3' files"),
        (["reconstruct", "a.wav", "-o", "x.wav", "--stretch", "-1"], "not more than 0"),
        (["morph", "a.wav", "silent.wav", "-o", "out"], "silent.wav: is silent"),
        (["morph", "a.wav", "b.wav", "-o", "text.wav"], "text.wav: is not a folder"),
    ],
)
def test_bad_input_is_one_line(model: list[str], arguments: list[str], words: str) -> None:
    assert words in fails(*arguments, *model)


def test_a_model_that_is_not_there(model: list[str]) -> None:  # noqa: ARG001
    assert "nowhere: is neither" in fails("encode", "a.wav", "-o", "x.npz", "--model", "nowhere")
    assert "not 'notes-autoencoder'" in fails(
        "encode", "a.wav", "-o", "x.npz", "--model", "mel2mel"
    )


def test_commands_of_the_runtime_do_not_import_torch() -> None:
    code = (
        "import sys, timbrel.commands.main, timbrel.notes.codec, timbrel.notes.sampling, "
        "timbrel.notes.rendering, timbrel.notes.morphing; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
