"""Which parts of a score a model can play: drum kits, bends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from timbrel.bundles.bundle import Bundle
from timbrel.constants import PERFORMANCE
from timbrel.score.instruments import nearest_kit
from timbrel.score.score import DRUM_BENDS, DRUM_NOTES, LACKING_KEYS, Score, Track

# The kinds of `Score.unplayable` that models with bends can play.
_BENDS = ("fine_tunings", "modulation", "pitch_bends")


@dataclass(frozen=True)
class Abilities:
    """What a model can play beside notes of the 88 keys."""

    bends: bool = False  # pitch bends, tuning, and vibrato by the modulation wheel
    kits: Mapping[int, frozenset[int]] = field(default_factory=dict)  # program → keys that it has

    def playable(self, score: Score) -> Score:
        """The score as the model plays it.

        Its tracks are those of melody instruments, then those of drums, where the model has kits;
        where it has none, `Score.drum_tracks` stays. Notes of keys that the kit lacks are left out;
        what the model cannot play is counted.
        """
        unplayable = dict(score.unplayable)
        if self.bends:
            for kind in _BENDS:
                unplayable.pop(kind, None)
        else:
            score = replace(score, tracks=tuple(map(_as_written, score.tracks)))
        if not self.kits or not score.drum_tracks:
            return replace(score, unplayable=unplayable)
        tracks, n_lacking = [], 0
        for track in score.drum_tracks:
            played = self._on_kit(track)
            n_lacking += len(track.notes) - len(played.notes)
            if played.notes:
                tracks.append(played)
        unplayable.pop(DRUM_NOTES, None)
        counts = {LACKING_KEYS: n_lacking, DRUM_BENDS: _n_bends(score.drum_tracks)}
        unplayable |= {kind: count for kind, count in counts.items() if count}
        return replace(
            score,
            tracks=(*score.tracks, *tracks),
            unplayable=dict(sorted(unplayable.items())),
            drum_tracks=(),
        )

    @classmethod
    def of(cls, bundle: Bundle) -> Abilities:
        """Those of a Mel2Mel."""
        kits = {i.program: frozenset(i.keys) for i in bundle.instruments if i.is_kit}
        return cls(bends=bundle.roll == PERFORMANCE, kits=kits)

    def _on_kit(self, track: Track) -> Track:
        keys = self.kits[nearest_kit(track.program, list(self.kits))]
        return replace(track, notes=tuple(note for note in track.notes if note.pitch in keys))


def _as_written(track: Track) -> Track:
    """A track without the detuning of its single notes."""
    if not any(note.detune for note in track.notes):
        return track
    return replace(track, notes=tuple(note._replace(detune=0.0) for note in track.notes))


def _n_bends(tracks: Sequence[Track]) -> int:
    """How many times drums are bent, each channel counted once."""
    curves = {
        (track.port, track.channel, name): getattr(track, name).values
        for track in tracks
        for name in ("bend", "vibrato")
    }
    return sum(value != 0 for values in curves.values() for value in values)
