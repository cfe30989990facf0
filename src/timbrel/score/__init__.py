"""Music to be played: MIDI files, scores and piano rolls."""

from timbrel.score.midi import read_midi
from timbrel.score.piano_roll import PianoRoll
from timbrel.score.score import Automation, Note, Score, Track

__all__ = ["Automation", "Note", "PianoRoll", "Score", "Track", "read_midi"]
