"""Pictures of scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from timbrel.errors import InputError
from timbrel.score import Note, Score, Track, read_midi
from timbrel.score.plot import plot_piano_roll

EXAMPLES = Path(__file__).parents[2] / "src" / "timbrel" / "examples"
SCORE = Score((Track("some", 0, 0, (Note(21, 127, 0.0, 1.0), Note(108, 127, 1.0, 2.0))),))


def ink(path: Path) -> np.ndarray:
    """How much each pixel differs from white."""
    return 1 - imread(path)[..., :3].min(axis=-1)


def test_a_picture_is_written(tmp_path: Path) -> None:
    path = tmp_path / "duet.png"
    plot_piano_roll(read_midi(EXAMPLES / "duet.mid"), path, title="Duet")
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert imread(path).shape[:2] == (600, 1440)
    assert [file.name for file in tmp_path.iterdir()] == ["duet.png"]


def test_low_keys_are_below_and_early_ones_left(tmp_path: Path) -> None:
    plot_piano_roll(SCORE, tmp_path / "two.png")
    picture = imread(tmp_path / "two.png")
    # The notes are dark blue; the frame and the words are grey.
    blue = (picture[..., 2] - picture[..., 0] > 0.2) & (picture[..., 0] < 0.3)
    rows, columns = np.nonzero(blue)
    middle = columns.mean()
    assert rows[columns < middle].mean() > 500
    assert rows[columns > middle].mean() < 100


def test_hours_are_drawn_as_quickly_as_minutes(tmp_path: Path) -> None:
    notes = tuple(Note(60, 100, float(start), start + 30.0) for start in range(0, 3 * 3600, 60))
    plot_piano_roll(Score((Track("long", 0, 0, notes),)), tmp_path / "long.png")
    assert imread(tmp_path / "long.png").shape[:2] == (600, 1440)
    assert ink(tmp_path / "long.png").mean() > 0.005


def test_an_empty_score_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no notes to draw"):
        plot_piano_roll(Score(()), tmp_path / "empty.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["roll.mp3", "roll", "roll.", ".png"])
def test_an_unknown_extension_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(InputError, match=f"^{path}: "):
        plot_piano_roll(SCORE, path)
    assert list(tmp_path.iterdir()) == []  # nothing half-written stays


def test_a_picture_that_was_there_survives_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "roll.txt"
    path.write_text("notes")
    with pytest.raises(InputError):
        plot_piano_roll(SCORE, path)
    assert path.read_text() == "notes"
