"""What a user hears of the shipped transcriber."""

from pathlib import Path

import mir_eval
import numpy as np
import pytest

from timbrel import Synthesizer
from timbrel.constants import SMALL_MODEL
from timbrel.score.midi import read_midi
from timbrel.sound import write_audio
from timbrel.transcription.transcriber import Transcriber

EXAMPLES = Path(__file__).parents[2] / "src/timbrel/examples"


def _table(notes: list) -> tuple[np.ndarray, np.ndarray]:
    spans = np.array([[note.start_s, max(note.end_s, note.start_s + 0.02)] for note in notes])
    return spans, 440 * 2 ** ((np.array([note.pitch for note in notes]) - 69) / 12)


@pytest.mark.parametrize(("name", "least_f1"), [("duet", 0.88), ("prelude", 0.84)])
def test_what_timbrel_plays_is_written_down_again(
    name: str, least_f1: float, tmp_path: Path
) -> None:
    score = read_midi(EXAMPLES / f"{name}.mid")
    synthesizer = Synthesizer.load(SMALL_MODEL)
    audio = synthesizer.render(score)
    write_audio(tmp_path / "song.wav", audio, synthesizer.sample_rate)
    found = Transcriber.load().transcribe(tmp_path / "song.wav")
    played = [note for track in score.tracks for note in track.notes]
    measured = mir_eval.transcription.precision_recall_f1_overlap(
        *_table(played), *_table(list(found.notes)), offset_ratio=None
    )
    assert measured[2] > least_f1
    assert abs(found.tuning_cents) < 5
