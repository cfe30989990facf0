"""What the tests of commands share: a folder with songs, and a small model to play them."""

from __future__ import annotations

from pathlib import Path

import mido
import pytest

from support.command_line import note, write_midi
from timbrel.bundles.bundle import Bundle


@pytest.fixture
def songs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
