"""Every command of the README runs as printed, in its order, in an empty folder.

A block below a comment ``<!-- not run: why -->`` is left out; trainings run with two steps. Of the
tunes, only some seconds are played, and of a sampled instrument, four keys are sampled.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from support.command_line import note, write_midi
from timbrel.corpus.soundfont import to_midi
from timbrel.examples import TUNES
from timbrel.score.midi import read_midi

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"(?:<!-- ((?:not )?run[^>]+) -->\n)?```(\w*)\n(.*?)```", re.DOTALL)
SMALL = "run with two steps and small data"
# Of 2 s; training wants two, of which it learns one.
SPLITS = "file,split\nfirst.mid,train\nsecond.mid,valid\n"
# Of the tunes that `timbrel tunes` writes; both of the duet's tracks sound in it.
START_S, DURATION_S = 10.0, 3.0

# What is found as `timbrel`.
FEW_KEYS = f"""#!{sys.executable}
from timbrel import sampled
from timbrel.commands.main import main

sampled.natural_range = lambda program: (60, 63)
main()
"""


def blocks(remark: str = "") -> list[tuple[str, str]]:
    """Languages ("" for the shell) and texts of the blocks below a remark, or below none."""
    found = BLOCK.findall(README.read_text())
    return [(language, text) for why, language, text in found if why == remark]


@pytest.fixture(autouse=True)
def programs(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell finds `timbrel`, and Python's programs."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "timbrel").write_text(FEW_KEYS)
    (folder / "timbrel").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}")


def run_block(language: str, text: str, folder: Path) -> None:
    command = ["bash", "-euc", text] if not language else [sys.executable, "-c", text]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{text}\n{done.stderr}"


def shorten_tunes(folder: Path) -> None:
    for name in TUNES.values():
        path = folder / str(name)
        score = read_midi(path).excerpt(START_S, DURATION_S)
        assert all(track.notes for track in score.tracks)
        to_midi(score, 0, tail_s=0).save(path)


def test_every_command_runs_in_its_order(tmp_path: Path) -> None:
    shortened = False
    for language, text in blocks():
        if language == "bibtex":
            continue
        if text.startswith("timbrel tunes"):
            first_line, text = text.split("\n", 1)
            run_block(language, first_line, tmp_path)
            shorten_tunes(tmp_path)
            shortened = True
        run_block(language, text, tmp_path)
    assert shortened
    for path in tmp_path.glob("*.wav"):
        assert soundfile.info(path).duration > 1
    assert (tmp_path / "mine.flac").exists()
    assert len(list((tmp_path / "harp").rglob("*.wav"))) > 1
    assert len(list((tmp_path / "morphs").iterdir())) >= 3


def test_most_of_it_is_run() -> None:
    assert len(blocks()) >= 4
    assert {language for language, _ in blocks()} == {"", "python", "bibtex"}


def test_the_training_runs_with_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, soundfont: Path
) -> None:
    """On two short songs in ten instruments."""
    monkeypatch.chdir(tmp_path)
    Path("MIDI_DIR").mkdir()
    for name in ("MIDI_DIR/first.mid", "MIDI_DIR/second.mid", "my-song.mid"):
        write_midi(name, note(60, ms=1000), note(64, ms=2000))
    Path("splits.csv").write_text(SPLITS)
    Path("FONT.sf3").symlink_to(soundfont)
    Path("recipes").symlink_to(README.with_name("recipes"))
    ((language, text),) = blocks(SMALL)
    assert text.count("timbrel train ") == 2
    text = re.sub(
        r"(timbrel train [^#\n]+)",
        r"\1 --set steps=2 --set warmup_steps=1 --set decay_steps=0 --set batch_size=2 ",
        text,
    )
    run_block(language, text, tmp_path)
    card = json.loads(Path("my-model/config.json").read_text())
    assert (card["license"], card["attribution"]) == ("CC BY 4.0", "Played by …")
    assert soundfile.info("my-song.wav").duration > 2
    assert Path("runs.png").read_bytes()[:4] == b"\x89PNG"
